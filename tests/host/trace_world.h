// SPDX-License-Identifier: MIT
/*
 * kernel/trace.c with all that it needs around it, for the two programs that test the trace. It is
 * included rather than linked, so that a test can empty the rings and leave a record unfinished.
 *
 * Time is a number that the test sets (1 GHz, so a tick is a nanosecond), and so is the CPU; what
 * is printed is collected in said[]. The atomics are the real ones, because threads write as well.
 */
#ifndef TESTS_HOST_TRACE_WORLD_H
#define TESTS_HOST_TRACE_WORLD_H

#include "../../kernel/atomic.h" /* before the simulated one takes its place */

#include <stdlib.h>
#include "kernel/types.h"

extern u64 tsc_at_entry;

/* What happens before one of the next stores to shared words; NULL: nothing. */
static void (*in_store)(void);
static unsigned stores_before;

static void hooked_atomic_set(atomic_t *a, u64 v)
{
	void (*hook)(void) = in_store;

	if (hook && !stores_before--) {
		in_store = NULL;
		hook();
	}
	atomic_set(a, v);
}

#define atomic_set hooked_atomic_set
#include "kernel/trace.c"
#undef atomic_set
#include "kernel/main.h"
#include "kernel/string.h"
#include "kernel/symbols.h"
#include "tests/host/said.h"
#include "tests/host/tap.h"

struct boot_info boot_info;
struct cpu cpus[MAX_CPUS];
unsigned nr_cpus = 3;
u64 tsc_hz = 1000000000, tsc_at_entry = 1000;

static _Thread_local unsigned on_cpu;
static u64 now;
static bool time_flies;
static void (*in_tsc_now)(void); /* what happens once the time has been read; NULL: nothing */

#define NEVER (~0u)
static unsigned interrupt_in = NEVER; /* calls of console_interrupted() until Ctrl-C */

struct cpu *this_cpu(void)
{
	return &cpus[on_cpu];
}

u64 tsc_now(void)
{
	void (*hook)(void) = in_tsc_now;
	u64 t = time_flies ? __atomic_fetch_add(&now, 1, __ATOMIC_SEQ_CST) : now;

	if (hook) {
		in_tsc_now = NULL;
		hook();
	}
	return t;
}

void printk(const char *fmt, ...)
{
	char text[2 * PRINTK_MAX];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n > PRINTK_MAX)
		ok(false, "%d characters by one printk()", n);
	console_write(text, (size_t)n);
}

bool console_interrupted(void)
{
	if (interrupt_in && interrupt_in != NEVER)
		interrupt_in--;
	return !interrupt_in;
}

const char *symbol_lookup(u64 addr, u64 *offset)
{
	(void)addr;
	(void)offset;
	return NULL;
}

void panic(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	exit(1);
}

static void fresh(void)
{
	memset(rings, 0, sizeof(rings));
	for (unsigned i = 0; i < MAX_CPUS; i++)
		cpus[i].id = i;
	atomic_set(&missed, 0);
	on_cpu = 0;
}

/* A record of `cpu`, `ns` after the entry. */
static void at(u64 ns, unsigned cpu, enum trace_event ev, u64 a, u64 b)
{
	now = tsc_at_entry + ns;
	on_cpu = cpu;
	trace(ev, a, b);
	on_cpu = 0;
}

/* A writer that has its position and has not written yet. */
static void begin_record(unsigned cpu)
{
	atomic_fetch_add(&rings[cpu].next, 1);
}

#endif
