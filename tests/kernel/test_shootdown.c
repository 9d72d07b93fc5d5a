// SPDX-License-Identifier: MIT
/*
 * Do CPUs really forget? A test that looks for a stale translation proves something only on a
 * machine that keeps one, so each first asks calibrate(): can a stale entry be seen here at all?
 * If not (some emulators and hypervisors flush more than they must) it is skipped by name, never
 * passed.
 *
 * The protocol's corner cases (late acknowledgement, nested requests, a CPU that never answers, or
 * joins late) are tested on the host, where interleavings can be forced: test_shootdown.c and
 * test_idle.c in tests/host/. Idle CPUs and strategies: tests/kernel/test_idle.c; what the
 * instructions drop: test_invalidate.c.
 */
#include "kernel/atomic.h"
#include "kernel/cpu.h"
#include "kernel/irq.h"
#include "kernel/stale.h"
#include "kernel/test.h"
#include "kernel/thread.h"
#include "kernel/watchdog.h"
#include "mm/frame.h"
#include "mm/shootdown.h"
#include "mm/vmap.h"
#include "tests/kernel/hidden.h"
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
		EXPECT(!shootdown_covered(shootdown_stamp()), "the watchers have flushed");
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

/* --- who is disturbed, and when --- */

static void flush(void *arg __attribute__((unused)))
{
	shootdown_flush_local();
}

KTEST(shootdown, nobody_is_disturbed_who_has_flushed_since)
{
	u64 stamp = shootdown_stamp(), sent, skipped;
	struct gather g;

	EXPECT_EQ(run_on_cpus(cpus_online().bits, flush, NULL), 0);
	sent = counter_sum(CNT_ipi_sent);
	skipped = counter_sum(CNT_shootdown_skip);
	gather_begin(&g);
	gather_add(&g, VMAP_END - PAGE_SIZE, 1, stamp);
	gather_flush(&g);
	EXPECT_EQ(counter_sum(CNT_ipi_sent), sent);
	EXPECT_EQ(counter_sum(CNT_shootdown_skip), skipped + nr_cpus - 1);
}

/*
 * A generation of 0 once meant "not known" to one half of Linux's code and "long ago" to the other,
 * and no CPU was asked (aa44284960d5).
 */
KTEST(shootdown, a_stamp_of_zero_proves_nothing)
{
	struct gather g;
	u64 skipped;
	unsigned cpu;

	EXPECT_EQ(run_on_cpus(cpus_online().bits, flush, NULL), 0);
	skipped = counter_sum(CNT_shootdown_skip);
	gather_begin(&g);
	gather_add(&g, VMAP_END - PAGE_SIZE, 1, 0);
	gather_flush(&g);
	EXPECT_EQ(counter_sum(CNT_shootdown_skip), skipped);
	EXPECT(shootdown_stamp(), "a stamp is 0");
	for (cpu = 0; cpu < nr_cpus; cpu++)
		EXPECT(shootdown_flushed(cpu), "CPU %u has joined and not flushed", cpu);
	if (cpu < MAX_CPUS)
		EXPECT_EQ(shootdown_flushed(cpu), 0); /* so nothing counts as flushed there */
}

static void flush_all_of_one(void *cpu)
{
	struct gather g;

	gather_begin(&g);
	gather_add_all(&g, shootdown_stamp());
	mmu->flush(&g, (cpumask_t){cpu_bit((unsigned)(u64)cpu)});
}

/* Xen's XSA-241: a flush is served between the reading of a stamp and its use. */
KTEST(shootdown, a_flush_between_stamp_and_use)
{
	struct hidden h;
	u64 stamp;

	if (nr_cpus < 2) {
		test_skip("one CPU: nobody can interrupt it with a flush");
		return;
	}
	if (!hidden_map(&h))
		return;
	EXPECT(hidden_seen(&h), "the page is mapped");
	stamp = hidden_hide(&h);
	EXPECT_EQ(run_on_cpus(cpu_bit(other_cpu()), flush_all_of_one, (void *)(u64)cpu_id()), 0);
	EXPECT(shootdown_flushed(cpu_id()) > stamp, "the flush does not count");
	EXPECT(!hidden_seen(&h), "it counts, but left the entry");
	hidden_unmap(&h);
}

/* Ticks alone make CPUs forget, if they are not idle; and that costs no IPI. */
static void until_covered(void *stamp)
{
	u64 start = tsc_now();

	while (shootdown_flushed(cpu_id()) <= *(u64 *)stamp) {
		cpu_relax();
		if (watchdog_expired(start))
			cpu_unresponsive(cpu_id(), "tick");
	}
}

KTEST(shootdown, quiet_points_are_passed_while_busy)
{
	u64 stamp = shootdown_stamp(), sent = counter_sum(CNT_ipi_sent);

	EXPECT_EQ(run_on_cpus(cpus_online().bits, until_covered, &stamp), 0);
	EXPECT(shootdown_covered(stamp), "all have flushed");
	EXPECT(stamp < shootdown_horizon(), "which the horizon does not know");
	EXPECT_EQ(counter_sum(CNT_ipi_sent), sent);
}

/*
 * At a quiet point a CPU says that it has flushed, so others leave it out: then it must have. It
 * reads a page, whose entry goes, and is busy until it says so by itself.
 */
struct busy {
	struct hidden page;
	bool seen; /* through the entry that is gone */
};

static void read_after_quiet_point(void *arg)
{
	struct busy *b = arg;
	u64 stamp;

	EXPECT(hidden_seen(&b->page), "the page is mapped");
	stamp = hidden_hide(&b->page);
	until_covered(&stamp);
	b->seen = hidden_seen(&b->page);
}

