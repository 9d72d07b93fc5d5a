// SPDX-License-Identifier: MIT
/*
 * This CPU's interrupt flag. Under Xen the flag is a byte in shared memory, not RFLAGS.IF (a
 * PV guest's cli is ignored); these four words are the whole seam.
 */
#ifndef KERNEL_IRQ_H
#define KERNEL_IRQ_H

#include "kernel/types.h"

typedef u64 irqflags_t;

#define RFLAGS_IF (1ull << 9) /* SDM vol. 1, 3.4.3 */

static inline bool irqs_enabled(void)
{
	u64 f;

	__asm__ volatile("pushfq; popq %0" : "=r"(f)::"memory");
	return f & RFLAGS_IF;
}

static inline void irq_disable(void)
{
	__asm__ volatile("cli" ::: "memory");
}

static inline void irq_enable(void)
{
	__asm__ volatile("sti" ::: "memory");
}

static inline irqflags_t irq_save(void)
{
	bool on = irqs_enabled();

	irq_disable();
	return on;
}

static inline void irq_restore(irqflags_t f)
{
	if (f)
		irq_enable();
}

#endif
