// SPDX-License-Identifier: MIT
/*
 * Bugs that others had, continued: those of the protocol (stamps, flushes, states) and of the
 * processor's own caches. test_bugs.c has those of the mapping layer, and says where the rest is.
 */
#include "kernel/atomic.h"
#include "kernel/thread.h"
#include "mm/shootdown.h"
#include "mm/vmalloc.h"
#include "tests/kernel/laziness.h"
#include "tests/kernel/support.h"

static struct frame *pages[1];

/* A stamp of "unknown" was taken for "long ago", so nobody flushed. Ours is 0: "never had one". */
KTEST(bugs, linux_aa44284960d5_no_stamp_is_the_sentinel)
{
	struct lazy_stats was;

	if (!take_frames(pages, 1))
		return;
	was = set_laziness(LAZY_TLB);
	EXPECT(shootdown_clock() > 0, "the clock begins with the sentinel");
	vunmap(vmap(pages, 1, VM_W));
	EXPECT((atomic_read(&pages[0]->alias) & ALIAS_LOW) > 0, "unmapped, yet 'never mapped'");
	EXPECT(!(atomic_read(&pages[0]->alias) & ALIAS_HEAD), "unmapped, yet mapped");
	restore_laziness(&was);
	frame_free_many(pages, 1);
}

/* Page tables were freed while a paging-structure cache could still lead to them. Ours stay. */
KTEST(bugs, linux_5e0fb5df2ee8_tables_of_the_area_stay)
{
	struct pt_walk before, after;
	u8 *va;

	va = vmalloc_aligned(PAGE_SIZE, 1 * GiB);
	EXPECT(va, "no memory");
	if (!va)
		return;
	EXPECT(pt_walk(kernel_root, (vaddr_t)va, &before), "not mapped");
	vfree(va);
	vm_unmap_aliases();
	EXPECT(!pt_walk(kernel_root, (vaddr_t)va, &after), "still mapped");
	EXPECT_EQ(after.level, 1);
	for (int level = 1; level <= PT_LEVELS; level++)
		EXPECT_EQ(after.step[level].table.n, before.step[level].table.n);
}

static void read_it(void *arg)
{
	EXPECT(!probe_read(arg, NULL), "CPU %u does not see %p", cpu_id(), arg);
}

/*
 * A new table near the top was linked to from one root only. Every CPU here has a root of its own.
 */
KTEST(bugs, linux_pgd_sync_far_addresses_are_seen_by_every_cpu)
{
	static const u64 far[] = {1 * GiB, 16 * GiB, 64 * GiB};

	for (unsigned i = 0; i < ARRAY_SIZE(far); i++) {
		u8 *va = vmalloc_aligned(PAGE_SIZE, far[i]);

		EXPECT(va, "no memory");
		EXPECT_EQ(run_on_cpus(cpus_online().bits, read_it, va), 0);
		vfree(va);
	}
}

/* --- XSA-401: mapped again between the flush and the state that forbids it --- */

enum refusal_step {
	MAPPING, /* the other CPU maps and unmaps as it likes */
	CLOSING, /* it is to come to an end */
	CLOSED,	 /* it has, and from now on only tries */
	ENDED
};

struct refusal {
	struct frame *f;
	atomic_t step;
};

static void keep_mapping(void *arg)
{
	struct refusal *r = arg;

	for (u64 step; (step = atomic_read(&r->step)) != ENDED;) {
		void *va;

		if (step == CLOSING) {
			atomic_cmpxchg(&r->step, CLOSING, CLOSED);
			continue;
		}
		if (step == CLOSED && !(atomic_read(&r->f->alias) & ALIAS_NOMAP))
			continue; /* not refused yet, or no longer */
		va = vm_map_ram(&r->f, 1, VM_W);
		EXPECT(!va || !(atomic_read(&r->f->alias) & ALIAS_NOMAP), "mapped though refused");
		if (va)
			vm_unmap_ram(va, 1);
	}
}

static void close_and_purge(struct refusal *r)
{
	atomic_set(&r->step, CLOSING);
	while (atomic_read(&r->step) != CLOSED)
		cpu_relax();
	frame_refuse_aliases(r->f);
	EXPECT_EQ(vm_unmap_frame_aliases(&r->f, 1, PURGE_FLUSH), 0);
	for (unsigned i = 0; i < 100; i++)
		EXPECT(!frame_aliases(r->f), "mapped after it was refused and purged");
	frame_allow_aliases(r->f);
	atomic_set(&r->step, MAPPING);
	thread_yield();
}

KTEST(bugs, xsa_401_no_alias_after_the_purge)
{
	struct refusal r = {.step = {MAPPING}};
	struct lazy_stats was;
	struct thread *t;

	if (nr_cpus < 2) {
		test_skip("one CPU: nobody maps it meanwhile");
		return;
	}
	if (!take_frames(&r.f, 1))
		return;
	was = set_laziness(LAZY_PTE);
	t = thread_create(other_cpu(), "mapper", keep_mapping, &r);
	EXPECT(t, "no thread");
	for (unsigned i = 0; t && i < 20; i++)
		close_and_purge(&r);
	atomic_set(&r.step, ENDED);
	if (t)
		thread_join(t);
	restore_laziness(&was);
	frame_free_many(&r.f, 1);
}
