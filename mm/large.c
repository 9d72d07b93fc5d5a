// SPDX-License-Identifier: MIT
/*
 * Large pages in the vmap area: leaves of 2 MiB. They need a level-2 entry with no table below
 * it, and tables of the kernel half are never taken away; so they have a half of the area to
 * themselves, in which tables are made only for what is left over at the end of an area.
 *
 * Next: mm/vmalloc.c, which maps them.
 */
#include "mm/engine.h"
#include "mm/pagetable.h"
#include "mm/shootdown.h"
#include "mm/space.h"

bool large_fits(vaddr_t va)
{
	struct pt_walk w;
	pfn_t table;

	return pt_ensure_path(kernel_root, va, 2, &table) == 0 && !pt_walk(kernel_root, va, &w) &&
	       w.level == 2;
}

#define LARGE_TRIES 16

/* Where small pages once were at the end of another area their table stays, so we look further. */
struct area *engine_large_area(u64 pages)
{
	struct area_range r = LARGE_RANGE;

	if (mmu->max_leaf_level < 2)
		return NULL;
	for (unsigned i = 0; i < LARGE_TRIES && pages >= LARGE_PAGES; i++) {
		struct area *a = area_alloc(pages, LARGE_PAGES, r, AREA_RECORDS);
		u64 page = 0;

		if (!a)
			return NULL;
		while (page + LARGE_PAGES <= pages && large_fits(a->start + (page << PAGE_SHIFT)))
			page += LARGE_PAGES;
		if (page + LARGE_PAGES > pages)
			return a;
		r.lo = a->start + ((page + LARGE_PAGES) << PAGE_SHIFT);
		area_free(a);
	}
	return NULL;
}

/* A 2 MiB leaf: the entry first, then the words of its 512 frames, as in mm/run.h. */
void engine_clear_large(struct area *a, u64 page)
{
	vaddr_t va = a->start + (page << PAGE_SHIFT);
	struct pt_walk w;
	u64 stamp;
	pfn_t first;

	KASSERT(pt_walk(kernel_root, va, &w) && w.level == 2, "%#lx is not a large page", va);
	first = paddr_to_pfn(pte_addr(w.step[2].entry, 2));
	engine_clear_leaf(va, 2);
	stamp = shootdown_stamp();
	for (u64 i = 0; i < LARGE_PAGES && frame_valid(first); i++) {
		struct frame *f = pfn_frame(first) + i;
		u64 alias = a->alias + page + i;

		if (!atomic_cmpxchg(&f->alias, alias, stamp))
			alias_drop_slow(f, alias, stamp);
	}
}
