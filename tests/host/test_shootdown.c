// SPDX-License-Identifier: MIT
/*
 * mm/shootdown.c against mm/shootdown.h. A stale translation is planted in TLBs by hand
 * (tests/host/planting.h), so each test says exactly who holds what. The random tests at the end
 * are the ones that matter: CPUs that are interrupted at any shared access, late stores, late and
 * reordered IPIs, and after each claim the protocol makes ("covered", "returned") a look into every
 * TLB. Idle CPUs have a file of their own, test_idle.c.
 */
// links: mm/*.c tests/host/sim*.c
#include "mm/shootdown.h"
#include "mm/gather.h"
#include "tests/host/planting.h"

static void test_exact(void)
{
	struct gather g;

	sim_boot(&(struct sim_config){.cpus = 4});
	for (unsigned i = 0; i < 10; i++)
		plant(VA(i), 0xf);
	gather_one(&g, VA(2), 3);
	gather_add(&g, VA(8), 1, shootdown_stamp());
	shootdown(&g, cpus_online());
	for (unsigned i = 0; i < 10; i++)
		is_u64(holders(VA(i)), (i >= 2 && i < 5) || i == 8 ? 0 : 0xf, "page %u", i);
	is_u64(counter_sum(CNT_tlb_page), 16, "four pages on each of four CPUs");
	is_u64(counter_sum(CNT_ipi_sent), 3, "an IPI for each other CPU");
	is_u64(counter_sum(CNT_shootdown), 1, "one shootdown");
	is_u64(counter_sum(CNT_shootdown_pages), 4, "of four pages");
	shootdown(&g, (cpumask_t){0});
	is_u64(counter_sum(CNT_ipi_sent), 3, "no CPU is nobody");
}

static void test_full(void)
{
	struct gather g;
	u64 clock;

	sim_boot(&(struct sim_config){.cpus = 4});
	plant(VA(1), 0xf);
	plant(VA(1000000), 0xf);
	gather_one(&g, VA(1), GATHER_PAGES + 1);
	clock = shootdown_clock();
	shootdown(&g, cpus_online());
	is_u64(holders(VA(1)) | holders(VA(1000000)), 0, "everything is gone");
	is_u64(shootdown_clock(), clock + 4, "the clock ticked for each full flush");
	ok(shootdown_covered(g.stamp), "which covers the stamp");
	is_u64(counter_sum(CNT_shootdown_full), 1, "counted as full");
}

static void test_subset(void)
{
	struct gather g;

	sim_boot(&(struct sim_config){.cpus = 4});
	plant(VA(1), 0xf);
	gather_one(&g, VA(1), 1);
	shootdown(&g, (cpumask_t){0xc});
	is_u64(holders(VA(1)), 3, "only those asked forget, not even the asker");
	shootdown(&g, (cpumask_t){1});
	is_u64(holders(VA(1)), 2, "the asker alone");
	is_u64(counter_sum(CNT_ipi_sent), 2, "needs no IPI");
	sim_on(1);
	shootdown(&g, cpus_online());
	is_u64(holders(VA(1)), 0, "then all");
}

static void test_skip(void)
{
	struct gather g;
	u64 sent;

	sim_boot(&(struct sim_config){.cpus = 4});
	sim_on(2);
	shootdown_flush_local();
	sim_on(0);
	gather_one(&g, VA(5), 1);
	plant(VA(5), 0xf);
	sent = counter_sum(CNT_ipi_sent);
	shootdown(&g, cpus_online());
	is_u64(counter_sum(CNT_ipi_sent) - sent, 3, "a flush before the stamp proves nothing");
	is_u64(holders(VA(5)), 0, "so all are asked, and forget");

	plant(VA(6), 0xf);
	gather_one(&g, VA(6), 1);
	sim_on(2);
	shootdown_flush_local();
	sim_on(0);
	is_u64(holders(VA(6)), 0xb, "one CPU flushes everything after the stamp");
	sent = counter_sum(CNT_ipi_sent);
	sim.deaf.bits = 4;
	shootdown(&g, cpus_online());
	is_u64(counter_sum(CNT_ipi_sent) - sent, 2, "and is left out");
	is_u64(counter_sum(CNT_shootdown_skip), 1, "counted as skipped");
	is_u64(holders(VA(6)), 0, "the others forget");
	sim.deaf.bits = 0;

	plant(VA(7), 0xf);
	gather_one(&g, VA(7), 1);
	shootdown_flush_local();
	plant(VA(8), 0xf);
	gather_add(&g, VA(8), 1, shootdown_stamp());
	shootdown(&g, cpus_online());
	is_u64(holders(VA(8)), 0, "of two stamps the newer one decides");
}

