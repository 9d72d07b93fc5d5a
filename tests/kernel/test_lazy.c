// SPDX-License-Identifier: MIT
/*
 * Laziness as its users see it: what waits after an unmapping, how much may wait, when it comes
 * home, that an address is not used again while a CPU may remember it, and, under policy pte, that
 * a mapping comes back to life. Where a tick would do a purge's work in the middle of a test, it is
 * kept off.
 */
#include "kernel/irq.h"
#include "kernel/thread.h"
#include "mm/check.h"
#include "mm/park.h"
#include "mm/shootdown.h"
#include "mm/vmap.h"
#include "tests/kernel/stage.h"
#include "tests/kernel/watch.h"

static struct frame *pages[8];

KTEST(lazy, off_leaves_nothing_waiting)
{
	struct stage s;
	struct lazy_stats st;

	if (!stage_begin(&s, pages, 3, LAZY_OFF))
		return;
	for (unsigned i = 0; i < 10; i++) {
		void *va = vmap(pages, 3, VM_W);

		vunmap(va);
		EXPECT_EQ(entry_at(va), 0);
		lazy_stats(&st);
		EXPECT_EQ(st.pages, 0);
	}
	stage_end(&s);
}

KTEST(lazy, what_was_unmapped_waits_and_comes_home)
{
	struct stage s;
	struct lazy_stats before, after;
	irqflags_t flags;

	if (!stage_begin(&s, pages, 3, LAZY_TLB))
		return;
	vm_unmap_aliases();
	flags = irq_save();
	lazy_stats(&before);
	for (unsigned i = 0; i < 10; i++)
		vm_unmap_ram(vm_map_ram(pages, 3, VM_W), 3);
	lazy_stats(&after);
	irq_restore(flags);
	EXPECT_EQ(after.areas - before.areas, 10);
	EXPECT(after.pages - before.pages >= 30, "%lu pages", after.pages - before.pages);
	EXPECT_EQ(after.uncleared_areas, 0);
	EXPECT_EQ(mm_check(false), 0);
	vm_unmap_aliases();
	lazy_stats(&after);
	EXPECT_EQ(after.areas, 0);
	stage_end(&s);
}

KTEST(lazy, pte_leaves_entries_until_the_purge)
{
	struct stage s;
	struct lazy_stats st;
	u64 entry, cleared;
	void *va;

	if (!stage_begin(&s, pages, 3, LAZY_PTE))
		return;
	va = vmap(pages, 3, VM_W);
	entry = entry_at(va);
	vunmap(va);
	EXPECT_EQ(entry_at(va), entry);
	lazy_stats(&st);
	EXPECT(st.uncleared_areas >= 1, "%lu areas", st.uncleared_areas);
	EXPECT_EQ(mm_check(false), 0);
	cleared = lazy_purge(PURGE_PTES);
	EXPECT(cleared >= 3, "%lu pages cleared", cleared);
	EXPECT_EQ(entry_at(va), 0);
	EXPECT_EQ(frame_aliases(pages[2]), 0);
	lazy_stats(&st);
	EXPECT_EQ(st.uncleared_areas, 0);
	stage_end(&s);
}

#define THRESHOLD 256 /* pages, of all CPUs together */

/*
 * What may wait on a CPU is so many times its share of the threshold, until a shootdown makes the
 * others forget it; each time the last area may be over.
 */
KTEST(lazy, threshold_bounds_what_waits)
{
	const u64 bound = PARK_CHECKPOINTS * (THRESHOLD / nr_cpus + ARRAY_SIZE(pages));
	struct lazy_stats was, st;
	enum lazy_policy policy;

	if (!take_frames(pages, ARRAY_SIZE(pages)))
		return;
	for_each_policy(policy)
	{
		was = set_laziness(policy);
		lazy_set_max(THRESHOLD);
		for (unsigned i = 0; i < 2000; i++) {
			vunmap(vmap(pages, 1 + i % ARRAY_SIZE(pages), VM_W));
			if (i % 16)
				continue;
			lazy_stats(&st);
			EXPECT(st.pages <= bound, "%lu pages wait under %s, more than %lu",
			       st.pages, lazy_policy_name(policy), bound);
		}
		restore_laziness(&was);
	}
	frame_free_many(pages, ARRAY_SIZE(pages));
}

#define REUSE_TRIES 4000

/*
 * Other CPUs remember the first mapping and keep their interrupts off. Whenever its address is
 * given out again, they must see the new frame there, not the old one.
 */
KTEST(lazy, reissued_address_shows_the_new_frame_everywhere)
{
	struct stage s;
	struct watch w;
	bool again = false;
	void *first;

	if (!stage_begin(&s, pages, 2, LAZY_TLB))
		return;
	*byte_of(pages[0]) = 0x0d;
	*byte_of(pages[1]) = 0x5e;
	first = vmap(pages, 1, VM_R);
	watch_begin(&w, first);
	EXPECT_EQ(watch_read(&w), cpus_online().bits);
	vunmap(first);
	for (unsigned i = 0; i < REUSE_TRIES && !again; i++) {
		void *va = vmap(pages + 1, 1, VM_R);

		if (i == REUSE_TRIES / 8)
			vm_unmap_aliases(); /* from here on it may come back for certain */
		again = va == first;
		if (again) {
			EXPECT_EQ(watch_read(&w), cpus_online().bits);
			for (unsigned cpu = 0; cpu < nr_cpus; cpu++)
				EXPECT_EQ(w.seen[cpu], 0x5e);
		}
		vunmap(va);
	}
	EXPECT(again, "%p never came back", first);
	watch_end(&w);
	stage_end(&s);
}

/* Ticks alone bring addresses home: areas are reused and no CPU is ever interrupted for it. */
KTEST(lazy, steady_state_sends_no_interrupt)
{
	struct stage s;
	struct lazy_stats st;
	u64 sent, forced, start;

	if (!stage_begin(&s, pages, 4, LAZY_TLB))
		return;
	vm_unmap_aliases();
	sent = counter_sum(CNT_ipi_sent);
	forced = counter_sum(CNT_park_forced);
	start = this_cpu()->ticks;
	while (READ_ONCE(this_cpu()->ticks) < start + 3) {
		for (unsigned i = 0; i < 20; i++)
			vunmap(vmap(pages, 4, VM_W));
		thread_yield(); /* idle threads are quiet points too */
	}
	lazy_stats(&st);
	EXPECT(st.pages <= PARK_CHECKPOINTS * st.max_pages, "%lu pages wait", st.pages);
	EXPECT_EQ(counter_sum(CNT_park_forced), forced);
	EXPECT_EQ(counter_sum(CNT_ipi_sent), sent);
	stage_end(&s);
}

KTEST(lazy, policies_change_at_run_time)
{
	struct stage s;
	void *va;

	if (!stage_begin(&s, pages, 1, LAZY_PTE))
		return;
	va = vmap(pages, 1, VM_W);
	vunmap(va);
	EXPECT_EQ(frame_aliases(pages[0]), 1);
	lazy_set_policy(LAZY_TLB); /* purges what the old one has left */
	EXPECT_EQ(frame_aliases(pages[0]), 0);
	EXPECT_EQ(lazy_policy(), LAZY_TLB);
	va = vmap(pages, 1, VM_W);
	lazy_set_policy(LAZY_OFF); /* mapped under one, unmapped under another */
	vunmap(va);
	EXPECT_EQ(entry_at(va), 0);
	stage_end(&s);
}
