// SPDX-License-Identifier: MIT
/*
 * Where mm/ runs, and what it may do there: asked of the CPU, whoever makes it. For
 * mm/mm_internal.h and those that stand in for it, which have this_cpu() and irqs_enabled().
 */
#ifndef MM_CONTEXT_H
#define MM_CONTEXT_H

static inline u32 cpu_spinlocks_held(void)
{
	return this_cpu()->locks_held;
}

static inline bool in_interrupt(void)
{
	return this_cpu()->irq_depth;
}

/* => may this CPU wait for others, which may be waiting for it? */
static inline bool may_wait(void)
{
	return irqs_enabled() && !cpu_spinlocks_held() && !in_interrupt();
}

#endif
