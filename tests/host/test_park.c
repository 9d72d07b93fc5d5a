// SPDX-License-Identifier: MIT
/*
 * mm/park.c against mm/park.h: CPUs take and give areas, others empty their lists, interrupts come
 * in between; no area is given twice and none is lost. Every area is signed by whoever has it.
 */
// links: mm/*.c tests/host/sim*.c
#include "mm/check.h"
#include "mm/lazy.h"
#include "mm/park.h"
#include "mm/shootdown.h"
#include "mm/vmap.h"
#include "tests/host/scarce.h"
#include "tests/host/mapping.h"

static struct area *get(u64 pages)
{
	struct area *a = park_pop(this_park(), pages);

	return a ? a : park_get(pages);
}

/* => its stamp */
static u64 give(struct area *a)
{
	u64 stamp = shootdown_stamp();

	a->stamp = stamp;
	park_cleared(a);
	return stamp;
}

/* An area whose stamp is the time of the last flush of some CPU: that CPU may remember it. */
static void test_horizon(void)
{
	struct area *a, *b, *c;

	sim_boot(&(struct sim_config){.cpus = 2});
	a = get(200);
	b = get(200);
	give(a);
	shootdown_flush_local();
	is_u64(give(b), shootdown_flushed(0), "stamped when CPU 0 had just flushed");
	sim_on(1);
	shootdown_flush_local();
	sim_on(0);
	is_u64(shootdown_horizon(), shootdown_flushed(0), "which is the horizon");
	is_u64((u64)get(200), (u64)a, "what was stamped before it is given");
	c = get(200);
	ok(c != b, "what was stamped with it is not");
	give(a);
	give(c);
	all_quiet();
	park_drain();
}

static void test_order(void)
{
	struct area *a[3], *b, *held[8];
	unsigned n = 0;

	sim_boot(&(struct sim_config){.cpus = 2});
	for (unsigned i = 0; i < 3; i++)
		a[i] = get(200);
	give(a[0]);
	held[n++] = get(200);
	ok(held[0] != a[0], "what was given waits");
	all_quiet();
	give(a[1]);
	is_u64((u64)get(200), (u64)a[0], "what all have forgotten is given");
	b = get(200);
	ok(b != a[1] && b != a[0], "what was cleared after that flush is not");
	park_ready(a[2]);
	is_u64((u64)get(200), (u64)a[2], "what is ready, at once");
	all_quiet();
	is_u64((u64)get(200), (u64)a[1], "the rest in time");
	give(a[0]);
	sim_on(1);
	held[n++] = get(200);
	ok(held[1] != a[0], "each CPU has its own");
	sim_on(0);
	is_u64(park_drain(), 0, "a purge does not take what is remembered");
	all_quiet();
	is_u64(park_drain(), 1, "but all the rest goes home");
	held[n++] = a[1];
	held[n++] = a[2];
	held[n++] = b;
	while (n)
		give(held[--n]);
	all_quiet();
	is_u64(park_drain(), 5, "as do those");
	is_u64(state_of(VMAP_BASE), AREA_FREE, "nothing is left");
}

/* Who finds none carves 128 pages' worth, or one area of more than half of that. */
static void test_batches(void)
{
	static const struct {
		u64 pages, areas;
	} size[] = {{1, 128}, {3, 42}, {64, 2}, {65, 1}, {256, 1}};

	struct area *a[3 * 128];

	sim_boot(&(struct sim_config){0});
	for (unsigned i = 0; i < ARRAY_SIZE(size); i++) {
		u64 misses = counter_sum(CNT_park_miss), n = 3 * size[i].areas;

		for (u64 k = 0; k < n; k++)
			a[k] = get(size[i].pages);
		is_u64(counter_sum(CNT_park_miss) - misses, 3, "%lu pages: %lu areas at a time",
		       size[i].pages, size[i].areas);
		while (n)
			park_ready(a[--n]);
	}
}

/* As stacks are asked for: without a look whether any is ready. None may be lost by that. */
static void test_not_popped(void)
{
	struct area *a, *b;

	sim_boot(&(struct sim_config){.cpus = 2});
	a = get(3); /* several are carved, so others are ready */
	give(a);
	all_quiet();
	KASSERT(atomic_read(&this_park()->class[2].ready), "none is ready");
	b = park_get(3);
	ok(b && b != a, "one that is ready is given, rather than what waits");
	give(b);
	is_u64(mm_check(false), 0, "and all are where they should be");
}

/* A class that nobody uses goes home by itself. */
static void test_idle(void)
{
	u64 home;

	sim_boot(&(struct sim_config){.cpus = 1, .lazy_max_pages = 8});
	get_frames(9);
	vunmap(vmap(f, 9, VM_W));
	home = counter_sum(CNT_park_home);
	for (unsigned i = 0; i < 100; i++)
		vunmap(vmap(f, 2, VM_W));
	ok(counter_sum(CNT_park_home) > home, "what is not used any more goes home");
	vm_unmap_aliases();
	frame_free_many(f, 9);
}

