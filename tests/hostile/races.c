// SPDX-License-Identifier: MIT
/*
 * Which accesses nothing orders: a happens-before check (Lamport 1978; the cells are those of
 * ThreadSanitizer, Serebryany 2009). Each CPU has a vector of clocks: what it knows of the others'
 * steps. An atomic store or update of a word, the release of a lock and the raising of an interrupt
 * pass on what their CPU knows; an atomic load or update of that word, the taking of that lock or
 * interrupt learns it. x86 orders no less than that (SDM vol. 3A, 8.2). Plain accesses order
 * nothing. Two of them to the same bytes, one a write, by CPUs of which the second does not know of
 * the first, are a race, and both are named. It need not have gone wrong this time: that is the
 * point.
 *
 * READ_ONCE, WRITE_ONCE and GLANCE say that a word is shared and the reader can live with what it
 * gets: one of them on either side is no race. Nor do they order anything.
 *
 * For each 8 bytes the last few accesses are kept, in a table by address; what is forgotten is not
 * found. Interrupt handlers are their CPU's: what they do is in its order. A store is taken to pass
 * on what its CPU knows when it is made, though others may see it later.
 */
#include <sys/mman.h>

#include "tests/hostile/hostile.h"

#define CELLS  6
#define WORDS  (1u << 20) /* powers of two; neighbours lie together, to touch few pages */
#define SYNCS  (1u << 18)
#define CLOCKS 8 /* CPUS_MAX, at least */

struct cell {
	u32 clock; /* of its CPU; 0: empty */
	u32 pc;
	u8 cpu;
	u8 mask; /* of the bytes */
	bool write;
};

static struct word {
	u64 address;
	u32 next; /* cell to be used */
	struct cell cell[CELLS];
} * words;

/* What those knew who stored to a word, or released a lock. */
static struct sync {
	u64 address;
	u32 clock[CLOCKS];
} * syncs;

static u32 clocks[CLOCKS][CLOCKS];  /* [who][knows of whose steps] */
static u32 raisers[CLOCKS][CLOCKS]; /* what those knew who raised its interrupts */

static void join(u32 *to, const u32 *from)
{
	for (unsigned i = 0; i < CLOCKS; i++)
		to[i] = MAX(to[i], from[i]);
}

static struct sync *sync_of(const void *word)
{
	u64 a = (u64)word >> 3, i = a % SYNCS;

	while (syncs[i].address && syncs[i].address != a)
		i = (i + 1) % SYNCS;
	syncs[i].address = a;
	return &syncs[i];
}

static void acquire(const void *word)
{
	join(clocks[sim.cpu], sync_of(word)->clock);
}

static void release(const void *word)
{
	join(sync_of(word)->clock, clocks[sim.cpu]);
	clocks[sim.cpu][sim.cpu]++;
}

/* --- plain accesses --------------------------------------------------------------------------- */

static void check(const struct cell *was, const struct cell *now, u64 address)
{
	if (!was->clock || !(was->mask & now->mask) || was->cpu == now->cpu ||
	    !(was->write || now->write) || was->clock <= clocks[now->cpu][was->cpu])
		return;
	outcome->race[0] = was->pc;
	outcome->race[1] = now->pc;
	panic("a race for %#lx: CPU %u %s it, then CPU %u %s it, and nothing orders the two",
	      address << 3, was->cpu, was->write ? "wrote" : "read", now->cpu,
	      now->write ? "writes" : "reads");
}

/* Bytes of one word. */
static void touch(u64 address, u8 mask, bool write, const void *pc)
{
	struct word *w = &words[address % WORDS];
	struct cell now = {clocks[sim.cpu][sim.cpu], (u32)(u64)pc, (u8)sim.cpu, mask, write};

	if (w->address != address)
		*w = (struct word){.address = address};
	for (unsigned i = 0; i < CELLS; i++)
		check(&w->cell[i], &now, address);
	for (unsigned i = 0; i < CELLS; i++) /* instead of its own last one, if it is the same */
		if (w->cell[i].cpu == now.cpu && w->cell[i].write == write &&
		    w->cell[i].mask == mask) {
			w->cell[i] = now;
			return;
		}
	w->cell[w->next++ % CELLS] = now;
}

static void touch_all(const void *p, unsigned bytes, bool write, const void *pc)
{
	u64 at = (u64)p, end = at + bytes;

	for (; at < end; at = (at | 7) + 1) {
		u64 last = MIN(end, (at | 7) + 1);

		touch(at >> 3, (u8)(((1u << (last - at)) - 1) << (at & 7)), write, pc);
	}
}

/* --- what the simulator sees ------------------------------------------------------------------ */

static void all_meet(void)
{
	for (unsigned i = 1; i < CLOCKS; i++)
		join(clocks[0], clocks[i]);
	for (unsigned i = 0; i < CLOCKS; i++) {
		memcpy(clocks[i], clocks[0], sizeof(clocks[i]));
		clocks[i][i]++;
	}
}

static void see(const struct sim_point *at)
{
	switch (at->access) {
	case SIM_READ:
	case SIM_WRITE:
		touch_all(at->word, at->bytes, at->access == SIM_WRITE, at->pc);
		break;
	case SIM_LOAD:
	case SIM_LOCKED:
		acquire(at->word);
		break;
	case SIM_STORE:
	case SIM_UNLOCKED:
		release(at->word);
		break;
	case SIM_UPDATE:
	case SIM_ENTRY:
		acquire(at->word);
		release(at->word);
		break;
	case SIM_RAISED:
		join(raisers[at->bytes], clocks[sim.cpu]);
		clocks[sim.cpu][sim.cpu]++;
		break;
	case SIM_TAKEN:
		join(clocks[sim.cpu], raisers[sim.cpu]);
		break;
	case SIM_JOINED:
		all_meet();
		break;
	default:
		break;
	}
}

void races_init(void)
{
	words = zeroed(WORDS * sizeof(*words), MAP_PRIVATE);
	syncs = zeroed(SYNCS * sizeof(*syncs), MAP_PRIVATE);
	for (unsigned i = 0; i < CLOCKS; i++)
		clocks[i][i] = 1;
	sim_saw = see;
}
