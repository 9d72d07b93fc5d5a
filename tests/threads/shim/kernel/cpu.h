// SPDX-License-Identifier: MIT
/*
 * In place of kernel/cpu.h: of a CPU, what mm/ and kernel/spinlock.c may know, as on the simulated
 * machine. A CPU is a thread. Where something is counted, it may be interrupted: that is in every
 * call of the engine, and mostly in the middle.
 */
#ifndef THREADS_CPU_H
#define THREADS_CPU_H

#include "tests/host/shim/kernel/cpu.h"

void take_interrupts(void);

static inline void count_here(u64 *counter, u64 n)
{
	WRITE_ONCE(*counter, READ_ONCE(*counter) + n);
	take_interrupts();
}

#undef count_add
#define count_add(name, n) count_here(&this_cpu()->counters[CNT_##name], (u64)(n))

#endif
