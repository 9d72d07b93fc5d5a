// SPDX-License-Identifier: MIT
/* Demonstrations: the machine shows what the comments claim. Run by `demo NAME`. */
#ifndef KERNEL_DEMO_H
#define KERNEL_DEMO_H

#include "kernel/types.h"

/*
 * The few lines of every boot: map, read on all CPUs, unmap lazily, purge. => thread context, IRQs
 * on
 */
void demo_boot_story(void);

struct demo {
	const char *name, *help;
	/* => thread context, IRQs on; 0, or -errno if it did not go as it says */
	int (*fn)(void);
} __aligned_to(32);

/* DEMO(name, help) { body } */
#define DEMO(demo_, help_)                                                               \
	static int demo_##demo_(void);                                                   \
	static const struct demo demo_entry_##demo_                                      \
		__attribute__((section("demos"), used)) = {#demo_, help_, demo_##demo_}; \
	static int demo_##demo_(void)

#endif
