// SPDX-License-Identifier: MIT
/*
 * In place of kernel/cpu.h: of a CPU, what mm/ may know. Which CPU runs is a variable of the
 * simulator.
 */
#ifndef KERNEL_CPU_H
#define KERNEL_CPU_H

#include "kernel/counter.h"
#include "kernel/cpumask.h"
#include "kernel/types.h"

struct park;

struct cpu {
	u32 id;
	u32 irq_depth;
	u32 locks_held;
	struct park *park;
	u64 counters[NR_COUNTERS];
};

extern struct cpu cpus[MAX_CPUS];
extern unsigned nr_cpus;

struct cpu *this_cpu(void);

static inline struct park *this_park(void)
{
	return this_cpu()->park;
}

static inline unsigned cpu_id(void)
{
	return this_cpu()->id;
}

cpumask_t cpus_online(void);

#define count(name)	   count_add(name, 1)
#define count_add(name, n) ((void)(this_cpu()->counters[CNT_##name] += (n)))

#endif
