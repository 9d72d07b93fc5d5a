// SPDX-License-Identifier: MIT
/*
 * The half of the invariant walker that starts from the areas, where mm/check.c starts from the
 * entries. That an area without entries has none is seen there (each leaf asks for its area); that
 * an area with entries has all of them can only be seen here:
 *
 *   live      every page is mapped, but of a sparse area, which says so itself
 *   lazy      the same, unless it is marked as holed by a purge of single frames
 *   cleared   it is on exactly one list: a CPU's magazine, or the quarantine of debug=poison
 *   LISTED    in whatever state, it is on exactly one CPU's list of areas unmapped under pte
 *
 * "Exactly one" takes no memory to decide: every element of every list is an area that belongs on
 * such a list, and the lists together are as long as there are such areas. An area on two lists
 * makes them longer, a lost one shorter, a circle is cut off where it exceeds that number.
 */
#include "mm/alias.h"
#include "mm/area.h"
#include "mm/check_internal.h"
#include "mm/lazy.h"
#include "mm/pagetable.h"
#include "mm/park.h"
#include "mm/space.h"

/* => pages of the area that have an entry */
static u64 pages_mapped(const struct area *a)
{
	vaddr_t va = a->start, end = va + ((u64)a->pages << PAGE_SHIFT);
	struct pt_walk w;
	u64 n = 0;

	while (va < end) {
		bool mapped = pt_walk(kernel_root, va, &w);
		vaddr_t next =
			MIN(ALIGN_DOWN(va, pt_entry_size(w.level)) + pt_entry_size(w.level), end);

		if (mapped)
			n += (next - va) >> PAGE_SHIFT;
		va = next;
	}
	return n;
}

static unsigned check_extent(const struct area *a, u64 word)
{
	enum area_state s = word_state(word);
	bool whole = (s == AREA_LIVE && word_kind(word) != AREA_SPARSE) ||
		     (s == AREA_LAZY && !(word & AREA_HOLED));
	unsigned faults = 0;
	u64 n;

	if (s >= AREA_STATES || word_kind(word) >= AREA_KINDS || (word & AREA_BUSY) ||
	    (s == AREA_LAZY && !(word & AREA_LISTED)) || a->pages >= a->span) {
		FAULT(faults, "area %#lx has word %#lx, and maps %u pages of %u", a->start, word,
		      a->pages, a->span);
		return faults;
	}
	if (!whole)
		return 0;
	n = pages_mapped(a);
	if (n != a->pages)
		FAULT(faults, "%s area '%s' %#lx+%u pages has %lu of them mapped",
		      area_state_name(a), a->name, a->start, a->pages, n);
	return faults;
}

/* --- the lists --- */

struct lists {
	unsigned faults;
	u64 cleared, parked; /* areas that are to be in magazines, and those that are */
	u64 listed, lazy;    /* the same of the lists of areas unmapped under pte */
};

/* What belongs on a list. */
struct kind_of_list {
	const char *name;
	unsigned cpu;
	u64 min_pages, max_pages;
	bool lazy;
};

static bool belongs(const struct area *a, const struct kind_of_list *k)
{
	u64 word = atomic_read(&a->word);

	if (k->lazy)
		return word & AREA_LISTED;
	return word_state(word) == AREA_CLEARED && !(word & AREA_LISTED) &&
	       a->pages >= k->min_pages && a->pages <= k->max_pages;
}

/* => may it be looked at? A list that is broken may lead anywhere. */
static bool is_readable(const struct area *a)
{
	paddr_t pa = virt_to_phys(a);

	return IS_ALIGNED((u64)a, sizeof(u64)) && frame_valid(paddr_to_pfn(pa)) &&
	       pa < space_direct_limit();
}

/* Stops at the first fault: where an element that does not belong there leads, is no list. */
static void check_list(struct lists *l, const struct kind_of_list *k, const atomic_t *head)
{
	u64 most = k->lazy ? l->listed : l->cleared, *found = k->lazy ? &l->lazy : &l->parked;

	for (const struct area *a = (struct area *)atomic_read(head); a; a = a->parked) {
		if (!is_readable(a)) {
			FAULT(l->faults, "CPU %u's %s list (%lu pages) leads to %p", k->cpu,
			      k->name, k->min_pages, (const void *)a);
			return;
		}
		if (!belongs(a, k)) {
			FAULT(l->faults, "CPU %u's %s list (%lu pages) has %s area %#lx+%u pages",
			      k->cpu, k->name, k->min_pages, area_state_name(a), a->start,
			      a->pages);
			return;
		}
		if ((*found)++ == most) {
			FAULT(l->faults,
			      "CPU %u's %s list (%lu pages) is too long: only %lu areas can be on all such",
			      k->cpu, k->name, k->min_pages, most);
			return;
		}
	}
}

static void check_park(struct lists *l, unsigned cpu)
{
	const struct park *p = &parks[cpu];
	struct kind_of_list k = {.cpu = cpu};

	for (unsigned i = 0; i < PARK_MAX_PAGES; i++) {
		k.min_pages = k.max_pages = i + 1;
		k.name = "cleared";
		check_list(l, &k, &p->class[i].cleared);
		k.name = "ready";
		check_list(l, &k, &p->class[i].ready);
	}
	k = (struct kind_of_list){"large", cpu, PARK_MAX_PAGES + 1, VMAP_PAGES, false};
	check_list(l, &k, &p->large);
	k = (struct kind_of_list){"lazy", cpu, 1, VMAP_PAGES, true};
	check_list(l, &k, &p->lazy);
}

static void check_lists(struct lists *l)
{
	struct lazy_stats lz;

	for (unsigned cpu = 0; cpu < MAX_CPUS; cpu++)
		check_park(l, cpu);
	lazy_stats(&lz);
	if (l->parked + lz.quarantined != l->cleared)
		FAULT(l->faults, "%lu areas are cleared, %lu are parked and %lu in quarantine",
		      l->cleared, l->parked, lz.quarantined);
	if (l->lazy != l->listed)
		FAULT(l->faults, "%lu areas are marked as listed, the lazy lists have %lu",
		      l->listed, l->lazy);
}

unsigned check_areas(void)
{
	struct lists l = {0};
	struct area a;

	for (vaddr_t va = VMAP_BASE; area_find(va, &a); va = area_end(&a)) {
		u64 word = atomic_read(&a.word);

		if (word_state(word) == AREA_FREE)
			continue;
		l.faults += check_extent(&a, word);
		l.listed += !!(word & AREA_LISTED);
		l.cleared += word_state(word) == AREA_CLEARED && !(word & AREA_LISTED);
	}
	check_lists(&l);
	return l.faults;
}
