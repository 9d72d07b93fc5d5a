// SPDX-License-Identifier: MIT
/*
 * Two CPUs, one or two calls each (work_small.c): frames whose lazy mappings another CPU is at,
 * when they are purged, freed, or mapped again with others.
 */
#include "mm/alias.h"
#include "mm/area.h"
#include "mm/park.h"
#include "mm/shootdown.h"
#include "mm/vmap.h"
#include "tests/hostile/promise.h"
#include "tests/hostile/small.h"

/* --- areas of two pages ----------------------------------------------------------------------- */

/* f[0] has two lazy aliases, a page alone and one of two; nothing older waits to be flushed. */
static void prepare_two_aliases(void)
{
	void *pair, *alone;

	get_frames();
	pair = vmap(f, 2, VM_W);
	KASSERT(pair, "no mapping");
	alone = map(0);
	for (unsigned cpu = 3; cpu-- > 0;) {
		sim_on(cpu);
		shootdown_flush_local();
	}
	vunmap(alone);
	vunmap(pair);
}

/* Clears what the other is about to clear, or ends with its area; the flush is another's. */
static void clear_first(void *arg __attribute__((unused)))
{
	KASSERT(!vm_unmap_frame_aliases(f, 1, PURGE_PTES), "the frame is mapped");
}

static void run_two_aliases(void)
{
	two(purge_first, clear_first);
}

/* f[0] and f[1] were mapped together; f[0] now comes with another. */
static void prepare_revive_part(void)
{
	prepare_two_aliases();
	vm_unmap_aliases();
	vunmap(vmap(f, 2, VM_W));
}

static void map_with_another(void *arg __attribute__((unused)))
{
	struct frame *other[2] = {f[0], f[2]};

	mapped[0] = vmap(other, 2, VM_W);
	KASSERT(mapped[0], "no mapping");
}

static void free_and_purge(void *arg __attribute__((unused)))
{
	frame_free(f[1], 0);
	vm_unmap_aliases();
	nobody_reaches(f[1], "a purge");
}

static void run_revive_part(void)
{
	two(map_with_another, free_and_purge);
	f[1] = frame_alloc(0, 0);
	KASSERT(f[1], "no frame");
}

/* --- a frame's purge, while its area ends and becomes another --------------------------------- */

static void prepare_frame_moved(void)
{
	get_frames();
	mapped[0] = map(0);
	park_drain();
	vunmap(mapped[0]);
	mapped[0] = NULL;
}

/* The area goes home. => false: it was cleared for its frame's sake, and is not ready yet */
static bool go_home(void)
{
	struct area *a;

	vm_unmap_aliases();
	a = park_pop(this_park(), 1);
	if (a)
		area_free(a);
	return a;
}

/*
 * And the aliases are asked for, as the other CPU does: so their lock is a word that both use, and
 * the search also stops that one before it lets the lock go, and with it this one's interrupt in.
 */
static void send_home(void *arg __attribute__((unused)))
{
	go_home();
	frame_mapped_live(f[0]);
}

/*
 * The struct is that of the free addresses there now, which begin elsewhere as soon as somebody
 * takes the first of them.
 */
static void carve_again(void *arg __attribute__((unused)))
{
	struct area *a;

	if (!go_home())
		return;
	a = area_alloc(1, 1, AREA_ANYWHERE, AREA_TABLES);
	KASSERT(a, "no area");
	park_ready(a);
}

/* And another frame is mapped there. */
static void map_another(void *arg)
{
	carve_again(arg);
	if (atomic_read(&this_park()->class[0].ready))
		mapped[1] = map(1);
	frame_mapped_live(f[0]);
}

static void run_frame_home(void)
{
	two(clear_first, send_home);
}

static void run_frame_moved(void)
{
	two(clear_first, carve_again);
}

static void run_frame_taken(void)
{
	two(clear_first, map_another);
}

/* --- an area that maps another frame by now --------------------------------------------------- */

/* As a hypervisor flushes, which asks nobody to take part. */
static void flush_by_call(const struct gather *g __attribute__((unused)), cpumask_t on)
{
	u64 clock = shootdown_tick();
	unsigned cpu;

	cpumask_for_each (cpu, on)
		sim_tlb_invalidate_all(cpu);
	shootdown_publish(on, clock);
}

/* f[0]'s lazy area is the only one at hand for who purges it. */
static void prepare_moved_on(void)
{
	get_frames();
	vunmap(map(0));
	put_aside(0);
	put_aside(1);
	sim_on(0);
	sim_mmu_ops.flush = flush_by_call;
}

static void purge_and_map(void *arg __attribute__((unused)))
{
	vm_unmap_aliases();
	mapped[1] = map(1);
}

static void run_moved_on(void)
{
	two(purge_first, purge_and_map);
}

static void free_first(void *arg __attribute__((unused)))
{
	frame_free(f[0], 0);
}

static void run_freed(void)
{
	two(free_first, purge_and_map);
	f[0] = frame_alloc(0, 0);
	KASSERT(f[0], "no frame");
}

const struct workload frame_workloads[] = {
	SMALL("frame-twice", 2, "a frame of two lazy mappings is purged by both", shape_three_keep,
	      prepare_two_aliases, run_two_aliases, finish_reuse),
	SMALL("revive-part", 2, "one maps part of what is lazy, the other frees the rest",
	      shape_three_keep, prepare_revive_part, run_revive_part, finish_reuse),
	SMALL("frame-home", 2, "a frame's purge while its area goes home", shape_two_keep,
	      prepare_frame_moved, run_frame_home, finish_reuse),
	SMALL("frame-taken", 2, "and its address is another frame's", shape_two_keep,
	      prepare_frame_moved, run_frame_taken, finish_reuse),
	SMALL("frame-moved", 2, "a frame's purge while its area becomes another", shape_two_keep,
	      prepare_frame_moved, run_frame_moved, finish_reuse),
	SMALL("moved-on", 2, "a frame's purge, and its area maps another meanwhile", shape_two_keep,
	      prepare_moved_on, run_moved_on, finish_reuse),
	SMALL("freed", 2, "a frame is freed, and its area maps another meanwhile", shape_two_keep,
	      prepare_moved_on, run_freed, finish_reuse),
	{0},
};
