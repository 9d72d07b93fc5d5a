// SPDX-License-Identifier: MIT
/*
 * The trace: a ring per CPU of what the mapping engine did, with the TSC. Recording is a handful
 * of stores to CPU-local memory; old records are overwritten. Each event names its two arguments.
 * `trace dump` merges the rings by time.
 */
#ifndef KERNEL_TRACE_H
#define KERNEL_TRACE_H

#include "kernel/types.h"

/* The event, and the text of its record: two formats of 64 bits, for a and b. */
/* clang-format off */
#define TRACE_EVENTS(X)                                                                            \
	X(map,      "map      va=%#lx pages=%lu")                                                  \
	X(unmap,    "unmap    va=%#lx pages=%lu")                                                  \
	X(purge,    "purge    areas=%lu pages=%lu")                                                \
	X(flush,    "flush    cpus=%#lx pages=%lu")                                                \
	X(ipi_send, "ipi send cpus=%#lx clock=%lu")                                                \
	X(ipi_recv, "ipi recv from=%#lx clock=%lu")                                                \
	X(ack,      "ack      to=%lu clock=%lu")                                                   \
	X(quiet,    "quiet    flushed clock=%lu (was %lu)")                                        \
	X(fault,    "fault    va=%#lx rip=%#lx")
/* clang-format on */

enum trace_event {
#define X(name, fmt) EV_##name,
	TRACE_EVENTS(X)
#undef X
	NR_TRACE_EVENTS
};

#define TRACE_RECORDS 512 /* per CPU; a power of two */

/* One record on this CPU's ring. => any context, NMI included, once the CPU has its struct cpu */
void trace(enum trace_event ev, u64 a, u64 b);

/* Prints the newest `max` records of all CPUs, oldest first. => thread context; stops at Ctrl-C */
void trace_dump(u64 max);

/* Forgets what has been recorded so far. => any context */
void trace_clear(void);

#endif
