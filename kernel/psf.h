// SPDX-License-Identifier: MIT
/* PC Screen Fonts, versions 1 and 2: the format is in psf.c. */
#ifndef KERNEL_PSF_H
#define KERNEL_PSF_H

#include "kernel/types.h"

#define PSF_MAX_WIDTH  32
#define PSF_MAX_HEIGHT 64

struct psf_font {
	const u8 *glyphs;  /* in the caller's data */
	u32 nr_glyphs;	   /* at least 128: ASCII is there */
	u32 width, height; /* pixels */
	u32 row_bytes;	   /* of a glyph, (width + 7) / 8 */
	u32 glyph_bytes;   /* height * row_bytes */
};

/*
 * psf_parse: finds the glyphs in `len` bytes of a font file.
 *   => 0, or -EINVAL with *why a sentence; reads nothing outside the data
 *   => the glyphs of ASCII are taken to be in ASCII order (the Unicode table is not read)
 */
int psf_parse(struct psf_font *font, const void *data, size_t len, const char **why);

/* => is pixel (x, y) of character c set? x < width, y < height; a character without glyph is '?' */
bool psf_pixel(const struct psf_font *font, char c, unsigned x, unsigned y);

#endif
