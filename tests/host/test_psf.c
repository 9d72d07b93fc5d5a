// SPDX-License-Identifier: MIT
/*
 * The font parser. Every file is handed over in an allocation of exactly its size, so that
 * AddressSanitizer sees a read beyond it; good files are tried at every shorter length, and with
 * every byte of the header changed to many values. What is accepted must be drawable to the last
 * pixel of the last glyph.
 */
// links: kernel/psf.c
#include <errno.h>
#include <stdlib.h>
#include "kernel/psf.h"
#include "tests/host/tap.h"

static const char *why;

static void put32(uint8_t *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> 8 * i);
}

struct psf2 {
	uint32_t version, header, flags, nr, glyph_bytes, height, width;
};

/* => a PSF2 file of `size` bytes, to be freed; its glyph bytes count up */
static uint8_t *psf2_file(const struct psf2 *h, size_t size)
{
	uint8_t *file = malloc(size);
	const uint32_t words[] = {0x864ab572, h->version,     h->header, h->flags,
				  h->nr,      h->glyph_bytes, h->height, h->width};

	for (size_t i = 0; i < size; i++)
		file[i] = (uint8_t)i;
	for (size_t i = 0; i < 8 && 4 * i + 4 <= size; i++)
		put32(file + 4 * i, words[i]);
	return file;
}

static uint8_t *psf1_file(uint8_t mode, uint8_t height, size_t size)
{
	uint8_t *file = malloc(size);

	for (size_t i = 0; i < size; i++)
		file[i] = (uint8_t)i;
	file[0] = 0x36;
	file[1] = 0x04;
	file[2] = mode;
	file[3] = height;
	return file;
}

/* Reads every pixel of every glyph: the sanitizer's turn. */
static unsigned draw_all(const struct psf_font *f)
{
	unsigned set = 0;

	for (int c = 0; c < 256; c++)
		for (unsigned y = 0; y < f->height; y++)
			for (unsigned x = 0; x < f->width; x++)
				set += psf_pixel(f, (char)c, x, y);
	return set;
}

/* => 0 and drawn, or the error; a refusal must leave the font alone and say why */
static int try(const uint8_t *file, size_t size)
{
	struct psf_font f = {.nr_glyphs = 12345};
	uint8_t *exact = malloc(size ? size : 1);
	int err;

	memcpy(exact, file, size);
	why = NULL;
	err = psf_parse(&f, exact, size, &why);
	if (!err)
		draw_all(&f);
	else if (err != -EINVAL || f.nr_glyphs != 12345 || !why)
		ok(false, "a refusal is -EINVAL, has a reason and changes nothing");
	free(exact);
	return err;
}

static int try2(struct psf2 h, size_t size)
{
	uint8_t *file = psf2_file(&h, size);
	int err = try(file, size);

	free(file);
	return err;
}

static const struct psf2 good = {0, 32, 0, 256, 32, 16, 16};
#define GOOD_SIZE (32 + 256 * 32)

static void test_psf2(void)
{
	uint8_t *file = psf2_file(&good, GOOD_SIZE);
	struct psf_font f;
	struct psf2 h;

	file[32 + 'A' * 32 + 2 * 3 + 1] = 0x01; /* 'A', row 3, second byte: its rightmost pixel */
	file[32 + 'A' * 32 + 2 * 3] = 0;
	ok(!psf_parse(&f, file, GOOD_SIZE, &why), "a 16x16 PSF2 font");
	ok(f.width == 16 && f.height == 16 && f.nr_glyphs == 256, "its size");
	ok(psf_pixel(&f, 'A', 15, 3) && !psf_pixel(&f, 'A', 14, 3) && !psf_pixel(&f, 'A', 7, 3),
	   "a pixel in the second byte of a row");
	free(file);
	for (size_t size = 0; size < GOOD_SIZE; size++)
		if (!try2(good, size))
			ok(false, "a file cut to %zu bytes is refused", size);
	ok(true, "every shorter file has been tried");
	is_u64(try2(good, GOOD_SIZE + 100), 0, "more after the glyphs (a Unicode table) is fine");
#define CASE(field, value, want, name) \
	h = good;                      \
	h.field = value;               \
	is_u64((uint64_t)try2(h, GOOD_SIZE), (uint64_t)(want), name)
	CASE(version, 1, -EINVAL, "an unknown version");
	CASE(header, 31, -EINVAL, "a header shorter than itself");
	CASE(header, 33, -EINVAL, "a longer header that pushes the glyphs out");
	CASE(header, 0xffffffff, -EINVAL, "an absurd header");
	CASE(nr, 255, 0, "fewer glyphs");
	CASE(nr, 128, 0, "ASCII only");
	CASE(nr, 127, -EINVAL, "less than ASCII");
	CASE(nr, 257, -EINVAL, "one glyph too many");
	CASE(nr, 0x08000000, -EINVAL, "glyphs whose sum of bytes wraps to 0");
	CASE(glyph_bytes, 31, -EINVAL, "bytes that do not fit width and height");
	CASE(glyph_bytes, 0, -EINVAL, "no bytes");
	CASE(width, 0, -EINVAL, "no width");
	CASE(width, 17, -EINVAL, "a width that needs another byte");
	CASE(width, 9, 0, "a width that leaves bits over");
	CASE(height, 0, -EINVAL, "no height");
	CASE(height, 0x10000010, -EINVAL, "a height that wraps to the right product");
	h = (struct psf2){0, 32, 0, 128, 64 * 4, 64, 32};
	is_u64((uint64_t)try2(h, 32 + 128 * 256), 0, "the largest glyphs");
	h = (struct psf2){0, 32, 0, 128, 64 * 5, 64, 33};
	is_u64((uint64_t)try2(h, 32 + 128 * 320), (uint64_t)-EINVAL, "one pixel wider");
	h = (struct psf2){0, 32, 0, 128, 65 * 4, 65, 32};
	is_u64((uint64_t)try2(h, 32 + 128 * 260), (uint64_t)-EINVAL, "one pixel higher");
}

