// SPDX-License-Identifier: MIT
/*
 * The trace's rings: what the reader gives of those that were overwritten, interrupted or written
 * to meanwhile, and how it is printed. At the end real threads write while the reader reads.
 */
// links: kernel/format.c
#include "tests/host/trace_world.h"

#include <pthread.h>

/* What is read, as "cpu:a" in turn. */
static const char *read_all(void)
{
	static char got[65536];
	struct trace_record r;
	u64 readable, lost;
	size_t n = 0;

	got[0] = '\0';
	trace_read_begin(&readable, &lost);
	while (trace_read_next(&r))
		n += (size_t)snprintf(got + n, sizeof(got) - n, "%u:%lu ", r.cpu, r.a);
	trace_read_end();
	return got;
}

static const char *dump(u64 max)
{
	said[said_len = 0] = '\0';
	trace_dump(max);
	return said;
}

static void test_order(void)
{
	fresh();
	at(30, 1, EV_quiet, 3, 0);
	at(10, 0, EV_quiet, 1, 0);
	at(20, 2, EV_quiet, 2, 0);
	at(40, 0, EV_quiet, 4, 0);
	is_str(read_all(), "0:1 2:2 1:3 0:4 ", "rings are merged by time");
	is_str(read_all(), "0:1 2:2 1:3 0:4 ", "and still there for the next reader");
	trace_clear();
	at(50, 1, EV_quiet, 5, 0);
	is_str(read_all(), "1:5 ", "but not what has been cleared");
}

static void test_overwritten(void)
{
	const u64 n = 2 * TRACE_RECORDS + 10, kept = TRACE_RECORDS - UNDER_WAY;
	struct trace_record r;
	u64 readable, lost, read = 0, wrong = 0;

	fresh();
	for (u64 i = 0; i < n; i++)
		at(i, 2, EV_quiet, i, ~i);
	trace_read_begin(&readable, &lost);
	for (; trace_read_next(&r); read++)
		wrong += r.a != n - kept + read || r.b != ~r.a || r.ticks != r.a;
	trace_read_end();
	is_u64(read, kept, "of a ring that was overwritten the newest come out");
	is_u64(wrong, 0, "whole and in order");
	is_u64(readable, read, "as many as promised");
	is_u64(lost, n - kept, "and the others are counted");
}

static void interrupt(void)
{
	now += 5;
	trace(EV_quiet, 2, 0);
}

static void test_interrupted(void)
{
	struct trace_record r;
	u64 readable, lost, last = 0, back = 0, n = 0;

	fresh();
	in_tsc_now = interrupt;
	at(100, 0, EV_quiet, 1, 0);
	is_str(read_all(), "0:2 0:1 ", "who interrupts a trace comes first");
	trace_read_begin(&readable, &lost);
	for (; trace_read_next(&r); n++, last = r.ticks)
		back += r.ticks < last;
	trace_read_end();
	is_u64(last, 105, "the other is taken for as new");
	is_u64(back, 0, "so time does not go back on a CPU");
}

static void test_unfinished(void)
{
	fresh();
	at(1, 0, EV_quiet, 1, 0);
	begin_record(0);
	at(3, 0, EV_quiet, 3, 0);
	is_str(read_all(), "0:1 0:3 ", "a record that is not finished is left out");
	for (unsigned laps = 1; laps <= 2; laps++) {
		fresh();
		for (u64 i = 0; i < laps * TRACE_RECORDS; i++)
			at(i, 0, EV_quiet, i, 0);
		trace_clear();
		begin_record(0);
		at(9999, 0, EV_quiet, 9999, 0);
		is_str(read_all(), "0:9999 ", "also where lap %u left another in its place", laps);
	}
}

static void read_inside(void)
{
	is_str(read_all(), "1:1 ", "nor while it is written");
}

static void test_half_written(void)
{
	for (unsigned half = 0; half < 3; half++) {
		fresh();
		at(1, 1, EV_quiet, 1, 0);
		stores_before = half;
		in_store = read_inside;
		at(2, 2, EV_quiet, 2, 0);
		is_str(read_all(), "1:1 2:2 ", "but afterwards");
	}
}

