// SPDX-License-Identifier: MIT
/*
 * The input is a font file. What the parser accepts must be drawable to the last pixel of every
 * character; what it refuses must leave the font alone and give a reason.
 */
// links: kernel/psf.c
#include "kernel/errno.h"
#include "kernel/psf.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct psf_font font = {.width = 12345};
	const char *why = NULL;
	unsigned set = 0;

	if (psf_parse(&font, data, size, &why)) {
		CHECK(why && font.width == 12345);
		return 0;
	}
	CHECK(font.width && font.width <= PSF_MAX_WIDTH);
	CHECK(font.height && font.height <= PSF_MAX_HEIGHT);
	for (int c = 0; c < 256; c++) {
		for (unsigned y = 0; y < font.height; y++) {
			for (unsigned x = 0; x < font.width; x++)
				set += psf_pixel(&font, (char)c, x, y);
		}
	}
	CHECK(set <= 256 * font.width * font.height);
	return 0;
}
