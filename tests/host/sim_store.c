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
	if (buffers[cpu].nr && !sim_random(4))
		drain_one(&buffers[cpu]);
}

/*
 * A word on a stack may be gone before its store comes out: only lasting memory is stored to
 * late.
 */
static bool lasting(const u64 *word)
{
	extern char __data_start[], _end[];
	const char *p = (const char *)word;

	return (p >= __data_start && p < _end) || virt_to_phys(p) < SIM_PHYS_MAX ||
	       (u64)(p - (const char *)frames) < SIM_FRAMES_SIZE;
}

u64 sim_load(const u64 *word)
{
	const struct store_buffer *b;

	sim_step();
	b = &buffers[sim.cpu];
	for (unsigned i = b->nr; i-- > 0;)
		if (b->store[i].word == word)
			return b->store[i].v;
	return *word;
}

void sim_store(u64 *word, u64 v)
{
	struct store_buffer *b;

	sim_step();
	b = &buffers[sim.cpu];
	if (!sim.store_buffer || !lasting(word)) {
		sim_store_drain(sim.cpu);
		*word = v;
		return;
	}
	if (b->nr == STORE_BUFFER_MAX)
		drain_one(b);
	b->store[b->nr].word = word;
	b->store[b->nr++].v = v;
}

void sim_full_barrier(void)
{
	sim_step();
	sim_store_drain(sim.cpu);
}
