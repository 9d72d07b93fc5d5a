// SPDX-License-Identifier: MIT
/*
 * The boundary between mm/ and the platform. Policy (locks, addresses, laziness, thresholds, who
 * purges when) is mm/'s; how an entry gets into a page table and how a CPU forgets one is the
 * platform's. There are three tables: native (arch/x86/mmu_native.c), Xen PV, and the host's
 * simulated machine (tests/host). One is chosen at boot; no #ifdef ever does.
 *
 * Ops never call up into policy, never sleep, and take no lock of mm/.
 */
#ifndef MM_MMU_OPS_H
#define MM_MMU_OPS_H

#include "mm/mm_internal.h"

struct gather;

enum lazy_policy {
	LAZY_OFF, /* clear and shoot down at every vunmap: the baseline */
	LAZY_TLB, /* clear at once; flush and reuse of the addresses deferred */
};

struct mmu_ops {
	const char *name;

	/* Facts. */
	int max_leaf_level; /* largest page a leaf may map: 1 (4 KiB), 2 (2 MiB) or 3 (1 GiB) */
	paddr_t phys_end;   /* no entry may name a physical address at or beyond it */
	enum lazy_policy default_policy;

	/*
	 * Entries. A batch is whatever was issued since the last batch_end(); natively each call
	 * takes effect at once, under Xen at batch_end(). The caller holds the lock of the range
	 * written.
	 *   set_run:   n entries of leaf table `table` from `slot` on map f[0..n-1] with `bits`
	 *   set_span:  the same for n consecutive frames from `first`
	 *   clear_run: makes n entries zero, atomically each
	 *   set_leaf:  one entry that is no link, at any level
	 *   batch_end: => 0, or -errno and *done entries took effect; natively 0
	 */
	void (*set_run)(pfn_t table, unsigned slot, struct frame *const *f, unsigned n, u64 bits);
	void (*set_span)(pfn_t table, unsigned slot, pfn_t first, unsigned n, u64 bits);
	void (*clear_run)(pfn_t table, unsigned slot, unsigned n);
	void (*set_leaf)(pfn_t table, unsigned slot, pte_t e);
	int (*batch_end)(unsigned *done);

	/*
	 * Tables. attach_table: entry `slot` of `parent` (at `level`) links to the zeroed frame
	 * `table` (level - 1).
	 *   => 0 or -errno with nothing changed
	 */
	int (*attach_table)(pfn_t parent, unsigned slot, int level, pfn_t table);
	int (*load_root)(pfn_t root); /* this CPU runs on `root` from now on */

	/*
	 * Forgetting. flush: after it returns no CPU of `on` holds a translation named by `g` that
	 * was cleared before the call. Natively this is mm/shootdown.c over the three primitives
	 * below it; a hypervisor does it in one call and leaves them NULL.
	 *   => flush: thread context, IRQs on, no spinlock held
	 */
	void (*flush)(const struct gather *g, cpumask_t on);
	void (*invalidate_page)(vaddr_t va); /* on this CPU, global entries included */
	void (*invalidate_all)(
		void); /* on this CPU, global entries and paging-structure caches included */
	void (*kick)(
		cpumask_t on); /* make each call shootdown_serve() soon; => IRQs off or pinned */
};

/* The platform's table; set once by the platform before mm/ is used. */
extern const struct mmu_ops *mmu;

#endif
