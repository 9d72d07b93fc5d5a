// SPDX-License-Identifier: MIT
/* The counters' names, and their sums. Counting itself is one instruction in kernel/cpu.h. */
#include "kernel/counter.h"
#include "kernel/cpu.h"

const struct counter_desc counter_descs[NR_COUNTERS] = {
#define X(name, desc) {#name, desc},
	COUNTERS(X)
#undef X
};

u64 counter_sum(enum counter c)
{
	u64 sum = 0;

	/* All of them, not nr_cpus: a CPU counts while it is still coming up. */
	for (unsigned cpu = 0; cpu < MAX_CPUS; cpu++)
		sum += READ_ONCE(cpus[cpu].counters[c]);
	return sum;
}
