// SPDX-License-Identifier: MIT
/*
 * What most tests of mapping begin and end with: some zeroed frames, and a policy, whatever the
 * command line said.
 */
#ifndef TESTS_KERNEL_STAGE_H
#define TESTS_KERNEL_STAGE_H

#include "tests/kernel/laziness.h"
#include "tests/kernel/support.h"

struct stage {
	struct lazy_stats was;
	struct frame **f;
	unsigned n;
};

/* n frames in f, under `policy`, and nothing waits. => false: the test has failed */
static inline bool stage_begin(struct stage *s, struct frame **f, unsigned n,
			       enum lazy_policy policy)
{
	if (!take_frames(f, n))
		return false;
	*s = (struct stage){set_laziness(policy), f, n};
	return true;
}

/* The frames go back, and what was set before is set again. */
static inline void stage_end(const struct stage *s)
{
	restore_laziness(&s->was);
	frame_free_many(s->f, s->n);
}

#endif
