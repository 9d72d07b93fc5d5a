// SPDX-License-Identifier: MIT
/*
 * The experiment behind `demo stray`, `demo highmem` and their tests: the thread of 2007.
 * Buffers are mapped, used, and unmapped lazily; their frames are freed, and page tables are
 * made of them.
 */
#ifndef KERNEL_STRAY_H
#define KERNEL_STRAY_H

#include "mm/pagetable.h"

enum stray_mapping {
	STRAY_VMAP, /* a buffer of several pages, as XFS had */
	STRAY_KMAP, /* page by page, as highmem is reached */
};

struct stray_result {
	unsigned tables; /* of the new space's, those made of the buffers' frames, */
	unsigned mapped; /*   and of these, those that a lazy alias mapped when it was loaded */
	int err;	 /* of loading it; 0: the platform has accepted the tables */

	/* from the making of the space until it was loaded */
	u64 hypercalls, entries; /* and the page-table entries they changed; natively 0 */
	u64 purged;		 /* lazy entries that were cleared */
	u64 us;
};

/*
 * stray_experiment: with page tables made under `purge`, policy pte, and `others` more areas lying
 * about lazily, of no concern to the tables.
 *   => thread context, IRQs on; this CPU runs on no address space
 *   => 0; -ENOMEM
 */
int stray_experiment(enum stray_mapping how, enum purge_policy purge, unsigned others,
		     struct stray_result *res) __must_check;

#endif
