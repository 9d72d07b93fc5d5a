; SPDX-License-Identifier: MIT
;
; Where the processor enters the kernel when something happens: one stub for each vector, a common
; part that saves the registers as struct trap_frame (arch/x86/idt.h) and calls trap_dispatch() in
; trap.c. There is no user mode, so the GS base is always the kernel's and no swapgs is needed.
;
; The processor aligns RSP to 16 before it pushes SS, RSP, RFLAGS, CS, RIP (SDM vol. 3A, 6.14.2);
; with the error code (ours, where it pushes none), the vector and 15 registers these are 22
; words, so the stack is aligned again where the C code is called.
;
; Also gdt_load(), which is here because it has to replace CS by a far return.

bits 64
default rel

%include "arch/x86/frame.inc"

extern trap_dispatch

SEL_KERNEL_CODE equ 0x08	; arch/x86/cpu.h
SEL_KERNEL_DATA equ 0x10
SEL_TSS		equ 0x18

TRAP_STUB_SIZE	equ 16		; arch/x86/idt.c

; Exceptions that push an error code: SDM vol. 3A, table 6-1; 21 is #CP, 29 and 30 AMD's #VC and
; #SX.
%define HAS_ERROR(v) (v = 8 || (v >= 10 && v <= 14) || v = 17 || v = 21 || v = 29 || v = 30)

section .text

; idt.c finds a vector's stub at trap_stubs + vector * TRAP_STUB_SIZE.
global trap_stubs
align TRAP_STUB_SIZE
trap_stubs:
%assign v 0
%rep 256
align TRAP_STUB_SIZE
%if !(HAS_ERROR(v))
	push	0
%endif
	push	v
	jmp	trap_common
%assign v v + 1
%endrep

global trap_common:function
trap_common:
	trap_call trap_dispatch
	iretq

; void gdt_load(const struct gdt_pointer *p)
global gdt_load:function
gdt_load:
	lgdt	[rdi]
	mov	eax, SEL_KERNEL_DATA
	mov	ds, eax
	mov	es, eax
	mov	ss, eax
	xor	eax, eax
	mov	fs, eax
	mov	gs, eax
	mov	eax, SEL_TSS
	ltr	ax
	pop	rax		; the return address, now with our CS
	push	SEL_KERNEL_CODE
	push	rax
	retfq
