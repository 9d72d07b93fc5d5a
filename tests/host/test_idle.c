// SPDX-License-Identifier: MIT
/*
 * Idle CPUs and the shootdown (mm/shootdown.c: "idle CPUs"). An idle CPU may hold what is stale as
 * long as it does nothing; so what is checked is not what its TLB holds when others go on, but what
 * it holds when it does something. Whatever a test was told is forgotten, it claims; from then on
 * no CPU may hold it in any handler (sim.on_trap) or at any point of its work.
 */
// links: mm/*.c tests/host/sim*.c
#include "mm/gather.h"
#include "tests/host/planting.h"

/* The latest claims; older ones have been looked for often enough. */
#define CLAIMS 32
static vaddr_t claims[CLAIMS];
static unsigned nr_claims;

static void none_stale_here(void)
{
	for (unsigned i = 0; i < MIN(nr_claims, CLAIMS); i++)
		KASSERT(!(holders(claims[i]) & cpu_bit(sim.cpu)),
			"CPU %u is at work and remembers %#lx, claim %u", sim.cpu, claims[i], i);
}

/* mm/ has just said that nobody uses the page any more. */
static void claim(vaddr_t va)
{
	u64 at_work = holders(va) & sim_online().bits;

	KASSERT(!at_work, "%#lx is forgotten, but not by %#lx", va, at_work);
	claims[nr_claims++ % CLAIMS] = va;
}

/* n CPUs, CPU 0 awake, the others idle. */
static void boot_idle(unsigned n)
{
	sim_boot(&(struct sim_config){.cpus = n});
	sim.idles = true;
	sim.on_trap = none_stale_here;
	sim_settle();
	for (unsigned cpu = 0; cpu < n; cpu++)
		is_u64(shootdown_cpu(cpu).idle, cpu ? CPU_IDLE : CPU_AWAKE, "CPU %u", cpu);
}

static u64 in_state(enum cpu_idle state)
{
	u64 bits = 0;

	for (unsigned cpu = 0; cpu < nr_cpus; cpu++)
		if (shootdown_cpu(cpu).idle == state)
			bits |= cpu_bit(cpu);
	return bits;
}

static void just_work(void *arg __attribute__((unused)))
{
	none_stale_here();
}

static void test_left_out(void)
{
	struct gather g;

	boot_idle(4);
	plant(VA(1), 0xf);
	gather_one(&g, VA(1), 1);
	shootdown(&g, cpus_online());
	claim(VA(1));
	is_u64(counter_sum(CNT_ipi_sent), 0, "idle CPUs get no IPI");
	is_u64(counter_sum(CNT_idle_skip), 3, "they are counted");
	is_u64(in_state(CPU_MUST_FLUSH), 0xe, "they are bound to flush");
	is_u64(holders(VA(1)), 0xe, "and have not yet");
	plant(VA(2), 0xf);
	gather_one(&g, VA(2), 1);
	shootdown(&g, cpus_online());
	claim(VA(2));
	is_u64(counter_sum(CNT_idle_skip), 6, "the promise holds for whatever comes meanwhile");

	sim_raise(1, SIM_TICK);
	sim_settle();
	is_u64(holders(VA(1)) | holders(VA(2)), 0xc, "an interrupt: CPU 1 has flushed");
	is_u64(counter_sum(CNT_idle_flush), 1, "once");
	sim_raise(2, SIM_NMI);
	sim_settle();
	is_u64(holders(VA(1)) | holders(VA(2)), 8, "an NMI: CPU 2 as well");
	sim_spawn(3, just_work, NULL);
	sim_run();
	is_u64(holders(VA(1)) | holders(VA(2)), 0, "work: CPU 3 too");
	is_u64(counter_sum(CNT_idle_flush), 3, "each once");
	sim_settle();
	sim_raise(1, SIM_TICK);
	sim_settle();
	is_u64(counter_sum(CNT_idle_flush), 3, "who was asked for no promise need not flush");
	is_u64(counter_sum(CNT_quiet_flush), 0, "nor at the tick: nothing was cleared since");
}

