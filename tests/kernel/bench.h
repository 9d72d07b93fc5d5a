// SPDX-License-Identifier: MIT
/*
 * What the benchmarks share. Each prints a table for people and a line `BENCH {json}` a figure for
 * programs (tools/compare reads them). A figure that misses its goal is shown as missed and is no
 * failure: these are measurements, not tests.
 *
 * Costs are in TSC ticks, which under QEMU's `-icount shift=0` with one CPU are instructions, exact
 * and the same in every run. Elsewhere they are time, and whatever else the machine does is in it.
 *
 * Next: bench_vmap.c (a loop of map, read, unmap), bench_purge.c, bench_cpus.c (several CPUs).
 */
#ifndef TESTS_KERNEL_BENCH_H
#define TESTS_KERNEL_BENCH_H

#include "kernel/counter.h"
#include "kernel/time.h"
#include "mm/frame.h"
#include "mm/lazy.h"

/* Reads a byte of every page: the same loop for what is measured and for the floor. */
static __always_inline void touch(const volatile u8 *va, u64 pages)
{
	for (u64 i = 0; i < pages; i++)
		(void)va[i * PAGE_SIZE];
}

/* Rounded up: no cost is shown smaller than it is. => n > 0 */
static inline u64 per(u64 total, u64 n)
{
	return (total + n - 1) / n;
}

static inline const char *verdict(bool met)
{
	return met ? "met" : "missed";
}

/* => what to give back to bench_end(); nothing waits now */
static inline struct lazy_stats bench_begin(enum lazy_policy policy)
{
	struct lazy_stats was;

	lazy_stats(&was);
	lazy_set_policy(policy);
	return was;
}

static inline void bench_end(const struct lazy_stats *was)
{
	lazy_set_policy(was->policy);
	lazy_set_max(was->max_pages);
}

/* All counters at one time, and the time. */
struct bench_moment {
	u64 tsc;
	u64 counter[NR_COUNTERS];
};

static inline void bench_now(struct bench_moment *m)
{
	for (unsigned c = 0; c < NR_COUNTERS; c++)
		m->counter[c] = counter_sum((enum counter)c);
	m->tsc = tsc_now();
}

/* How much counter `c` grew from `a` to `b`. */
static inline u64 bench_grew(const struct bench_moment *a, const struct bench_moment *b,
			     enum counter c)
{
	return b->counter[c] - a->counter[c];
}

/*
 * bench_frames: an array of n frames, for mapping; bench_free_frames gives them and it back.
 *   => NULL, with a message, if there is no memory
 */
struct frame **bench_frames(u64 n) __must_check;
void bench_free_frames(struct frame **f, u64 n);

#endif
