// SPDX-License-Identifier: MIT
/* Single steps: see step.h. One CPU steps at a time; the others do not know of it. */
#include "arch/x86/step.h"
#include "kernel/cpu.h"
#include "kernel/irq.h"
#include "kernel/panic.h"

#define RFLAGS_TF (1ull << 8) /* SDM vol. 1, 3.4.3.3 */

static step_fn step; /* NULL: nobody steps */
static void *step_arg;
static unsigned stepping_cpu;

void step_begin(step_fn fn, void *arg)
{
	KASSERT(!step && irqs_enabled(), "somebody steps already, or interrupts are off");
	stepping_cpu = cpu_id();
	step_arg = arg;
	step = fn;
	__asm__ volatile("pushfq; orq %0, (%%rsp); popfq" ::"i"(RFLAGS_TF) : "memory", "cc");
}

void step_end(void)
{
	__asm__ volatile("pushfq; andq %0, (%%rsp); popfq" ::"i"(~RFLAGS_TF) : "memory", "cc");
	step = NULL;
}

bool step_trap(const struct trap_frame *f)
{
	if (!step || cpu_id() != stepping_cpu)
		return false;
	step(step_arg, f);
	return true;
}
