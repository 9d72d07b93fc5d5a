// SPDX-License-Identifier: MIT
/*
 * Frames on the real machine: what mm/frame.c promises, with real interrupts and all CPUs at it.
 * The panics it promises (double free and the rest) are tested on the host
 * (tests/host/test_frame.c), where a panic can be survived.
 */
#include "kernel/cpu.h"
#include "kernel/errno.h"
#include "kernel/string.h"
#include "kernel/test.h"
#include "kernel/thread.h"
#include "mm/check.h"
#include "mm/frame_cache.h"
#include "mm/space.h"
#include "tests/kernel/support.h"

#define MANY 200

KTEST(frame, orders_are_aligned_and_usable)
{
	for (unsigned order = 0; order <= FRAME_MAX_ORDER; order++) {
		struct frame *f = frame_alloc(order, 0);
		u8 *p;

		EXPECT(f, "order %u", order);
		if (!f)
			return;
		EXPECT(IS_ALIGNED(frame_pfn(f).n, 1ul << order), "order %u at %#lx", order,
		       frame_pfn(f).n);
		p = frame_virt(f);
		p[0] = 0x11;
		p[(PAGE_SIZE << order) - 1] = 0x22;
		EXPECT_EQ(p[0], 0x11);
		EXPECT_EQ(p[(PAGE_SIZE << order) - 1], 0x22);
		frame_free(f, order);
	}
	EXPECT(!frame_alloc(FRAME_MAX_ORDER + 1, 0), "an order above the largest must fail");
}

KTEST(frame, zero_flag_clears_what_was_there)
{
	struct frame *f = frame_alloc(1, 0);
	const u64 *p;

	EXPECT(f, "no memory");
	if (!f)
		return;
	memset(frame_virt(f), 0xa5, 2 * PAGE_SIZE);
	frame_free(f, 1);
	f = frame_alloc(1, FRAME_ZERO);
	EXPECT(f, "no memory");
	if (!f)
		return;
	p = frame_virt(f);
	for (unsigned i = 0; i < 2 * PAGE_SIZE / sizeof(*p); i++)
		if (p[i]) {
			EXPECT_EQ(p[i], 0);
			break;
		}
	frame_free(f, 1);
}

KTEST(frame, no_frame_is_given_twice)
{
	static struct frame *f[MANY];

	if (frame_alloc_many(f, MANY, 0)) {
		test_fail(__FILE__, __LINE__, "no memory for %u frames", MANY);
		return;
	}
	for (unsigned i = 0; i < MANY; i++)
		*(u64 *)frame_virt(f[i]) = i;
	for (unsigned i = 0; i < MANY; i++)
		EXPECT_EQ(*(u64 *)frame_virt(f[i]), i);
	frame_free_many(f, MANY);
}

/*
 * Fails the 1st, 2nd, ... allocation until none fails: each failure must leave everything as it
 * was.
 */
KTEST(frame, failure_leaks_nothing)
{
	static struct frame *f[8];
	u64 before = frame_free_total();

	for (u64 nth = 1; nth <= ARRAY_SIZE(f); nth++) {
		frame_inject_failure(nth);
		EXPECT_EQ(-frame_alloc_many(f, ARRAY_SIZE(f), 0), ENOMEM);
		frame_inject_failure(0);
		EXPECT_EQ(frame_free_total(), before);
	}
}

/*
 * Takes all of memory, a cache and a list at a time, and gives it back. The frames are chained
 * through their structs, not their contents: a machine with much memory need not really have it.
 */
KTEST(frame, exhaustion_is_an_error_value)
{
	u64 before = frame_free_total(), taken = 0;
	u32 chain = FRAME_NIL;
	struct frame *f;

	while ((f = frame_alloc(0, FRAME_HIGH))) {
		f->next = chain;
		chain = (u32)frame_pfn(f).n;
		taken++;
	}
	EXPECT(taken > 100, "only %lu frames", taken);
	EXPECT(!frame_alloc(3, 0), "8 frames in a row, when there is not one");
	while (chain != FRAME_NIL) {
		f = pfn_frame(pfn_make(chain));
		chain = f->next;
		frame_free(f, 0);
	}
	EXPECT_EQ(frame_free_total(), before);
}

KTEST(frame, high_frames_lie_above_the_direct_map)
{
	struct frame_stats st;
	struct frame *f;

	frame_stats(&st);
	if (!st.free_high) {
		test_skip("no memory above the direct map (boot with directmap=SIZE)");
		return;
	}
	f = frame_alloc(0, FRAME_HIGH);
	EXPECT(f && frame_paddr(f) >= space_direct_limit(), "not a high frame");
	if (f)
		frame_free(f, 0);
	f = frame_alloc(0, 0);
	EXPECT(f && frame_paddr(f) < space_direct_limit(), "a high frame where none was allowed");
	if (f)
		frame_free(f, 0);
}

static void churn(void *arg __attribute__((unused)))
{
	struct frame *held[32] = {NULL};
	u64 x = cpu_id() * 7919 + 1;

	for (unsigned i = 0; i < 4000; i++) {
		unsigned slot, order;

		x = x * 6364136223846793005ul + 1442695040888963407ul;
		slot = (x >> 40) % ARRAY_SIZE(held);
		order = slot % 4; /* a slot always holds one order */
		if (held[slot]) {
			EXPECT_EQ(*(u64 *)frame_virt(held[slot]), (u64)held[slot] + cpu_id());
			frame_free(held[slot], order);
			held[slot] = NULL;
		} else if ((held[slot] = frame_alloc(order, 0))) {
			*(u64 *)frame_virt(held[slot]) = (u64)held[slot] + cpu_id();
		}
	}
	for (unsigned slot = 0; slot < ARRAY_SIZE(held); slot++)
		if (held[slot])
			frame_free(held[slot], slot % 4);
}

KTEST(frame, all_cpus_at_once)
{
	u64 before = mm_frames_at_hand();

	EXPECT_EQ(run_on_cpus(cpus_online().bits, churn, NULL), 0);
	EXPECT_EQ(mm_frames_at_hand(), before);
}

/* => how often the cache goes to its zone, once it has found its level, if it holds `held` first */
static u64 refills_from(unsigned held)
{
	static struct frame *many[256], *first[256];
	u64 *refills = &this_cpu()->counters[CNT_frame_refill], before = 0;

	if (frame_alloc_many(first, ARRAY_SIZE(first), 0)) {
		NO_MEMORY;
		return 0;
	}
	frame_drain_cache();
	for (unsigned i = 0; i < held; i++)
		frame_free(first[i], 0);
	for (unsigned round = 0; round < 12; round++) {
		if (round == 4)
			before = *refills;
		if (frame_alloc_many(many, ARRAY_SIZE(many), 0)) {
			NO_MEMORY;
			break;
		}
		frame_free_many(many, ARRAY_SIZE(many));
	}
	before = *refills - before;
	frame_free_many(first + held, ARRAY_SIZE(first) - held);
	return before;
}

/* As many as vmalloc takes in one go, again and again, whatever the cache happens to hold. */
KTEST(frame, many_frames_come_and_go_by_the_cache)
{
	if (frame_cache_max < 256) {
		test_skip("the caches of so little memory do not hold as many");
		return;
	}
	for (unsigned held = 0; held <= 256; held += held < 240 ? 40 : 1)
		EXPECT(!refills_from(held),
		       "with %u frames in the cache at first, it never finds its level", held);
}
