// SPDX-License-Identifier: MIT
/*
 * A mapped page whose entry a test takes away and gives back by hand, behind the mapping engine's
 * back: what CPUs remember of it is then a matter of the shootdown alone. Given back, the entry is
 * what it was, so nothing stale is left behind, whatever the CPUs did.
 */
#ifndef TESTS_KERNEL_HIDDEN_H
#define TESTS_KERNEL_HIDDEN_H

#include "kernel/atomic.h"
#include "kernel/irq.h"
#include "kernel/test.h"
#include "mm/frame.h"
#include "mm/mmu_ops.h"
#include "mm/pagetable.h"
#include "mm/shootdown.h"
#include "mm/space.h"
#include "mm/vmap.h"

struct hidden {
	struct frame *frame;
	const u8 *va;
	struct pt_step at; /* the entry, and where it belongs */
};

/* => false, and the test has failed: no memory */
static inline bool hidden_map(struct hidden *h)
{
	struct pt_walk w;

	h->frame = frame_alloc(0, FRAME_ZERO);
	h->va = h->frame ? vmap(&h->frame, 1, VM_R) : NULL;
	if (!h->va || !pt_walk(kernel_root, (vaddr_t)h->va, &w)) {
		test_fail(__FILE__, __LINE__, "no memory");
		return false;
	}
	h->at = w.step[1];
	return true;
}

static inline void hidden_write(const struct hidden *h, pte_t e)
{
	irqflags_t flags = irq_save();

	mmu->set_leaf(h->at.table, h->at.slot, e);
	EXPECT_EQ(mmu->batch_end(NULL), 0);
	irq_restore(flags);
}

/* => the stamp */
static inline u64 hidden_hide(const struct hidden *h)
{
	hidden_write(h, (pte_t){0});
	smp_mb(); /* set_leaf may be a store: it must be seen before the clock is read */
	return shootdown_stamp();
}

static inline void hidden_show(const struct hidden *h)
{
	hidden_write(h, h->at.entry);
}

static inline void hidden_unmap(const struct hidden *h)
{
	hidden_show(h);
	vunmap((void *)h->va);
	vm_unmap_aliases();
	frame_free(h->frame, 0);
}

/* => false, and the test is skipped: shootdowns are the hypervisor's work, not other CPUs' */
static inline bool asks_by_ipi(void)
{
	if (!mmu->kick)
		test_skip("the hypervisor flushes here: no CPU is asked by another");
	return mmu->kick;
}

/* => this CPU can read the page */
static inline bool hidden_seen(const struct hidden *h)
{
	return !probe_read(h->va, NULL);
}

static inline void hidden_shoot(const struct hidden *h, u64 stamp)
{
	struct gather g;

	gather_begin(&g);
	gather_add(&g, (vaddr_t)h->va, 1, stamp);
	gather_flush(&g);
	gather_end(&g);
}

#endif
