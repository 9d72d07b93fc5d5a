// SPDX-License-Identifier: MIT
/*
 * Two CPUs, one or two calls each: small enough that all schedules with a few events can be tried.
 * Each is a pair that must not go wrong, whatever comes between its accesses.
 */
#include "mm/aspace.h"
#include "mm/lazy.h"
#include "mm/park.h"
#include "mm/vmap.h"
#include "tests/host/planting.h"
#include "tests/hostile/hostile.h"
#include "tests/hostile/promise.h"

static struct frame *f[4];
static void *mapped[4];

static void two(void (*zero)(void *), void (*one)(void *))
{
	sim_spawn(0, zero, NULL);
	sim_spawn(1, one, NULL);
	sim_run();
}

static void shape_two(struct sim_config *c)
{
	c->cpus = 2;
	c->ram[0].end = 4 * MiB;
	c->eager = c->keep = c->deferred = false;
	c->lazy_max_pages = 64;
	sim.idles = false;
	sim.store_buffer = true;
}

static void shape_two_keep(struct sim_config *c)
{
	shape_two(c);
	c->keep = true;
}

static void get_frames(void)
{
	KASSERT(!frame_alloc_many(f, ARRAY_SIZE(f), FRAME_ZERO), "no frames");
	for (unsigned i = 0; i < ARRAY_SIZE(f); i++)
		sign_frame(f[i], i);
}

/*
 * Areas that are ready and in nobody's way are put aside, so that what is mapped next must be one
 * that was unmapped.
 */
static struct area *aside[2];

static void put_aside(unsigned cpu)
{
	struct area *a;

	sim_on(cpu);
	vunmap(vmap(&f[3], 1, VM_W));
	while ((a = park_pop(this_park(), 1))) {
		a->parked = aside[cpu];
		aside[cpu] = a;
	}
}

static void put_back(void)
{
	for (unsigned cpu = 0; cpu < 2; cpu++) {
		sim_on(cpu);
		for (struct area *a = aside[cpu], *next; a; a = next) {
			next = a->parked;
			park_ready(a);
		}
	}
	sim_on(0);
}

static void *map(unsigned i)
{
	void *va = vmap(&f[i], 1, VM_W);

	KASSERT(va, "no mapping: %s", sim_printed());
	must_read((vaddr_t)va, f[i], i);
	return va;
}

static void no_finish(void)
{
}

/* --- shootdown against shootdown -------------------------------------------------------------- */

static void clear_and_ask(void *arg __attribute__((unused)))
{
	vaddr_t va = VA(16 * sim.cpu);
	struct gather g;

	plant(va, everyone());
	smp_mb(); /* the exchange that clears */
	gather_one(&g, va, 1);
	shootdown(&g, cpus_online());
	nobody_remembers(va, 1, "a shootdown");
}

static void run_shootdowns(void)
{
	two(clear_and_ask, clear_and_ask);
}

/* The same, one of them asking for everything: the clock moves. */
static void clear_and_ask_all(void *arg __attribute__((unused)))
{
	vaddr_t va = VA(16 * sim.cpu);
	struct gather g;

	plant(va, everyone());
	smp_mb();
	gather_one(&g, va, 1);
	gather_add_all(&g, g.stamp);
	shootdown(&g, cpus_online());
	nobody_remembers(va, 1, "a full shootdown");
}

static void run_full(void)
{
	two(clear_and_ask, clear_and_ask_all);
}

/* --- a shootdown against going idle and waking ------------------------------------------------ */

static vaddr_t claimed;

static void none_stale(void)
{
	KASSERT(!claimed || !(holders(claimed) & cpu_bit(sim.cpu)),
		"CPU %u is at work and remembers %#lx", sim.cpu, claimed);
}

static void shape_idle(struct sim_config *c)
{
	shape_two(c);
	sim.idles = true;
}

static void prepare_idle(void)
{
	sim.on_trap = none_stale;
	sim_settle();
}

static void just_work(void *arg __attribute__((unused)))
{
	none_stale();
}

static void ask_idle(void *arg)
{
	clear_and_ask(arg);
	claimed = VA(16 * sim.cpu);
}

