// SPDX-License-Identifier: MIT
/*
 * What the tests of the shootdown share: translations planted in TLBs by hand, so that each test
 * says exactly who holds what, as if the page's entry had been there until a moment ago.
 */
#ifndef TESTS_HOST_PLANTING_H
#define TESTS_HOST_PLANTING_H

#include "mm/shootdown.h"
#include "tests/host/sim.h"

#define VA(n) (VMAP_BASE + (u64)(n)*PAGE_SIZE)

/* Every CPU of the mask remembers the page, whose entry is gone by now. */
static inline void plant(vaddr_t va, u64 cpu_bits)
{
	static const pte_t anything = {0x200000 | PTE_P | PTE_W | PTE_G | PTE_NX};
	unsigned cpu;

	cpumask_for_each (cpu, ((cpumask_t){cpu_bits}))
		sim_tlb_fill(cpu, va, 1, anything);
}

/* All that can walk the tables, on their way to being online or there, idle or not. */
static inline u64 everyone(void)
{
	u64 bits = 0;

	for (unsigned cpu = 0; cpu < nr_cpus; cpu++)
		if (sim_cpu_state(cpu) != SIM_CPU_ABSENT)
			bits |= cpu_bit(cpu);
	return bits;
}

static inline u64 holders(vaddr_t va)
{
	return sim_tlb_holders(va, 1).bits;
}

static inline void gather_one(struct gather *g, vaddr_t va, u64 pages)
{
	gather_begin(g);
	gather_add(g, va, pages, shootdown_stamp());
}

#endif
