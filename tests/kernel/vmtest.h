// SPDX-License-Identifier: MIT
/*
 * The cases that Linux's vmap code is tested with (its test_vmalloc module), as far as they mean
 * something here, written anew and stricter: every page is written at both ends, and read back.
 * vmtest_cases.c has them, vmtest.c runs them: as tests, and by hand with any number of loops.
 */
#ifndef TESTS_KERNEL_VMTEST_H
#define TESTS_KERNEL_VMTEST_H

#include "kernel/types.h"

struct vmtest_case {
	const char *name, *what;
	unsigned loops; /* as a test; by hand: loops=N */
	/* => loops that passed; a case that cannot even begin passes none */
	u64 (*run)(u64 loops, u64 *seed);
	bool heavy; /* makes thousands of areas first */
};

extern const struct vmtest_case vmtest_cases[];
extern const unsigned nr_vmtest_cases;

/* The most areas a case may keep at once: see vmtest_cases.c. */
extern u64 vmtest_area_limit;

#endif
