// SPDX-License-Identifier: MIT
/*
 * Making other CPUs forget translations: the protocol. Its essay and its argument are in
 * shootdown.c.
 */
#ifndef MM_SHOOTDOWN_H
#define MM_SHOOTDOWN_H

#include "mm/gather.h"

/*
 * shootdown_stamp: the time to write on something whose entries have just been cleared.
 *   => any context; call it after the entries were cleared
 */
u64 shootdown_stamp(void);

/*
 * shootdown: after it returns no CPU of `on` holds a translation named by `g` (this one included,
 * if named). CPUs that prove to have flushed everything since g->stamp are not disturbed.
 *   => thread context, IRQs on, no spinlock held (asserted); waits for acknowledgements and serves
 *      others' requests meanwhile; a CPU that does not answer is named in a panic
 */
void shootdown(const struct gather *g, cpumask_t on);

/*
 * Serves what other CPUs have asked of this one. => from the IPI, and from waiting loops; any IRQ
 * state
 */
void shootdown_serve(void);

/* Flushes everything on this CPU and publishes that it did. => any context */
void shootdown_flush_local(void);

/*
 * shootdown_quiet_point: the CPU passes here on its own (tick, idle): if anything was cleared that
 * it has not flushed since, it flushes now, so that nobody need interrupt it for that later.
 *   => any context in which no stale translation is relied upon, that is: any
 */
void shootdown_quiet_point(void);

/* => has every online CPU flushed everything since `stamp`? */
bool shootdown_covered(u64 stamp);

/*
 * shootdown_cpu_online: this CPU joins.
 *   => IRQs off, after it is in cpus_online() and before it uses any lazily unmapped address
 */
void shootdown_cpu_online(void);

/* What CPU `cpu` has flushed up to, and the clock; for the monitor and the checker. */
u64 shootdown_flushed(unsigned cpu);
u64 shootdown_clock(void);

#endif