/* The baseline: everybody, whatever they have proved, and they do it all again. */
static void test_broadcast(void)
{
	enum shootdown_strategy s = SHOOTDOWN_FILTERED;
	struct gather g;
	u64 pages;

	sim_boot(&(struct sim_config){.cpus = 4});
	is_u64(shootdown_strategy(), SHOOTDOWN_FILTERED, "filtered is the default");
	ok(!shootdown_strategy_parse("broadcast", &s) && s == SHOOTDOWN_BROADCAST, "parsed");
	is_u64(shootdown_strategy_parse("loud", &s), (u64)-EINVAL, "there is no such strategy");
	ok(!strcmp(shootdown_strategy_name(s), "broadcast"), "and named");
	shootdown_set_strategy(s);
	plant(VA(1), 0xf);
	gather_one(&g, VA(1), 1);
	for (unsigned cpu = 1; cpu < 4; cpu++) {
		sim_on(cpu);
		shootdown_flush_local();
	}
	sim_on(0);
	pages = counter_sum(CNT_tlb_page);
	shootdown(&g, cpus_online());
	is_u64(counter_sum(CNT_ipi_sent), 3, "all are interrupted");
	is_u64(counter_sum(CNT_shootdown_serve), 3, "and answer");
	is_u64(counter_sum(CNT_tlb_page) - pages, 4, "having done what they were asked");
	is_u64(counter_sum(CNT_shootdown_skip), 0, "nobody is left out");
	is_u64(holders(VA(1)), 0, "the page is forgotten");
	shootdown_set_strategy(SHOOTDOWN_FILTERED);
	shootdown(&g, cpus_online());
	is_u64(counter_sum(CNT_ipi_sent), 3, "filtered again: nobody is asked");
}

/* Xen's XSA-241: between the reading of a stamp and its use, this CPU serves a flush. */
static void test_interrupted_stamp(void)
{
	u64 stamp;

	sim_boot(&(struct sim_config){.cpus = 2});
	plant(VA(1), 3);
	stamp = shootdown_stamp();
	for (unsigned cpu = 0; cpu < 2; cpu++) {
		sim_on(cpu);
		shootdown_flush_local();
	}
	ok(shootdown_covered(stamp) && !holders(VA(1)),
	   "the entry went before the stamp: a flush after it counts");
	stamp = shootdown_stamp();
	for (unsigned cpu = 0; cpu < 2; cpu++) {
		sim_on(cpu);
		shootdown_flush_local();
	}
	plant(VA(2), 3); /* the entry is still there, and loaded again */
	ok(shootdown_covered(stamp) && holders(VA(2)),
	   "had the stamp been read first, it would be wrong: that is why it is not");
	sim_on(0);
}

/* A stamp taken just before, and one just after, a CPU's flush: equal is not later. */
static void test_clock(void)
{
	u64 before, after, clock;

	sim_boot(&(struct sim_config){.cpus = 1});
	clock = shootdown_clock();
	ok(clock >= 1 && shootdown_flushed(63) == 0,
	   "the clock starts at 1, an absent CPU's flush at 0");
	before = shootdown_stamp();
	is_u64(shootdown_stamp(), before, "a stamp does not move the clock");
	ok(!shootdown_covered(before), "a stamp is not covered when it is made");
	shootdown_flush_local();
	ok(shootdown_clock() == clock + 1 && shootdown_flushed(0) == clock + 1,
	   "a flush ticks, and is noted");
	ok(shootdown_covered(before), "it covers the stamp before it");
	after = shootdown_stamp();
	ok(after > before && !shootdown_covered(after), "not the one after");
	ok(shootdown_covered(0), "nothing was ever cleared at 0");
	ok(!shootdown_covered(~0ull), "and the end of time is not covered");
}