static void run_idle(void)
{
	sim_raise(1, SIM_NMI);
	sim_raise(1, SIM_TICK);
	two(ask_idle, just_work);
}

/* By asking whether it is covered, not for it. */
static void look_covered(void *arg __attribute__((unused)))
{
	vaddr_t va = VA(16 * sim.cpu);
	u64 stamp;

	plant(va, everyone());
	smp_mb();
	stamp = shootdown_stamp();
	shootdown_flush_local();
	for (unsigned i = 0; i < 3; i++)
		if (shootdown_covered(stamp)) {
			nobody_remembers(va, 1, "being covered");
			claimed = va;
		}
}

static void run_covered(void)
{
	sim_raise(1, SIM_NMI);
	two(look_covered, just_work);
}

/* --- unmapping against the reuse of addresses ------------------------------------------------- */

static void prepare_reuse(void)
{
	get_frames();
	put_aside(0);
	put_aside(1);
	mapped[1] = map(1);
	sim_on(0);
	mapped[0] = map(0);
}

static void unmap_and_map(void *arg __attribute__((unused)))
{
	unsigned i = sim.cpu;

	vunmap(mapped[i]);
	shootdown_quiet_point();
	mapped[i] = map(2 + i);
	must_read((vaddr_t)mapped[i], f[2 + i], 2 + i);
}

static void run_reuse(void)
{
	two(unmap_and_map, unmap_and_map);
}

static void finish_reuse(void)
{
	for (unsigned i = 0; i < ARRAY_SIZE(mapped); i++)
		if (mapped[i])
			vunmap(mapped[i]);
	frame_free_many(f, ARRAY_SIZE(f));
	vm_unmap_aliases();
	put_back();
}

/* --- addresses that a CPU keeps, taken by it and by another ----------------------------------- */

static void prepare_park(void)
{
	get_frames();
	put_aside(1);
	put_aside(0);
	for (unsigned i = 0; i < 3; i++) {
		struct area *a = aside[0];

		aside[0] = a->parked;
		park_ready(a);
	}
}

static void take_and_give(void *arg __attribute__((unused)))
{
	for (unsigned i = 0; i < 2; i++) {
		struct area *a = park_pop(this_park(), 1);

		if (!a)
			continue;
		a->stamp = i ? shootdown_stamp() : 0;
		if (i)
			park_cleared(a);
		else
			park_ready(a);
	}
}

static void drain(void *arg __attribute__((unused)))
{
	park_drain();
}

static void run_park(void)
{
	two(take_and_give, drain);
}

/* --- purges ----------------------------------------------------------------------------------- */

static void prepare_lazy(void)
{
	get_frames();
	for (unsigned i = 0; i < 3; i++)
		vunmap(map(i));
}

static void map_revived(void *arg __attribute__((unused)))
{
	mapped[0] = map(0);
	vunmap(mapped[0]);
	mapped[0] = map(0);
}

static void purge_all(void *arg __attribute__((unused)))
{
	vm_unmap_aliases();
	nobody_reaches(f[2], "a purge");
	mapped[1] = map(1);
}

static void run_revive(void)
{
	two(map_revived, purge_all);
}

static void unmap_and_purge(void *arg __attribute__((unused)))
{
	unsigned i = sim.cpu;

	vunmap(mapped[i]);
	vm_unmap_aliases();
	nobody_reaches(f[i], "a purge");
}

static void run_purges(void)
{
	two(unmap_and_purge, unmap_and_purge);
}

static void finish_lazy(void)
{
	frame_free_many(f, ARRAY_SIZE(f));
	vm_unmap_aliases();
	put_back();
}

static void purge_frame(void *arg __attribute__((unused)))
{
	unsigned i = sim.cpu;

	vunmap(mapped[i]);
	KASSERT(!vm_unmap_frame_aliases(&f[i], 1, PURGE_FLUSH), "frame %u is mapped", i);
	nobody_reaches(f[i], "its purge");
}

static void run_frame_purge(void)
{
	two(purge_frame, unmap_and_purge);
}

/* --- blocks of frames ------------------------------------------------------------------------- */

static struct frame *block[2];

