// SPDX-License-Identifier: MIT
/*
 * The TSC goes on while a hypervisor does not let a CPU run. A guest that was paused finds, when
 * it goes on, that each of its waits has taken as long as the pause; and the CPU that is waited for
 * was paused as well, and has done nothing wrong.
 *
 * So what the TSC says is only a suspicion there. To be sure, the CPU that waits gives the other
 * some more time, in which it has itself run, by the hypervisor's account: a pause in the middle of
 * that does not count. One that was merely paused needs a moment of it; one that hangs has none to
 * lose. And a wait that is short, which is every wait, asks nobody anything.
 */
#include "kernel/watchdog.h"
#include "kernel/cpu.h"
#include "kernel/platform.h"

#define SURE_US 5000000

static struct suspicion {
	u64 start;    /* the wait's */
	u64 began_us; /* run time of this CPU then */
} suspicions[MAX_CPUS];

bool watchdog_is_sure(u64 start)
{
	struct suspicion *s = &suspicions[cpu_id()];
	u64 now;

	if (!platform->run_time_us)
		return true;
	now = platform->run_time_us();
	if (s->start != start)
		*s = (struct suspicion){start, now};
	return now - s->began_us > SURE_US;
}
