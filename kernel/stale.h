// SPDX-License-Identifier: MIT
/*
 * The experiment behind `demo stale` and the tests: can a CPU read through a mapping that is gone?
 */
#ifndef KERNEL_STALE_H
#define KERNEL_STALE_H

#include "kernel/types.h"

#define STALE_OLD 0x0d /* what the frame holds while it is mapped */
#define STALE_NEW 0x5e /* what its next owner writes into it */

struct stale_result {
	u64 va, pfn;	     /* where the frame was mapped, and which it was */
	bool before_faulted; /* the reader's first look, while the mapping stands */
	u8 before;
	u64 entry;	    /* the page-table entry after vunmap: 0 */
	bool after_faulted; /* the second look: after vunmap, before any flush */
	u8 after;	    /* STALE_NEW: the reader sees the new owner's byte */
	bool end_faulted;   /* the third: after vm_unmap_aliases() */
	u64 ipis;	    /* shootdown IPIs that took */
};

/*
 * stale_experiment: CPU `reader` looks three times; this CPU unmaps in between (policy tlb and
 * no poison, set for the duration).
 *   => thread context, IRQs on; reader is online; it may be this CPU
 *   => 0 or -ENOMEM
 */
int stale_experiment(unsigned reader, struct stale_result *res) __must_check;

#endif
