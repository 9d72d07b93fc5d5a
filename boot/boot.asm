; SPDX-License-Identifier: MIT
;
; The doors. One ELF file can be entered in two ways, both in 32-bit protected mode with flat
; segments, paging and interrupts off, and EBX pointing to what the loader has to say:
;
;   multiboot2_entry	GRUB and its kind; EAX is a magic number (Multiboot2 specification 2.0, 3.3)
;   pvh_entry		`qemu -kernel`, Xen PVH and others; the magic number is the word at EBX
;			(Xen: docs/misc/pvh.pandoc and public/arch-x86/hvm/start_info.h)
;
; From there both go one way: is this a CPU we can run on, build page tables, switch to 64-bit mode,
; call kernel_main(door, handover) in the high half on the boot stack. What the loader said is not
; read here; that is for the parsers in C (boot/multiboot2.c, boot/pvh.c). How the file must look
; from outside, so that loaders find the doors, is linker.ld's and boot/notes.asm's business.
;
; Registers from a door to kernel_main():  EDI = enum boot_door   ESI = the hand-over's address
;
; The boot page tables live for a moment; kernel_main() soon makes its own, with access rights. In
; three windows they show the same memory, writable and executable, in 2 MiB pages:
;
;   0 .. 4 GiB			where this code runs
;   DIRECT_BASE + 0 .. 4 GiB	phys_to_virt() works from the first line of C on
;   IMAGE_BASE + 0 .. 1 GiB	where the kernel is linked
;
; Before paging is on, a symbol of the high half is reached by its physical address: PA(symbol).

%include "boot/processor.inc"

IMAGE_BASE	equ 0xffffffff80000000		; mm/layout.h; linker.ld compares boot_image_base
DIRECT_BASE	equ 0xffff880000000000		; mm/layout.h
LARGE_PAGE	equ 2 << 20
BOOT_MAP_GIB	equ 4
BOOT_STACK_SIZE	equ 16 << 10
PAGE_SIZE	equ 4096

%define PA(symbol)	((symbol) - IMAGE_BASE)
%define L4_SLOT(va)	(((va) >> 39) & 511)
%define L3_SLOT(va)	(((va) >> 30) & 511)

DOOR_MULTIBOOT2	equ 1				; enum boot_door, boot/boot_info.h
DOOR_PVH	equ 2

MB2_HEADER_MAGIC equ 0xe85250d6			; 3.1.2
MB2_LOADER_MAGIC equ 0x36d76289			; 3.3
PVH_MAGIC	equ 0x336ec578			; start_info.h

global multiboot2_header, multiboot2_entry, pvh_entry, boot_image_base, tsc_at_entry
global boot_pml4, boot_stack_guard, boot_stack, boot_stack_top
extern kernel_main, image_end

boot_image_base	equ IMAGE_BASE

; The multiboot2 header: a checksummed head (3.1.2), then tags (3.1.3), each 8-byte aligned and
; saying its size without the padding. Optional tags ask: a loader that cannot comply goes on.

MB2_ARCH_I386	equ 0
MB2_TAG_END	equ 0
MB2_TAG_REQUEST	equ 1				; 3.1.4: information we can use (types of 3.6)
MB2_TAG_ENTRY	equ 3				; 3.1.6: enter here, not at the ELF entry
MB2_TAG_CONSOLE	equ 4				; 3.1.9
MB2_TAG_FB	equ 5				; 3.1.10: width, height, depth; 0 is "any"
MB2_TAG_ALIGN	equ 6				; 3.1.11: modules begin at page boundaries
MB2_OPTIONAL	equ 1
MB2_EGA_TEXT	equ 2

MBI_CMDLINE	equ 1
MBI_LOADER	equ 2
MBI_MODULE	equ 3
MBI_MMAP	equ 6
MBI_FRAMEBUFFER	equ 8
MBI_RSDP_OLD	equ 14
MBI_RSDP_NEW	equ 15

%macro mb2_tag 2-3+				; type, flags, what it carries
%%tag:	dw	%1, %2
	dd	%%end - %%tag
	%3
%%end:
	align	8, db 0
%endmacro