/* A platform's kick is no place for another shootdown, but it is one in the middle of ours. */
static void ask_again(cpumask_t to __attribute__((unused)))
{
	shootdown(&(struct gather){.full = true}, cpus_online());
}

static void test_rules(void)
{
	static spinlock_t lock = SPINLOCK_INIT("test");
	struct gather g;

	sim_boot(&(struct sim_config){.cpus = 3});
	plant(VA(1), 7);
	gather_one(&g, VA(1), 1);
	EXPECT_PANIC("interrupts off", {
		irq_disable();
		shootdown(&g, cpus_online());
	});
	EXPECT_PANIC("holding 1 spinlocks", {
		spin_lock(&lock);
		irq_enable();
		shootdown(&g, cpus_online());
	});
	EXPECT_PANIC("shootdown inside a shootdown on CPU 0", {
		sim_mmu_ops.kick = ask_again;
		shootdown(&g, cpus_online());
	});
	sim.deaf.bits = 4;
	EXPECT_PANIC("CPU 2 does not answer: shootdown", shootdown(&g, cpus_online()));
	sim_on(1);
	EXPECT_PANIC("CPU 2 does not answer: shootdown", shootdown(&g, cpus_online()));
	sim_on(0);
	sim.deaf.bits = 0;
	is_u64(counter_sum(CNT_shootdown), 0, "none of which happened");
	shootdown_serve();
	is_u64(counter_sum(CNT_shootdown_serve), 0, "to serve nobody is nothing");
	shootdown(&g, cpus_online());
	is_u64(holders(VA(1)), 0, "and after all that it works");
	EXPECT_PANIC("before it is online", {
		sim_cpu_power(3);
		sim_on(3);
		shootdown_cpu_online();
	});
}

static void ask(void *arg)
{
	shootdown(arg, (cpumask_t){1});
}

/* Two CPUs ask a third one that takes no interrupts for a while: one IPI carries both requests. */
static void test_coalesced(void)
{
	struct gather a, b;

	sim_boot(&(struct sim_config){.cpus = 4});
	sim_on(3);
	plant(VA(1), 1);
	plant(VA(2), 1);
	gather_one(&a, VA(1), 1);
	gather_one(&b, VA(2), 1);
	sim.deaf.bits = 1;
	sim_spawn(1, ask, &a);
	sim_run_for(100);
	ok(sim_pending(0, SIM_IPI) && counter_sum(CNT_ipi_sent) == 1, "CPU 1 has asked CPU 0");
	sim_spawn(2, ask, &b);
	sim_run_for(100);
	is_u64(counter_sum(CNT_shootdown), 2, "CPU 2 as well");
	is_u64(counter_sum(CNT_ipi_sent), 1, "with no second IPI");
	is_u64(holders(VA(1)) & holders(VA(2)), 1, "nothing has happened yet");
	sim.deaf.bits = 0;
	sim_run();
	is_u64(holders(VA(1)) | holders(VA(2)), 0, "one interrupt serves both");
	is_u64(counter_sum(CNT_shootdown_serve), 2, "two requests");
}

/*
 * Waiting for each other: every CPU asks every other, none takes an interrupt, all serve while
 * they wait.
 */
static void ask_all(void *arg)
{
	struct gather g;

	for (unsigned i = 0; i < 20; i++) {
		vaddr_t va = VA(64 * sim.cpu + i);

		plant(va, everyone());
		gather_one(&g, va, 1);
		if (arg)
			gather_add(&g, va + GiB, GATHER_PAGES + 1, shootdown_stamp());
		shootdown(&g, cpus_online());
		KASSERT(!(holders(va) & sim_online().bits), "CPUs %#lx remember", holders(va));
	}
}

