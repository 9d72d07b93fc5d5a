// SPDX-License-Identifier: MIT
/*
 * A real interrupt of another CPU, or this one, and waiting for it: interrupts are off in its
 * handler, irq_depth is one, and what it interrupts is wherever it happened to be.
 */
#include "tests/kernel/interrupt.h"
#include "kernel/atomic.h"
#include "kernel/smp.h"
#include "kernel/watchdog.h"

void interrupt_cpu(unsigned cpu, void (*fn)(void *), void *arg)
{
	u64 start = tsc_now();

	smp_interrupt(cpu, fn, arg);
	while (!smp_interrupt_over(cpu)) {
		cpu_relax();
		if (watchdog_expired(start))
			cpu_unresponsive(cpu, "a test's interrupt");
	}
}
