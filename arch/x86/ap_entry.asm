; SPDX-License-Identifier: MIT
;
; Where a CPU comes from boot/trampoline.asm: 64-bit mode, interrupts off, on a scratch stack that
; it may share with another CPU, so nothing is pushed here. It takes the seat if the seat is for
; it, and halts for good if not (arch/x86/smp_boot.c tells why).
;
; void ap_entry(struct ap_seat *s), from then on ap_main(s->cpu) on s->stack_top

bits 64
default rel

extern ap_main

; struct ap_seat
SEAT_DOOR	equ 0
SEAT_STACK_TOP	equ 8
SEAT_CPU	equ 16

; The door's values, in the half above the APIC id.
SEAT_OPEN_BIT	equ 32
SEAT_TAKEN	equ 2 << 32
SEAT_READ	equ 3 << 32

CPUID_TOPOLOGY	equ 0xb		; EDX: the x2APIC id; EBX: 0 if the leaf is empty

section .text

global ap_entry:function
ap_entry:
	xor	eax, eax
	cpuid
	cmp	eax, CPUID_TOPOLOGY
	jb	.xapic_id
	mov	eax, CPUID_TOPOLOGY
	xor	ecx, ecx
	cpuid
	test	ebx, ebx
	jz	.xapic_id
	mov	eax, edx
	jmp	.have_id
.xapic_id:
	mov	eax, 1
	cpuid
	mov	eax, ebx
	shr	eax, 24

.have_id:
	bts	rax, SEAT_OPEN_BIT
	mov	rcx, SEAT_TAKEN
	lock cmpxchg [rdi + SEAT_DOOR], rcx
	jne	.park
	mov	rsp, [rdi + SEAT_STACK_TOP]
	mov	rsi, [rdi + SEAT_CPU]
	mov	rcx, SEAT_READ
	mov	[rdi + SEAT_DOOR], rcx
	mov	rdi, rsi
	xor	ebp, ebp
	push	rbp		; no caller: ends a backtrace
	jmp	ap_main

.park:
	cli
	hlt
	jmp	.park
