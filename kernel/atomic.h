// SPDX-License-Identifier: MIT
/*
 * Atomics: one width, a few verbs, and one rule for ordering that a reader can keep in mind:
 *
 *   read    acquires   (what follows it stays after it)
 *   set     releases   (what precedes it stays before it)
 *   every read-modify-write is a full barrier, as the lock prefix is on x86
 *   smp_mb()           is needed only between a set and a later read of another word
 *                      (the one reordering x86 does: SDM vol. 3A, 8.2.3.4)
 *
 * All shared state of the shootdown protocol goes through these, so that a simulated machine
 * can replace the header and switch CPUs at every shared access.
 */
#ifndef KERNEL_ATOMIC_H
#define KERNEL_ATOMIC_H

#include "kernel/types.h"

typedef struct {
	u64 v;
} atomic_t;

static inline u64 atomic_read(const atomic_t *a)
{
	return __atomic_load_n(&a->v, __ATOMIC_ACQUIRE);
}

static inline void atomic_set(atomic_t *a, u64 v)
{
	__atomic_store_n(&a->v, v, __ATOMIC_RELEASE);
}

static inline u64 atomic_xchg(atomic_t *a, u64 v)
{
	return __atomic_exchange_n(&a->v, v, __ATOMIC_SEQ_CST);
}

static inline u64 atomic_fetch_add(atomic_t *a, u64 v)
{
	return __atomic_fetch_add(&a->v, v, __ATOMIC_SEQ_CST);
}

static inline u64 atomic_fetch_or(atomic_t *a, u64 v)
{
	return __atomic_fetch_or(&a->v, v, __ATOMIC_SEQ_CST);
}

static inline u64 atomic_fetch_and(atomic_t *a, u64 v)
{
	return __atomic_fetch_and(&a->v, v, __ATOMIC_SEQ_CST);
}

static inline void atomic_xor(atomic_t *a, u64 v)
{
	__atomic_xor_fetch(&a->v, v, __ATOMIC_SEQ_CST);
}

/* => true if *a was old and is now new */
static inline bool atomic_cmpxchg(atomic_t *a, u64 old, u64 new)
{
	return __atomic_compare_exchange_n(&a->v, &old, new, false, __ATOMIC_SEQ_CST,
					   __ATOMIC_SEQ_CST);
}

/* => true if *a was *old and is now new; else *old is what it was */
static inline bool atomic_try_cmpxchg(atomic_t *a, u64 *old, u64 new)
{
	return __atomic_compare_exchange_n(&a->v, old, new, false, __ATOMIC_SEQ_CST,
					   __ATOMIC_SEQ_CST);
}

/* *a := max(*a, v); only reads if it is that large already */
static inline void atomic_max(atomic_t *a, u64 v)
{
	u64 old;

	while ((old = atomic_read(a)) < v && !atomic_cmpxchg(a, old, v))
		;
}

static inline void smp_mb(void)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* In every spin loop: tells the processor (and an emulator) that nothing happens here. */
static inline void cpu_relax(void)
{
	__builtin_ia32_pause();
}

#endif
