// SPDX-License-Identifier: MIT
/* Time is the TSC; its rate is measured once at boot (arch/x86/timer.c). */
#ifndef KERNEL_TIME_H
#define KERNEL_TIME_H

#include "kernel/types.h"

static inline u64 tsc_now(void)
{
	u32 lo, hi;

	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi)::"memory");
	return (u64)hi << 32 | lo;
}

extern u64 tsc_hz;	 /* TSC ticks a second; a guess of 1 GHz until it has been measured */
extern u64 tsc_at_entry; /* TSC when the first instruction of the image ran */

static inline u64 tsc_to_us(u64 ticks)
{
	/* In two parts, so that nothing overflows: ticks * 1000000 does within two hours. */
	return ticks / tsc_hz * 1000000 + ticks % tsc_hz * 1000000 / tsc_hz;
}

/* Spins for at least `us` microseconds. => any context */
void delay_us(u64 us);

#endif
