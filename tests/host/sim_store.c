// SPDX-License-Identifier: MIT
/*
 * The store buffers of the simulated CPUs. A buffer holds its CPU's latest atomic_set()s until a
 * locked operation, an interrupt or chance lets them out, in order; its own loads see them at once.
 * That is all the reordering x86 does (SDM vol. 3A, 8.2.3.4). Plain stores are not delayed: shared
 * words that are not atomic are guarded by locks, which are locked operations.
 */
#include "tests/host/sim.h"

#define STORE_BUFFER_MAX 8

static struct store_buffer {
	unsigned nr;
	struct {
		u64 *word, v;
	} store[STORE_BUFFER_MAX];
} buffers[MAX_CPUS];

static void drain_one(struct store_buffer *b)
{
	*b->store[0].word = b->store[0].v;
	memmove(&b->store[0], &b->store[1], --b->nr * sizeof(b->store[0]));
}

void sim_store_drain(unsigned cpu)
{
	while (buffers[cpu].nr)
		drain_one(&buffers[cpu]);
}

void sim_store_leak(unsigned cpu)
{
	if (buffers[cpu].nr)
		drain_one(&buffers[cpu]);
}

bool sim_stores_wait(unsigned cpu)
{
	return buffers[cpu].nr;
}

bool sim_is_lasting(const void *word)
{
	extern char __data_start[], _end[];
	const char *p = word;

	if (p >= (const char *)cpus && p < (const char *)(cpus + MAX_CPUS))
		return false; /* each its own CPU's */
	return (p >= __data_start && p < _end) || virt_to_phys(p) < SIM_PHYS_MAX ||
	       (u64)(p - (const char *)frames) < SIM_FRAMES_SIZE;
}

u64 sim_load(const u64 *word)
{
	const struct store_buffer *b;

	sim_step_at(SIM_LOAD, word, sizeof(*word), __builtin_return_address(0));
	b = &buffers[sim.cpu];
	for (unsigned i = b->nr; i-- > 0;)
		if (b->store[i].word == word)
			return b->store[i].v;
	return *word;
}

void sim_store(u64 *word, u64 v)
{
	struct store_buffer *b;

	sim_step_at(SIM_STORE, word, sizeof(*word), __builtin_return_address(0));
	b = &buffers[sim.cpu];
	if (!sim.store_buffer || !sim_is_lasting(word)) {
		sim_store_drain(sim.cpu);
		*word = v;
		return;
	}
	if (b->nr == STORE_BUFFER_MAX)
		drain_one(b);
	b->store[b->nr].word = word;
	b->store[b->nr++].v = v;
}

u64 sim_update(u64 *word, enum sim_update how, u64 v)
{
	u64 old;

	sim_step_at(SIM_UPDATE, word, sizeof(*word), __builtin_return_address(0));
	sim_store_drain(sim.cpu);
	old = *word;
	*word = how == SIM_XCHG	 ? v
		: how == SIM_ADD ? old + v
		: how == SIM_OR	 ? old | v
		: how == SIM_AND ? old & v
				 : old ^ v;
	return old;
}

bool sim_cmpxchg(u64 *word, u64 *old, u64 new)
{
	u64 was = *old;

	sim_step_at(SIM_UPDATE, word, sizeof(*word), __builtin_return_address(0));
	sim_store_drain(sim.cpu);
	*old = *word;
	if (*word != was)
		return false;
	*word = new;
	return true;
}

void sim_once(const void *word, unsigned bytes, bool write)
{
	sim_step_at(write ? SIM_STORE_ONCE : SIM_LOAD_ONCE, word, bytes,
		    __builtin_return_address(0));
}

void sim_full_barrier(void)
{
	sim_step_at(SIM_FENCE, NULL, 0, __builtin_return_address(0));
	sim_store_drain(sim.cpu);
}