static void test_mutual(void)
{
	sim_boot(&(struct sim_config){.cpus = 4, .seed = 2});
	sim.deaf.bits = 0xf;
	for (unsigned cpu = 0; cpu < 4; cpu++)
		sim_spawn(cpu, ask_all, NULL);
	sim_on(4);
	sim_run_for(20000);
	ok(counter_sum(CNT_shootdown) >= 20,
	   "four CPUs ask each other, deaf to interrupts: they serve while "
	   "they wait");
	sim.deaf.bits = 0; /* who is done and idles needs the interrupt to answer */
	sim_run();
	sim_on(0);
	is_u64(counter_sum(CNT_shootdown), 80, "and all get all their answers");
}

static void test_quiet_points(void)
{
	u64 stamp, flushes;

	sim_boot(&(struct sim_config){.cpus = 3});
	for (unsigned cpu = 0; cpu < 3; cpu++)
		sim_raise(cpu, SIM_TICK);
	sim_settle();
	flushes = counter_sum(CNT_tlb_full);
	for (unsigned cpu = 0; cpu < 3; cpu++)
		sim_raise(cpu, SIM_TICK);
	sim_settle();
	is_u64(counter_sum(CNT_tlb_full), flushes, "who is not behind flushes nothing");
	plant(VA(1), 7);
	stamp = shootdown_stamp();
	for (unsigned cpu = 0; cpu < 3; cpu++) {
		ok(!shootdown_covered(stamp), "not covered before CPU %u's quiet point", cpu);
		sim_raise(cpu, SIM_TICK);
		sim_settle();
	}
	ok(shootdown_covered(stamp) && !holders(VA(1)), "covered when all have passed one");
	is_u64(counter_sum(CNT_tlb_full), flushes + 3, "a flush each");
	is_u64(counter_sum(CNT_quiet_flush), counter_sum(CNT_tlb_full) - 2, "at quiet points");
	is_u64(counter_sum(CNT_ipi_sent), 0, "and no IPI");
}

static void test_join(void)
{
	struct gather g;
	u64 stamp;

	sim_boot(&(struct sim_config){.cpus = 2});
	sim_cpu_power(2);
	sim_on(2);
	plant(VA(1), 7);
	EXPECT_PANIC("before it is online", shootdown_cpu_online());
	sim_on(0);
	gather_one(&g, VA(1), 1);
	stamp = g.stamp;
	shootdown(&g, cpus_online());
	is_u64(holders(VA(1)), 4, "a CPU on its way is not asked");
	sim_on(2);
	sim_cpu_join(2);
	is_u64(holders(VA(1)), 0, "it flushes when it joins");
	ok(shootdown_flushed(2) > stamp, "and says so");
	plant(VA(2), 7);
	gather_one(&g, VA(2), 1);
	shootdown(&g, cpus_online());
	is_u64(holders(VA(2)), 0, "from then on it asks and answers");
	sim_on(0);
	gather_one(&g, VA(3), 1);
	plant(VA(3), 7);
	shootdown(&g, cpus_online());
	is_u64(holders(VA(3)), 0, "both ways");
}

/* --- random --- */

static u64 seed;
static u64 flushed_before[MAX_CPUS][MAX_CPUS]; /* [who looks][whose] */

/* To whoever looks no CPU's published flush ever goes back, or runs ahead of the clock. */
static void check_clocks(void)
{
	for (unsigned cpu = 0; cpu < nr_cpus; cpu++) {
		u64 *before = &flushed_before[sim.cpu][cpu];
		u64 f = shootdown_flushed(cpu), clock = shootdown_clock();

		KASSERT(f >= *before && f <= clock, "CPU %u flushed %lu, then %lu of %lu", cpu,
			*before, f, clock);
		*before = f;
	}
}

/*
 * A CPU clears an entry that all remember, stamps it, and makes sure in one of the ways there are
 * that it is forgotten; then no TLB may hold it.
 */
