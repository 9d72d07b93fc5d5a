// SPDX-License-Identifier: MIT
/*
 * In place of kernel/cpu.h: of a CPU, what mm/ and kernel/spinlock.c may know. A CPU is a thread.
 * Where something is counted, it may be interrupted: that is in every call of the engine, and
 * mostly in the middle.
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
} __aligned_to(CACHE_LINE);

extern struct cpu cpus[MAX_CPUS];
extern unsigned nr_cpus;

struct cpu *this_cpu(void);
void take_interrupts(void);

static inline struct park *this_park(void)
{
	return this_cpu()->park;
}

static inline unsigned cpu_id(void)
{
	return this_cpu()->id;
}

cpumask_t cpus_online(void);

static inline void count_here(u64 *counter, u64 n)
{
	WRITE_ONCE(*counter, READ_ONCE(*counter) + n);
	take_interrupts();
}

#define count(name)	   count_add(name, 1)
#define count_add(name, n) count_here(&this_cpu()->counters[CNT_##name], (u64)(n))

#endif