/* Addresses run out while other CPUs' lists have some: they are fetched, without a flush if so. */
static void test_exhausted(void)
{
	struct area *rest;
	void *va, *more;

	sim_boot(&(struct sim_config){.cpus = 2});
	get_frames(3);
	rest = take_addresses_but(8);
	sim_on(1);
	vunmap(vmap(f, 3, VM_W));
	vunmap(vmap(f, 3, VM_W));
	sim_on(0);
	va = vmap(f, 3, VM_W);
	ok(va && counter_sum(CNT_purge) == 1,
	   "another CPU's lazy addresses are found, by one purge");
	more = vmap(f, 3, VM_W);
	ok(more, "and those it kept");
	ok(!vmap(f, 1, VM_W), "then there is really nothing");
	vunmap(va);
	all_quiet();
	is_u64((u64)vmap(f, 1, VM_W) != 0, 1, "a class's addresses serve another (02b709df817c)");
	vunmap((void *)this_park()->last->start);
	vunmap(more);
	vm_unmap_aliases();
	park_drain();
	give_addresses(rest);
	frame_free_many(f, 3);
}

/* --- at once --- */

static struct area *given[2];
static u64 stamp[2];

static void give_or_drain(void *arg __attribute__((unused)))
{
	if (sim.cpu) {
		park_drain();
		return;
	}
	for (u32 n = sim_random(400); n; n--) /* the other looks at 99 classes first */
		sim_step();
	for (unsigned i = 0; i < 2; i++)
		stamp[i] = give(given[i]);
}

/* All was forgotten when CPU 1 began to drain; what CPU 0 gives meanwhile is not. */
static void test_given_and_drained(void)
{
	unsigned early = 0;
	vaddr_t va[2];

	sim_boot(&(struct sim_config){.cpus = 2, .seed = 1});
	for (unsigned i = 0; i < 500; i++) {
		for (unsigned k = 0; k < 2; k++) {
			given[k] = get(100); /* not carved by the dozen */
			va[k] = given[k]->start;
		}
		all_quiet();
		sim_run_all(2, 1 + i % 8, give_or_drain, NULL);
		for (unsigned k = 0; k < 2; k++)
			early += state_of(va[k]) == AREA_FREE && !shootdown_covered(stamp[k]);
	}
	is_u64(early, 0, "nothing goes home before it is forgotten");
	is_u64(mm_check(false), 0, "mm_check() agrees");
}

static u64 seed;
#define PAGES_MAX 4096
static u8 owner[PAGES_MAX]; /* of each page of the vmap area: CPU + 1 */

static void sign(struct area *a, unsigned who)
{
	u64 page = (a->start - VMAP_BASE) >> PAGE_SHIFT;

	for (u64 p = page; p < page + a->span; p++) {
		KASSERT(p >= PAGES_MAX || !who != !owner[p], "page %lu: CPU %u, CPU %u", p, who - 1,
			owner[p] - 1u);
		if (p < PAGES_MAX)
			owner[p] = (u8)who;
	}
}

static void worker(void *arg __attribute__((unused)))
{
	struct area *mine[6];
	unsigned n = 0;

	for (unsigned i = 0; i < 150; i++)
		switch (sim_random(12)) {
		case 0:
			park_drain();
			break;
		case 1:
			sim_raise(sim_random(nr_cpus), SIM_TICK);
			break;
		case 2:
			shootdown_quiet_point();
			break;
		case 3 ... 6:
			if (n < ARRAY_SIZE(mine)) {
				mine[n] = get(1 + sim_random(3));
				KASSERT(mine[n] && (!mine[n]->stamp ||
						    shootdown_covered(mine[n]->stamp)),
					"given, yet remembered");
				sign(mine[n++], sim.cpu + 1);
			}
			break;
		default:
			if (n) {
				struct area *a = mine[--n];

				sign(a, 0);
				if (sim_random(4)) {
					give(a);
				} else {
					a->stamp = 0;
					park_ready(a);
				}
			}
		}
	while (n) {
		sign(mine[--n], 0);
		give(mine[n]);
	}
}

static void test_concurrent(void)
{
	sim_boot(&(struct sim_config){.cpus = 3, .seed = seed});
	sim.store_buffer = seed % 2;
	sim_run_all(3, 1 + (u32)seed % 4, worker, NULL);
	KASSERT(!mm_check(false), "%s", sim_printed());
	all_quiet();
	park_drain();
	is_u64(state_of(VMAP_BASE), AREA_FREE, "seed %lu: all of it comes home, %lu refills", seed,
	       counter_sum(CNT_park_refill));
}

int main(void)
{
	sim_scenario("order", test_order);
	sim_scenario("horizon", test_horizon);
	sim_scenario("batches", test_batches);
	sim_scenario("not popped", test_not_popped);
	sim_scenario("idle", test_idle);
	sim_scenario("exhausted", test_exhausted);
	sim_scenario("given and drained", test_given_and_drained);
	for (seed = 1; seed <= 40; seed++)
		sim_scenario("concurrent", test_concurrent);
	return done_testing();
}
