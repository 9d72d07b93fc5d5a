// SPDX-License-Identifier: MIT
/*
 * A bound on every wait for another CPU: when it is over, the CPU that did not answer is named in
 * a panic, with its stack fetched by NMI. Never a silent hang.
 */
#ifndef KERNEL_WATCHDOG_H
#define KERNEL_WATCHDOG_H

#include "kernel/time.h"

#define WATCHDOG_SECONDS 10

/*
 * => has a wait that began at TSC `start` gone on too long? Where a hypervisor can stop this CPU,
 *    it must have run for a while since this was first asked too late (watchdog_is_sure)
 */
bool watchdog_is_sure(u64 start);
static inline bool watchdog_expired(u64 start)
{
	return unlikely(tsc_now() - start > WATCHDOG_SECONDS * tsc_hz) && watchdog_is_sure(start);
}

/*
 * => any context; panics with `what` ("shootdown", "lock NAME") and CPU `cpu`'s registers and stack
 */
void cpu_unresponsive(unsigned cpu, const char *what) __noreturn;

#endif
