// SPDX-License-Identifier: MIT
/*
 * Other CPUs as watchers of one address. Each keeps its interrupts off from watch_begin() to
 * watch_end(), so that no tick flushes its TLB: what it remembers it keeps, until it is made to
 * forget. It serves shootdowns by polling its inbox, as every waiter does.
 */
#ifndef TESTS_KERNEL_WATCH_H
#define TESTS_KERNEL_WATCH_H

#include "kernel/atomic.h"
#include "kernel/cpumask.h"

struct watch {
	void *va; /* what they look at */
	struct thread *thread[MAX_CPUS];
	unsigned cpus;	      /* how many watch */
	atomic_t order, done; /* the order of the moment; watchers that have obeyed it */
	atomic_t through;     /* CPUs whose access did not fault */
	u8 value;	      /* to be written */
	u8 seen[MAX_CPUS];    /* what each read last */
};

/* All other CPUs watch `va`, and nothing is remembered yet. => thread context, IRQs on */
void watch_begin(struct watch *w, void *va);

/*
 * Every CPU, this one included, reads (or writes) a byte at w->va now.
 *   => the CPUs that could; seen[cpu] is what each read
 */
u64 watch_read(struct watch *w);
u64 watch_write(struct watch *w, u8 value);

/*
 * watch_remembers: `through` is what came of an order after the entry was cleared. Did all other
 * CPUs remember it, as the test wants?
 *   => false is a failure; but a hypervisor may make a CPU forget at any time, for reasons of its
 *      own, and the test is skipped by name where there is one
 */
bool watch_remembers(u64 through);

void watch_end(struct watch *w);

/*
 * watch_shows_stale: can a CPU that watches be seen to read through an entry that is gone? On a
 * machine that forgets by itself a test that looks for that proves nothing: it is skipped, by name.
 *   => policy tlb is set for the duration
 */
bool watch_shows_stale(void);

#endif
