// SPDX-License-Identifier: MIT
/*
 * Running code one instruction at a time and looking at each: how long are its interrupts off,
 * where do its instructions go. The trap flag makes the processor report after every instruction
 * (SDM vol. 3B, 17.3.1.4), with the address and the flags of the next. Exact, and it costs nothing
 * when it is not used, whereas a recorder in irq_save() or at each function would be in everybody's
 * way. Interrupts that come meanwhile are not looked into: the processor takes the flag down for
 * them.
 */
#ifndef ARCH_X86_STEP_H
#define ARCH_X86_STEP_H

#include "arch/x86/idt.h"

/* Sees one instruction that is about to run: f->rip, f->rflags. => as an interrupt handler */
typedef void (*step_fn)(void *arg, const struct trap_frame *f);

/*
 * step_begin: fn(arg) sees every instruction of this CPU until step_end().
 *   => thread context, IRQs on; the thread does not yield, and nobody else steps
 */
void step_begin(step_fn fn, void *arg);
void step_end(void);

/* => true: this debug exception was a step. From trap.c */
bool step_trap(const struct trap_frame *f);

#endif
