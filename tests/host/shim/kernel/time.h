// SPDX-License-Identifier: MIT
/*
 * In place of kernel/time.h: simulated time, which passes with every shared access and faster
 * while waiting.
 */
#ifndef KERNEL_TIME_H
#define KERNEL_TIME_H

#include "kernel/types.h"

u64 tsc_now(void);

static inline u64 tsc_coarse(void)
{
	return tsc_now();
}

extern u64 tsc_hz;

static inline u64 tsc_to_us(u64 ticks)
{
	return (u64)((unsigned __int128)ticks * 1000000 / tsc_hz);
}

#endif
