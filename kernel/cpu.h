// SPDX-License-Identifier: MIT
/*
 * What a CPU is to the kernel: one struct, found through the GS base in one instruction.
 * Fields used by assembly come first, at offsets that arch/x86/entry.asm repeats (asserted in
 * arch/x86/cpu.c). Everything here is written by its own CPU only, unless it says otherwise.
 */
#ifndef KERNEL_CPU_H
#define KERNEL_CPU_H

#include "kernel/counter.h"
#include "kernel/cpumask.h"
#include "kernel/types.h"

struct thread;
struct arch_cpu;
struct park;

struct cpu {
	struct cpu *self; /* offset 0: gs:0 */
	u32 id;		  /* offset 8: dense, 0 is the boot CPU */
	u32 apic_id;
	void *shared; /* offset 16: what a hypervisor shares with this CPU (Xen: its vcpu_info) */
	struct thread *current;
	struct thread *idle;
	struct arch_cpu *arch; /* GDT, TSS, IST stacks (arch/x86/cpu.c) */
	u32 irq_depth;	       /* > 0 inside an interrupt handler */
	u32 locks_held;	       /* spinlocks; a waiter for other CPUs asserts 0 */
	u64 ticks;	       /* timer ticks since this CPU came up; read by others */
	u64 tick_tsc;	       /* TSC at its last tick: tsc_coarse() */
	struct park *park;     /* its parked areas (mm/park.h); set once at boot */
	u64 counters[NR_COUNTERS];
} __aligned_to(CACHE_LINE);

extern struct cpu cpus[MAX_CPUS];
extern unsigned nr_cpus; /* CPUs that came up: ids 0 .. nr_cpus-1; fixed after smp_init() */

static inline struct cpu *this_cpu(void)
{
	struct cpu *c;

	__asm__("mov %%gs:0, %0" : "=r"(c));
	return c;
}

/* => stable: threads do not migrate */
static inline unsigned cpu_id(void)
{
	u32 id;

	__asm__("mov %%gs:8, %0" : "=r"(id));
	return id;
}

static inline struct park *this_park(void)
{
	struct park *p;

	/* volatile: to read it again costs less than to keep it */
	__asm__ volatile("mov %%gs:%c1, %0" : "=r"(p) : "i"(offsetof(struct cpu, park)));
	return p;
}

/*
 * The TSC as it was at this CPU's last tick, at most 10 ms ago. For what is recorded often and read
 * rarely: to read the TSC itself is slow where it is not the processor's (an emulator's CPUs take
 * turns at it).
 */
static inline u64 tsc_coarse(void)
{
	u64 t;

	__asm__ volatile("mov %%gs:%c1, %0" : "=r"(t) : "i"(offsetof(struct cpu, tick_tsc)));
	return t;
}

/* The CPUs that run and answer IPIs. A CPU enters by itself, then calls shootdown_cpu_online(). */
cpumask_t cpus_online(void);

/* Adds one to this CPU's counter: a single instruction, so an interrupt cannot tear it. */
#define count(name) count_add(name, 1)
#define count_add(name, n)                                                                        \
	__asm__ volatile("addq %1, %%gs:%c0"                                                      \
			 :                                                                        \
			 : "i"(offsetof(struct cpu, counters) + 8 * (CNT_##name)), "er"((u64)(n)) \
			 : "memory", "cc")

#endif
