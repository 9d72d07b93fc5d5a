// SPDX-License-Identifier: MIT
/*
 * What happens when something happens. Interrupts go to the handler registered for their vector
 * and are acknowledged when it returns: one place to look for the EOI. An exception is a bug, and
 * fatal, unless the instruction announced in the exception table that it might fault there: then
 * execution goes on at its fixup (probe.asm is such code).
 *
 * A double fault is told apart: mostly it is the processor failing to push the frame of a page
 * fault because the stack has run into its guard page, and CR2 still says where.
 *
 * Read next: kernel/panic.c, which prints what is fatal.
 */
#include "arch/x86/apic.h"
#include "arch/x86/idt.h"
#include "arch/x86/regs.h"
#include "arch/x86/step.h"
#include "kernel/atomic.h"
#include "kernel/cpu.h"
#include "kernel/lock_check.h"
#include "kernel/panic.h"
#include "kernel/printk.h"
#include "kernel/trace.h"
#include "mm/shootdown.h"

/* The page fault's error code: SDM vol. 3A, figure 4-12. */
#define PF_PRESENT  (1u << 0)
#define PF_WRITE    (1u << 1)
#define PF_RESERVED (1u << 3)
#define PF_FETCH    (1u << 4)

struct extable_entry {
	u64 insn, fixup;
};

extern const struct extable_entry __start_extable[], __stop_extable[];

static irq_handler_t handlers[NR_VECTORS];

static const char *const exception_names[NR_EXCEPTIONS] = {
	[0] = "divide error",
	[EXC_DB] = "debug exception",
	[EXC_NMI] = "NMI",
	[3] = "breakpoint",
	[4] = "overflow",
	[5] = "BOUND range exceeded",
	[6] = "invalid opcode",
	[7] = "device not available",
	[EXC_DF] = "double fault",
	[10] = "invalid TSS",
	[11] = "segment not present",
	[EXC_SS] = "stack-segment fault",
	[EXC_GP] = "general protection fault",
	[EXC_PF] = "page fault",
	[16] = "x87 floating-point error",
	[17] = "alignment check",
	[EXC_MC] = "machine check",
	[19] = "SIMD floating-point exception",
	[20] = "virtualization exception",
	[21] = "control protection exception",
};

void irq_register(u8 vector, irq_handler_t fn)
{
	KASSERT(vector >= NR_EXCEPTIONS, "vector %u is an exception's", vector);
	KASSERT(!handlers[vector], "vector %#x has a handler already: %pS", vector,
		(void *)handlers[vector]);
	handlers[vector] = fn;
}

/* => execution goes on elsewhere */
static bool fixed_up(struct trap_frame *f)
{
	if (f->vector != EXC_PF && f->vector != EXC_GP && f->vector != EXC_SS)
		return false;
	for (const struct extable_entry *e = __start_extable; e < __stop_extable; e++) {
		if (e->insn == f->rip) {
			f->rip = e->fixup;
			return true;
		}
	}
	return false;
}

static void __noreturn page_fault_panic(struct trap_frame *f, vaddr_t va)
{
	const char *access = f->error & PF_FETCH   ? "executing"
			     : f->error & PF_WRITE ? "writing"
						   : "reading";
	const char *reason = f->error & PF_RESERVED  ? "a reserved bit is set in an entry"
			     : f->error & PF_PRESENT ? "its protection forbids it"
						     : "nothing is mapped there";

	panic_trap(f, &va, "page fault %s %#lx: %s", access, va, reason);
}

static void exception(struct trap_frame *f)
{
	vaddr_t cr2 = read_cr2();

	if (f->vector == EXC_PF)
		trace(EV_fault, cr2, f->rip);
	if (fixed_up(f) || (f->vector == EXC_DB && step_trap(f)))
		return;
	switch (f->vector) {
	case EXC_PF:
		page_fault_panic(f, cr2);
	case EXC_DF:
		panic_trap(f, &cr2, "double fault, perhaps a stack overflow; CR2 is %#lx", cr2);
	default:
		panic_trap(f, NULL, "%s (vector %lu, error code %#lx)",
			   exception_names[f->vector] ? exception_names[f->vector] : "exception",
			   f->vector, f->error);
	}
}

static void interrupt(struct trap_frame *f)
{
	struct cpu *c = this_cpu();
	irq_handler_t handler = handlers[f->vector];
	u32 locks;

	if (f->vector ==
	    VEC_SPURIOUS) { /* it is not in service, so an EOI would end another one: 10.9 */
		count(irq_spurious);
		return;
	}
	c->irq_depth++;
	locks = lock_check_enter();
	if (handler)
		handler(f);
	else
		printk("cpu %u: interrupt vector %#lx has no handler\n", c->id, f->vector);
	apic_eoi();
	lock_check_leave(locks);
	c->irq_depth--;
}

void trap_dispatch(struct trap_frame *f)
{
	shootdown_idle_exit(); /* before anything else: it says why */
	if (f->vector >= NR_EXCEPTIONS)
		interrupt(f);
	else if (f->vector == EXC_NMI)
		panic_nmi(f);
	else
		exception(f);
}
