// SPDX-License-Identifier: MIT
/*
 * One frame at a time: kmap, which is a vmap of one page by the same engine, and kmap_local, whose
 * slots no other CPU's tables have. On a machine booted with directmap=SIZE the frames are high
 * ones, out of reach in any other way; elsewhere any frame does. (No high ones at hand: the same
 * tests run on a direct-map frame, and `high_frames_are_reached` alone is skipped, by name.)
 */
#include "kernel/string.h"
#include "kernel/thread.h"
#include "mm/kmap.h"
#include "tests/kernel/interrupt.h"
#include "tests/kernel/laziness.h"
#include "tests/kernel/support.h"
#include "tests/kernel/watch.h"

static struct frame *pages[KMAP_LOCAL_SLOTS];

/* => frames out of the direct map where there are any */
static bool take_high(unsigned n)
{
	bool ok = !frame_alloc_many(pages, n, FRAME_HIGH);

	EXPECT(ok, "no memory for %u frames", n);
	return ok;
}

KTEST(kmap, high_frames_are_reached)
{
	struct frame *f = frame_alloc(0, FRAME_HIGH);
	volatile u64 *va;

	if (!f || frame_paddr(f) < space_direct_limit()) {
		if (f)
			frame_free(f, 0);
		test_skip("no memory above the direct map (boot with directmap=SIZE)");
		return;
	}
	EXPECT(probe_read(frame_virt(f), NULL), "a high frame is in the direct map");
	va = kmap(f);
	EXPECT(va, "no mapping");
	if (va) {
		*va = 0x1234;
		kunmap((void *)va);
		va = vmap(&f, 1, VM_R);
		EXPECT_EQ(*va, 0x1234);
		vunmap((void *)va);
		va = kmap_local(f);
		EXPECT_EQ(*va, 0x1234);
		kunmap_local((void *)va);
	}
	frame_free(f, 0);
}

KTEST(kmap, contents_stay_with_the_frame)
{
	enum lazy_policy policy;
	struct lazy_stats was;

	if (!take_high(8))
		return;
	for_each_policy(policy)
	{
		was = set_laziness(policy);
		for (unsigned i = 0; i < 8; i++) {
			u8 *va = kmap(pages[i]);

			EXPECT(va, "no mapping");
			memset(va, (int)(policy * 8 + i), PAGE_SIZE);
			kunmap(va);
		}
		for (unsigned i = 0; i < 8; i++) {
			u8 *va = kmap(pages[i]);

			EXPECT_EQ(va[0], policy * 8 + i);
			EXPECT_EQ(va[PAGE_SIZE - 1], policy * 8 + i);
			kunmap(va);
		}
		restore_laziness(&was);
	}
	frame_free_many(pages, 8);
}

/* Each kmap has an address of its own, so one user's kunmap takes nothing from another. */
KTEST(kmap, two_of_one_frame_are_two)
{
	volatile u8 *a, *b;

	if (!take_high(1))
		return;
	a = kmap(pages[0]);
	b = kmap(pages[0]);
	EXPECT(a && b && a != b, "%p and %p", (void *)a, (void *)b);
	a[9] = 5;
	kunmap((void *)a);
	EXPECT_EQ(b[9], 5);
	EXPECT(!probe_write((u8 *)b, 1), "the second mapping ended with the first");
	kunmap((void *)b);
	frame_free_many(pages, 1);
}

/* A kmap under policy pte is a cache: what was mapped before is revived, not mapped again. */
KTEST(kmap, is_revived)
{
	struct lazy_stats was;
	u64 revived;
	void *va;

	if (!take_high(2))
		return;
	was = set_laziness(LAZY_PTE);
	va = kmap(pages[0]);
	kunmap(va);
	kunmap(kmap(pages[1]));
	revived = counter_sum(CNT_revive);
	EXPECT_EQ(kmap(pages[0]), va);
	EXPECT_EQ(counter_sum(CNT_revive), revived + 1);
	kunmap(va);
	restore_laziness(&was);
	frame_free_many(pages, 2);
}

#define STORM_ROUNDS 1500

