// SPDX-License-Identifier: MIT
/*
 * Bugs that others had, each as a test of what would have shown it, under the name it is known by
 * (a commit, a CVE, an XSA), as far as our design could have it at all. Their siblings are where
 * their subject is:
 *
 *   guard pages (Linux 248ac0e1943a)           suite vmap: guard_follows_and_precedes
 *   vm_unmap_aliases only with highmem          here; stale: page_tables_are_never_remembered_...
 *   XSA-401, flushed before it is refused       test_bugs_protocol.c; suite frame_aliases
 *   CVE-2018-18281, 60bae7370896, CVE-2022-39188, writes by what others remember: stale, protect
 *   XSA-408, a flush under a wrong condition     stale: one test for each way to a flush
 *   XSA-402, two memory types for one frame     ioremap: what_is_no_device_is_refused
 *   XSA-292, ce0b15d11ad8, global entries kept  shootdown
 *   IPI deadlocks                               purge_race: everybody_purges_at_once
 *   Xen 78e072bc37, a flush with IRQs off       panics by name: `crash irqsoff`
 *
 * Where an interleaving must be forced (fea4e317f9e7, XSA-241, early acknowledgement, speculative
 * refill), the host's simulated machine does it. Bugs of what we do not have: per-CPU blocks with a
 * bitmap (3e3de7947c75), RCU walkers (ad216c0316ad), page tables that are freed (5e0fb5df2ee8,
 * XSA-345, Xen 5b718d24e8: tests here hold that ours never are), a wrapping clock.
 */
#include "kernel/atomic.h"
#include "kernel/errno.h"
#include "kernel/thread.h"
#include "mm/check.h"
#include "mm/vmalloc.h"
#include "tests/kernel/laziness.h"
#include "tests/kernel/support.h"

static struct frame *pages[8];

/* The first hook purged only what kmap had left, so frames below the highmem limit kept aliases. */
KTEST(bugs, xen_2008_10_28_low_frames_are_purged_too)
{
	struct lazy_stats was;
	void *va;

	if (!take_frames(pages, 1)) /* from the direct map: as low as can be */
		return;
	was = set_laziness(LAZY_PTE);
	va = vmap(pages, 1, VM_W);
	vunmap(va);
	EXPECT(entry_at(va) & PTE_W, "no stray writable alias: the test tests nothing");
	EXPECT_EQ(vm_unmap_frame_aliases(pages, 1, PURGE_PTES), 0);
	EXPECT_EQ(entry_at(va), 0);
	restore_laziness(&was);
	frame_free_many(pages, 1);
}

#define BLOCK 512 /* pages of one level-1 table */

/* Blocks without a free page were skipped. Here: a table's worth, filled to the last page. */
KTEST(bugs, linux_fc1e0d980037_full_blocks_are_purged)
{
	static void *va[BLOCK / 2]; /* a page and its guard each */
	struct lazy_stats was;
	enum lazy_policy policy;

	if (!take_frames(pages, 1))
		return;
	for_each_policy(policy)
	{
		was = set_laziness(policy);
		for (unsigned i = 0; i < ARRAY_SIZE(va); i++)
			va[i] = vmap(pages, 1, VM_W);
		for (unsigned i = 0; i < ARRAY_SIZE(va); i += 2) {
			probe_read(va[i], NULL);
			vunmap(va[i]);
		}
		vm_unmap_aliases();
		for (unsigned i = 0; i < ARRAY_SIZE(va); i++) {
			EXPECT_EQ(probe_read(va[i], NULL), i % 2 == 0);
			if (i % 2)
				vunmap(va[i]);
		}
		restore_laziness(&was);
	}
	frame_free_many(pages, 1);
}

/*
 * The same addresses were flushed by every purge, for they stayed marked as dirty. Ours may flush
 * them twice (a purge that named exact ranges proves nothing about other stamps), but no more.
 */
