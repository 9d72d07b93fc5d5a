; SPDX-License-Identifier: MIT
;
; ELF notes: what the file says about itself to loaders that read notes (Xen public/elfnote.h). Two
; doors are described here. PVH: an ELF file with PHYS32_ENTRY is entered in 32-bit mode at the
; physical address it gives. Xen PV: the domain builder places the segments by their physical
; addresses, maps pfn 0 at VIRT_BASE, and enters at ENTRY, which is a virtual address; with
; VIRT_BASE = IMAGE_BASE everything is where it is linked.
;
; What loaders are particular about, and linker.ld sees to: the notes lie in a PT_NOTE of their own
; at a file offset other than 0 (Xen skips one at 0), also in a PT_LOAD; all are padded to 4
; bytes, so compilers' own notes, padded to 8, must not come between (QEMU then finds nothing).

XEN_ELFNOTE_ENTRY	 equ 1
XEN_ELFNOTE_VIRT_BASE	 equ 3
XEN_ELFNOTE_PADDR_OFFSET equ 4
XEN_ELFNOTE_XEN_VERSION	 equ 5
XEN_ELFNOTE_GUEST_OS	 equ 6
XEN_ELFNOTE_LOADER	 equ 8
XEN_ELFNOTE_FEATURES	 equ 10
XEN_ELFNOTE_SUPPORTED_FEATURES equ 17
XEN_ELFNOTE_PHYS32_ENTRY equ 18

XENFEAT_WRITABLE_PAGE_TABLES equ 1 << 0	; it is fine if stores to page tables are emulated,
XENFEAT_PAE_PGDIR_ABOVE_4GB equ 1 << 4	; wherever they lie,
XENFEAT_DOM0		equ 1 << 11	; and we may be the first domain: without it Xen refuses

IMAGE_BASE		equ 0xffffffff80000000	; mm/layout.h; linker.ld compares boot_image_base

extern pvh_entry, xen_entry

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

; Without the first two there is no PV door; the loader must be "generic" or the OS "linux".
	xen_note XEN_ELFNOTE_XEN_VERSION, db "xen-3.0", 0
	xen_note XEN_ELFNOTE_LOADER, db "generic", 0
	xen_note XEN_ELFNOTE_GUEST_OS, db "Lazymap", 0
	xen_note XEN_ELFNOTE_VIRT_BASE, dq IMAGE_BASE
	xen_note XEN_ELFNOTE_PADDR_OFFSET, dq 0
	xen_note XEN_ELFNOTE_ENTRY, dq xen_entry
	xen_note XEN_ELFNOTE_FEATURES, db "!writable_page_tables|pae_pgdir_above_4gb", 0
	xen_note XEN_ELFNOTE_SUPPORTED_FEATURES, \
		 dd XENFEAT_WRITABLE_PAGE_TABLES | XENFEAT_PAE_PGDIR_ABOVE_4GB | XENFEAT_DOM0
