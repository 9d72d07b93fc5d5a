// SPDX-License-Identifier: MIT
/*
 * hold=on, one of the answers the thread of 2007 weighed: a freed frame that some CPU may still
 * reach is kept until none can, so that no new owner is ever written to by an old one. With it off
 * that is what happens (test_stale.c shows it); with it on the same experiment must find the frame
 * nobody's.
 */
#include "mm/check.h"
#include "mm/vmap.h"
#include "tests/kernel/laziness.h"
#include "tests/kernel/support.h"
#include "tests/kernel/watch.h"

static struct frame *pages[8];

/* Counted frame by frame. */
static u64 held(void)
{
	struct frame_stats st;

	frame_stats(&st);
	return st.held;
}

static void hold_under(enum lazy_policy policy)
{
	struct lazy_stats was;
	struct watch w;
	u8 *va;

	if (!take_frames(pages, 4))
		return;
	was = set_laziness(policy);
	frame_set_hold(true);
	va = vmap(pages, 4, VM_W);
	watch_begin(&w, va + 3 * PAGE_SIZE);
	EXPECT_EQ(watch_read(&w), cpus_online().bits);
	vunmap(va);
	frame_free_many(pages, 4);
	if (nr_cpus > 1 || policy == LAZY_PTE) { /* alone, a tick may have been faster */
		EXPECT_EQ(held(), 4);
		EXPECT_EQ(pages[3]->type, FRAME_HELD);
		EXPECT(!vmap(pages + 3, 1, VM_R), "a held frame was mapped");
	}
	EXPECT_EQ(mm_check(false), 0);
	vm_unmap_aliases();
	EXPECT_EQ(watch_read(&w), 0);
	all_cpus_forget();
	frame_release_held();
	EXPECT_EQ(held(), 0);
	EXPECT(pages[3]->type != FRAME_HELD, "still held after the flush");
	watch_end(&w);
	frame_set_hold(false);
	restore_laziness(&was);
}

KTEST(hold, freed_frames_wait_for_the_flush_under_tlb)
{
	hold_under(LAZY_TLB);
}

KTEST(hold, freed_frames_wait_for_the_flush_under_pte)
{
	hold_under(LAZY_PTE);
}

KTEST(hold, forgotten_frames_are_free_at_once)
{
	struct lazy_stats was;

	if (!take_frames(pages, 4))
		return;
	was = set_laziness(LAZY_TLB);
	frame_set_hold(true);
	vunmap(vmap(pages, 4, VM_W));
	all_cpus_forget();
	frame_free_many(pages, 4);
	EXPECT_EQ(held(), 0);
	frame_set_hold(false);
	restore_laziness(&was);
}

KTEST(hold, turning_it_off_frees_what_it_held)
{
	struct lazy_stats was;

	if (!take_frames(pages, 8))
		return;
	was = set_laziness(LAZY_PTE);
	frame_set_hold(true);
	vunmap(vmap(pages, 8, VM_W));
	frame_free_many(pages, 8);
	EXPECT_EQ(held(), 8);
	frame_set_hold(false);
	EXPECT_EQ(held(), 0);
	restore_laziness(&was);
}

KTEST(hold, blocks_of_frames_are_held_whole)
{
	struct lazy_stats was;
	struct frame *block, *one;

	block = frame_alloc(3, FRAME_ZERO);
	if (!block) {
		NO_MEMORY;
		return;
	}
	was = set_laziness(LAZY_PTE);
	frame_set_hold(true);
	one = block + 5;
	vunmap(vmap(&one, 1, VM_W));
	frame_free(block, 3);
	EXPECT_EQ(held(), 8);
	vm_unmap_frame_aliases(&one, 1, PURGE_FLUSH);
	all_cpus_forget();
	frame_release_held();
	EXPECT_EQ(held(), 0);
	frame_set_hold(false);
	restore_laziness(&was);
}
