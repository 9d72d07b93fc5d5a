// SPDX-License-Identifier: MIT
/* What areas are called and how many there are: for the monitor, reports and tests. */
#include "mm/area.h"
#include "mm/shootdown.h"

const char *area_state_name(const struct area *a)
{
	switch (word_state(atomic_read(&a->word))) {
	case AREA_FREE:
		return "free";
	case AREA_LIVE:
		return "live";
	case AREA_LAZY:
		return "lazy";
	default:
		return a->stamp && !shootdown_covered(a->stamp) ? "cleared" : "kept";
	}
}

const char *area_kind_name(enum area_kind k)
{
	static const char *const names[AREA_KINDS] = {"vmap",  "map_ram", "kmap",  "vmalloc",
						      "stack", "io",	  "sparse"};

	return k < AREA_KINDS ? names[k] : "of no known kind";
}

void area_stats(struct area_stats *st)
{
	u64 horizon = shootdown_horizon();
	struct area a;

	memset(st, 0, sizeof(*st));
	for (vaddr_t va = VMAP_BASE; area_find(va, &a); va = area_end(&a)) {
		enum area_state s = word_state(atomic_read(&a.word));

		st->nr[s]++;
		st->pages[s] += a.span;
		if (s == AREA_FREE)
			st->largest_free = MAX(st->largest_free, (u64)a.span);
		if (s == AREA_CLEARED && (!a.stamp || a.stamp < horizon)) {
			st->kept++;
			st->kept_pages += a.span;
		}
	}
}
