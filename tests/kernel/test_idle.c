// SPDX-License-Identifier: MIT
/*
 * Idle CPUs and strategies. CPUs tick while we look, and a tick wakes them: so what is said of an
 * idle CPU is said only if its tick counter is the same before and after, and a test goes on until
 * it has seen that once. That it must come to that is bounded by the watchdog.
 */
#include "kernel/atomic.h"
#include "kernel/cpu.h"
#include "kernel/platform.h"
#include "kernel/test.h"
#include "kernel/thread.h"
#include "kernel/watchdog.h"
#include "tests/kernel/hidden.h"
#include "tests/kernel/interrupt.h"

static cpumask_t others(void)
{
	return (cpumask_t){cpus_online().bits & ~cpu_bit(cpu_id())};
}

static bool is_idle(unsigned cpu)
{
	enum cpu_idle state = shootdown_cpu(cpu).idle;

	return state == CPU_IDLE || state == CPU_MUST_FLUSH;
}

/* Waits until all others are idle. => their ticks, read before they were seen to be */
static void wait_until_idle(u64 ticks[MAX_CPUS])
{
	u64 start = tsc_now();
	unsigned cpu;

	cpumask_for_each (cpu, others()) {
		do {
			ticks[cpu] = READ_ONCE(cpus[cpu].ticks);
			cpu_relax();
			if (watchdog_expired(start))
				cpu_unresponsive(cpu, "idling");
		} while (!is_idle(cpu));
	}
}

/* => how many of the others have ticked since */
static unsigned have_ticked(const u64 ticks[MAX_CPUS])
{
	unsigned cpu, n = 0;

	cpumask_for_each (cpu, others())
		n += READ_ONCE(cpus[cpu].ticks) != ticks[cpu];
	return n;
}

static bool alone(void)
{
	if (nr_cpus > 1)
		return false;
	test_skip("one CPU: no other that could be idle");
	return true;
}

/*
 * => false: not within the watchdog's time. That is a failure, but where a hypervisor runs our CPUs
 * in turns: there the window may be missed as often as one likes
 */
static bool try_again(u64 start)
{
	if (!watchdog_expired(start))
		return !test_failed();
	if (platform == &native_platform)
		test_fail(__FILE__, __LINE__, "there is always a tick in between");
	else
		test_skip(
			"the hypervisor's CPUs are so busy that there is always a tick in between");
	return false;
}

KTEST(shootdown, idle_cpus_are_not_interrupted)
{
	u64 ticks[MAX_CPUS], start = tsc_now(), sent, left_out;
	struct hidden h;
	unsigned ticked;

	if (alone() || !hidden_map(&h))
		return;
	do {
		u64 stamp = hidden_hide(&h);

		wait_until_idle(ticks);
		sent = counter_sum(CNT_ipi_sent);
		left_out = counter_sum(CNT_idle_skip) + counter_sum(CNT_shootdown_skip);
		hidden_shoot(&h, stamp);
		sent = counter_sum(CNT_ipi_sent) - sent;
		left_out = counter_sum(CNT_idle_skip) + counter_sum(CNT_shootdown_skip) - left_out;
		ticked = have_ticked(ticks);
		hidden_show(&h);
		EXPECT(sent <= ticked, "%lu IPIs, though only %u CPUs were not idle", sent, ticked);
		EXPECT_EQ(sent + left_out, nr_cpus - 1);
	} while (ticked && try_again(start));
	hidden_unmap(&h);
}

KTEST(shootdown, idle_cpus_cover_a_stamp)
{
	u64 ticks[MAX_CPUS], start = tsc_now(), stamp, sent, horizon;
	unsigned ticked;
	bool covered;

	if (alone())
		return;
	do {
		stamp = shootdown_stamp();
		shootdown_flush_local();
		sent = counter_sum(CNT_ipi_sent);
		wait_until_idle(ticks);
		covered = shootdown_covered(stamp);
		horizon = shootdown_horizon();
		ticked = have_ticked(ticks);
		EXPECT_EQ(counter_sum(CNT_ipi_sent), sent);
		EXPECT(ticked || covered, "idle CPUs do not promise to flush");
		EXPECT(ticked || horizon > stamp, "the horizon is %lu, the stamp %lu", horizon,
		       stamp);
	} while (ticked && try_again(start));
}

