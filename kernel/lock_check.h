// SPDX-License-Identifier: MIT
/*
 * What a checked build (UBSAN=1) asks of spinlocks besides what the locks themselves assert; in any
 * other build these are nothing at all. See lock_check.c.
 */
#ifndef KERNEL_LOCK_CHECK_H
#define KERNEL_LOCK_CHECK_H

#include "kernel/types.h"

struct spinlock;

#ifdef CHECKED
/* lock_check_take: about to wait for `l`; _held: has it; _drop: about to release it. => IRQs off */
void lock_check_take(const struct spinlock *l);
void lock_check_held(const struct spinlock *l);
void lock_check_drop(const struct spinlock *l);

/* In an interrupt handler's frame: _enter() at its beginning, _leave() of that at its end. */
u32 lock_check_enter(void);
void lock_check_leave(u32 locks);
#else
static inline void lock_check_take(const struct spinlock *l __attribute__((unused)))
{
}

static inline void lock_check_held(const struct spinlock *l __attribute__((unused)))
{
}

static inline void lock_check_drop(const struct spinlock *l __attribute__((unused)))
{
}

static inline u32 lock_check_enter(void)
{
	return 0;
}

static inline void lock_check_leave(u32 locks __attribute__((unused)))
{
}
#endif

#endif
