// SPDX-License-Identifier: MIT
/*
 * Few addresses. Records for all of the vmap area would take 2 GiB, so what is to be taken away is
 * carved out of mm/area.c's tree without any: a test that wants that is linked without that file,
 * and includes it here. To mm_check() the rest is one large sparse area with nothing mapped in it.
 */
#ifndef TESTS_HOST_SCARCE_H
#define TESTS_HOST_SCARCE_H

#include "mm/area.c"

/* Only the first `pages` pages of the vmap area are left. => they are free; no more than a chunk */
static inline struct area *take_addresses_but(u64 pages)
{
	vaddr_t from = VMAP_BASE + (pages << PAGE_SHIFT);
	struct area *a;

	KASSERT(!chunk_ensure(VMAP_BASE, 1, true), "no memory");
	a = carve(VMAP_PAGES - pages, 1, (struct area_range){from, VMAP_END});
	KASSERT(a && a->start == from, "they are not free");
	describe(a, VMAP_PAGES - pages - 1, false);
	a->name = "the rest";
	chunk_set_owner(from, CHUNK_PAGES - pages, a);
	atomic_set(&a->word, area_word(AREA_LIVE, AREA_SPARSE, 0, 0));
	return a;
}

static inline void give_addresses(struct area *a)
{
	struct area *dead[2] = {NULL, NULL};

	chunk_set_owner(a->start, CHUNK_PAGES - chunk_page(a->start), NULL);
	spin_lock(&area_lock);
	merge_locked(a, dead);
	spin_unlock(&area_lock);
	atomic_fetch_add(&freed, 1);
	for (unsigned i = 0; i < ARRAY_SIZE(dead); i++)
		if (dead[i])
			pool_free(&area_pool, dead[i]);
}

#endif
