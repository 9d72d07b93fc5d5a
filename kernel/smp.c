// SPDX-License-Identifier: MIT
/*
 * The CPUs. One static array, so that a CPU's struct is there before any allocator; the boot CPU
 * is in the online set from the start, the others enter it by themselves (arch/x86/smp_boot.c,
 * xen/smp.c) and nobody ever leaves.
 */
#include "kernel/smp.h"
#include "kernel/atomic.h"
#include "kernel/panic.h"
#include "kernel/platform.h"

struct cpu cpus[MAX_CPUS];
unsigned nr_cpus = 1;

static atomic_t online = {1};

cpumask_t cpus_online(void)
{
	return (cpumask_t){atomic_read(&online)};
}

void smp_set_online(void)
{
	atomic_fetch_or(&online, cpu_bit(cpu_id()));
}

static struct {
	void (*fn)(void *arg);
	void *arg;
	atomic_t pending; /* 1 from the asking to the end of fn */
} calls[MAX_CPUS];

void smp_interrupt(unsigned cpu, void (*fn)(void *arg), void *arg)
{
	KASSERT(smp_interrupt_over(cpu), "CPU %u is interrupted already", cpu);
	calls[cpu].fn = fn;
	calls[cpu].arg = arg;
	atomic_set(&calls[cpu].pending, 1);
	platform->interrupt(cpu);
}

bool smp_interrupt_over(unsigned cpu)
{
	return !atomic_read(&calls[cpu].pending);
}

void smp_interrupt_here(void)
{
	calls[cpu_id()].fn(calls[cpu_id()].arg);
	atomic_set(&calls[cpu_id()].pending, 0);
}
