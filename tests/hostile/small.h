// SPDX-License-Identifier: MIT
/* What the workloads of two CPUs share. */
#ifndef TESTS_HOSTILE_SMALL_H
#define TESTS_HOSTILE_SMALL_H

#include "tests/hostile/hostile.h"

/* `zero` on CPU 0 and `one` on CPU 1, to their ends. */
void two(void (*zero)(void *), void (*one)(void *));

/* A machine of two CPUs, policy tlb, that do not idle. */
void shape_two(struct sim_config *c);

#define SMALL(n, d, a, s, p, r, fin)                                                   \
	{                                                                              \
		.name = n, .about = a, .depth = d, .shape = s, .prepare = p, .run = r, \
		.finish = fin                                                          \
	}

#endif
