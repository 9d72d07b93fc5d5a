// SPDX-License-Identifier: MIT
/*
 * A ring of records per CPU. A writer takes a position with one atomic add, so an interrupt (or an
 * NMI) that traces in the middle of a trace gets the next position and neither is torn; the cache
 * line is this CPU's own, so the add costs what an add in the cache costs.
 *
 * A record is three words. Time, event and a bit share one: 55 bits of TSC would do, 56 last 208
 * days at 4 GHz, and it keeps 64 CPUs' rings together under 800 KiB, small enough to be static: the
 * trace works from the first event of the first CPU, before there is memory to allocate.
 *
 * The bit tells whether a record is finished: it is written last, and its value alternates from one
 * lap around the ring to the next (the first lap's is 1, because memory begins as 0). A reader that
 * finds the other value there has come before the writer.
 *
 * A dump does not stop the machine but the recording, or else a busy one would overwrite in
 * milliseconds what takes seconds to print. Who had passed the look at `paused` may still write: on
 * each CPU at most a thread and what interrupted it on top of it, a few records, and a dump leaves
 * the few oldest places to them. So nothing is overwritten while it is read. The dump merges the
 * rings by time, always taking the oldest record at the front of any ring.
 *
 * Within a ring the order is that of the positions. The time is read before the position is taken;
 * so an interrupt in between that traces makes a record that is newer and comes first. The reader
 * then takes the older for as new: nothing on a CPU ever goes back in time.
 *
 * Read with kernel/trace.h, which lists the events; mm/ emits them. Next: kernel/trace_json.c.
 */
#include "kernel/trace.h"
#include "kernel/atomic.h"
#include "kernel/console.h"
#include "kernel/cpu.h"
#include "kernel/panic.h"
#include "kernel/printk.h"
#include "kernel/time.h"
#include "kernel/trace_read.h"

#define UNDER_WAY  8 /* more than can interrupt each other on a CPU while they trace */

#define TSC_SHIFT  8
#define TSC_MASK   (~0ul >> TSC_SHIFT)
#define EVENT_MASK 0x7f
#define LAP_BITS   1

struct record {
	atomic_t head; /* TSC << 8 | event << 1 | lap */
	atomic_t a, b;
};

struct trace_ring {
	atomic_t next;	 /* position of the next record; written by its CPU */
	atomic_t oldest; /* positions before it have been cleared; written by trace_clear() */
	struct record records[TRACE_RECORDS];
} __aligned_to(CACHE_LINE);

static struct trace_ring rings[MAX_CPUS];
u32 trace_hot;

static atomic_t paused; /* 1: a dump is being made */
static atomic_t missed; /* records not made since it began */

/* Where the dump has got to in each ring, and where it ends. */
static struct {
	u64 pos[MAX_CPUS], end[MAX_CPUS];
	u64 ticks[MAX_CPUS]; /* of the ring's last record read */
	u64 since;	     /* TSC when it began */
} reader;

static const char *const names[NR_TRACE_EVENTS] = {
#define X(name, a, b) #name,
	TRACE_EVENTS(X, TRACE_HEX, TRACE_DEC)
#undef X
};

static const char *const formats[NR_TRACE_EVENTS] = {
#define X(name, a, b) a " " b "\n",
	TRACE_EVENTS(X, TRACE_HEX, TRACE_DEC)
#undef X
};

_Static_assert(NR_TRACE_EVENTS <= EVENT_MASK + 1, "an event has 7 bits");

static u64 lap(u64 pos)
{
	return !(pos / TRACE_RECORDS % 2);
}

static void record(enum trace_event ev, u64 a, u64 b)
{
	u64 tsc = tsc_now();
	struct trace_ring *ring = &rings[cpu_id()];
	u64 pos = atomic_fetch_add(&ring->next, 1);
	struct record *r = &ring->records[pos % TRACE_RECORDS];

	atomic_set(&r->a, a);
	atomic_set(&r->b, b);
	atomic_set(&r->head, tsc << TSC_SHIFT | (u64)ev << LAP_BITS | lap(pos));
}

void trace(enum trace_event ev, u64 a, u64 b)
{
	if (likely(!atomic_read(&paused)))
		record(ev, a, b);
	else
		atomic_fetch_add(&missed, 1);
}

void trace_clear(void)
{
	for (unsigned cpu = 0; cpu < MAX_CPUS; cpu++)
		atomic_set(&rings[cpu].oldest, atomic_read(&rings[cpu].next));
}

/* => false if it is not finished */
static bool read_record(unsigned cpu, u64 pos, struct trace_record *out)
{
	const struct record *r = &rings[cpu].records[pos % TRACE_RECORDS];
	u64 head = atomic_read(&r->head);

	*out = (struct trace_record){
		.ticks = ((head >> TSC_SHIFT) - tsc_at_entry) & TSC_MASK,
		.cpu = cpu,
		.event = (enum trace_event)(head >> LAP_BITS & EVENT_MASK),
		.a = atomic_read(&r->a),
		.b = atomic_read(&r->b),
	};
	return (head & 1) == lap(pos);
}

void trace_read_begin(u64 *readable, u64 *lost)
{
	const u64 kept = TRACE_RECORDS - UNDER_WAY;
	u64 was = atomic_xchg(&paused, 1);

	KASSERT(!was, "two dumps of the trace at once");
	reader.since = tsc_now();
	*readable = *lost = 0;
	for (unsigned cpu = 0; cpu < MAX_CPUS; cpu++) {
		u64 oldest = atomic_read(&rings[cpu].oldest), end = atomic_read(&rings[cpu].next);

		reader.pos[cpu] = MAX(oldest, end - MIN(end, kept));
		reader.end[cpu] = end;
		reader.ticks[cpu] = 0;
		*readable += end - reader.pos[cpu];
		*lost += reader.pos[cpu] - oldest;
	}
}

bool trace_read_ahead(unsigned cpu, u64 *n, struct trace_record *out)
{
	while (reader.pos[cpu] + *n < reader.end[cpu]) {
		if (!read_record(cpu, reader.pos[cpu] + (*n)++, out))
			continue;
		out->ticks = MAX(out->ticks, reader.ticks[cpu]);
		return true;
	}
	return false;
}

bool trace_read_next(struct trace_record *out)
{
	bool found = false;
	u64 passed = 0;

	for (unsigned cpu = 0; cpu < MAX_CPUS; cpu++) {
		struct trace_record r;
		u64 n = 0;

		if (trace_read_ahead(cpu, &n, &r) && (!found || r.ticks < out->ticks)) {
			*out = r;
			passed = n;
			found = true;
		}
	}
	if (!found)
		return false;
	reader.pos[out->cpu] += passed;
	reader.ticks[out->cpu] = out->ticks;
	return true;
}

void trace_read_end(void)
{
	u64 n = atomic_xchg(&missed, 0);

	if (n)
		record(EV_missed, n, tsc_to_us(tsc_now() - reader.since));
	atomic_set(&paused, 0);
}

void trace_dump(u64 max)
{
	struct trace_record r;
	u64 left, lost;

	trace_read_begin(&left, &lost);
	printk("%lu records, the newest %lu; %lu older ones are overwritten:\n", left,
	       MIN(left, max), lost);
	for (; trace_read_next(&r) && !console_interrupted(); left--) {
		u64 us = tsc_to_us(r.ticks);
		char args[80];

		if (left > max)
			continue;
		snprintf(args, sizeof(args), formats[r.event], r.a, r.b);
		printk("[%5lu.%06lu] cpu %2u  %-9s %s", us / 1000000, us % 1000000, r.cpu,
		       names[r.event], args);
	}
	trace_read_end();
}