/* --- what a CPU reads when it wakes --- */

/*
 * It reads in an interrupt handler of ours. A thread would be too late: on the way to it the CPU
 * passes a quiet point, and would flush whatever it owed anybody.
 */
static struct {
	const struct hidden *page;
	bool seen; /* at the last look */
	u64 ticks; /* the CPU's, then */
} reader;

static void look(void *arg __attribute__((unused)))
{
	reader.seen = hidden_seen(reader.page);
	reader.ticks = READ_ONCE(this_cpu()->ticks);
}

/* CPU `cpu` looks, and idles again. => whether it could read the page */
static bool wake_and_look(unsigned cpu)
{
	u64 ticks[MAX_CPUS];

	wait_until_idle(ticks);
	interrupt_cpu(cpu, look, NULL);
	wait_until_idle(ticks);
	return reader.seen;
}

/*
 * The last CPU reads the page and idles; the entry goes; `forget` or not; it wakes and reads again.
 *   => whether it could; *ticked: a tick came between, so it may have flushed by itself
 */
static bool reads_at_waking(bool forget, bool *ticked)
{
	const unsigned cpu = nr_cpus - 1;
	u64 stamp, ticks;
	bool seen;

	wake_and_look(cpu); /* it goes on to a quiet point, and is behind nothing then */
	seen = wake_and_look(cpu);
	ticks = reader.ticks;
	EXPECT(seen, "CPU %u cannot read a mapped page", cpu);
	stamp = hidden_hide(reader.page);
	if (forget)
		hidden_shoot(reader.page, stamp);
	seen = wake_and_look(cpu);
	hidden_show(reader.page);
	*ticked = reader.ticks != ticks;
	return seen;
}

KTEST(shootdown, an_idle_cpu_flushes_before_it_reads)
{
	u64 start = tsc_now(), promised, kept;
	struct hidden h;
	bool seen, ticked;

	if (alone() || !hidden_map(&h))
		return;
	reader.page = &h;
	do
		seen = reads_at_waking(false, &ticked);
	while (ticked && try_again(start));
	if (ticked || !seen) {
		if (!ticked)
			test_skip(
				"this machine shows no stale entry on an idle CPU, so nothing can be proven");
		hidden_unmap(&h);
		return;
	}
	do {
		promised = counter_sum(CNT_idle_skip);
		kept = cpus[nr_cpus - 1].counters[CNT_idle_flush];
		seen = reads_at_waking(true, &ticked);
		EXPECT(!seen, "CPU %u woke and read what was shot down while it was idle",
		       nr_cpus - 1);
	} while (ticked && try_again(start));
	EXPECT(ticked || counter_sum(CNT_idle_skip) > promised, "it was not left out");
	EXPECT(ticked || cpus[nr_cpus - 1].counters[CNT_idle_flush] > kept,
	       "it did not keep a promise");
	hidden_unmap(&h);
}

/* --- the baseline --- */

static void flush(void *arg __attribute__((unused)))
{
	shootdown_flush_local();
}

KTEST(shootdown, broadcast_interrupts_every_cpu)
{
	enum shootdown_strategy was = shootdown_strategy();
	u64 ticks[MAX_CPUS], stamp, sent, served, pages;
	struct hidden h;

	if (alone() || !asks_by_ipi() || !hidden_map(&h))
		return;
	stamp = hidden_hide(&h);
	EXPECT_EQ(run_on_cpus(cpus_online().bits, flush, NULL), 0);
	shootdown_set_strategy(SHOOTDOWN_BROADCAST);
	wait_until_idle(ticks);
	sent = counter_sum(CNT_ipi_sent);
	served = counter_sum(CNT_shootdown_serve);
	pages = counter_sum(CNT_tlb_page);
	hidden_shoot(&h, stamp);
	EXPECT_EQ(counter_sum(CNT_ipi_sent) - sent, nr_cpus - 1);
	EXPECT_EQ(counter_sum(CNT_shootdown_serve) - served, nr_cpus - 1);
	EXPECT_EQ(counter_sum(CNT_tlb_page) - pages, nr_cpus);
	shootdown_set_strategy(was);
	hidden_unmap(&h);
}
