; SPDX-License-Identifier: MIT
;
; The page an application processor wakes up in: real mode, protected mode, 64-bit mode, kernel.
; Read boot/trampoline.h first; arch/x86/smp_boot.c copies this page and sends the IPIs.
;
; Nothing here has a fixed address. In real mode the code segment's base is the page's physical
; address, so addresses are written as offsets from the page's start (AT(label)). Leaving real mode
; takes three things that must be absolute: the GDT's address and the targets of the two far jumps.
; They are computed from CS and stored into the page before they are used; storing them again when
; the page serves another CPU stores the same values.

%include "boot/processor.inc"

%define AT(label) ((label) - trampoline_start)

TRAMPOLINE_SIZE	equ 4096
TRAMPOLINE_ARGS	equ 0xfc0		; struct trampoline_args, boot/trampoline.h
ARGS_CR3	equ TRAMPOLINE_ARGS + 0
ARGS_STACK_TOP	equ TRAMPOLINE_ARGS + 8
ARGS_ENTRY	equ TRAMPOLINE_ARGS + 16
ARGS_ARG	equ TRAMPOLINE_ARGS + 24

FILL	equ 0xcc			; INT3: straying past the code is found out at once

section .rodata
global trampoline_start
align 16

bits 16
trampoline_start:
	cli
	cld
	mov	ax, cs
	mov	ds, ax
	movzx	ebx, ax
	shl	ebx, 4			; EBX: this page's physical address, from here on

	lea	eax, [ebx + AT(gdt)]
	mov	[AT(gdtr) + 2], eax
	lea	eax, [ebx + AT(protected_mode)]
	mov	[AT(far32)], eax
	lea	eax, [ebx + AT(long_mode)]
	mov	[AT(far64)], eax

	o32 lgdt [AT(gdtr)]
	mov	eax, CR0_PE | CR0_ET | CR0_NE
	mov	cr0, eax
	jmp	dword far [AT(far32)]

bits 32
protected_mode:
	mov	ax, AT(gdt.data) - AT(gdt)
	mov	ds, ax
	mov	es, ax
	mov	ss, ax

	mov	eax, CR4_PAE
	mov	cr4, eax
	mov	eax, [ebx + ARGS_CR3]
	mov	cr3, eax
	mov	ecx, MSR_EFER
	mov	eax, EFER_LME | EFER_NXE
	xor	edx, edx
	wrmsr
	mov	eax, CR0_BOOT
	mov	cr0, eax
	jmp	far [ebx + AT(far64)]

bits 64
long_mode:
	mov	ebx, ebx		; bits 63:32 are undefined after a mode switch
	mov	rsp, [rbx + ARGS_STACK_TOP]
	mov	rdi, [rbx + ARGS_ARG]
	xor	ebp, ebp		; ends a backtrace,
	push	rbp			; and so does a return address of 0
	jmp	[rbx + ARGS_ENTRY]

align 8, db FILL
gdt:	dq 0
.code32: dq GDT_CODE32
.code64: dq GDT_CODE64
.data:	dq GDT_DATA
.end:

gdtr:	dw gdt.end - gdt - 1
	dd 0				; the GDT's address
far32:	dd 0				; protected_mode's address
	dw gdt.code32 - gdt
far64:	dd 0				; long_mode's address
	dw gdt.code64 - gdt

	times TRAMPOLINE_ARGS - ($ - trampoline_start) db FILL
	times TRAMPOLINE_SIZE - TRAMPOLINE_ARGS db 0