KTEST(bugs, linux_a09fad96ffb1_nothing_is_flushed_over_and_over)
{
	enum lazy_policy policy;
	struct lazy_stats was;
	u64 named, full, ipis;

	if (!take_frames(pages, 4))
		return;
	for_each_policy(policy)
	{
		was = set_laziness(policy);
		vunmap(vmap(pages, 4, VM_W));
		vm_unmap_aliases();
		vm_unmap_aliases();
		named = counter_sum(CNT_shootdown_pages);
		full = counter_sum(CNT_shootdown_full);
		ipis = counter_sum(CNT_ipi_sent);
		vm_unmap_aliases();
		EXPECT_EQ(counter_sum(CNT_shootdown_pages), named);
		EXPECT_EQ(counter_sum(CNT_shootdown_full), full);
		EXPECT_EQ(counter_sum(CNT_ipi_sent), ipis);
		restore_laziness(&was);
	}
	frame_free_many(pages, 4);
}

#define RARE (32 * GiB) /* so few addresses have this alignment that they run out */

/* Addresses were all taken by blocks in which nothing was mapped any more, and nobody looked. */
KTEST(bugs, linux_02b709df817c_exhaustion_purges_and_retries)
{
	void *va[VMAP_SIZE / RARE], *again;
	enum lazy_policy policy;
	struct lazy_stats was;
	unsigned n;

	for_each_policy(policy)
	{
		was = set_laziness(policy);
		for (n = 0; n < ARRAY_SIZE(va); n++) {
			va[n] = vmalloc_aligned(PAGE_SIZE, RARE);
			if (!va[n])
				break;
		}
		EXPECT(n > 1 && n < ARRAY_SIZE(va), "%u of %lu addresses", n, ARRAY_SIZE(va));
		for (unsigned i = 0; i < n; i++)
			vfree(va[i]); /* under off too they are kept for areas of one page */
		for (unsigned i = 0; i < 5 * ARRAY_SIZE(va); i++) {
			again = vmalloc_aligned(PAGE_SIZE, RARE);
			EXPECT(again, "no address in round %u, though all are unmapped", i);
			vfree(again);
		}
		restore_laziness(&was);
	}
}

/* A large allocation that fell back to small pages in its middle mapped some of them wrongly. */
KTEST(bugs, cve_2024_45022_fallback_amid_large_pages)
{
	const u64 bytes = 6 * MiB + 3 * PAGE_SIZE;
	u8 *va;

	for (u64 nth = 1; nth <= 5; nth++) {
		frame_inject_failure(nth);
		va = vmalloc_huge(bytes);
		frame_inject_failure(0);
		if (!va)
			continue; /* that one could not be done without, or memory is short */
		for (u64 at = 0; at < bytes; at += PAGE_SIZE)
			*(volatile u64 *)(va + at) = at + nth;
		for (u64 at = 0; at < bytes && !test_failed(); at += PAGE_SIZE) {
			EXPECT_EQ(*(volatile u64 *)(va + at), at + nth);
			EXPECT(vmalloc_to_frame(va + at), "offset %#lx", at);
		}
		EXPECT_EQ(mm_check(false), 0);
		vfree(va);
	}
}

static void look_up(void *arg)
{
	const atomic_t *stop = arg;
	struct area a;

	for (vaddr_t va = VMAP_BASE; !atomic_read(stop); va += PAGE_SIZE) {
		if (va == VMAP_BASE + 4 * MiB)
			va = VMAP_BASE;
		if (find_vm_area((void *)va, &a))
			EXPECT(va - a.start < (u64)a.pages << PAGE_SHIFT && a.name, "%#lx", va);
		vmalloc_to_frame((void *)va);
	}
}

/* A block was found by others before it was all filled in. Lookups here race with mappings. */
KTEST(bugs, cve_2024_46847_areas_are_found_complete)
{
	struct lazy_stats was;
	struct thread *t;
	atomic_t stop = {0};

	if (nr_cpus < 2) {
		test_skip("one CPU: there is nobody to look meanwhile");
		return;
	}
	if (!take_frames(pages, 8))
		return;
	was = set_laziness(LAZY_TLB);
	t = thread_create(other_cpu(), "lookups", look_up, &stop);
	EXPECT(t, "no thread");
	for (unsigned i = 0; i < 3000; i++)
		vunmap(vmap(pages, 1 + i % 8, VM_W));
	atomic_set(&stop, 1);
	if (t)
		thread_join(t);
	restore_laziness(&was);
	frame_free_many(pages, 8);
}
