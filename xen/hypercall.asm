; SPDX-License-Identifier: MIT
;
; The hypercall page: 32 bytes for each call, by number (xen/hypercall.h). As it stands here it is a
; PV guest's, which calls by SYSCALL. In a PVH guest Xen writes over it what the processor has for
; that, VMCALL or VMMCALL (xen/pvh.c).

bits 64

ENTRY_SIZE	equ 32			; xen/hypercall.h
NR_ENTRIES	equ 4096 / ENTRY_SIZE

section .text.hypercall progbits alloc exec nowrite align=4096

global xen_hypercall_page
xen_hypercall_page:
%assign nr 0
%rep NR_ENTRIES
align ENTRY_SIZE
	mov	eax, nr
	syscall
	ret
%assign nr nr + 1
%endrep
align ENTRY_SIZE
