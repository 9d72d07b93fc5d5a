// SPDX-License-Identifier: MIT
/*
 * Which CPUs there are. cpus[] and nr_cpus are declared in kernel/cpu.h; here is who changes them:
 * each CPU enters the online set by itself, and the boot CPU counts them.
 */
#ifndef KERNEL_SMP_H
#define KERNEL_SMP_H

#include "kernel/cpu.h"

/* This CPU joins cpus_online(). => IRQs off; shootdown_cpu_online() comes next; once */
void smp_set_online(void);

#endif