section .multiboot2 progbits alloc noexec nowrite align=8
multiboot2_header:
	dd	MB2_HEADER_MAGIC, MB2_ARCH_I386, .end - multiboot2_header
	dd	(1 << 32) - (MB2_HEADER_MAGIC + MB2_ARCH_I386 + (.end - multiboot2_header))
	mb2_tag	MB2_TAG_REQUEST, MB2_OPTIONAL, \
		dd MBI_CMDLINE, MBI_LOADER, MBI_MODULE, MBI_MMAP, MBI_FRAMEBUFFER, \
		MBI_RSDP_OLD, MBI_RSDP_NEW
	mb2_tag	MB2_TAG_ENTRY, 0, dd multiboot2_entry
	mb2_tag	MB2_TAG_CONSOLE, MB2_OPTIONAL, dd MB2_EGA_TEXT
	mb2_tag	MB2_TAG_FB, MB2_OPTIONAL, dd 0, 0, 0
	mb2_tag	MB2_TAG_ALIGN, 0
	mb2_tag	MB2_TAG_END, 0
.end:

section .boot progbits alloc exec nowrite align=16
bits 32

%macro refuse 1+				; the sentence to die with
	mov	esi, %%text
	jmp	fail
%%text:	db	%1, 0
%endmacro

multiboot2_entry:
	mov	edi, DOOR_MULTIBOOT2
	cmp	eax, MB2_LOADER_MAGIC
	je	enter
	refuse	"the multiboot2 door was used without multiboot2's magic number in EAX. Load ", \
		"this file with GRUB's command multiboot2."

pvh_entry:
	mov	edi, DOOR_PVH
	cmp	dword [ebx], PVH_MAGIC
	je	enter
	refuse	"the PVH door was used, but EBX does not point to a PVH start info. Load this ", \
		"file with qemu -kernel, or with GRUB's command multiboot2."

enter:
	cld
	mov	esi, ebx

; A loader need not look whether there is memory under the whole image; QEMU's does not. The end of
; .bss is asked: what is written must be read again.

MEMORY_MARK	equ 0x2007a11a

	mov	eax, PA(image_end) - 4
	mov	dword [eax], MEMORY_MARK
	cmp	dword [eax], MEMORY_MARK
	mov	dword [eax], 0			; as ELF's rules want it
	je	memory_there
	refuse	"there is no memory for the end of this image. Give the machine 8 MiB or more."
memory_there:

; What the kernel takes for granted is asked here. CPUID itself is taken for granted: a CPU without
; it is older than 1993. (SDM vol. 2A, CPUID: table 3-11 for leaf 1, table 3-8 for the extended.)

CPUID_1_EDX_PSE		equ 3
CPUID_1_EDX_TSC		equ 4
CPUID_1_EDX_APIC	equ 9
CPUID_1_EDX_PGE		equ 13
CPUID_1_EDX_PAT		equ 16
CPUID_EXT		equ 0x80000000		; => EAX: the highest extended leaf
CPUID_EXT_FEATURES	equ 0x80000001
CPUID_EXT_EDX_NX	equ 20
CPUID_EXT_EDX_LM	equ 29

%macro require 2				; bit of EDX, what the CPU is without if it is clear
	bt	edx, %1
	jc	%%there
	refuse	"this CPU has no ", %2, ". Any x86-64 CPU has it; in QEMU, try -cpu max."
%%there:
%endmacro

	mov	eax, 1
	cpuid
	mov	ebp, edx
	require	CPUID_1_EDX_TSC, "time-stamp counter"
	rdtsc
	mov	[PA(tsc_at_entry)], eax
	mov	[PA(tsc_at_entry) + 4], edx

	mov	edx, ebp
	require	CPUID_1_EDX_PSE, "2 MiB pages"
	require	CPUID_1_EDX_APIC, "local APIC"
	require	CPUID_1_EDX_PGE, "global pages"
	require	CPUID_1_EDX_PAT, "page attribute table"

	mov	eax, CPUID_EXT
	cpuid
	xor	edx, edx			; with no such leaf there is no such feature
	cmp	eax, CPUID_EXT_FEATURES
	jb	.features
	mov	eax, CPUID_EXT_FEATURES
	cpuid
.features:
	require	CPUID_EXT_EDX_LM, "64-bit mode"
	require	CPUID_EXT_EDX_NX, "no-execute pages"

; The tables are zero by ELF's rules: loaders clear what is not in the file. Only the low halves of
; entries are written; all they point to lies below 4 GiB.

