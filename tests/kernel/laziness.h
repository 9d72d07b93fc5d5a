// SPDX-License-Identifier: MIT
/* Tests choose how lazy vunmap is, whatever the command line said, and leave it as it was. */
#ifndef TESTS_KERNEL_LAZINESS_H
#define TESTS_KERNEL_LAZINESS_H

#include "mm/lazy.h"

#define TEST_LAZY_PAGES 24576 /* the default of a machine with 4 CPUs */

/* for_each_policy(p): all of them, eager first */
#define for_each_policy(p) for ((p) = LAZY_OFF; (p) < NR_LAZY_POLICIES; (p)++)

/* => what to give back to restore_laziness(); nothing waits now */
static inline struct lazy_stats set_laziness(enum lazy_policy policy)
{
	struct lazy_stats was;

	lazy_stats(&was);
	lazy_set_max(TEST_LAZY_PAGES);
	lazy_set_policy(policy);
	return was;
}

static inline void restore_laziness(const struct lazy_stats *was)
{
	lazy_set_policy(was->policy);
	lazy_set_max(was->max_pages);
}

#endif
