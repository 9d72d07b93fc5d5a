// SPDX-License-Identifier: MIT
/*
 * In place of kernel/atomic.h: the same words on the simulated machine. Every access to a shared
 * word goes through the simulator, which may let another CPU run first, deliver an interrupt, or
 * keep a store back in this CPU's store buffer for a while, as x86 does (SDM vol. 3A, 8.2.3.4).
 */
#ifndef KERNEL_ATOMIC_H
#define KERNEL_ATOMIC_H

#include "kernel/types.h"

typedef struct {
	u64 v;
} atomic_t;

u64 sim_load(const u64 *word);
void sim_store(u64 *word, u64 v);
void sim_full_barrier(void); /* what a locked instruction does: empties this CPU's store buffer */
void sim_relax(void);	     /* this CPU waits: the others get a turn, or time passes */

/* A locked instruction. => what the word was */
enum sim_update {
	SIM_XCHG,
	SIM_ADD,
	SIM_OR,
	SIM_AND,
	SIM_XOR
};
u64 sim_update(u64 *word, enum sim_update how, u64 v);
bool sim_cmpxchg(u64 *word, u64 *old, u64 new);

static inline u64 atomic_read(const atomic_t *a)
{
	return sim_load(&a->v);
}

static inline void atomic_set(atomic_t *a, u64 v)
{
	sim_store(&a->v, v);
}

static inline u64 atomic_xchg(atomic_t *a, u64 v)
{
	return sim_update(&a->v, SIM_XCHG, v);
}

static inline u64 atomic_fetch_add(atomic_t *a, u64 v)
{
	return sim_update(&a->v, SIM_ADD, v);
}

static inline u64 atomic_fetch_or(atomic_t *a, u64 v)
{
	return sim_update(&a->v, SIM_OR, v);
}

static inline u64 atomic_fetch_and(atomic_t *a, u64 v)
{
	return sim_update(&a->v, SIM_AND, v);
}

static inline void atomic_xor(atomic_t *a, u64 v)
{
	sim_update(&a->v, SIM_XOR, v);
}

/* => true if *a was old and is now new */
static inline bool atomic_cmpxchg(atomic_t *a, u64 old, u64 new)
{
	return sim_cmpxchg(&a->v, &old, new);
}

/* => true if *a was *old and is now new; else *old is what it was */
static inline bool atomic_try_cmpxchg(atomic_t *a, u64 *old, u64 new)
{
	return sim_cmpxchg(&a->v, old, new);
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
	sim_full_barrier();
}

static inline void cpu_relax(void)
{
	sim_relax();
}

#endif
