// SPDX-License-Identifier: MIT
/*
 * mm/lazy.c against mm/lazy.h, with areas that were never mapped: who waits how long, what brings
 * them home, and at what price in flushes.
 */
// links: mm/*.c tests/host/sim*.c
#include "mm/check.h"
#include "mm/frame.h"
#include "mm/lazy.h"
#include "mm/shootdown.h"
#include "tests/host/sim.h"

/* An area of n pages, cleared, as vunmap() hands it over. */
static struct area *cleared(u64 n)
{
	struct area *a = area_alloc(n, 1);

	a->name = "test";
	return area_unmap_begin(a->start, 1);
}

static u64 waiting(void)
{
	struct lazy_stats st;
	struct area_stats as;

	lazy_stats(&st);
	area_stats(&as);
	KASSERT(as.nr[AREA_CLEARED] == st.areas, "%lu areas cleared, %lu on the list",
		as.nr[AREA_CLEARED], st.areas);
	return st.pages;
}

static void all_quiet(unsigned nr)
{
	for (unsigned cpu = 0; cpu < nr; cpu++)
		sim_raise(cpu, SIM_TICK);
	sim_settle();
}

static void test_names(void)
{
	enum lazy_policy p = LAZY_TLB;

	ok(!lazy_policy_parse("off", &p) && p == LAZY_OFF, "off");
	ok(!lazy_policy_parse("tlb", &p) && p == LAZY_TLB, "tlb");
	ok(lazy_policy_parse("", &p) == -EINVAL && lazy_policy_parse("tlbx", &p) == -EINVAL &&
		   lazy_policy_parse("OFF", &p) == -EINVAL && p == LAZY_TLB,
	   "anything else is -EINVAL and sets nothing");
	is_str(lazy_policy_name(LAZY_OFF), "off", "the name of off");
	is_str(lazy_policy_name(LAZY_TLB), "tlb", "the name of tlb");
}

static void test_waiting(void)
{
	struct lazy_stats st;
	struct area *a;

	sim_boot(&(struct sim_config){.cpus = 2, .lazy_max_pages = 100});
	lazy_stats(&st);
	ok(st.policy == LAZY_TLB && st.max_pages == 100 && !st.areas && !st.pages &&
		   !st.oldest_stamp,
	   "at first nothing waits");
	is_u64(lazy_purge() + lazy_reclaim(), 0, "nothing comes home");
	is_u64(counter_sum(CNT_shootdown) + counter_sum(CNT_purge), 0, "and costs nothing");
	a = cleared(10);
	lazy_add(a);
	lazy_stats(&st);
	ok(st.areas == 1 && st.pages == 10 && st.peak_pages == 10 && st.oldest_stamp == a->stamp &&
		   a->stamp,
	   "one area waits, stamped");
	lazy_add(cleared(20));
	is_u64(waiting(), 30, "two wait");
	is_u64(lazy_reclaim(), 0, "and are not reclaimed before all CPUs have flushed");
	sim_raise(0, SIM_TICK);
	sim_settle();
	is_u64(lazy_reclaim(), 0, "one CPU is not all");
	all_quiet(2);
	is_u64(lazy_reclaim(), 30, "then they are");
	is_u64(counter_sum(CNT_reclaim_areas), 2, "two areas");
	is_u64(counter_sum(CNT_shootdown) + counter_sum(CNT_ipi_sent), 0, "with no shootdown");
	lazy_stats(&st);
	ok(!st.areas && !st.pages && st.peak_pages == 30, "the peak is remembered");
	lazy_add(cleared(1));
	lazy_stats(&st);
	is_u64(st.peak_pages, 30, "also when less waits again");
	lazy_purge();
	is_u64(mm_check(false), 0, "mm_check() agrees");
}

static void test_order(void)
{
	sim_boot(&(struct sim_config){.cpus = 2, .lazy_max_pages = 100});
	lazy_add(cleared(1));
	lazy_add(cleared(2));
	all_quiet(2);
	lazy_add(cleared(4));
	is_u64(lazy_reclaim(), 3, "what was cleared before the flushes comes home");
	is_u64(waiting(), 4, "what was cleared after them waits");
	irq_disable();
	is_u64(lazy_reclaim(), 0, "reclaiming is for any context");
	irq_enable();
	is_u64(lazy_purge(), 4, "a purge takes the rest");
}

