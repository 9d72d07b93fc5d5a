// SPDX-License-Identifier: MIT
/*
 * The start of an application processor, as its starter sees it. A startup IPI makes a CPU begin in
 * real mode at the start of a 4 KiB page below 1 MiB, with the page's number as its vector (SDM
 * vol. 3A, 8.4.4). boot/trampoline.asm is the contents of such a page; it works wherever it is put.
 *
 *	memcpy(page, trampoline_start, TRAMPOLINE_SIZE);
 *	*(struct trampoline_args *)(page + TRAMPOLINE_ARGS) = (struct trampoline_args){...};
 *	(INIT, then STARTUP with vector page_pa >> 12)
 *
 * The page serves any number of CPUs one after the other; only the arguments change between them.
 * It must be writable until the last one has arrived: the CPU keeps its far pointers in it.
 */
#ifndef BOOT_TRAMPOLINE_H
#define BOOT_TRAMPOLINE_H

#include "kernel/types.h"

#define TRAMPOLINE_SIZE 4096
#define TRAMPOLINE_ARGS 0xfc0 /* where struct trampoline_args lies in the page; also in the .asm */

/*
 * The CPU arrives at `entry` in 64-bit mode on flat boot segments whose GDT lies in the page,
 * interrupts off, rdi = arg, rbp = 0, a zero return address on its stack, CR0 with PG and WP
 * (caches on), CR4 with nothing but PAE, EFER with LME and NXE: whatever else the kernel wants is
 * cpu_init()'s to set, and every segment, the GDT included, to replace before the page goes away.
 */
struct trampoline_args {
	u32 cr3; /* maps the page where it is, executable, and what the others point to */
	u32 pad;
	u64 stack_top; /* 16-byte aligned */
	u64 entry;     /* void entry(void *arg), never returns */
	u64 arg;
};

_Static_assert(offsetof(struct trampoline_args, arg) == 24, "as in boot/trampoline.asm");

extern const u8 trampoline_start[TRAMPOLINE_SIZE];

#endif
