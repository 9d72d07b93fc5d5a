// SPDX-License-Identifier: MIT
/* What `crash` can do, in two tables: kernel/crash.c and, about mappings, kernel/crash_mm.c. */
#ifndef KERNEL_CRASH_H
#define KERNEL_CRASH_H

struct crash_way {
	const char *name, *help;
	void (*fn)(void); /* comes back only if it did not work */
};

extern const struct crash_way crash_mm_ways[];
extern const unsigned nr_crash_mm_ways;

#endif