static void test_proof_first(void)
{
	struct gather g;

	boot_idle(3);
	plant(VA(1), 7);
	gather_one(&g, VA(1), 1);
	sim_raise(2, SIM_TICK);
	sim_settle();
	shootdown(&g, cpus_online());
	claim(VA(1));
	is_u64(counter_sum(CNT_shootdown_skip), 1, "who has flushed since is not bound to again");
	is_u64(in_state(CPU_MUST_FLUSH), 2, "the other is");
}

static void test_broadcast(void)
{
	struct gather g;

	boot_idle(4);
	shootdown_set_strategy(SHOOTDOWN_BROADCAST);
	plant(VA(1), 0xf);
	gather_one(&g, VA(1), 1);
	shootdown(&g, cpus_online());
	is_u64(counter_sum(CNT_ipi_sent), 3, "broadcast wakes all");
	is_u64(counter_sum(CNT_shootdown_serve), 3, "who answer");
	is_u64(holders(VA(1)), 0, "and forget");
}

static atomic_t stop;

static void stay_awake(void *arg __attribute__((unused)))
{
	while (!atomic_read(&stop))
		cpu_relax();
}

static void test_covered(void)
{
	u64 stamp;

	boot_idle(4);
	sim_spawn(2, stay_awake, NULL);
	sim_run_for(200);
	plant(VA(1), 0xf);
	stamp = shootdown_stamp();
	ok(!shootdown_covered(stamp), "we have not flushed ourselves");
	is_u64(in_state(CPU_MUST_FLUSH), 0, "so nobody was asked to promise");
	shootdown_flush_local();
	ok(!shootdown_covered(stamp), "one CPU is neither idle nor has it flushed");
	sim_raise(2, SIM_TICK);
	sim_run_for(200);
	ok(shootdown_covered(stamp), "now it has");
	claim(VA(1));
	is_u64(in_state(CPU_MUST_FLUSH), 0xa, "the idle ones are bound to");
	is_u64(holders(VA(1)), 0xa, "and hold it yet");
	is_u64(counter_sum(CNT_ipi_sent), 0, "none of which took an IPI");
	atomic_set(&stop, 1);
	sim_run();
}

static void test_horizon(void)
{
	u64 stamp, clock;

	boot_idle(3);
	stamp = shootdown_stamp();
	clock = shootdown_clock();
	is_u64(shootdown_newest(), stamp, "the newest stamp is the one just taken");
	is_u64(shootdown_horizon(), shootdown_flushed(0), "nobody is ahead of us");
	shootdown_flush_local();
	is_u64(shootdown_clock(), clock + 1, "our flush ticks");
	is_u64(shootdown_horizon(), clock + 1, "the idle ones promise up to the clock");
	ok(stamp < shootdown_horizon() && shootdown_covered(stamp), "which covers the stamp");
	is_u64(in_state(CPU_MUST_FLUSH), 6, "by promise");
	stamp = shootdown_stamp();
	ok(stamp >= shootdown_horizon() && !shootdown_covered(stamp), "a newer one it does not");
	sim_spawn(1, stay_awake, NULL);
	sim_run_for(200);
	shootdown_flush_local();
	ok(shootdown_flushed(1) > clock, "CPU 1 has woken, so it has flushed");
	is_u64(shootdown_horizon(), shootdown_flushed(1), "and is the one that lags now");
	atomic_set(&stop, 1);
	sim_run();
	sim_cpu_power(3);
	sim_on(3);
	sim_cpu_join(3);
	sim_on(0);
	ok(shootdown_horizon() <= shootdown_flushed(3) || in_state(CPU_MUST_FLUSH) & 8,
	   "a CPU that has joined counts");
}

/* The simulator's own part: an NMI minds no interrupt flag, and ends a halt. */
static u64 traps;

static void count_traps(void)
{
	static bool raised;

	traps |= cpu_bit(sim.cpu);
	if (!raised)
		sim_raise(sim.cpu, SIM_NMI);
	raised = true;
	KASSERT(!irqs_enabled(), "a handler runs with interrupts on");
	sim_step(); /* another NMI is pending, and waits */
	KASSERT(this_cpu()->irq_depth == 1, "an NMI in an NMI");
}

