// SPDX-License-Identifier: MIT
/*
 * Xen catches every exception and, if it is ours, enters the kernel where we have told it to. There
 * is no interrupt stack table: the frame is pushed onto the current stack, and if that cannot be
 * done the domain is crashed. So a stack overflow is found by its guard page here too, but Xen is
 * the one who tells (on its own console), and no report of ours comes.
 *
 * Events are masked while an exception is handled, as interrupts are on the bare machine.
 *
 * Next: events.c.
 */
#include "xen/traps.h"
#include "arch/x86/idt.h"
#include "kernel/panic.h"
#include "mm/shootdown.h"
#include "xen/events.h"

#define TRAP_STUB_SIZE 16 /* xen/entry.asm */
#define MASK_EVENTS    4  /* struct trap_info, flags */

/* xen/entry.asm */
extern const u8 xen_trap_stubs[];
void xen_event_entry(void);
void xen_failsafe_entry(void);
void xen_trap(struct trap_frame *f);

static void fill(struct trap_info *t)
{
	for (unsigned v = 0; v < NR_EXCEPTIONS; v++)
		t[v] = (struct trap_info){
			.vector = (u8)v,
			.flags = MASK_EVENTS,
			.cs = FLAT_KERNEL_CS,
			.address = (u64)xen_trap_stubs + v * TRAP_STUB_SIZE,
		};
}

static void set_callback(unsigned type, void (*entry)(void))
{
	struct callback_register c = {
		.type = (u16)type, .flags = CALLBACKF_mask_events, .address = (u64)entry};
	long err = hypercall2(__HYPERVISOR_callback_op, CALLBACKOP_register, (u64)&c);

	KASSERT(!err, "Xen refuses callback %u: %ld", type, err);
}

void xen_traps_init(void)
{
	struct trap_info t[NR_EXCEPTIONS + 1] = {0}; /* an address of 0 ends it */
	long err;

	fill(t);
	err = hypercall1(__HYPERVISOR_set_trap_table, (u64)t);
	KASSERT(!err, "Xen refuses the trap table: %ld", err);
	set_callback(CALLBACKTYPE_event, xen_event_entry);
	set_callback(CALLBACKTYPE_failsafe, xen_failsafe_entry);
}

void xen_traps_fill(struct vcpu_guest_context *ctxt)
{
	fill(ctxt->trap_ctxt);
	ctxt->event_callback_eip = (u64)xen_event_entry;
	ctxt->failsafe_callback_eip = (u64)xen_failsafe_entry;
}

/* In CS's upper half Xen has left the event mask; RFLAGS.IF says the same. */
void xen_trap(struct trap_frame *f)
{
	f->cs = (u16)f->cs;
	if (f->vector == VEC_FAILSAFE)
		panic_trap(f, NULL, "Xen could not load a segment register");
	if (f->vector != VEC_EVENT) {
		trap_dispatch(f);
		return;
	}
	shootdown_idle_exit(); /* before anything else: it says why */
	xen_events_deliver(f);
}