static int try1(uint8_t mode, uint8_t height, size_t size)
{
	uint8_t *file = psf1_file(mode, height, size);
	int err = try(file, size);

	free(file);
	return err;
}

static void test_psf1(void)
{
	uint8_t *file = psf1_file(0, 16, 4 + 256 * 16);
	struct psf_font f;

	file[4 + 'B' * 16 + 5] = 0x80;
	ok(!psf_parse(&f, file, 4 + 256 * 16, &why), "an 8x16 PSF1 font");
	ok(f.width == 8 && f.height == 16 && f.nr_glyphs == 256, "its size");
	ok(psf_pixel(&f, 'B', 0, 5) && !psf_pixel(&f, 'B', 1, 5), "the leftmost pixel of a row");
	free(file);
	is_u64((uint64_t)try1(0, 16, 4 + 256 * 16 - 1), (uint64_t)-EINVAL, "one byte short");
	is_u64((uint64_t)try1(1, 16, 4 + 256 * 16), (uint64_t)-EINVAL,
	       "512 glyphs, half of them there");
	is_u64((uint64_t)try1(1, 16, 4 + 512 * 16), 0, "512 glyphs");
	is_u64((uint64_t)try1(0, 0, 4 + 256 * 16), (uint64_t)-EINVAL, "no height");
	is_u64((uint64_t)try1(0, 65, 4 + 256 * 65), (uint64_t)-EINVAL, "too high");
	for (size_t size = 4; size < 64; size++)
		if (!try1(0, 16, size))
			ok(false, "a file cut to %zu bytes is refused", size);
}

static void test_missing_glyph(void)
{
	const struct psf2 h = {0, 32, 0, 128, 1, 1, 8};
	uint8_t *file = psf2_file(&h, 32 + 128);
	struct psf_font f;

	memset(file + 32, 0, 128);
	file[32 + '?'] = 0x80;
	ok(!psf_parse(&f, file, 32 + 128, &why) && psf_pixel(&f, (char)200, 0, 0),
	   "a character without a glyph is drawn as '?'");
	free(file);
}

static void test_mutations(void)
{
	uint8_t *file = psf2_file(&good, GOOD_SIZE);
	unsigned accepted = 0;

	for (unsigned at = 0; at < 32; at++) {
		uint8_t old = file[at];

		for (unsigned v = 0; v < 256; v++) {
			file[at] = (uint8_t)v;
			accepted += !try(file, GOOD_SIZE);
		}
		file[at] = old;
	}
	ok(accepted > 0, "every header byte with every value: %u accepted, all drawable", accepted);
	srand(1);
	for (int i = 0; i < 20000; i++) {
		for (unsigned at = 4; at < 32; at++)
			file[at] = (uint8_t)(rand() % 4 ? 0 : rand());
		try(file, GOOD_SIZE);
	}
	ok(true, "20000 random headers");
	free(file);
	ok(try((const uint8_t *)"\x1f\x8b\x08\0\0\0\0\0", 8) == -EINVAL &&
		   strstr(why, "compressed"),
	   "a compressed font is refused with a hint");
}

int main(void)
{
	test_psf2();
	test_psf1();
	test_missing_glyph();
	test_mutations();
	return done_testing();
}
