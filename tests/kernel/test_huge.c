// SPDX-License-Identifier: MIT
/*
 * Large pages in the vmap area: they are there when frames allow, their contents are right, nothing
 * of them is remembered when small pages take their addresses, and where frames do not allow, small
 * pages do as well.
 */
#include "kernel/thread.h"
#include "mm/check.h"
#include "mm/kmap.h"
#include "mm/park.h"
#include "mm/vmalloc.h"
#include "tests/kernel/laziness.h"
#include "tests/kernel/support.h"
#include "tests/kernel/watch.h"

#define LARGE (2 * MiB)

/* => NULL, and the test is skipped: the machine has no such block */
static u8 *take_large(u64 bytes)
{
	u8 *va = vmalloc_huge(bytes);

	if (va && level_at(va) == 2)
		return va;
	vfree(va);
	test_skip(mmu->max_leaf_level < 2 ? "this platform maps no large pages"
					  : "no aligned 2 MiB of frames are free");
	return NULL;
}

static bool frame_holds(struct frame *f, u64 value)
{
	volatile u64 *va = f ? kmap_local(f) : NULL;
	bool ok = va && *va == value;

	if (va)
		kunmap_local((void *)va);
	return ok;
}

KTEST(huge, is_mapped_by_large_pages)
{
	u8 *va = take_large(LARGE + 5 * PAGE_SIZE);

	if (!va)
		return;
	EXPECT(IS_ALIGNED((vaddr_t)va, LARGE), "%p", (void *)va);
	EXPECT(entry_at(va) & PTE_PS, "no large page");
	for (u64 off = 0; off < LARGE + 5 * PAGE_SIZE; off += PAGE_SIZE)
		*(volatile u64 *)(va + off) = off ^ 0xabcd;
	for (u64 off = 0; off < LARGE + 5 * PAGE_SIZE && !test_failed(); off += PAGE_SIZE)
		EXPECT(frame_holds(vmalloc_to_frame(va + off), off ^ 0xabcd),
		       "offset %#lx shows another frame", off);
	EXPECT(probe_read(va + LARGE + 5 * PAGE_SIZE, NULL) || probe_read(va + 2 * LARGE, NULL),
	       "no guard after the area");
	EXPECT_EQ(mm_check(false), 0);
	vfree(va);
	EXPECT_EQ(mm_check(false), 0);
}

/* All addresses that were unmapped are free again. */
static void bring_home(void)
{
	all_cpus_forget();
	park_drain();
}

#define MOST_ALLOCATIONS 8 /* that come before the second block of frames */

/*
 * Two large pages' worth, of which the second is in small pages: that is so when no second block of
 * frames is left, so one allocation after the other is made to fail. => NULL if none of them was it
 */
static u8 *half_large(void)
{
	for (u64 nth = 1; nth <= MOST_ALLOCATIONS; nth++) {
		u8 *va;

		frame_inject_failure(nth);
		va = vmalloc_huge(2 * LARGE);
		frame_inject_failure(0);
		if (va && level_at(va) == 2 && level_at(va + LARGE) == 1)
			return va;
		vfree(va);
		bring_home();
	}
	return NULL;
}

/* The same addresses with small pages, while other CPUs remember the large one. */
static void reuse_by_small_pages(enum lazy_policy policy)
{
	struct lazy_stats was = set_laziness(policy);
	u8 *va, *small;
	struct watch w;

	bring_home(); /* what is given out now is the lowest address, and so it is again later */
	va = take_large(2 * LARGE);
	if (!va) {
		restore_laziness(&was);
		return;
	}
	watch_begin(&w, va + 2 * LARGE - PAGE_SIZE);
	EXPECT_EQ(watch_write(&w, 0x0d), cpus_online().bits);
	vfree(va);
	vm_unmap_aliases();
	EXPECT_EQ(watch_read(&w), 0);
	bring_home();
	small = half_large();
	if (small == va) {
		small[2 * LARGE - PAGE_SIZE] = 0x5e;
		EXPECT_EQ(watch_read(&w), cpus_online().bits);
		for (unsigned cpu = 0; cpu < nr_cpus; cpu++)
			EXPECT_EQ(w.seen[cpu], 0x5e);
	}
	watch_end(&w);
	EXPECT_EQ(mm_check(false), 0);
	vfree(small);
	restore_laziness(&was);
	if (small != va && !test_failed())
		test_skip("the addresses of the large page did not come back");
}

KTEST(huge, addresses_are_reused_by_small_pages_eagerly)
{
	reuse_by_small_pages(LAZY_OFF);
}

KTEST(huge, addresses_are_reused_by_small_pages_lazily)
{
	reuse_by_small_pages(LAZY_TLB);
}

KTEST(huge, addresses_are_reused_by_small_pages_after_pte)
{
	reuse_by_small_pages(LAZY_PTE);
}

/* The frames of a large page that was unmapped lazily are free: a purge of one must find it. */
KTEST(huge, a_frame_of_it_is_purged)
{
	struct lazy_stats was;
	struct frame *f;
	struct watch w;
	u8 *va;

	if (!watch_shows_stale())
		return;
	was = set_laziness(LAZY_PTE);
	va = take_large(LARGE);
	if (va) {
		f = vmalloc_to_frame(va + 7 * PAGE_SIZE);
		watch_begin(&w, va + 7 * PAGE_SIZE);
		EXPECT_EQ(watch_read(&w), cpus_online().bits);
		vfree(va);
		EXPECT_EQ(vm_unmap_frame_aliases(&f, 1, PURGE_FLUSH), 0);
		EXPECT_EQ(watch_read(&w), 0);
		watch_end(&w);
	}
	restore_laziness(&was);
}

static void churn(void *arg __attribute__((unused)))
{
	for (unsigned i = 0; i < 6; i++) {
		u8 *va = i % 2 ? vmalloc(LARGE / 2) : vmalloc_huge(LARGE);

		if (!va)
			continue; /* eight CPUs may want more than a small machine has */
		for (u64 off = 0; off < LARGE / 2; off += 16 * PAGE_SIZE)
			va[off] = (u8)(cpu_id() + i);
		for (u64 off = 0; off < LARGE / 2; off += 16 * PAGE_SIZE)
			EXPECT_EQ(va[off], (u8)(cpu_id() + i));
		vfree(va);
	}
}

KTEST(huge, all_cpus_at_once)
{
	EXPECT_EQ(run_on_cpus(cpus_online().bits, churn, NULL), 0);
}