static void clear_and_wait(unsigned n)
{
	vaddr_t va = VA(1000 * sim.cpu + n), far = va + GiB;
	struct gather g;
	u64 stamp;

	plant(va, everyone());
	plant(far, everyone());
	smp_mb(); /* the exchange that clears */
	stamp = shootdown_stamp();
	switch (sim_random(4)) {
	case 0: /* lazily: others flush by themselves */
		for (unsigned i = 0; i < 200 && !shootdown_covered(stamp); i++)
			cpu_relax();
		if (!shootdown_covered(stamp))
			return;
		break;
	case 1:
		gather_begin(&g);
		gather_add(&g, va, 1, stamp);
		gather_add(&g, far, GATHER_PAGES + 1, stamp);
		shootdown(&g, cpus_online());
		break;
	default:
		gather_begin(&g);
		gather_add(&g, far, 1, stamp);
		gather_add(&g, va, 1, stamp);
		shootdown(&g, cpus_online());
		break;
	}
	KASSERT(!((holders(va) | holders(far)) & sim_online().bits), "CPUs %#lx and %#lx remember",
		holders(va), holders(far));
}

static void random_worker(void *arg __attribute__((unused)))
{
	for (unsigned n = 0; n < 40; n++) {
		switch (sim_random(5)) {
		case 0:
			shootdown_quiet_point();
			break;
		case 1:
			shootdown_flush_local();
			break;
		default:
			clear_and_wait(n);
		}
		sim_raise(sim_random(nr_cpus), SIM_TICK);
		sim_raise(sim_random(nr_cpus), SIM_NMI);
		if (!sim_random(8))
			shootdown_set_strategy((enum shootdown_strategy)sim_random(2));
		check_clocks();
	}
}

static void join_late(void *arg __attribute__((unused)))
{
	plant(VA(7), cpu_bit(sim.cpu));
	for (unsigned i = sim_random(100); i; i--)
		cpu_relax();
	sim_cpu_join(sim.cpu);
	random_worker(NULL);
}

static void test_random(void)
{
	unsigned n = 2 + (unsigned)seed % 3;

	sim_boot(&(struct sim_config){.seed = seed, .cpus = 5});
	sim.preempt = 1 + (u32)seed % 6;
	sim.store_buffer = seed % 4 != 0;
	sim.ipi_at_once = seed % 5 == 0;
	sim.idles = seed % 3 == 0;
	if (seed % 2) {
		sim_cpu_power(5);
		sim_spawn(5, join_late, NULL);
	}
	for (unsigned cpu = 0; cpu < n; cpu++)
		sim_spawn(cpu, random_worker, NULL);
	sim_run();
	sim_settle();
	ok(true, "seed %lu: %u CPUs ask at once, %lu steps, %lu skips", seed, n, sim.steps,
	   counter_sum(CNT_shootdown_skip));
}

static void test_sixty_four(void)
{
	struct gather g;

	sim_boot(&(struct sim_config){.cpus = 64, .seed = 64});
	sim_on(63);
	plant(VA(1), ~0ull);
	gather_one(&g, VA(1), 1);
	shootdown(&g, cpus_online());
	is_u64(holders(VA(1)), 0, "64 CPUs forget");
	is_u64(counter_sum(CNT_ipi_sent), 63, "63 of them by IPI");
	sim.preempt = 4;
	for (unsigned cpu = 0; cpu < 64; cpu += 3)
		sim_spawn(cpu, ask_all, (void *)(u64)(cpu % 2));
	sim_run();
	ok(true, "22 of 64 ask all others at once");
}

int main(void)
{
	sim_scenario("exact", test_exact);
	sim_scenario("full", test_full);
	sim_scenario("subset", test_subset);
	sim_scenario("skip", test_skip);
	sim_scenario("broadcast", test_broadcast);
	sim_scenario("interrupted stamp", test_interrupted_stamp);
	sim_scenario("clock", test_clock);
	sim_scenario("rules", test_rules);
	sim_scenario("coalesced", test_coalesced);
	sim_scenario("mutual", test_mutual);
	sim_scenario("quiet points", test_quiet_points);
	sim_scenario("join", test_join);
	for (seed = 1; seed <= 40; seed++)
		sim_scenario("random", test_random);
	sim_scenario("sixty-four", test_sixty_four);
	return done_testing();
}
