// SPDX-License-Identifier: MIT
/*
 * What the tests of the two hand-over parsers share: a piece of physical memory that is built byte
 * by byte, and the result of the last parse.
 */
#ifndef TESTS_HOST_BOOT_IMAGE_H
#define TESTS_HOST_BOOT_IMAGE_H

#include "boot/boot_info.h"
#include "kernel/errno.h"
#include "tests/fuzz/phys_image.h"
#include "tests/host/tap.h"

#define BASE 0x9000 /* where the structure lies */

static u8 img[64 * KiB];
static u32 end; /* where in img the next byte goes */

static struct boot_info bi;
static const char *why;

static u32 put(const void *p, u32 n)
{
	u32 at = end;

	if (n)
		memcpy(img + end, p, n);
	end += n;
	return at;
}

/* Parses the first `memory` bytes of img, all the memory there is. */
static int parse_with(int (*parser)(struct boot_info *, paddr_t, phys_reader, const char **),
		      u32 memory)
{
	int err;

	why = NULL;
	phys_image(BASE, img, memory);
	err = parser(&bi, BASE, phys_image_read, &why);
	phys_image_done();
	return err;
}

/* => 1 if the parse that gave `err` did so without a sentence, or its map is refused without one */
static unsigned silent_failure(int err)
{
	if (err)
		return !why;
	return boot_info_normalise(&bi, &why) && !why;
}

#endif
