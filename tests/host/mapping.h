// SPDX-License-Identifier: MIT
/*
 * What the tests of vmap share: frames that begin with their own number, and looks through a TLB.
 */
#ifndef TESTS_HOST_MAPPING_H
#define TESTS_HOST_MAPPING_H

#include "mm/alias.h"
#include "mm/area.h"
#include "tests/host/sim.h"

#define MANY 1600

static struct frame *f[MANY];

/* Every frame begins with its own number. */
static inline void get_frames(unsigned n)
{
	KASSERT(!frame_alloc_many(f, n, FRAME_ZERO), "no frames for the test");
	for (unsigned i = 0; i < n; i++)
		*(u64 *)frame_virt(f[i]) = frame_pfn(f[i]).n;
}

/* => page i of va reads, on this CPU, as frame i does, and so on for n pages */
static inline bool reads_right(unsigned cpu, vaddr_t va, struct frame *const *want, unsigned n)
{
	u64 v;

	for (unsigned i = 0; i < n; i++)
		if (sim_read(cpu, va + i * PAGE_SIZE, &v) || v != frame_pfn(want[i]).n)
			return false;
	return true;
}

static inline bool faults(unsigned cpu, vaddr_t va, unsigned n)
{
	u64 v;

	for (unsigned i = 0; i < n; i++)
		if (sim_read(cpu, va + i * PAGE_SIZE, &v) != SIM_NOT_PRESENT)
			return false;
	return true;
}

static inline enum area_state state_of(vaddr_t va)
{
	struct area a;

	KASSERT(area_find(va, &a), "no area at %#lx", va);
	return word_state(atomic_read(&a.word));
}

/* All CPUs pass a quiet point. */
static inline void all_quiet(void)
{
	for (unsigned cpu = 0; cpu < nr_cpus; cpu++)
		sim_raise(cpu, SIM_TICK);
	sim_settle();
}

static inline bool aliases_are(unsigned n, unsigned want)
{
	for (unsigned i = 0; i < n; i++)
		if (frame_aliases(f[i]) != want)
			return false;
	return true;
}

#endif