static void test_purge(void)
{
	u64 full;

	sim_boot(&(struct sim_config){.cpus = 3, .lazy_max_pages = 100});
	full = counter_sum(CNT_tlb_full);
	lazy_add(cleared(2));
	lazy_add(cleared(3));
	is_u64(lazy_purge(), 5, "a purge brings all home");
	is_u64(counter_sum(CNT_shootdown), 1, "by one shootdown");
	ok(counter_sum(CNT_tlb_page) == 15 && counter_sum(CNT_tlb_full) == full,
	   "of exact pages on each CPU");
	is_u64(counter_sum(CNT_purge_areas), 2, "two areas");
	is_u64(lazy_purge(), 0, "the next has nothing to do");
	is_u64(counter_sum(CNT_shootdown), 1, "and does nothing");
	for (unsigned i = 0; i < 40; i++)
		lazy_add(cleared(1));
	is_u64(lazy_purge(), 40, "forty areas");
	is_u64(counter_sum(CNT_shootdown_full), 1, "are one full flush");
}

static void test_threshold(void)
{
	u64 shootdowns;

	sim_boot(&(struct sim_config){.cpus = 2, .lazy_max_pages = 10});
	lazy_add(cleared(10));
	is_u64(waiting(), 10, "the threshold itself may wait");
	lazy_add(cleared(1));
	is_u64(waiting(), 0, "one page more is a purge of all");
	is_u64(counter_sum(CNT_purge), 1, "one purge");
	lazy_add(cleared(9));
	all_quiet(2);
	shootdowns = counter_sum(CNT_shootdown);
	lazy_add(cleared(5));
	is_u64(waiting(), 5, "what the CPUs have flushed by themselves comes home first");
	is_u64(counter_sum(CNT_shootdown), shootdowns, "and that was enough: no shootdown");
	lazy_set_max(0);
	lazy_add(cleared(1));
	is_u64(waiting(), 0, "a threshold of 0 lets nothing wait");
	lazy_add(cleared(5000));
	is_u64(waiting(), 0, "nor does one that is smaller than the area");
}

static void test_policy(void)
{
	sim_boot(&(struct sim_config){.cpus = 2});
	lazy_add(cleared(3));
	lazy_set_policy(LAZY_OFF);
	ok(lazy_policy() == LAZY_OFF && !waiting(), "a change of policy purges first");
	lazy_set_policy(LAZY_TLB);
	is_u64(lazy_policy(), LAZY_TLB, "and back");
	EXPECT_PANIC("interrupts off", {
		irq_disable();
		lazy_purge();
	});
}

static u64 seed;

static void worker(void *arg __attribute__((unused)))
{
	for (unsigned i = 0; i < 60; i++) {
		switch (sim_random(6)) {
		case 0:
			lazy_reclaim();
			break;
		case 1:
			shootdown_quiet_point();
			break;
		case 2:
			lazy_purge();
			break;
		default:
			lazy_add(cleared(1 + sim_random(5)));
		}
	}
}

static void test_concurrent(void)
{
	u64 at_hand;

	sim_boot(&(struct sim_config){.cpus = 3, .seed = seed, .lazy_max_pages = seed % 30});
	at_hand = mm_frames_at_hand();
	sim.preempt = 1 + (u32)seed % 5;
	sim.store_buffer = seed % 2;
	for (unsigned cpu = 0; cpu < 3; cpu++)
		sim_spawn(cpu, worker, NULL);
	sim_run();
	sim_settle();
	sim.preempt = 0;
	lazy_purge();
	ok(!waiting() && !mm_check(false) && mm_frames_at_hand() == at_hand,
	   "seed %lu: 3 CPUs, all comes home", seed);
}

/*
 * Everything on the list when a purge was called is free when it returns, though others reclaim
 * meanwhile.
 */
static struct area *mine;

static void reclaimer(void *arg __attribute__((unused)))
{
	for (unsigned i = 0; i < 5; i++)
		lazy_reclaim();
}

static void purger(void *arg)
{
	vaddr_t va = (vaddr_t)arg;
	struct area a;

	lazy_purge();
	KASSERT(area_find(va, &a) && a.state == AREA_FREE, "purged, yet %s",
		area_state_name(a.state));
}

static void test_purge_while_reclaiming(void)
{
	sim_boot(&(struct sim_config){.cpus = 2, .seed = seed});
	for (unsigned round = 0; round < 100; round++) {
		vaddr_t va;

		sim.preempt = 0;
		mine = cleared(1);
		va = mine->start;
		lazy_add(mine);
		all_quiet(2);
		sim.preempt = 2;
		sim_spawn(0, purger, (void *)va);
		sim_spawn(1, reclaimer, NULL);
		sim_run();
	}
	ok(true, "seed %lu: purging while another CPU reclaims", seed);
}

int main(void)
{
	sim_scenario("names", test_names);
	sim_scenario("waiting", test_waiting);
	sim_scenario("order", test_order);
	sim_scenario("purge", test_purge);
	sim_scenario("threshold", test_threshold);
	sim_scenario("policy", test_policy);
	for (seed = 1; seed <= 10; seed++)
		sim_scenario("concurrent", test_concurrent);
	for (seed = 1; seed <= 3; seed++)
		sim_scenario("purge while reclaiming", test_purge_while_reclaiming);
	return done_testing();
}
