// SPDX-License-Identifier: MIT
/*
 * Physical memory for a parser under test: `size` bytes at one address, and nothing else
 * anywhere. What a parser is granted is a fresh copy of exactly the bytes it asked for, in a
 * malloc of its own and aligned as the physical address is. So ASan sees the first byte read
 * beyond a grant, even where the image goes on, and UBSan sees an access that takes alignment for
 * granted.
 *
 *	phys_image(base, data, size);
 *	err = parser(..., phys_image_read, ...);
 *	phys_image_done();
 */
#ifndef TESTS_FUZZ_PHYS_IMAGE_H
#define TESTS_FUZZ_PHYS_IMAGE_H

#include <stdlib.h>
#include <string.h>
#include "kernel/types.h"

struct grant {
	struct grant *next;
	void *bytes;
};

static struct {
	paddr_t base;
	const u8 *data;
	u64 size;
	struct grant *grants;
} phys;

static void phys_image(paddr_t base, const u8 *data, u64 size)
{
	phys.base = base;
	phys.data = data;
	phys.size = size;
}

static const void *phys_image_read(paddr_t pa, u64 len)
{
	u64 at = pa - phys.base, skew = pa % 8;
	struct grant *g;

	if (pa < phys.base || at > phys.size || len > phys.size - at)
		return NULL;
	g = malloc(sizeof(*g));
	g->bytes = malloc(skew + len);
	g->next = phys.grants;
	phys.grants = g;
	return memcpy((u8 *)g->bytes + skew, phys.data + at, len);
}

static void phys_image_done(void)
{
	while (phys.grants) {
		struct grant *g = phys.grants;

		phys.grants = g->next;
		free(g->bytes);
		free(g);
	}
}

#endif