static void prepare_buddy(void)
{
	struct frame *some[8];
	unsigned n = 0;

	block[1] = NULL;
	for (; n < ARRAY_SIZE(some) && !block[1]; n++) {
		some[n] = frame_alloc(1, 0);
		KASSERT(some[n], "no frames");
		for (unsigned i = 0; i < n; i++)
			if ((frame_pfn(some[n]).n ^ frame_pfn(some[i]).n) == 2) {
				block[0] = some[i];
				block[1] = some[n];
			}
	}
	KASSERT(block[1], "no two blocks are buddies");
	while (n--)
		if (some[n] != block[1])
			frame_free(some[n], 1);
}

/* CPU 0 takes the block again while CPU 1 frees its buddy, which looks whether they can merge. */
static void take_block(void *arg __attribute__((unused)))
{
	block[0] = frame_alloc(1, 0);
	KASSERT(block[0], "no frames");
}

static void free_buddy(void *arg __attribute__((unused)))
{
	frame_free(block[1], 1);
}

static void run_buddy(void)
{
	two(take_block, free_buddy);
}

static void finish_buddy(void)
{
	frame_free(block[0], 1);
}

/* --- address spaces --------------------------------------------------------------------------- */

#define SPACE_VA 0x40000000ul
static struct aspace *space;

static void prepare_space(void)
{
	space = aspace_create("small");
	KASSERT(space && !aspace_map(space, SPACE_VA, 1, VM_W), "no space");
	sim_on(1);
	KASSERT(!aspace_load(space), "not loaded");
	aspace_leave();
	sim_on(0);
}

static void unmap_page(void *arg __attribute__((unused)))
{
	KASSERT(!aspace_unmap(space, SPACE_VA, 1), "not unmapped");
	nobody_remembers(SPACE_VA, 1, "aspace_unmap");
}

static void visit_space(void *arg __attribute__((unused)))
{
	u64 v;

	KASSERT(!aspace_load(space), "not loaded");
	(void)!sim_read(sim.cpu, SPACE_VA, &v);
	aspace_leave();
}

static void run_space(void)
{
	two(unmap_page, visit_space);
}

static void finish_space(void)
{
	KASSERT(!aspace_destroy(space), "not destroyed");
}

#define SMALL(n, a, s, p, r, fin)                                                         \
	{                                                                                 \
		.name = n, .about = a, .small = true, .shape = s, .prepare = p, .run = r, \
		.finish = fin                                                             \
	}

const struct workload small_workloads[] = {
	SMALL("shootdowns", "two CPUs ask each other to forget a page", shape_two, NULL,
	      run_shootdowns, no_finish),
	SMALL("full", "one asks for a page, the other for everything", shape_two, NULL, run_full,
	      no_finish),
	SMALL("idle", "a shootdown while the other CPU wakes, works and idles", shape_idle,
	      prepare_idle, run_idle, no_finish),
	SMALL("covered", "looking for proof while the other CPU wakes", shape_idle, prepare_idle,
	      run_covered, no_finish),
	SMALL("reuse", "both unmap, flush and map again, lazily", shape_two, prepare_reuse,
	      run_reuse, finish_reuse),
	SMALL("park", "one maps, the other takes its addresses home", shape_two, prepare_park,
	      run_park, finish_reuse),
	SMALL("revive", "one revives what the other purges", shape_two_keep, prepare_lazy,
	      run_revive, finish_reuse),
	SMALL("purges", "both unmap and purge, policy tlb", shape_two, prepare_reuse, run_purges,
	      finish_lazy),
	SMALL("purges-pte", "both unmap and purge, policy pte", shape_two_keep, prepare_reuse,
	      run_purges, finish_lazy),
	SMALL("frame-purge", "a frame's purge against a purge, policy pte", shape_two_keep,
	      prepare_reuse, run_frame_purge, finish_lazy),
	SMALL("buddy", "a block is taken while its buddy is freed", shape_two, prepare_buddy,
	      run_buddy, finish_buddy),
	SMALL("space", "a page of a space is unmapped while a CPU visits", shape_two, prepare_space,
	      run_space, finish_space),
	{0},
};