static void test_nmi(void)
{
	sim_boot(&(struct sim_config){.cpus = 2});
	sim.on_trap = count_traps;
	irq_disable();
	sim_raise(0, SIM_TICK);
	sim_raise(0, SIM_NMI);
	sim_step();
	ok(traps == 1 && !sim_pending(0, SIM_NMI), "an NMI is taken with interrupts off");
	ok(sim_pending(0, SIM_TICK) && !irqs_enabled(), "a tick is not");
	irq_enable();
	ok(!sim_pending(0, SIM_TICK) && irqs_enabled(), "until they are on again");
	sim.idles = true;
	sim_settle();
	traps = 0;
	is_u64(shootdown_cpu(1).idle, CPU_IDLE, "CPU 1 idles");
	sim.deaf.bits = 2;
	sim_raise(1, SIM_TICK);
	sim_settle();
	is_u64(traps, 0, "deaf, it takes no tick");
	sim_raise(1, SIM_NMI);
	sim_settle();
	ok(traps == 2 && shootdown_cpu(1).idle == CPU_IDLE, "but an NMI, and idles again");
	sim.deaf.bits = 0;
}

/* An NMI that flushes in the middle of a flush: the later clock stays published. */
static void test_nested_flush(void)
{
	unsigned bad = 0;

	sim_boot(&(struct sim_config){.cpus = 1, .seed = 3});
	sim.on_trap = shootdown_flush_local;
	sim.preempt = 1000; /* of the chances for an NMI one in four is taken */
	for (unsigned i = 0; i < 200; i++) {
		sim_raise(0, SIM_NMI);
		shootdown_flush_local();
		sim_settle();
		bad += shootdown_flushed(0) != shootdown_clock();
	}
	is_u64(bad, 0, "times that an earlier clock was published after a later one");
	is_u64(shootdown_clock(), 401, "of 400 flushes");
}

static void go_idle_with_interrupts_on(void)
{
	shootdown_idle_enter();
}

static void test_rules(void)
{
	sim_boot(&(struct sim_config){.cpus = 1});
	EXPECT_PANIC("goes idle with interrupts on", go_idle_with_interrupts_on());
	shootdown_idle_exit();
	is_u64(counter_sum(CNT_tlb_full), 0, "who was not idle owes nothing");
}

/* --- random --- */

static u64 seed;
static u64 covered, beyond, asked;
static u64 highest, latest; /* horizon there has been; stamp that has been covered */

/* What was forgotten once stays so, also while a CPU is keeping its promise to forget it. */
static bool is_covered(u64 stamp)
{
	u64 before = latest;

	KASSERT(!before || shootdown_covered(before), "stamp %lu was covered", before);
	if (!shootdown_covered(stamp))
		return false;
	latest = MAX(latest, stamp);
	return true;
}

static u64 horizon(void)
{
	u64 before = highest, h = shootdown_horizon();

	KASSERT(h >= before, "the horizon was %lu, now %lu", before, h);
	highest = MAX(highest, h);
	return h;
}

/* Clears a page, as far as TLBs can tell, and waits in one of three ways until it is forgotten. */
static void clear_and_claim(unsigned n)
{
	vaddr_t va = VA(1000 * sim.cpu + n);
	struct gather g;
	u64 stamp;

	plant(va, everyone());
	smp_mb(); /* the exchange that clears */
	stamp = shootdown_stamp();
	for (unsigned i = 0; i < 20; i++) {
		switch (sim_random(4)) {
		case 0:
			shootdown_flush_local();
			break;
		case 1:
			if (!is_covered(stamp))
				break;
			covered++;
			claim(va);
			return;
		case 2:
			if (horizon() <= stamp)
				break;
			beyond++;
			claim(va);
			return;
		default:
			if (i < 10)
				break;
			asked++;
			gather_begin(&g);
			gather_add(&g, va, sim_random(2) ? 1 : GATHER_PAGES + 1, stamp);
			shootdown(&g, cpus_online());
			claim(va);
			return;
		}
	}
}

static unsigned pages_used;

static void random_worker(void *arg __attribute__((unused)))
{
	for (unsigned n = 1 + sim_random(12); n; n--) {
		none_stale_here();
		sim_raise(sim_random(nr_cpus), sim_random(2) ? SIM_TICK : SIM_NMI);
		clear_and_claim(pages_used++);
		none_stale_here();
	}
}