/* The same with no stamp given out: the CPU is behind nothing, and its ticks flush nothing. */
static void read_after_tick(void *arg)
{
	struct busy *b = arg;
	u64 ticks, start = tsc_now();

	shootdown_flush_local();
	EXPECT(hidden_seen(&b->page), "the page is mapped");
	hidden_write(&b->page, (pte_t){0});
	ticks = READ_ONCE(this_cpu()->ticks);
	while (READ_ONCE(this_cpu()->ticks) == ticks) {
		cpu_relax();
		if (watchdog_expired(start))
			cpu_unresponsive(cpu_id(), "tick");
	}
	b->seen = hidden_seen(&b->page);
}

/* => what `cpu` saw; the entry is back */
static bool sees(struct busy *b, unsigned cpu, void (*read)(void *))
{
	EXPECT_EQ(run_on_cpus(cpu_bit(cpu), read, b), 0);
	hidden_show(&b->page);
	return b->seen;
}

KTEST(shootdown, a_quiet_point_is_a_flush)
{
	unsigned tries = TRIES; /* another CPU may give out a stamp */
	struct busy b;

	if (!hidden_map(&b.page))
		return;
	while (tries && !sees(&b, other_cpu(), read_after_tick))
		tries--;
	if (!tries)
		test_skip("this machine keeps no entry across a tick, so nothing can be proven");
	for (unsigned cpu = 0; tries && cpu < nr_cpus; cpu++)
		EXPECT(!sees(&b, cpu, read_after_quiet_point),
		       "CPU %u has said that it flushed, and remembers", cpu);
	hidden_unmap(&b.page);
}

/* --- several at once --- */

#define SHOTS 20 /* by each CPU */

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
	u64 begun = counter_sum(CNT_shootdown);

	EXPECT_EQ(run_on_cpus(cpus_online().bits, shoot_at_all, NULL), 0);
	EXPECT(counter_sum(CNT_shootdown) - begun >= SHOTS * nr_cpus, "%lu shootdowns",
	       counter_sum(CNT_shootdown) - begun);
}

/*
 * Every second CPU shoots down a page of its own, again and again; the others read all those pages
 * all the time. They do nothing else, because QEMU forgets everything at most INVLPGs, one's own
 * too: who initiates sees nothing stale there. And they do it with interrupts off, or ticks would
 * make them forget.
 */
#define SHOOTERS 8 /* with more, all the waiting for one another takes too long on few real CPUs */

struct shooting {
	unsigned cpus;
	struct hidden page[SHOOTERS];
	atomic_t gone[SHOOTERS];   /* odd: the CPU's page was shot down, and is not back yet */
	atomic_t rounds[SHOOTERS]; /* how often the CPU has looked at all pages */
	atomic_t seen;		   /* pages that were read nevertheless */
	atomic_t left;		   /* initiators that are not done */
};

static bool initiates(unsigned cpu)
{
	return cpu % 2;
}

/* A page is not to be read while its number is odd; if that changed meanwhile we learn nothing. */
static void look_at(struct shooting *s, unsigned cpu)
{
	u64 before = atomic_read(&s->gone[cpu]);
	bool seen = hidden_seen(&s->page[cpu]);

	smp_mb();
	if (before % 2 && seen && atomic_read(&s->gone[cpu]) == before)
		atomic_fetch_add(&s->seen, 1);
}

/* Until every other CPU that looks has begun and ended a look at every page. */
static void wait_for_looks(struct shooting *s)
{
	u64 start = tsc_now();

	for (unsigned cpu = 0; cpu < s->cpus; cpu += 2) {
		u64 round = atomic_read(&s->rounds[cpu]);

		while (atomic_read(&s->rounds[cpu]) < round + 2) {
			cpu_relax();
			if (watchdog_expired(start))
				cpu_unresponsive(cpu, "look");
		}
	}
}

static void look(struct shooting *s, unsigned me)
{
	irqflags_t flags = irq_save();

	while (atomic_read(&s->left)) {
		for (unsigned cpu = 0; cpu < s->cpus; cpu++)
			if (initiates(cpu))
				look_at(s, cpu);
		shootdown_serve();
		atomic_fetch_add(&s->rounds[me], 1);
	}
	irq_restore(flags);
}

static void shoot(struct shooting *s, unsigned me)
{
	for (unsigned i = 0; i < SHOTS; i++) {
		wait_for_looks(s);
		hidden_shoot(&s->page[me], hidden_hide(&s->page[me]));
		atomic_fetch_add(&s->gone[me], 1);
		wait_for_looks(s);
		atomic_fetch_add(&s->gone[me], 1);
		hidden_show(&s->page[me]);
	}
	atomic_fetch_add(&s->left, -1ull);
}

static void shoot_or_look(void *arg)
{
	if (initiates(cpu_id()))
		shoot(arg, cpu_id());
	else
		look(arg, cpu_id());
}

KTEST(shootdown, several_initiators_leave_nothing_stale)
{
	static struct shooting s;
	unsigned mapped = 0;

	if (nr_cpus < 2) {
		test_skip("one CPU: there is nobody to shoot down");
		return;
	}
	if (!calibrate(other_cpu()))
		return;
	s = (struct shooting){.cpus = MIN(nr_cpus, SHOOTERS)};
	atomic_set(&s.left, s.cpus / 2);
	while (mapped < s.cpus && hidden_map(&s.page[mapped]))
		mapped++;
	if (mapped == s.cpus) {
		EXPECT_EQ(run_on_cpus(cpu_bit(s.cpus) - 1, shoot_or_look, &s), 0);
		EXPECT_EQ(atomic_read(&s.seen), 0);
	}
	while (mapped--)
		hidden_unmap(&s.page[mapped]);
}
