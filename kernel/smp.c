// SPDX-License-Identifier: MIT
/*
 * The CPUs. One static array, so that a CPU's struct is there before any allocator; the boot CPU is
 * in the online set from the start, the others enter it by themselves (arch/x86/smp_boot.c, xen/smp.c) and
 * nobody ever leaves.
 */
#include "kernel/smp.h"
#include "kernel/atomic.h"

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
