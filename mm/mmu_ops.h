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
struct run_stop;

enum lazy_policy {
	LAZY_OFF, /* clear and shoot down at every unmapping: the baseline */
	LAZY_TLB, /* clear at once; flush and reuse of the addresses deferred (Linux since 2010) */
	LAZY_PTE, /* defer the clearing as well, until a purge (Linux 2008); may be revived */
	NR_LAZY_POLICIES
};

struct mmu_ops {
	const char *name;

	/* Facts. */
	int max_leaf_level; /* largest page a leaf may map: 1 (4 KiB), 2 (2 MiB) or 3 (1 GiB) */
	paddr_t phys_end;   /* no entry may name a physical address at or beyond it */
	paddr_t early_end;  /* until load_root(), the direct map reaches RAM below it */
	bool has_hole; /* top-level slots 256-271 are the hypervisor's, whatever it has put there */
	bool forgets_tables;   /* when a frame becomes a table, TLBs need not be told by us */
	bool tables_read_only; /* the direct map has no writable entry of a table's frame */
	enum lazy_policy default_policy;

	/*
	 * What is found in memory, as mm/ would have written it: of a present entry, its address in
	 * terms of pfns. NULL: as it is. See entry_read().
	 */
	u64 (*decode)(u64 v);

	/*
	 * Entries of level-1 tables that map RAM of ours, a run of them within one table, with the
	 * alias words of their frames (mm/run.h has the loops). Each call has taken effect when it
	 * returns; the caller alone owns the entries. All NULL: an entry is written by writing it,
	 * and the engine does that itself. Where entries must be asked for, one by one or many at
	 * once, mm/run_queued.h makes these of set_leaf.
	 *   set_run:   e[0..n-1] map f[0..n-1] with `bits`; `alias` is the alias word of the first
	 *      => n; fewer: that many are set, and the next frame's word is not the plain case;
	 *         -errno: the platform refused, and nothing of this run is set
	 *   clear_run: e[0..n-1], all present (n may be 0), become zero, atomically each
	 *      => .left = 0; else so many are left: the first is zero, but its frame has other
	 *         aliases too
	 * Where asking costs more than an entry does, runs are cleared together; NULL: at once.
	 *   clear_begin: clear_run() need not take effect from here on, entries and words alike;
	 *      nothing is waited for until the end
	 *      => IRQs are off from here to the end; what to give to clear_end
	 *   clear_end: all of them have taken effect
	 */
	int (*set_run)(pte_t *e, struct frame *const *f, unsigned n, u64 bits, u64 alias);
	struct run_stop (*clear_run)(pte_t *e, unsigned n, u64 alias);
	irqflags_t (*clear_begin)(void);
	void (*clear_end)(irqflags_t flags);

	/*
	 * empty_table: the level-1 table `table`, which entry `slot` of `parent` links to, has no
	 * entry any more, though for a moment nothing may be linked there.
	 *   => nobody uses an address of it or sets an entry in it meanwhile; NULL: no such way, or
	 *      nothing gained
	 *   => and since then every CPU has forgotten everything
	 */
	void (*empty_table)(pfn_t parent, unsigned slot, pfn_t table);

	/*
	 * Any other leaf: large pages, devices, static mappings, new rights for an entry, pages of
	 * address spaces. A batch is whatever was issued since the last batch_end(); natively
	 * each takes effect at once.
	 *   => IRQs off from the first to the end, so that a batch is one caller's; boot apart
	 *   set_leaf:  one entry that is no link, at any level; zero too
	 *   batch_end: => 0, or -errno and *done entries took effect; natively 0
	 */
	void (*set_leaf)(pfn_t table, unsigned slot, pte_t e);
	int (*batch_end)(unsigned *done);

	/*
	 * Tables. attach_table: entry `slot` of `parent` (at `level`) links to the frame `table`
	 * (level - 1), which is zeroed, or serves the same addresses below another root already.
	 *   => 0 or -errno with nothing changed
	 * The rest is for roots that are made when the kernel runs, and for address spaces
	 * (mm/aspace.h), whose tables come and go; NULL where there is nothing to do:
	 *   pin_root:       before `root` is loaded for the first time: what it leads to is looked
	 *                   at as a whole, and from now on only these ops change it
	 *      => nobody changes it meanwhile; 0 or -errno
	 *   unpin_root:     no CPU runs on `root`, none ever will
	 *   release_tables: nothing leads to these n tables any more; they become ordinary memory
	 */
	int (*attach_table)(pfn_t parent, unsigned slot, int level, pfn_t table);
	int (*load_root)(pfn_t root); /* this CPU runs on `root` from now on */
	int (*pin_root)(pfn_t root);
	void (*unpin_root)(pfn_t root);
	void (*release_tables)(const pfn_t *tables, unsigned n);

	/*
	 * Forgetting. flush: after it returns no CPU of `on` uses a translation named by `g` that
	 * was cleared before the call; one that idles may hold it, but forgets it before it does
	 * anything. Natively this is mm/shootdown.c over the primitives below; a hypervisor does
	 * it in one call and leaves kick NULL.
	 *   => flush: thread context, IRQs on, no spinlock held
	 */
	void (*flush)(const struct gather *g, cpumask_t on);
	void (*invalidate_page)(vaddr_t va); /* on this CPU, global entries included; never NULL */
	void (*invalidate_all)(
		void); /* on this CPU, global entries and paging-structure caches included */
	void (*kick)(
		cpumask_t on); /* make each call shootdown_serve() soon; => IRQs off or pinned */
};

/* The platform's table; set once by the platform before mm/ is used. */
extern const struct mmu_ops *mmu;

/* An entry as it is in memory now, in mm/'s terms. */
static inline u64 entry_read(const pte_t *e)
{
	u64 v = READ_PUBLISHED(e->v); /* it may link to a new table */

	return unlikely(mmu->decode) ? mmu->decode(v) : v;
}

#endif
