// SPDX-License-Identifier: MIT
/*
 * Spinlocks that know their holder. All are taken with interrupts off, so that any of them may be
 * used from an interrupt handler and none can deadlock against one; in return the sections they
 * guard are short, and nobody ever waits for another CPU inside one (the shootdown asserts
 * cpu->locks_held == 0).
 */
#ifndef KERNEL_SPINLOCK_H
#define KERNEL_SPINLOCK_H

#include "kernel/atomic.h"
#include "kernel/irq.h"

typedef struct spinlock {
	atomic_t holder;     /* CPU id + 1; 0: free */
	const char *name;    /* for the panic that names it */
	irqflags_t irqflags; /* the holder's, to be restored */
} spinlock_t;

#define SPINLOCK_INIT(n)    \
	{                   \
		.name = (n) \
	}

/*
 * spin_lock: take `l` and keep this CPU's interrupts off until spin_unlock.
 *   => any context but NMI; panics if this CPU holds it, or after a watchdog's time without it
 *   => nests with other locks, released in reverse order
 */
void spin_lock(spinlock_t *l);
void spin_unlock(spinlock_t *l);

/* => true if this CPU holds `l` */
bool spin_held(const spinlock_t *l);

#endif
