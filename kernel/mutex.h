// SPDX-License-Identifier: MIT
/*
 * A lock that may be held while waiting for other CPUs, such as purge_lock during a shootdown.
 * It is spun on with interrupts on, so a waiter still answers IPIs; its holder never switches
 * threads, so the wait is bounded by the holder's work.
 */
#ifndef KERNEL_MUTEX_H
#define KERNEL_MUTEX_H

#include "kernel/atomic.h"

typedef struct mutex {
	atomic_t holder; /* CPU id + 1; 0: free */
	const char *name;
} mutex_t;

#define MUTEX_INIT(n)       \
	{                   \
		.name = (n) \
	}

/*
 *   => thread context, IRQs on, no spinlock held (asserted); panics if this CPU holds it
 */
void mutex_lock(mutex_t *m);
bool mutex_trylock(mutex_t *m);
void mutex_unlock(mutex_t *m);
bool mutex_held(const mutex_t *m);

#endif