static void test_paused(void)
{
	struct trace_record r;
	u64 readable, lost;

	fresh();
	at(10, 0, EV_quiet, 1, 0);
	trace_read_begin(&readable, &lost);
	at(20, 0, EV_quiet, 2, 0);
	at(30, 1, EV_quiet, 3, 0);
	ok(trace_read_next(&r) && r.a == 1 && !trace_read_next(&r),
	   "nothing is recorded meanwhile");
	now = tsc_at_entry + 7010;
	trace_read_end();
	at(8000, 1, EV_quiet, 4, 0);
	is_str(dump(10),
	       "3 records, the newest 3; 0 older ones are overwritten:\n"
	       "[    0.000000] cpu  0  quiet     clock=1 was=0\n"
	       "[    0.000007] cpu  0  missed    records=2 us=7\n"
	       "[    0.000008] cpu  1  quiet     clock=4 was=0\n",
	       "then how many records were missed, and for how long, is one");
	is_str(dump(1),
	       "3 records, the newest 1; 0 older ones are overwritten:\n"
	       "[    0.000008] cpu  1  quiet     clock=4 was=0\n",
	       "the newest are printed");
}

static void test_tsc_wraps(void)
{
	fresh();
	tsc_at_entry = (1ul << 56) - 100;
	at(50, 0, EV_quiet, 1, 0);
	at(2000, 1, EV_quiet, 2, 0);
	is_str(dump(1),
	       "2 records, the newest 1; 0 older ones are overwritten:\n"
	       "[    0.000002] cpu  1  quiet     clock=2 was=0\n",
	       "a TSC that passes 2^56 is subtracted from rightly");
	tsc_at_entry = 1000;
}

static void test_fast(void)
{
	fresh();
	trace_fast(EV_map, 1, 1);
	is_str(read_all(), "", "a common event is not recorded");
	trace_hot = 1;
	trace_fast(EV_map, 1, 1);
	trace_hot = 0;
	is_str(read_all(), "0:1 ", "unless asked for");
}

/* --- threads ---------------------------------------------------------------------------------- */

#define WRITERS 3
#define DUMPS	500 /* that find writers at work */

static bool stop;

static void *writer(void *arg)
{
	on_cpu = (unsigned)(u64)arg;
	for (u64 i = 1; !__atomic_load_n(&stop, __ATOMIC_RELAXED); i++)
		trace(EV_quiet, i, ~i);
	return NULL;
}

static void test_threads(void)
{
	pthread_t threads[WRITERS];
	u64 bad = 0, dumps = 0, unread = 0, gaps = 0;

	fresh();
	now = tsc_at_entry;
	time_flies = true;
	for (u64 w = 0; w < WRITERS; w++)
		pthread_create(&threads[w], NULL, writer, (void *)(w + 1));
	for (; gaps < DUMPS; dumps++) {
		u64 last[WRITERS + 1] = {0}, ticks[WRITERS + 1] = {0}, readable, lost, n = 0;
		struct trace_record r;

		trace_read_begin(&readable, &lost);
		for (; trace_read_next(&r); n++) {
			if (r.event == EV_missed)
				continue;
			bad += r.b != ~r.a || r.a <= last[r.cpu] || r.ticks < ticks[r.cpu];
			last[r.cpu] = r.a;
			ticks[r.cpu] = r.ticks;
		}
		gaps += atomic_read(&missed) > 0;
		trace_read_end();
		unread += readable - n;
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	for (int w = 0; w < WRITERS; w++)
		pthread_join(threads[w], NULL);
	time_flies = false;
	is_u64(bad, 0, "%d threads write: every record read is whole and in its writer's order",
	       WRITERS);
	ok(unread <= dumps * WRITERS, "at most the one under way is missing of each writer's");
	printf("# %lu dumps, %lu with writers at work, %lu records under way\n", dumps, gaps,
	       unread);
}

int main(void)
{
	test_order();
	test_overwritten();
	test_interrupted();
	test_unfinished();
	test_half_written();
	test_paused();
	test_tsc_wraps();
	test_fast();
	test_threads();
	return done_testing();
}