/* All CPUs at the same few frames: each has eight bytes of its own in every page. */
static void storm(void *arg __attribute__((unused)))
{
	unsigned me = cpu_id();
	u64 x = me + 99;

	for (unsigned i = 0; i < STORM_ROUNDS && !test_failed(); i++) {
		struct frame *f = pages[test_random(&x) % 4];
		bool local = test_random(&x) % 4 == 0;
		volatile u64 *va = local ? kmap_local(f) : kmap(f);

		if (!va) {
			EXPECT(va, "no mapping");
			return;
		}
		va[me] = i;
		EXPECT_EQ(va[me], i);
		if (local)
			kunmap_local((void *)va);
		else
			kunmap((void *)va);
		if (i % 101 == 0)
			vm_unmap_frame_aliases(&f, 1, i % 2 ? PURGE_FLUSH : PURGE_PTES);
	}
}

static void storm_under(enum lazy_policy policy)
{
	struct lazy_stats was;

	if (!take_high(4))
		return;
	was = set_laziness(policy);
	EXPECT_EQ(run_on_cpus(cpus_online().bits, storm, NULL), 0);
	vm_unmap_aliases();
	for (unsigned i = 0; i < 4; i++)
		EXPECT_EQ(frame_aliases(pages[i]), 0);
	restore_laziness(&was);
	frame_free_many(pages, 4);
}

KTEST(kmap, storm_on_the_same_frames_lazily)
{
	storm_under(LAZY_TLB);
}

KTEST(kmap, storm_on_the_same_frames_reviving)
{
	storm_under(LAZY_PTE);
}

/* --- kmap_local --- */

KTEST(kmap_local, sends_no_interrupt)
{
	u64 sent, shootdowns;

	if (!take_high(2))
		return;
	sent = counter_sum(CNT_ipi_sent);
	shootdowns = counter_sum(CNT_shootdown);
	for (unsigned i = 0; i < 100; i++) {
		volatile u8 *va = kmap_local(pages[i % 2]);

		*va = (u8)i;
		kunmap_local((void *)va);
		EXPECT(probe_read((void *)va, NULL), "still there after kunmap_local");
	}
	EXPECT_EQ(counter_sum(CNT_ipi_sent), sent);
	EXPECT_EQ(counter_sum(CNT_shootdown), shootdowns);
	frame_free_many(pages, 2);
}

/* Why that is sound: another CPU's tables do not have the address, so no other CPU remembers it. */
KTEST(kmap_local, no_other_cpu_has_the_address)
{
	struct watch w;
	void *va;

	if (!take_high(1))
		return;
	watch_begin(&w, NULL);
	va = kmap_local(pages[0]);
	w.va = va;
	EXPECT_EQ(watch_read(&w), cpu_bit(cpu_id()));
	EXPECT_EQ(watch_write(&w, 1), cpu_bit(cpu_id()));
	kunmap_local(va);
	EXPECT_EQ(watch_read(&w), 0);
	watch_end(&w);
	frame_free_many(pages, 1);
}

KTEST(kmap_local, nests_to_the_last_slot)
{
	volatile u8 *va[KMAP_LOCAL_SLOTS];

	if (!take_high(KMAP_LOCAL_SLOTS))
		return;
	for (unsigned i = 0; i < KMAP_LOCAL_SLOTS; i++) {
		va[i] = kmap_local(pages[i]);
		*va[i] = (u8)i;
	}
	for (unsigned i = KMAP_LOCAL_SLOTS; i--;) {
		EXPECT_EQ(*va[i], i);
		EXPECT_EQ(frame_aliases(pages[i]), 1);
		kunmap_local((void *)va[i]);
		EXPECT_EQ(frame_aliases(pages[i]), 0);
	}
	frame_free_many(pages, KMAP_LOCAL_SLOTS);
}

static void use_in_interrupt(void *arg)
{
	volatile u8 *va = kmap_local(arg);

	*va = 0x1e;
	EXPECT_EQ(*va, 0x1e);
	kunmap_local((void *)va);
}

static void hold_while_interrupted(void *arg __attribute__((unused)))
{
	unsigned me = cpu_id();
	volatile u8 *va = kmap_local(pages[0]);

	va[me] = (u8)(0x70 + me);
	for (unsigned i = 0; i < 20; i++) {
		interrupt_cpu(me, use_in_interrupt, pages[1]);
		EXPECT_EQ(va[me], 0x70 + me);
	}
	kunmap_local((void *)va);
}

KTEST(kmap_local, nests_with_interrupts)
{
	if (!take_high(2))
		return;
	for (unsigned cpu = 0; cpu < nr_cpus; cpu++)
		EXPECT_EQ(run_on_cpus(cpu_bit(cpu), hold_while_interrupted, NULL), 0);
	frame_free_many(pages, 2);
}
