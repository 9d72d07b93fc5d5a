// SPDX-License-Identifier: MIT
/* In place of kernel/irq.h: the interrupt flag of the CPU that this thread is. */
#ifndef KERNEL_IRQ_H
#define KERNEL_IRQ_H

#include "kernel/types.h"

typedef u64 irqflags_t;

bool irqs_enabled(void);
void irq_disable(void);
void irq_enable(void); /* what is pending is taken here */

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
