// SPDX-License-Identifier: MIT
/* What boot learnt and the rest may ask. */
#ifndef KERNEL_MAIN_H
#define KERNEL_MAIN_H

#include "boot/boot_info.h"

extern struct boot_info boot_info; /* stable once kernel_main() has parsed the hand-over */
extern u64 tsc_at_prompt;	   /* TSC when boot was over; 0 before */

/* From boot/boot.asm: 64-bit mode, high half, boot tables, IRQs off, on the static boot stack. */
void kernel_main(u32 door, u64 handover) __noreturn;

/*
 * Something from outside makes it impossible to go on: says so and leaves, without a panic's noise.
 */
void refuse_to_start(const char *what, const char *why) __noreturn;

#endif
