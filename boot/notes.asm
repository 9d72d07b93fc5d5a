; SPDX-License-Identifier: MIT
;
; ELF notes: what the file says about itself to loaders that read notes. The PVH note is the whole
; PVH door as seen from outside: an ELF file with it is entered in 32-bit mode at the physical
; address it gives (Xen public/elfnote.h, XEN_ELFNOTE_PHYS32_ENTRY).
;
; What loaders are particular about, and linker.ld sees to: the notes lie in a PT_NOTE of their own
; at a file offset other than 0 (Xen skips one at 0), also in a PT_LOAD; all are padded to 4
; bytes, so compilers' own notes, padded to 8, must not come between (QEMU then finds nothing).

XEN_ELFNOTE_PHYS32_ENTRY equ 18

extern pvh_entry

%macro xen_note 2+				; type, descriptor
	dd	4, %%end - %%desc, %1		; sizes of the name and the descriptor
	db	"Xen", 0
%%desc:	%2
%%end:
	align	4, db 0
%endmacro

section .note.Xen note alloc noexec nowrite align=4

; Eight bytes for a 32-bit address, because QEMU reads eight.
	xen_note XEN_ELFNOTE_PHYS32_ENTRY, dq pvh_entry

; Xen PV: its notes join here (ENTRY, VIRT_BASE = IMAGE_BASE, PADDR_OFFSET = 0, XEN_VERSION, ...).
