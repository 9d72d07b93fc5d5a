// SPDX-License-Identifier: MIT
/*
 * Hypercalls that fail, for tests: what the kernel does when Xen says no, at each place where it
 * could. Xen is asked for operations, an entry of a batch being one each; one of them is refused
 * instead of done. What precedes it in its batch is done, what follows is not: so does Xen.
 *
 * Operations are counted only as long as they are asked for by the thread that armed it (before
 * there are any: by the boot CPU), outside of interrupt handlers.
 */
#ifndef XEN_INJECT_H
#define XEN_INJECT_H

#include "kernel/types.h"

enum inject_what {
	/*
	 * What mm/ must be able to take back: entries that map something, pins, roots to load,
	 * vCPUs to start, memory to exchange.
	 */
	INJECT_SET,
	/* What is never refused for a good reason, so that it panics if it is. */
	INJECT_CLEAR, /* entries that map nothing */
	INJECT_FLUSH,
	INJECT_EVENT,
	INJECT_ANY, /* of all that may fail in the headers */
};

/*
 * inject_arm: of the operations counted from now on the n-th fails with `err` (negative); the first
 * is 1.
 * inject_disarm: => how many were counted: as many as n or more, and one has failed
 *   => one at a time; thread context, in the same thread
 */
void inject_arm(u64 n, enum inject_what what, int err);
u64 inject_disarm(void);

#endif
