; SPDX-License-Identifier: MIT
;
; The interrupt flag of a vCPU: one byte in its vcpu_info, evtchn_upcall_mask, not 0 while events
; are held back (Xen: xen.h). These replace the instructions that kernel/irq.h has put into the
; code. Those with a result have it in RAX; all change the arithmetic flags, and nothing else.
;
; A vCPU writes its own mask only, and Xen looks at it only where that vCPU runs, so no locked
; instruction is needed. But an event that came while the mask was set has only left its mark; who
; takes the mask away must look for it afterwards. One that comes in between is delivered by Xen.

bits 64
default rel

CPU_SHARED	equ 16			; struct cpu: the vcpu_info (kernel/cpu.h)
VCPU_PENDING	equ 0			; struct vcpu_info
VCPU_MASK	equ 1

RFLAGS_IF_SHIFT	equ 9

HYPERVISOR_xen_version equ 17

section .text

; => RAX: IF as RFLAGS would have it; the other bits are 0
global xen_irq_read:function
xen_irq_read:
	mov	rax, [gs:CPU_SHARED]
	movzx	eax, byte [rax + VCPU_MASK]
	xor	eax, 1
	shl	eax, RFLAGS_IF_SHIFT
	ret

global xen_irq_disable:function
xen_irq_disable:
	push	rax
	mov	rax, [gs:CPU_SHARED]
	mov	byte [rax + VCPU_MASK], 1
	pop	rax
	ret

global xen_irq_save:function
xen_irq_save:
	push	rcx
	mov	rcx, [gs:CPU_SHARED]
	movzx	eax, byte [rcx + VCPU_MASK]
	mov	byte [rcx + VCPU_MASK], 1
	xor	eax, 1
	shl	eax, RFLAGS_IF_SHIFT
	pop	rcx
	ret

; What is pending is delivered on the way back from any hypercall: this one does nothing else.
global xen_irq_enable:function
xen_irq_enable:
	push	rax
	mov	rax, [gs:CPU_SHARED]
	mov	byte [rax + VCPU_MASK], 0
	cmp	byte [rax + VCPU_PENDING], 0
	jne	.deliver
	pop	rax
	ret
.deliver:
	push	rcx
	push	r11
	push	rdi
	push	rsi
	xor	edi, edi		; XENVER_version
	xor	esi, esi
	mov	eax, HYPERVISOR_xen_version
	syscall
	pop	rsi
	pop	rdi
	pop	r11
	pop	rcx
	pop	rax
	ret
