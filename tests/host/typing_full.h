// SPDX-License-Identifier: MIT
/* The model of Xen's page typing, for all frames of a simulated machine and whole page tables. */
#ifndef TESTS_HOST_TYPING_FULL_H
#define TESTS_HOST_TYPING_FULL_H

#define TYPING_FRAMES	 9216u
#define TYPING_SLOTS	 512
#define TYPING_XEN_FIRST 256
#define TYPING_XEN_LAST	 271
#define EIGHT(n)	 n, n + 1, n + 2, n + 3, n + 4, n + 5, n + 6, n + 7
#define SIXTY_FOUR(n)                                                                       \
	EIGHT(n), EIGHT(n + 8), EIGHT(n + 16), EIGHT(n + 24), EIGHT(n + 32), EIGHT(n + 40), \
		EIGHT(n + 48), EIGHT(n + 56)
#define TYPING_SLOT_NUMBERS                                                               \
	SIXTY_FOUR(0), SIXTY_FOUR(64), SIXTY_FOUR(128), SIXTY_FOUR(192), SIXTY_FOUR(256), \
		SIXTY_FOUR(320), SIXTY_FOUR(384), SIXTY_FOUR(448)
#include "xen/typing.h"

#endif
