// SPDX-License-Identifier: MIT
/*
 * Two CPUs, one or two calls each: small enough that all schedules with a few events can be tried.
 * Each is a pair that must not go wrong, whatever comes between its accesses.
 */
#include "mm/aspace.h"
#include "mm/kmap.h"
#include "tests/host/planting.h"
#include "tests/hostile/promise.h"
#include "tests/hostile/small.h"

void two(void (*zero)(void *), void (*one)(void *))
{
	sim_spawn(0, zero, NULL);
	sim_spawn(1, one, NULL);
	sim_run();
}

void shape_two(struct sim_config *c)
{
	c->cpus = 2;
	c->ram[0].end = 4 * MiB;
	c->eager = c->keep = c->deferred = false;
	c->lazy_max_pages = 64;
	sim.idles = false;
	sim.store_buffer = true;
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

/* Two ask a third one, which has nothing else to do, at the same time. */
static void shape_three(struct sim_config *c)
{
	shape_two(c);
	c->cpus = 3;
}

static void ask_third(void *arg __attribute__((unused)))
{
	vaddr_t va = VA(16 * sim.cpu);
	struct gather g;

	plant(va, cpu_bit(2));
	smp_mb();
	gather_one(&g, va, 1);
	shootdown(&g, (cpumask_t){cpu_bit(2)});
	nobody_remembers(va, 1, "a shootdown");
}

static void run_third(void)
{
	two(ask_third, ask_third);
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

/*
 * By asking for the horizon, which must not be newer than the oldest promise it rests on: CPU 0 may
 * wake and keep its promise while CPU 2 still looks, and CPU 1, which is looked at later, clear
 * something and flush only then; CPU 2 itself does at a tick. So that few events are enough, the
 * others wait for CPU 2 to begin.
 */
static bool looking;
static u64 cleared_at;

static void shape_horizon(struct sim_config *c)
{
	shape_idle(c);
	c->cpus = 3;
}

static void clear_and_flush(void *arg __attribute__((unused)))
{
	while (!looking)
		cpu_relax();
	plant(VA(1), everyone());
	smp_mb();
	cleared_at = shootdown_stamp();
	shootdown_flush_local();
	sim_raise(2, SIM_TICK);
}

static void look_at_horizon(void *arg __attribute__((unused)))
{
	u64 horizon;

	sim_raise(0, SIM_NMI);
	looking = true;
	horizon = shootdown_horizon();
	if (cleared_at && cleared_at < horizon)
		nobody_remembers(VA(1), 1, "what is below the horizon");
}

static void run_horizon(void)
{
	looking = false;
	cleared_at = 0;
	sim_spawn(1, clear_and_flush, NULL);
	sim_spawn(2, look_at_horizon, NULL);
	sim_run();
}

/* --- a CPU that comes online ------------------------------------------------------------------ */

static void shape_join(struct sim_config *c)
{
	shape_two(c);
	c->cpus = 1;
}

static void prepare_join(void)
{
	KASSERT(!kmap_local_init_cpu(1), "no memory");
	sim_cpu_power(1);
	sim_on(1);
	KASSERT(!mmu->load_root(kmap_local_root(1)), "no root");
	sim_on(0);
}

static void join_and_work(void *arg __attribute__((unused)))
{
	sim_cpu_join(1);
	none_stale();
}

static void run_join(void)
{
	two(ask_idle, join_and_work);
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
		if (some[n] != block[0] && some[n] != block[1])
			frame_free(some[n], 1);
	frame_free(block[0], 1); /* the last is taken first */
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

/* --- a bug on purpose ------------------------------------------------------------------------- */

static atomic_t counted;

/* By a read and a write: what another CPU counts in between is lost. */
static void count_badly(void *arg __attribute__((unused)))
{
	for (unsigned i = 0; i < 3; i++)
		if (op_wanted(i))
			atomic_set(&counted, atomic_read(&counted) + 1);
}

static void run_planted(void)
{
	u64 want = 0;

	two(count_badly, count_badly);
	for (unsigned cpu = 0; cpu < 2; cpu++)
		for (unsigned i = 0; i < 3; i++) {
			sim_on(cpu);
			want += op_wanted(i);
		}
	sim_on(0);
	KASSERT(atomic_read(&counted) == want, "some were lost: there are %lu", counted.v);
}

const struct workload small_workloads[] = {
	SMALL("shootdowns", 2, "two CPUs ask each other to forget a page", shape_two, NULL,
	      run_shootdowns, no_finish),
	SMALL("third", 2, "two CPUs ask a third one", shape_three, NULL, run_third, no_finish),
	SMALL("full", 2, "one asks for a page, the other for everything", shape_two, NULL, run_full,
	      no_finish),
	SMALL("idle", 2, "a shootdown while the other CPU wakes, works and idles", shape_idle,
	      prepare_idle, run_idle, no_finish),
	SMALL("covered", 2, "looking for proof while the other CPU wakes", shape_idle, prepare_idle,
	      run_covered, no_finish),
	SMALL("horizon", 2, "looking for the horizon while others wake, clear and flush",
	      shape_horizon, prepare_idle, run_horizon, no_finish),
	SMALL("join", 3, "a shootdown while the other CPU comes online", shape_join, prepare_join,
	      run_join, no_finish),
	SMALL("buddy", 3, "a block is taken while its buddy is freed", shape_two, prepare_buddy,
	      run_buddy, finish_buddy),
	SMALL("space", 3, "a page of a space is unmapped while a CPU visits", shape_two,
	      prepare_space, run_space, finish_space),
	{.name = "planted",
	 .about = "not right, to see it found",
	 .planted = true,
	 .depth = 2,
	 .shape = shape_two,
	 .run = run_planted,
	 .finish = no_finish},
	{0},
};
