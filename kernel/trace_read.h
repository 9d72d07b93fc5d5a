// SPDX-License-Identifier: MIT
/*
 * How a dump reads the rings (kernel/trace.c). There is one reader: dumps are made by the monitor.
 *
 *   trace_read_begin(...);
 *   while (trace_read_next(&r))
 *           ...
 *   trace_read_end();
 */
#ifndef KERNEL_TRACE_READ_H
#define KERNEL_TRACE_READ_H

#include "kernel/trace.h"

struct trace_record {
	u64 ticks; /* of the TSC since the image was entered; never less than the CPU's last */
	unsigned cpu;
	enum trace_event event;
	u64 a, b;
};

/*
 * trace_read_begin: pauses recording.
 *   => *readable: how many records trace_read_next() will give, or a few less: one whose writer was
 *      interrupted just then is left out
 *   => *lost: how many had been overwritten
 */
void trace_read_begin(u64 *readable, u64 *lost);

/* trace_read_next: the oldest record not read yet. => false if there is none */
bool trace_read_next(struct trace_record *out);

/*
 * trace_read_ahead: looks at the records of one CPU that trace_read_next() has yet to give. *n
 * begins as 0 and counts on. => false if there are no more
 */
bool trace_read_ahead(unsigned cpu, u64 *n, struct trace_record *out);

/* trace_read_end: recording goes on. */
void trace_read_end(void);

#endif
