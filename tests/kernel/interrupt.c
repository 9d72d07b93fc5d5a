// SPDX-License-Identifier: MIT
/*
 * A real interrupt, sent through the local APIC with a vector of the tests' own: interrupts are off
 * in its handler, irq_depth is one, and what it interrupts is wherever it happened to be.
 */
#include "tests/kernel/interrupt.h"
#include "arch/x86/apic.h"
#include "kernel/atomic.h"
#include "kernel/cpu.h"
#include "kernel/watchdog.h"

#define VEC_TEST 0x70 /* nobody's: arch/x86/idt.h */

static struct {
	void (*fn)(void *);
	void *arg;
	unsigned cpu;
	atomic_t pending; /* 1 from the sending to the end of fn */
} call;

static void called(struct trap_frame *f __attribute__((unused)))
{
	call.fn(call.arg);
	atomic_set(&call.pending, 0);
}

void interrupt_send(unsigned cpu, void (*fn)(void *), void *arg)
{
	static bool registered;

	if (!registered) {
		irq_register(VEC_TEST, called);
		registered = true;
	}
	call.fn = fn;
	call.arg = arg;
	call.cpu = cpu;
	atomic_set(&call.pending, 1);
	apic_send_ipi((cpumask_t){cpu_bit(cpu)}, VEC_TEST);
}

void interrupt_wait(void)
{
	u64 start = tsc_now();

	while (atomic_read(&call.pending)) {
		cpu_relax();
		if (watchdog_expired(start))
			cpu_unresponsive(call.cpu, "a test's interrupt");
	}
}

void interrupt_cpu(unsigned cpu, void (*fn)(void *), void *arg)
{
	interrupt_send(cpu, fn, arg);
	interrupt_wait();
}
