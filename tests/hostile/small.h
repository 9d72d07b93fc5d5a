// SPDX-License-Identifier: MIT
/* What the workloads of two CPUs share. */
#ifndef TESTS_HOSTILE_SMALL_H
#define TESTS_HOSTILE_SMALL_H

#include "tests/hostile/hostile.h"

/* `zero` on CPU 0 and `one` on CPU 1, to their ends. */
void two(void (*zero)(void *), void (*one)(void *));

/* A machine of two CPUs, policy tlb, that do not idle. */
void shape_two(struct sim_config *c);

/* The same three or two CPUs under policy pte. */
void shape_two_keep(struct sim_config *c);
void shape_three_keep(struct sim_config *c);

/*
 * Frames that begin with their number, and what maps them (work_lazy.c). map: one of them, by
 * itself. put_aside: areas that are ready on the CPU, so that what is mapped next must be one that
 * was unmapped. purge_first: of f[0], by a CPU's thread, which then is reached by nobody.
 * finish_reuse: the end of it all.
 */
extern struct frame *f[4];
extern void *mapped[4];
void get_frames(void);
void *map(unsigned i);
void put_aside(unsigned cpu);
void purge_first(void *arg);
void finish_reuse(void);

#define SMALL(n, d, a, s, p, r, fin)                                                   \
	{                                                                              \
		.name = n, .about = a, .depth = d, .shape = s, .prepare = p, .run = r, \
		.finish = fin                                                          \
	}

#endif
