// SPDX-License-Identifier: MIT
/*
 * Sets of CPUs. 64 CPUs are one machine word: a set is a value, joins and meets are one
 * instruction, and "who has not answered yet" is one atomic word (mm/shootdown.c).
 */
#ifndef KERNEL_CPUMASK_H
#define KERNEL_CPUMASK_H

#include "kernel/types.h"

#define MAX_CPUS 64

typedef struct {
	u64 bits;
} cpumask_t;

static inline u64 cpu_bit(unsigned cpu)
{
	return 1ull << cpu;
}

static inline bool cpumask_has(cpumask_t m, unsigned cpu)
{
	return m.bits & cpu_bit(cpu);
}

static inline unsigned cpumask_count(cpumask_t m)
{
	unsigned n = 0;

	for (; m.bits; m.bits &= m.bits - 1)
		n++;
	return n;
}

/* cpumask_for_each(cpu, mask): lowest first */
#define cpumask_for_each(cpu, mask)                                                     \
	for (u64 _m = (mask).bits; _m && ((cpu) = (unsigned)__builtin_ctzll(_m), true); \
	     _m &= _m - 1)

#endif
