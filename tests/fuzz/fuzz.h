// SPDX-License-Identifier: MIT
/*
 * What the fuzz targets share. Each fuzz_NAME.c is one libFuzzer target; with a compiler that has
 * no libFuzzer it is linked with replay_main.c instead and run over a corpus. As in the host
 * tests, a line "// links:" names the project files it needs, and kernel/string.c is at hand.
 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stdio.h>
#include <stdlib.h>
#include "kernel/types.h"

/* Called for each input. => 0 */
int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

/* What must hold whatever the input was. */
#define CHECK(cond)                                                                              \
	do {                                                                                     \
		if (!(cond)) {                                                                   \
			fprintf(stderr, "%s:%d: CHECK(%s) failed\n", __FILE__, __LINE__, #cond); \
			abort();                                                                 \
		}                                                                                \
	} while (0)

#endif
