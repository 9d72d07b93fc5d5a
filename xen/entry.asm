; SPDX-License-Identifier: MIT
;
; Where Xen enters the kernel when something happens: a stub for each exception, one for events and
; one for what Xen could not restore (failsafe). They build the same struct trap_frame as the bare
; machine's (arch/x86/entry.asm) and end in xen_trap() (xen/traps.c).
;
; Xen pushes onto the current stack, aligned to 16: SS, RSP, RFLAGS, CS (with the saved event
; mask in its upper half), RIP, for some exceptions an error code, R11, RCX; these two because
; SYSCALL, which a return may go by, cannot bring them back. RFLAGS.IF is the virtual flag.
;
; The way back is a hypercall too: from ring 3 the processor's own IRET could not set the event
; mask. Xen takes RAX, R11, RCX, flags, RIP, CS, RFLAGS, RSP, SS from the stack (struct
; iret_context), and the mask from RFLAGS.IF. CS as Xen pushed it says that we are the kernel.

bits 64
default rel

%include "arch/x86/frame.inc"

extern xen_trap

TRAP_STUB_SIZE	equ 16			; xen/traps.c
VEC_EVENT	equ 0xf3		; xen/traps.h
VEC_FAILSAFE	equ 0xf4

HYPERVISOR_iret	equ 23

; Exceptions for which Xen pushes an error code: those for which the processor does.
%define HAS_ERROR(v) (v = 8 || (v >= 10 && v <= 14) || v = 17 || v = 21)

%macro stub 1
	pop	rcx
	pop	r11
%if !(HAS_ERROR(%1))
	push	0
%endif
	push	%1
	jmp	xen_trap_common
%endmacro

section .text

; xen/traps.c finds a vector's stub at xen_trap_stubs + vector * TRAP_STUB_SIZE.
global xen_trap_stubs
align TRAP_STUB_SIZE
xen_trap_stubs:
%assign v 0
%rep 32
align TRAP_STUB_SIZE
	stub	v
%assign v v + 1
%endrep

global xen_event_entry:function
xen_event_entry:
	stub	VEC_EVENT

; Xen pushes four segment selectors in addition, which it could not load; there is nobody who has
; any. It is fatal, and told as such.
global xen_failsafe_entry:function
xen_failsafe_entry:
	pop	rcx
	pop	r11
	add	rsp, 4 * 8
	push	0
	push	VEC_FAILSAFE

global xen_trap_common:function
xen_trap_common:
	trap_call xen_trap
	push	0			; flags: not VGCF_in_syscall, all registers are restored
	push	rcx
	push	r11
	push	rax
	mov	eax, HYPERVISOR_iret
	syscall

; Where a vCPU begins that xen/smp.c has started: on its idle thread's stack, its struct cpu in
; RDI.
extern xen_cpu_main
global xen_cpu_entry:function
xen_cpu_entry:
	xor	ebp, ebp
	push	rbp			; no caller: ends a backtrace
	jmp	xen_cpu_main
