// SPDX-License-Identifier: MIT
/* Between the files of address spaces: aspace.c, aspace_pages.c, check_space.c. */
#ifndef MM_ASPACE_INTERNAL_H
#define MM_ASPACE_INTERNAL_H

#include "mm/aspace.h"

#define USER_LEVEL 3 /* of the table in slot 0 */

static inline void must_exist(const struct aspace *as)
{
	KASSERT(READ_ONCE(as->id), "address space '%s' is used after it was destroyed", as->name);
}

/* aspace_map() without the questions. => the range is good, and nothing is mapped there */
int aspace_map_pages(struct aspace *as, vaddr_t va, u64 n, unsigned prot) __must_check;

/* The frame of the entry `e` at `va`, about to be given back: it must be the space's own. */
struct frame *aspace_own_frame(const struct aspace *as, vaddr_t va, pte_t e);

void aspace_copy_page(struct frame *to, struct frame *from);

#endif
