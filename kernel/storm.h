// SPDX-License-Identifier: MIT
/*
 * Buffers and address spaces from the same frames, on all CPUs at once: behind `demo storm`,
 * `bench storm` and their tests.
 */
#ifndef KERNEL_STORM_H
#define KERNEL_STORM_H

#include "mm/lazy.h"
#include "mm/pagetable.h"

struct storm_setup {
	enum purge_policy purge;
	enum lazy_policy lazy;
	u64 pins; /* so many address spaces are made and loaded, by all CPUs together */
};

struct storm_result {
	u64 pins;      /* made, */
	u64 refused;   /*   refused by the platform, */
	u64 explained; /*   and of those, for so many an entry was found that is in the way */
	u64 buffers;   /* mapped, written, unmapped and freed meanwhile */
	u64 hypercalls;
	u64 us;
};

/*
 * storm: every CPU maps buffers, makes and loads spaces.
 *   => thread context, IRQs on; this CPU runs on no address space; nobody else maps meanwhile
 *   => 0; -ENOMEM; -EINTR: stopped by Ctrl-C, with what was done so far in *res
 */
int storm(const struct storm_setup *setup, struct storm_result *res) __must_check;

#endif
