// SPDX-License-Identifier: MIT
/*
 * Two CPUs, one or two calls each (work_small.c): what is unmapped lazily, and what may be done
 * with it meanwhile.
 */
#include "mm/chunk.h"
#include "mm/park.h"
#include "mm/shootdown.h"
#include "mm/vmap.h"
#include "tests/host/sim_cpu.h"
#include "tests/hostile/promise.h"
#include "tests/hostile/small.h"

struct frame *f[4];
void *mapped[4];

void shape_two_keep(struct sim_config *c)
{
	shape_two(c);
	c->keep = true;
}

void get_frames(void)
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

void put_aside(unsigned cpu)
{
	struct area *a;

	sim_on(cpu);
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

void *map(unsigned i)
{
	void *va = vmap(&f[i], 1, VM_W);

	KASSERT(va, "no mapping: %s", sim_printed());
	must_read((vaddr_t)va, f[i], i);
	return va;
}

/* --- unmapping against the reuse of addresses ------------------------------------------------- */

static void prepare_reuse(void)
{
	get_frames();
	for (unsigned cpu = 2; cpu-- > 0;) {
		sim_on(cpu);
		mapped[cpu] = map(cpu);
		mapped[2 + cpu] = map(2 + cpu);
		put_aside(cpu);
	}
}

/*
 * The first area may be used again as soon as both CPUs have flushed since; the second, whose pages
 * somebody may remember for longer, is on the same list. (A look first, because a CPU that finds no
 * area carves a hundred new ones.)
 */
static void unmap_and_map(void *arg __attribute__((unused)))
{
	unsigned i = sim.cpu;
	u64 stamp;

	vunmap(mapped[i]);
	stamp = area_of((vaddr_t)mapped[i])->stamp;
	mapped[i] = NULL;
	shootdown_quiet_point();
	vunmap(mapped[2 + i]);
	mapped[2 + i] = NULL;
	if (!shootdown_covered(stamp))
		return;
	mapped[i] = map(2 + i);
	must_read((vaddr_t)mapped[i], f[2 + i], 2 + i);
}

static void run_reuse(void)
{
	two(unmap_and_map, unmap_and_map);
}

void finish_reuse(void)
{
	for (unsigned i = 0; i < ARRAY_SIZE(mapped); i++)
		if (mapped[i])
			vunmap(mapped[i]);
	frame_free_many(f, ARRAY_SIZE(f));
	vm_unmap_aliases();
	put_back();
}

/* --- addresses that a CPU keeps, taken by it and by another ----------------------------------- */

static vaddr_t parked_va;

static void prepare_park(void)
{
	prepare_reuse();
	for (unsigned i = 0; i < 3; i++) {
		struct area *a = aside[0];

		aside[0] = a->parked;
		park_ready(a);
	}
	for (unsigned cpu = 0; cpu < 2; cpu++)
		sim_raise(cpu, SIM_TICK); /* then nothing waits to be forgotten */
}

/* One is ready and is given again, one is given back, and one has just been unmapped. */
static void take_and_give(void *arg __attribute__((unused)))
{
	struct area *a = park_pop(this_park(), 1);

	if (a)
		park_ready(a);
	parked_va = (vaddr_t)mapped[0];
	vunmap(mapped[0]);
	mapped[0] = NULL;
}

static void drain(void *arg __attribute__((unused)))
{
	park_drain();
}

static void run_park(void)
{
	two(take_and_give, drain);
}

static void finish_park(void)
{
	struct area a;

	KASSERT(area_find(parked_va, &a), "no area");
	if (word_state(atomic_read(&a.word)) == AREA_FREE)
		nobody_remembers(parked_va, 1, "its address went home");
	finish_reuse();
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
	mapped[i] = NULL;
	vm_unmap_aliases();
	nobody_reaches(f[i], "a purge");
}

/* CPU 1 revives what CPU 0 is just unmapping, if it comes in time, and unmaps it itself. */
static void unmap(void *arg __attribute__((unused)))
{
	vunmap(mapped[0]);
}

static void revive_and_purge(void *arg __attribute__((unused)))
{
	void *va = map(0);

	vunmap(va);
	if (va != mapped[0])
		return;
	vm_unmap_aliases();
	nobody_reaches(f[0], "a purge");
}

/* An area at hand for CPU 1, if there is nothing to revive. */
static void prepare_revive_other(void)
{
	struct area *a;

	prepare_reuse();
	a = aside[1];

	aside[1] = a->parked;
	sim_on(1);
	park_ready(a);
	sim_on(0);
}

static void run_revive_other(void)
{
	two(unmap, revive_and_purge);
	mapped[0] = NULL;
}

static void run_purges(void)
{
	two(unmap_and_purge, unmap_and_purge);
}

static void purge_frame(void *arg __attribute__((unused)))
{
	unsigned i = sim.cpu;

	vunmap(mapped[i]);
	mapped[i] = NULL;
	KASSERT(!vm_unmap_frame_aliases(&f[i], 1, PURGE_FLUSH), "frame %u is mapped", i);
	nobody_reaches(f[i], "its purge");
}

static void run_frame_purge(void)
{
	two(purge_frame, unmap_and_purge);
}

/* CPU 2 has flushed after all that was ever stamped, and remembers what is cleared now. */
void shape_three_keep(struct sim_config *c)
{
	shape_two_keep(c);
	c->cpus = 3;
}

static void prepare_frame_purge_third(void)
{
	prepare_reuse();
	vunmap(mapped[0]);
	mapped[0] = NULL;
	sim_on(2);
	shootdown_flush_local();
	sim_on(0);
}

static void clear_all(void *arg __attribute__((unused)))
{
	lazy_purge(PURGE_PTES);
}

void purge_first(void *arg __attribute__((unused)))
{
	KASSERT(!vm_unmap_frame_aliases(f, 1, PURGE_FLUSH), "the frame is mapped");
	nobody_reaches(f[0], "its purge");
}

static void run_frame_purge_third(void)
{
	two(clear_all, purge_first);
}

/* The same where an unmapping clears it, policy tlb: it has given out no stamp before. */
static void shape_three(struct sim_config *c)
{
	shape_two(c);
	c->cpus = 3;
}

static void prepare_frame_unmapped(void)
{
	prepare_reuse();
	shootdown_stamp(); /* the newest, and not "none yet", which proves nothing to anybody */
	sim_on(2);
	shootdown_flush_local();
	sim_on(0);
}

static void purge_another_s(void *arg __attribute__((unused)))
{
	if (!vm_unmap_frame_aliases(&f[1], 1, PURGE_FLUSH))
		nobody_reaches(f[1], "its purge");
}

static void just_unmap(void *arg __attribute__((unused)))
{
	vunmap(mapped[1]);
	mapped[1] = NULL;
}

static void run_frame_unmapped(void)
{
	two(purge_another_s, just_unmap);
}

/* --- a frame that is mapped twice ------------------------------------------------------------- */

static void prepare_shared(void)
{
	prepare_reuse();
	for (unsigned cpu = 0; cpu < 2; cpu++) {
		struct area *a = aside[cpu];

		aside[cpu] = a->parked;
		sim_on(cpu);
		park_ready(a);
		vunmap(mapped[cpu]);
		mapped[cpu] = map(0);
	}
	sim_on(0);
}

static void unmap_mine(void *arg __attribute__((unused)))
{
	vunmap(mapped[sim.cpu]);
	mapped[sim.cpu] = NULL;
}

static void unmap_and_flush(void *arg)
{
	unmap_mine(arg);
	shootdown_quiet_point();
}

static void flush_and_unmap(void *arg)
{
	shootdown_quiet_point();
	unmap_mine(arg);
}

static void run_shared(void)
{
	two(unmap_and_flush, flush_and_unmap);
}

static void finish_shared(void)
{
	if (!frame_remembered(f[0]))
		nobody_reaches(f[0], "both of its mappings ended, and it is said to be forgotten,");
	finish_reuse();
}

/* --- unmapping with a spinlock held ----------------------------------------------------------- */

static spinlock_t handlers_lock = SPINLOCK_INIT("handlers'");

static void use_lock(void)
{
	if (sim_me()->in_nmi)
		return;
	spin_lock(&handlers_lock);
	spin_unlock(&handlers_lock);
}

static void prepare_locked(void)
{
	prepare_reuse();
	vunmap(mapped[2]);
	mapped[2] = NULL;
	sim_on(1);
	this_park()->room = 0; /* the next unmapping looks at what waits */
	sim_on(0);
	sim.on_trap = use_lock;
}

/* Whoever is waited for may be interrupted by a handler that waits for the lock. */
static void unmap_locked(void *arg __attribute__((unused)))
{
	spin_lock(&handlers_lock);
	sim_raise(0, SIM_TICK);
	vunmap(mapped[1]);
	mapped[1] = NULL;
	spin_unlock(&handlers_lock);
}

static void run_locked(void)
{
	two(clear_all, unmap_locked);
}

const struct workload lazy_workloads[] = {
	SMALL("reuse", 2, "both unmap, flush and map again, lazily", shape_two, prepare_reuse,
	      run_reuse, finish_reuse),
	SMALL("park", 3, "one takes and gives addresses, the other takes them home", shape_two,
	      prepare_park, run_park, finish_park),
	SMALL("revive", 2, "one revives what the other purges", shape_two_keep, prepare_lazy,
	      run_revive, finish_reuse),
	SMALL("revive-other", 2, "one revives what the other is just unmapping, and purges",
	      shape_two_keep, prepare_revive_other, run_revive_other, finish_reuse),
	SMALL("purges", 2, "both unmap and purge, policy tlb", shape_two, prepare_reuse, run_purges,
	      finish_reuse),
	SMALL("purges-pte", 2, "both unmap and purge, policy pte", shape_two_keep, prepare_reuse,
	      run_purges, finish_reuse),
	SMALL("frame-purge", 2, "a frame's purge against a purge, policy pte", shape_two_keep,
	      prepare_reuse, run_frame_purge, finish_reuse),
	SMALL("frame-cleared", 2, "a frame's purge while another CPU clears its entry",
	      shape_three_keep, prepare_frame_purge_third, run_frame_purge_third, finish_reuse),
	SMALL("frame-unmapped", 2, "a frame's purge while another CPU unmaps it", shape_three,
	      prepare_frame_unmapped, run_frame_unmapped, finish_reuse),
	SMALL("locked", 2, "one unmaps under a lock of handlers, the other purges", shape_two_keep,
	      prepare_locked, run_locked, finish_reuse),
	SMALL("shared-frame", 2, "both unmap the same frame", shape_two, prepare_shared, run_shared,
	      finish_shared),
	{0},
};