PTE_TABLE	equ PTE_P | PTE_W
PTE_LARGE	equ PTE_P | PTE_W | PTE_PS

	mov	dword [boot_pml4 + 8 * L4_SLOT(0)], boot_pdpt + PTE_TABLE
	mov	dword [boot_pml4 + 8 * L4_SLOT(DIRECT_BASE)], boot_pdpt + PTE_TABLE
	mov	dword [boot_pml4 + 8 * L4_SLOT(IMAGE_BASE)], boot_pdpt_image + PTE_TABLE
	mov	dword [boot_pdpt_image + 8 * L3_SLOT(IMAGE_BASE)], boot_pd + PTE_TABLE
%assign gib 0
%rep BOOT_MAP_GIB
	mov	dword [boot_pdpt + 8 * gib], boot_pd + gib * PAGE_SIZE + PTE_TABLE
%assign gib gib + 1
%endrep
	mov	ebx, boot_pd
	mov	eax, 0 + PTE_LARGE
	mov	ecx, (BOOT_MAP_GIB << 30) / LARGE_PAGE
.next_page:
	mov	[ebx], eax
	add	eax, LARGE_PAGE
	add	ebx, 8
	loop	.next_page

; Into long mode (SDM vol. 3A, 9.8.5), and out of its 32-bit half by a jump to a 64-bit segment.

	mov	eax, CR4_PAE
	mov	cr4, eax
	mov	eax, boot_pml4
	mov	cr3, eax
	mov	ecx, MSR_EFER
	mov	eax, EFER_LME | EFER_NXE
	xor	edx, edx
	wrmsr
	mov	eax, CR0_BOOT
	mov	cr0, eax
	lgdt	[boot_gdtr]
	jmp	BOOT_CS:long_mode

bits 64
long_mode:
	mov	eax, BOOT_DS
	mov	ds, eax
	mov	es, eax
	mov	ss, eax
	mov	rax, boot_entry64
	jmp	rax

; ESI = the sentence. It goes to the first serial port (a 16550), then QEMU ends by its
; isa-debug-exit device, with status 2 * 0x11 + 1 = 35 as at every failure; other machines stop.

bits 32
COM1		equ 0x3f8
COM1_LSR	equ COM1 + 5			; line status: bit 5, ready for the next byte
LSR_THRE	equ 1 << 5
DEBUG_EXIT	equ 0xf4
DEBUG_EXIT_FAIL	equ 0x11

fail:
	mov	esp, PA(boot_stack_top)
	push	esi
	mov	esi, fail_head
	call	print
	pop	esi
	call	print
	mov	esi, fail_tail
	call	print
	mov	al, DEBUG_EXIT_FAIL
	out	DEBUG_EXIT, al
.stop:
	cli
	hlt
	jmp	.stop

print:						; the text at ESI, to its NUL
	mov	ecx, 1 << 20			; bounds the wait: there may be no such port
	mov	dx, COM1_LSR
.wait:
	in	al, dx
	test	al, LSR_THRE
	loopz	.wait
	lodsb
	test	al, al
	jz	.end
	mov	dx, COM1
	out	dx, al
	jmp	print
.end:
	ret

fail_head:	db "Lazymap cannot start: ", 0
fail_tail:	db 13, 10, "LAZYMAP: FAIL 1", 13, 10, 0

; In force until cpu_init() loads the kernel's.
align 8
boot_gdt:	dq 0
.code64:	dq GDT_CODE64
.data:		dq GDT_DATA
.end:
boot_gdtr:	dw boot_gdt.end - boot_gdt - 1
		dd boot_gdt

BOOT_CS		equ boot_gdt.code64 - boot_gdt
BOOT_DS		equ boot_gdt.data - boot_gdt

section .boot.bss nobits alloc noexec write align=4096
boot_pml4:	resb PAGE_SIZE
boot_pdpt:	resb PAGE_SIZE			; level 3 of the two 4 GiB windows,
boot_pdpt_image: resb PAGE_SIZE			; and of the image's
boot_pd:	resb BOOT_MAP_GIB * PAGE_SIZE	; level 2 of all three

section .text
bits 64
boot_entry64:
	mov	rsp, boot_stack_top
	xor	ebp, ebp			; backtraces end here
	mov	edi, edi			; bits 63:32 are undefined after a mode switch
	mov	esi, esi
	call	kernel_main
	ud2					; it does not return

section .bss align=8
tsc_at_entry:	resq 1

; The boot CPU's stack. The kernel's own page tables leave the guard page out, so running off the
; stack's end faults instead of eating what lies below.
section .bss.stack nobits alloc noexec write align=4096
boot_stack_guard: resb PAGE_SIZE
boot_stack:	resb BOOT_STACK_SIZE
boot_stack_top:
