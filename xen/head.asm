; SPDX-License-Identifier: MIT
;
; The Xen PV door: the domain builder has loaded the image, cleared .bss, built page tables and
; enters here in 64-bit mode, in the high half, events masked (Xen: xen.h, arch-x86/xen-x86_64.h).
; RSI points to the start info. From here on it is as from the other doors.

DOOR_XEN_PV	equ 3				; enum boot_door, boot/boot_info.h

extern kernel_main, boot_stack_top, tsc_at_entry

section .text
bits 64

global xen_entry:function
xen_entry:
	cld
	rdtsc
	shl	rdx, 32
	or	rax, rdx
	mov	[rel tsc_at_entry], rax
	mov	rsp, boot_stack_top
	xor	ebp, ebp			; backtraces end here
	mov	edi, DOOR_XEN_PV
	call	kernel_main
	ud2					; it does not return
