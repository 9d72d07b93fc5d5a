// SPDX-License-Identifier: MIT
/*
 * The end of the road. A broken invariant is a bug in this kernel, never something the outside
 * can cause, so it is not an error value: KASSERT names what broke, with the values that show
 * it, and the machine stops with every CPU's state on the console.
 */
#ifndef KERNEL_PANIC_H
#define KERNEL_PANIC_H

#include "kernel/types.h"

/*
 * panic: print, stop the other CPUs, print registers and a symbolised backtrace, exit with failure.
 *   => any context, any lock held; never returns
 *   => a second panic (another CPU, or one inside the first) does not print over the first
 */
void panic(const char *fmt, ...) __printf_like(1, 2) __noreturn;

struct trap_frame;

/*
 * panic_trap: a panic whose registers and backtrace are the interrupted code's. => from trap.c
 *   => about: an address whose meaning is to be told, or NULL
 */
void panic_trap(const struct trap_frame *f, const u64 *about, const char *fmt, ...)
	__printf_like(3, 4) __noreturn;

/*
 * panic_nmi: an NMI has come. If a CPU is panicking it wants this one's registers and its silence;
 * else the hardware (or someone at QEMU's monitor: `nmi`) wants to see where we are: a panic.
 */
void panic_nmi(const struct trap_frame *f);

#define KASSERT(cond, fmt, ...)                                                             \
	do {                                                                                \
		if (unlikely(!(cond)))                                                      \
			panic("%s:%d: %s: assertion '%s' failed: " fmt, __FILE__, __LINE__, \
			      __func__, #cond, ##__VA_ARGS__);                              \
	} while (0)

#endif
