// SPDX-License-Identifier: MIT
/* Few addresses: nearly all of the vmap area is taken, as one sparse area with no page in it. */
#ifndef TESTS_HOST_SCARCE_H
#define TESTS_HOST_SCARCE_H

#include "mm/area.h"
#include "mm/chunk.h"

/* Only the first `pages` pages of the vmap area are left. => they are free; no more than a chunk */
static inline struct area *take_addresses_but(u64 pages)
{
	struct area_range r = {VMAP_BASE + (pages << PAGE_SHIFT), VMAP_END};
	struct area *a = area_alloc(VMAP_PAGES - pages - 1, 1, r, AREA_BARE);

	KASSERT(a && !chunk_ensure(a, VMAP_BASE, 1, true), "they are not free, or no memory");
	a->name = "the rest";
	atomic_set(&a->word, area_word(AREA_LIVE, AREA_SPARSE, 0, NULL));
	return a;
}

static inline void give_addresses(struct area *a)
{
	atomic_set(&a->word, area_word(AREA_CLEARED, 0, 0, NULL));
	area_free(a);
}

#endif
