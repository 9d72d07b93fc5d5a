// SPDX-License-Identifier: MIT
/*
 * Interrupts and exceptions. entry.asm has a stub for each of the 256 vectors, which saves the
 * registers as a struct trap_frame and calls trap_dispatch() (trap.c): exceptions are fixed up or
 * fatal, the rest goes to the handler registered for the vector. There is no user mode, so no
 * stack switch but the IST's and no swapgs.
 */
#ifndef ARCH_X86_IDT_H
#define ARCH_X86_IDT_H

#include "kernel/types.h"

/* Exceptions we name: SDM vol. 3A, table 6-1. */
enum exception {
	EXC_DB = 1,
	EXC_NMI = 2,
	EXC_DF = 8,
	EXC_SS = 12,
	EXC_GP = 13,
	EXC_PF = 14,
	EXC_MC = 18,
	NR_EXCEPTIONS = 32,
};

/*
 * Our vectors. The high digit is the priority class: a shootdown may not wait for a serial line
 * (10.8.3).
 */
enum vector {
	VEC_SERIAL = 0x40,
	VEC_TIMER = 0x50,
	VEC_CALL = 0x60,
	VEC_RESCHEDULE = 0xe0,
	VEC_SHOOTDOWN = 0xf0,
	VEC_APIC_ERROR = 0xfe,
	VEC_SPURIOUS = 0xff, /* low four bits must be ones on old local APICs: 10.9 */
	NR_VECTORS = 256,
};

/* The order in which entry.asm pushes; the last five are the processor's (6.14.2). */
struct trap_frame {
	u64 r15, r14, r13, r12, r11, r10, r9, r8;
	u64 rbp, rdi, rsi, rdx, rcx, rbx, rax;
	u64 vector, error; /* error: 0 where the processor gives none */
	u64 rip, cs, rflags, rsp, ss;
};

/* => interrupt context, IRQs off; trap.c sends the EOI when it returns */
typedef void (*irq_handler_t)(struct trap_frame *f);

/*
 * idt_init: builds the table, loads it on the boot CPU, masks the legacy PIC.
 *   => right after cpu_init_boot(); irq_enable() is allowed from here on
 */
void idt_init(void);

/* Loads it on this CPU. */
void idt_load(void);

/*
 * irq_register: `fn` serves `vector` (32 or more) on every CPU from now on.
 *   => a vector has one handler for good; a second one panics
 */
void irq_register(u8 vector, irq_handler_t fn);

/* Called by entry.asm for every vector. */
void trap_dispatch(struct trap_frame *f);

#endif
