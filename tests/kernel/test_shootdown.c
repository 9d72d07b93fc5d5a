// SPDX-License-Identifier: MIT
/*
 * Do CPUs really forget? A test that looks for a stale translation proves something only on a
 * machine that keeps one, so each first asks calibrate(): can a stale entry be seen here at all?
 * If not (some emulators and hypervisors flush more than they must) it is skipped by name, never
 * passed.
 *
 * The protocol's corner cases (late acknowledgement, nested requests, a CPU that never answers) are
 * tested on the host, where interleavings can be forced: tests/host/test_shootdown.c.
 */
#include "kernel/atomic.h"
#include "kernel/cpu.h"
#include "kernel/irq.h"
#include "kernel/stale.h"
#include "kernel/test.h"
#include "kernel/thread.h"
#include "kernel/watchdog.h"
#include "mm/frame.h"
#include "mm/pagetable.h"
#include "mm/shootdown.h"
#include "mm/space.h"
#include "mm/vmap.h"
#include "tests/kernel/laziness.h"

#define TRIES 5 /* on one CPU a tick may flush between unmap and look */

static unsigned other_cpu(void)
{
	return nr_cpus > 1 ? (cpu_id() + 1) % nr_cpus : cpu_id();
}

/* => true if `reader` was seen to read through a translation whose entry is gone */
static bool calibrate(unsigned reader)
{
	struct stale_result r;

	for (unsigned i = 0; i < TRIES; i++)
		if (!stale_experiment(reader, &r) && !r.after_faulted && r.after == STALE_NEW)
			return true;
	test_skip("this machine shows no stale entry on CPU %u, so nothing can be proven", reader);
	return false;
}

KTEST(shootdown, stale_entry_is_seen_then_gone)
{
	struct stale_result r;

	if (!calibrate(other_cpu()))
		return;
	EXPECT_EQ(stale_experiment(other_cpu(), &r), 0);
	EXPECT(!r.before_faulted && r.before == STALE_OLD, "before: %#x", r.before);
	EXPECT_EQ(r.entry, 0);
	EXPECT(r.end_faulted, "the translation survived vm_unmap_aliases()");
}

/* --- under policy off, the first look of another CPU after vunmap must fault --- */

struct watch {
	volatile u8 *va;
	atomic_t warm, go, looked; /* CPUs that have */
	atomic_t saw;		   /* CPUs that could still read */
};

/*
 * With interrupts off, or a tick would flush before the second look and any protocol would seem to
 * work; the request is served by polling the inbox, as every waiter does.
 */
static void look_before_and_after(void *arg)
{
	struct watch *w = arg;
	irqflags_t flags = irq_save();
	u64 start;

	probe_read((void *)w->va, NULL); /* the TLB has it now */
	atomic_fetch_add(&w->warm, 1);
	for (start = tsc_now(); !atomic_read(&w->go); cpu_relax()) {
		shootdown_serve();
		if (watchdog_expired(start))
			cpu_unresponsive(0, "shootdown test");
	}
	if (!probe_read((void *)w->va, NULL))
		atomic_fetch_add(&w->saw, 1);
	irq_restore(flags);
	atomic_fetch_add(&w->looked, 1);
}

/* => CPUs that watch now */
static u64 start_watch(struct watch *w, struct thread **t)
{
	u64 start = tsc_now(), n = 0;
	unsigned cpu;

	cpumask_for_each (cpu, cpus_online())
		if (cpu != cpu_id() &&
		    (t[cpu] = thread_create(cpu, "watch", look_before_and_after, w)))
			n++;
	while (atomic_read(&w->warm) < n) {
		thread_yield();
		if (watchdog_expired(start))
			cpu_unresponsive(other_cpu(), "shootdown test");
	}
	return n;
}

static void end_watch(struct watch *w, struct thread **t)
{
	atomic_set(&w->go, 1);
	for (unsigned cpu = 0; cpu < nr_cpus; cpu++)
		if (t[cpu])
			thread_join(t[cpu]);
}

static void unmap_under_watch(unsigned pages, enum lazy_policy how)
{
	static struct frame *f[64];
	struct thread *t[MAX_CPUS] = {NULL};
	struct watch w = {.warm = {0}};
	struct lazy_stats was;
	u8 *va;

	if (nr_cpus < 2) {
		test_skip("one CPU: there is nobody to shoot down");
		return;
	}
	if (!calibrate(other_cpu()))
		return;
	if (frame_alloc_many(f, pages, FRAME_ZERO)) {
		test_fail(__FILE__, __LINE__, "no memory");
		return;
	}
	was = set_laziness(how);
	va = vmap(f, pages, VM_W);
	EXPECT(va, "no mapping");
	w.va = va + (pages - 1) * PAGE_SIZE;
	EXPECT_EQ(start_watch(&w, t), nr_cpus - 1);
	vunmap(va);
	if (how != LAZY_OFF) {
		EXPECT_EQ(lazy_reclaim(), 0); /* they have not passed a quiet point since */
		vm_unmap_aliases();
	}
	end_watch(&w, t);
	EXPECT_EQ(atomic_read(&w.saw), 0);
	EXPECT_EQ(atomic_read(&w.looked), nr_cpus - 1);
	restore_laziness(&was);
	frame_free_many(f, pages);
}

