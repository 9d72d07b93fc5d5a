// SPDX-License-Identifier: MIT
/*
 * In front of kernel/atomic.h, which is used as it is but for two words. A CPU that waits takes its
 * interrupts and lets other threads run. A fence of its own, which ThreadSanitizer does not know,
 * is an exchange of a word that no other thread has: as strong for the processor, and no order
 * that ThreadSanitizer could take for a lock.
 */
#ifndef THREADS_ATOMIC_H
#define THREADS_ATOMIC_H

#define smp_mb	  kernel_smp_mb
#define cpu_relax kernel_cpu_relax
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wtsan" /* the fence, which nobody calls */
#include_next "kernel/atomic.h"
#pragma GCC diagnostic pop
#undef smp_mb
#undef cpu_relax

extern _Thread_local atomic_t fence_word;

static inline void smp_mb(void)
{
	atomic_xchg(&fence_word, 0);
}

void cpu_relax(void);

#endif
