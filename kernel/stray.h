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
	u64 ticks;		 /* of the TSC */
};

struct stray_setup {
	enum purge_policy purge; /* page tables are made under it */
	enum lazy_policy lazy;	 /* buffers are unmapped under it */
	unsigned others; /* so many more areas lie about lazily, of no concern to the tables */
};

/*
 * stray_begin: what was set before is kept for stray_end(). Both are for one experiment at a time.
 *   => thread context, IRQs on; this CPU runs on no address space; 0 or -ENOMEM
 * stray_pin: buffers are used and freed, and a space made, loaded and destroyed.
 *   => as stray_begin
 */
int stray_begin(const struct stray_setup *setup) __must_check;
int stray_pin(enum stray_mapping how, struct stray_result *res) __must_check;
void stray_end(void);

#endif