KTEST(shootdown, off_is_flushed_when_vunmap_returns)
{
	unmap_under_watch(1, LAZY_OFF);
}

KTEST(shootdown, last_page_of_a_range_list)
{
	unmap_under_watch(GATHER_PAGES, LAZY_OFF);
}

KTEST(shootdown, full_flush_covers_long_ranges)
{
	unmap_under_watch(GATHER_PAGES + 1, LAZY_OFF);
}

KTEST(shootdown, purge_covers_lazy_ranges)
{
	unmap_under_watch(5, LAZY_TLB);
}

/* --- what a flush of this CPU drops --- */

/* => true if a read of `va` still works after its entry was cleared and `flush` ran */
static bool survives(void (*flush)(vaddr_t va))
{
	struct frame *f = frame_alloc(0, FRAME_ZERO);
	void *va = vmap(&f, 1, VM_W);
	struct pt_walk w;
	irqflags_t flags;
	bool alive;

	pt_walk(kernel_root, (vaddr_t)va, &w);
	flags = irq_save();
	probe_read(va, NULL);
	mmu->clear_run(w.step[1].table, w.step[1].slot, 1);
	flush((vaddr_t)va);
	alive = !probe_read(va, NULL);
	mmu->set_leaf(w.step[1].table, w.step[1].slot, w.step[1].entry);
	irq_restore(flags);
	vunmap(va);
	frame_free(f, 0);
	return alive;
}

static void flush_nothing(vaddr_t va __attribute__((unused)))
{
}

static void flush_page(vaddr_t va)
{
	mmu->invalidate_page(va);
}

static void flush_all(vaddr_t va __attribute__((unused)))
{
	mmu->invalidate_all();
}

KTEST(shootdown, invalidation_drops_global_entries)
{
	if (!survives(flush_nothing)) {
		test_skip("this machine shows no stale entry, so nothing can be proven");
		return;
	}
	EXPECT(!survives(flush_page), "invalidate_page left the entry");
	EXPECT(!survives(flush_all), "invalidate_all left the (global) entry");
}

/* --- who is disturbed --- */

/*
 * Waits for every CPU's tick to have flushed past `stamp`; bounded by the watchdog, not by a guess.
 */
static bool all_pass_a_quiet_point(u64 stamp)
{
	u64 start = tsc_now();

	while (!shootdown_covered(stamp) && !watchdog_expired(start))
		thread_yield();
	return shootdown_covered(stamp);
}

KTEST(shootdown, nobody_is_disturbed_who_has_flushed_since)
{
	struct frame *f = frame_alloc(0, FRAME_ZERO);
	struct lazy_stats was;
	u64 sent, skipped;

	was = set_laziness(LAZY_TLB);
	vunmap(vmap(&f, 1, VM_W));
	EXPECT(all_pass_a_quiet_point(shootdown_stamp()), "some CPU does not tick");
	sent = counter_sum(CNT_ipi_sent);
	skipped = counter_sum(CNT_shootdown_skip);
	EXPECT_EQ(lazy_purge(), 1);
	EXPECT_EQ(counter_sum(CNT_ipi_sent), sent);
	EXPECT_EQ(counter_sum(CNT_shootdown_skip), skipped + nr_cpus - 1);
	restore_laziness(&was);
	frame_free(f, 0);
}

/* Ticks alone bring lazy areas home: no IPI, no purge. */
KTEST(shootdown, quiet_points_bring_areas_home)
{
	struct frame *f = frame_alloc(0, FRAME_ZERO);
	struct lazy_stats was;
	struct lazy_stats st;
	u64 sent;

	was = set_laziness(LAZY_TLB);
	sent = counter_sum(CNT_ipi_sent);
	vunmap(vmap(&f, 1, VM_W));
	EXPECT(all_pass_a_quiet_point(shootdown_stamp()), "some CPU does not tick");
	EXPECT_EQ(lazy_reclaim(), 1);
	lazy_stats(&st);
	EXPECT_EQ(st.areas, 0);
	EXPECT_EQ(counter_sum(CNT_ipi_sent), sent);
	restore_laziness(&was);
	frame_free(f, 0);
}

#define SHOTS 50 /* by each CPU */

static void shoot_at_all(void *arg __attribute__((unused)))
{
	struct gather g;

	for (unsigned i = 0; i < SHOTS; i++) {
		gather_begin(&g);
		gather_add(&g, VMAP_END - PAGE_SIZE, i % 3 ? 1 : GATHER_PAGES + 1,
			   shootdown_stamp());
		gather_flush(&g);
		gather_end(&g);
	}
}

/* Everyone shoots at everyone at once: ends only if waiters serve each other. */
KTEST(shootdown, all_cpus_initiate_at_once)
{
	struct lazy_stats was;
	u64 begun;

	was = set_laziness(LAZY_TLB); /* or the threads' stacks would be shot down as well */
	begun = counter_sum(CNT_shootdown);
	EXPECT_EQ(run_on_cpus(cpus_online().bits, shoot_at_all, NULL), 0);
	EXPECT_EQ(counter_sum(CNT_shootdown) - begun, SHOTS * nr_cpus);
	restore_laziness(&was);
}
