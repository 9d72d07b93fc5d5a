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

/*
 * smp_interrupt: fn(arg) on CPU `cpu`, this one too, in an interrupt handler: IRQs off, on top of
 * whatever it was doing.
 *   => any context; one at a time to each CPU: the one before must be over
 * smp_interrupt_over: has the last one returned?
 */
void smp_interrupt(unsigned cpu, void (*fn)(void *arg), void *arg);
bool smp_interrupt_over(unsigned cpu);

/* The platform's handler for platform->interrupt(). => interrupt context, on that CPU */
void smp_interrupt_here(void);

#endif
