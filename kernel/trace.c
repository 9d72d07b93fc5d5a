// SPDX-License-Identifier: MIT
/*
 * A ring of records per CPU. A writer takes a position with one atomic add, so an interrupt (or an
 * NMI) that traces in the middle of a trace gets the next position and neither is torn; the cache
 * line is this CPU's own, so the add costs what an add in the cache costs.
 *
 * A record is three words. The time and the event share one: 56 bits of TSC last 208 days at 4 GHz,
 * and it keeps 64 CPUs' rings together under 800 KiB, small enough to be static: the trace works
 * from the first event of the first CPU, before there is memory to allocate.
 *
 * The dump does not stop the machine. It merges the rings by time, always taking the oldest record
 * at the front of any ring, and leaves out what is overwritten under its eyes.
 *
 * Read with kernel/trace.h, which lists the events; mm/ emits them.
 */
#include "kernel/trace.h"
#include "kernel/atomic.h"
#include "kernel/console.h"
#include "kernel/cpu.h"
#include "kernel/printk.h"
#include "kernel/time.h"

struct record {
	u64 tsc : 56, event : 8;
	u64 a, b;
};

struct trace_ring {
	atomic_t next;	 /* position of the next record; written by its CPU */
	atomic_t oldest; /* positions before it have been cleared; written by trace_clear() */
	struct record records[TRACE_RECORDS];
} __aligned_to(CACHE_LINE);

static struct trace_ring rings[MAX_CPUS];

static const char *const formats[NR_TRACE_EVENTS] = {
#define X(name, fmt) fmt,
	TRACE_EVENTS(X)
#undef X
};

void trace(enum trace_event ev, u64 a, u64 b)
{
	struct trace_ring *ring = &rings[cpu_id()];
	u64 pos = atomic_fetch_add(&ring->next, 1);

	ring->records[pos % TRACE_RECORDS] =
		(struct record){.tsc = tsc_now(), .event = ev, .a = a, .b = b};
}

void trace_clear(void)
{
	for (unsigned cpu = 0; cpu < MAX_CPUS; cpu++)
		atomic_set(&rings[cpu].oldest, atomic_read(&rings[cpu].next));
}

/* => the first position of `ring` that can still be read */
static u64 first_position(const struct trace_ring *ring)
{
	u64 next = atomic_read(&ring->next);

	return MAX(atomic_read(&ring->oldest), next - MIN(next, (u64)TRACE_RECORDS));
}

/* Where a dump has got to in each ring, and where it ends. */
struct cursors {
	u64 pos[MAX_CPUS], end[MAX_CPUS];
};

/* Takes the oldest record in front of the cursors. => its CPU, or -1 when all are at their ends */
static int take_oldest(struct cursors *c, struct record *out)
{
	int cpu = -1;

	for (unsigned i = 0; i < MAX_CPUS; i++) {
		const struct trace_ring *ring = &rings[i];
		struct record r;

		c->pos[i] = MAX(c->pos[i], first_position(ring));
		if (c->pos[i] >= c->end[i])
			continue;
		r = ring->records[c->pos[i] % TRACE_RECORDS];
		if (cpu < 0 || r.tsc < out->tsc) {
			*out = r;
			cpu = (int)i;
		}
	}
	if (cpu >= 0)
		c->pos[cpu]++;
	return cpu;
}

void trace_dump(u64 max)
{
	static struct cursors c; /* too large for a stack; one dump at a time, from the monitor */
	struct record r;
	u64 total = 0;
	int cpu;

	for (unsigned i = 0; i < MAX_CPUS; i++) {
		c.pos[i] = first_position(&rings[i]);
		c.end[i] = atomic_read(&rings[i].next);
		total += c.end[i] - c.pos[i];
	}
	printk("%lu records, the newest %lu:\n", total, MIN(total, max));
	for (; (cpu = take_oldest(&c, &r)) >= 0 && !console_interrupted(); total--) {
		u64 us = tsc_to_us(r.tsc - tsc_at_entry);

		if (total > max || r.event >= NR_TRACE_EVENTS)
			continue;
		printk("[%5lu.%06lu] cpu %2d  ", us / 1000000, us % 1000000, cpu);
		printk(formats[r.event], r.a, r.b);
		printk("\n");
	}
}
