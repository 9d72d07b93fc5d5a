// SPDX-License-Identifier: MIT
/*
 * Sparse areas: addresses are reserved once, pages come and go in them. Linux flushes when pages
 * go; here what goes is cleared and the area stamped, and it is when new pages are mapped that some
 * CPU may have to forget old ones: if the stamp is covered by then, which it is after the next
 * tick, nobody is disturbed. Otherwise one flush of exactly the range that is mapped is enough,
 * for the rest of the area stays unmapped.
 *
 * Addresses alone cost next to nothing: tables and records are made where pages are mapped, and
 * when. So an area may be as large as its user likes. (One that is small enough to be parked
 * afterwards has its tables at once, for the next user of its addresses expects them.)
 *
 * An area is one caller's at a time, so its entries need no lock: they themselves say what is
 * mapped.
 */
#include "mm/engine.h"
#include "mm/gather.h"
#include "mm/shootdown.h"

void *vm_area_reserve(u64 pages, u64 align, const char *name)
{
	struct area *a;

	if (!pages || !align || (align & (align - 1))) {
		printk("mm: vm_area_reserve of %lu pages aligned to %lu\n", pages, align);
		return NULL;
	}
	a = park_get_aligned(pages, align, AREA_ANYWHERE,
			     pages > PARK_MAX_PAGES ? AREA_BARE : AREA_TABLES);
	if (!a)
		return NULL;
	engine_publish(a, AREA_SPARSE, 0, name, CALLER(), NULL);
	return (void *)a->start;
}

/* => pages [page, page + n) lie in `va`'s area, which is sparse, and are all mapped, or all not */
static struct area *range_of(void *va, u64 page, u64 n, bool mapped)
{
	struct area *a = area_of((vaddr_t)va);
	u64 w = a ? atomic_read(&a->word) : 0;

	if (!a || a->start != (vaddr_t)va || word_state(w) != AREA_LIVE ||
	    word_kind(w) != AREA_SPARSE || !n || n > a->pages || page > a->pages - n)
		return NULL;
	for (u64 i = page; i < page + n; i++)
		if (!!entry_value(a->start + (i << PAGE_SHIFT)) != mapped)
			return NULL;
	return a;
}

static int refused(const char *what, void *va, u64 page, u64 n)
{
	printk("mm: cannot %s pages %lu+%lu of the area at %p: not sparse, outside, or %s\n", what,
	       page, n, va, *what == 'm' ? "mapped already" : "not mapped");
	return -EINVAL;
}

int vm_area_map(void *va, u64 page, struct frame *const *f, u64 n, unsigned prot)
{
	struct area *a = range_of(va, page, n, false);
	struct gather g;
	int err;

	if (!a)
		return refused("map", va, page, n);
	err = chunk_ensure(a, a->start + (page << PAGE_SHIFT), n, true);
	if (err)
		return err;
	if (a->stamp && !shootdown_covered(a->stamp)) {
		gather_begin(&g);
		gather_add(&g, a->start + (page << PAGE_SHIFT), n, a->stamp);
		gather_flush(&g);
		gather_end(&g);
	}
	err = engine_set(a, page, f, n, prot);
	if (!err)
		count_add(vmap_pages, n);
	return err;
}

int vm_area_unmap(void *va, u64 page, u64 n)
{
	struct area *a = range_of(va, page, n, true);

	if (!a)
		return refused("unmap", va, page, n);
	engine_clear(a, page, n);
	return 0;
}

void vm_area_free(void *va)
{
	engine_unmap((vaddr_t)va, ANY_NUMBER, AREA_SPARSE, CALLER());
}
