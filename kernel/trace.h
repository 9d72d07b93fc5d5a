// SPDX-License-Identifier: MIT
/*
 * The trace: a ring per CPU of what the mapping engine did, with the TSC. Recording is a handful
 * of stores to CPU-local memory; old records are overwritten. Each event names its two arguments.
 *
 * The rare events are always recorded, so that a trace is there when one is wanted. The common
 * ones, a map and an unmap, cost about as much as recording them would: they go through
 * trace_fast(), which looks at one word and records only after `trace on`. The fastest paths of mm/
 * do not record at all: they look at the word as well, and leave what is traced to the slower ones.
 *
 * `trace dump` prints the rings merged by time, `trace dump json` prints them for Perfetto
 * (kernel/trace_json.c). What pairs of events mean together:
 *
 *   purge ... purge_end      on the CPU that purges
 *   flush ... flush_end      one shootdown, on its initiator; the end's id names it
 *   serve ... ack            one target at work for the shootdown of that id
 *
 * An id is initiator << 48 | a number that the initiator counts up, so it is never used twice.
 */
#ifndef KERNEL_TRACE_H
#define KERNEL_TRACE_H

#include "kernel/types.h"

/*
 * X(event, its arguments a and b): HEX for addresses, sets of CPUs and ids, DEC for what is
 * counted.
 */
/* clang-format off */
#define TRACE_EVENTS(X, HEX, DEC)                      \
	X(map,       HEX(va),      DEC(pages))         \
	X(unmap,     HEX(va),      DEC(pages))         \
	X(revive,    HEX(va),      DEC(pages))         \
	X(purge,     DEC(pages),   DEC(phase))         \
	X(purge_end, DEC(pages),   DEC(phase))         \
	X(flush,     HEX(targets), DEC(pages))         \
	X(flush_end, HEX(targets), HEX(id))            \
	X(ipi_send,  HEX(targets), HEX(id))            \
	X(ipi_recv,  HEX(askers),  DEC(clock))         \
	X(serve,     DEC(from),    HEX(id))            \
	X(ack,       DEC(to),      HEX(id))            \
	X(quiet,     DEC(clock),   DEC(was))           \
	X(fault,     HEX(va),      HEX(rip))           \
	X(missed,    DEC(records), DEC(us)) /* not recorded, during a dump that took so long */
/* clang-format on */

/* HEX and DEC for a format of printf's. */
#define TRACE_HEX(arg) #arg "=%#lx"
#define TRACE_DEC(arg) #arg "=%lu"

enum trace_event {
#define X(name, a, b) EV_##name,
	TRACE_EVENTS(X, TRACE_HEX, TRACE_DEC)
#undef X
	NR_TRACE_EVENTS
};

#define TRACE_RECORDS 512 /* per CPU; a power of two */

/* One record on this CPU's ring. => any context, NMI included, once the CPU has its struct cpu */
void trace(enum trace_event ev, u64 a, u64 b);

extern u32 trace_hot; /* are common events recorded? Written by the monitor and at boot */

/* The same for a common event. => as trace() */
static inline void trace_fast(enum trace_event ev, u64 a, u64 b)
{
	if (unlikely(READ_ONCE(trace_hot)))
		trace(ev, a, b);
}

/*
 * Both print the records of all CPUs, oldest first. Meanwhile nothing is recorded, and the first
 * record after it says how much was missed. => thread context, one at a time; stops at Ctrl-C
 *
 * trace_dump: the newest `max`, one a line.
 * trace_dump_json: all, in the Trace Event Format (JSON object), between the lines TRACE_JSON_BEGIN
 *   and TRACE_JSON_END, each of its lines in one piece (tests/harness/tracing.py cuts them out).
 */
#define TRACE_JSON_BEGIN "TRACE-JSON-BEGIN"
#define TRACE_JSON_END	 "TRACE-JSON-END"
void trace_dump(u64 max);
void trace_dump_json(void);

/* Forgets what has been recorded so far. => any context */
void trace_clear(void);

#endif
