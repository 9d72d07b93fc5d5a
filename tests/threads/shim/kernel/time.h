// SPDX-License-Identifier: MIT
/* In place of kernel/time.h: the host's monotonic clock, in nanoseconds. */
#ifndef KERNEL_TIME_H
#define KERNEL_TIME_H

#include "kernel/types.h"

u64 tsc_now(void);

static inline u64 tsc_coarse(void)
{
	return tsc_now();
}

extern u64 tsc_hz, tsc_at_entry;

static inline u64 tsc_to_us(u64 ticks)
{
	return ticks / 1000;
}

#endif
