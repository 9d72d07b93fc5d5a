// SPDX-License-Identifier: MIT
/*
 * PC Screen Fonts, what Linux's console uses: a header and one bitmap per glyph, each row padded to
 * whole bytes with the leftmost pixel in the highest bit. Two versions:
 *
 *   1   36 04, mode (bit 0: 512 glyphs instead of 256), height; width is 8
 *   2   72 b5 4a 86, then seven little-endian words: version (0), header size, flags, number of
 *       glyphs, bytes per glyph, height, width
 *
 * A table of the Unicode characters each glyph stands for may follow; it is not read, because in
 * fonts for this use the printable ASCII glyphs are at their ASCII positions.
 *
 * The file comes from outside, so every number in it is compared with how much data there is
 * before it is used, in a form that cannot overflow. Next: kernel/screen.c, arch/x86/fb.c.
 */
#include "kernel/psf.h"
#include "kernel/errno.h"
#include "kernel/string.h"

#define PSF1_HEADER	4
#define PSF1_512_GLYPHS (1u << 0)
#define PSF2_HEADER	32
#define ASCII_GLYPHS	128

static u32 le32(const u8 *p)
{
	return p[0] | (u32)p[1] << 8 | (u32)p[2] << 16 | (u32)p[3] << 24;
}

static int refuse(const char **why, const char *reason)
{
	*why = reason;
	return -EINVAL;
}

static int psf2_parse(struct psf_font *font, const u8 *p, size_t len, const char **why)
{
	u32 version = le32(p + 4), header = le32(p + 8), nr = le32(p + 16);
	u32 glyph_bytes = le32(p + 20), height = le32(p + 24), width = le32(p + 28);

	if (version != 0)
		return refuse(why, "a PSF font of an unknown version");
	if (!width || width > PSF_MAX_WIDTH || !height || height > PSF_MAX_HEIGHT)
		return refuse(why, "the font's width or height is 0 or too large");
	if (glyph_bytes != height * ((width + 7) / 8))
		return refuse(why, "the font's bytes per glyph do not fit its width and height");
	if (header < PSF2_HEADER || header > len || nr > (len - header) / glyph_bytes)
		return refuse(why, "the font file ends before its glyphs do");
	*font = (struct psf_font){p + header, nr, width, height, (width + 7) / 8, glyph_bytes};
	return 0;
}

static int psf1_parse(struct psf_font *font, const u8 *p, size_t len, const char **why)
{
	u32 nr = p[2] & PSF1_512_GLYPHS ? 512 : 256, height = p[3];

	if (!height || height > PSF_MAX_HEIGHT)
		return refuse(why, "the font's height is 0 or too large");
	if (nr > (len - PSF1_HEADER) / height)
		return refuse(why, "the font file ends before its glyphs do");
	*font = (struct psf_font){p + PSF1_HEADER, nr, 8, height, 1, height};
	return 0;
}

int psf_parse(struct psf_font *font, const void *data, size_t len, const char **why)
{
	static const u8 magic1[] = {0x36, 0x04}, magic2[] = {0x72, 0xb5, 0x4a, 0x86};
	struct psf_font found;
	int err;

	if (len >= PSF2_HEADER && !memcmp(data, magic2, sizeof(magic2)))
		err = psf2_parse(&found, data, len, why);
	else if (len >= PSF1_HEADER && !memcmp(data, magic1, sizeof(magic1)))
		err = psf1_parse(&found, data, len, why);
	else
		return refuse(why, "not a PSF font (is it still compressed?)");
	if (err)
		return err;
	if (found.nr_glyphs < ASCII_GLYPHS)
		return refuse(why, "the font has no glyphs for all of ASCII");
	*font = found;
	return 0;
}

bool psf_pixel(const struct psf_font *font, char c, unsigned x, unsigned y)
{
	u32 glyph = (u8)c < font->nr_glyphs ? (u8)c : '?';

	return font->glyphs[glyph * font->glyph_bytes + y * font->row_bytes + x / 8] &
	       (0x80 >> x % 8);
}