static void test_random(void)
{
	unsigned n = 3 + (unsigned)seed % 3;

	sim_boot(&(struct sim_config){.cpus = n, .seed = seed});
	sim.idles = true;
	sim.on_trap = none_stale_here;
	sim.preempt = 1 + (u32)seed % 5;
	sim.store_buffer = seed % 4 != 0;
	sim.ipi_at_once = seed % 5 == 0;
	for (unsigned round = 0; round < 8; round++) {
		u64 who = 1 + sim_random((1u << n) - 1);

		for (unsigned cpu = 0; cpu < n; cpu++)
			if (who & cpu_bit(cpu))
				sim_spawn(cpu, random_worker, NULL);
		sim_run();
	}
	for (unsigned cpu = 0; cpu < n; cpu++)
		sim_raise(cpu, SIM_NMI);
	sim_settle();
	ok(covered + beyond + asked > 20 && counter_sum(CNT_idle_flush),
	   "seed %lu: %lu covered, %lu beyond the horizon, %lu asked for; %lu left idle, %lu flushes "
	   "at wake",
	   seed, covered, beyond, asked, counter_sum(CNT_idle_skip), counter_sum(CNT_idle_flush));
}

/*
 * The race that reading the clock first is for. CPU 2 looks for the horizon; CPU 0 promises. Then
 * CPU 2 is interrupted: meanwhile CPU 0 wakes and flushes, CPU 1 clears something and flushes, and
 * at the end of its interrupt CPU 2 flushes, too. It goes on looking and finds that CPUs 1 and 2
 * have flushed since; but CPU 0's promise was older, and is kept already.
 */
static u64 race_horizon, race_stamp;
static atomic_t race_step; /* 1: armed, 2: CPU 1 may clear, 3: it has */

static void look(void *arg __attribute__((unused)))
{
	race_horizon = shootdown_horizon();
}

static void interrupted_look(void)
{
	if (sim.cpu != 2 || atomic_read(&race_step) != 1)
		return;
	sim_raise(0, SIM_NMI);
	while (sim_pending(0, SIM_NMI) || shootdown_cpu(0).idle > CPU_IDLE)
		cpu_relax();
	atomic_set(&race_step, 2);
	while (atomic_read(&race_step) != 3)
		cpu_relax();
}

static void clear_meanwhile(void *va)
{
	for (unsigned i = sim_random(20); i; i--)
		sim_step();
	atomic_set(&race_step, 1);
	sim_raise(2, SIM_TICK);
	while (atomic_read(&race_step) != 2)
		cpu_relax();
	plant((vaddr_t)va, everyone());
	smp_mb();
	race_stamp = shootdown_stamp();
	shootdown_flush_local();
	atomic_set(&race_step, 3);
}

static void test_horizon_race(void)
{
	unsigned below = 0;

	sim_boot(&(struct sim_config){.cpus = 4, .seed = 1});
	sim_on(3);
	sim.idles = true;
	sim.preempt = 2;
	sim.on_trap = interrupted_look;
	for (u64 i = 0; i < 500; i++) {
		sim_settle();
		sim_spawn(1, clear_meanwhile, (void *)VA(i));
		sim_spawn(2, look, NULL);
		sim_run();
		if (race_stamp < race_horizon) {
			claim(VA(i));
			below++;
		}
		shootdown_flush_local();
	}
	ok(below && below < 500, "%u of 500 stamps are below the horizon", below);
	sim_settle();
	sim_on(0);
}

int main(void)
{
	sim_scenario("left out", test_left_out);
	sim_scenario("proof first", test_proof_first);
	sim_scenario("broadcast", test_broadcast);
	sim_scenario("covered", test_covered);
	sim_scenario("horizon", test_horizon);
	sim_scenario("nmi", test_nmi);
	sim_scenario("nested flush", test_nested_flush);
	sim_scenario("rules", test_rules);
	for (seed = 1; seed <= 60; seed++)
		sim_scenario("random", test_random);
	sim_scenario("horizon race", test_horizon_race);
	return done_testing();
}
