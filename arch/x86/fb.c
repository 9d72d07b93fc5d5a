// SPDX-License-Identifier: MIT
/*
 * A linear framebuffer as a console: the loader has set the mode (UEFI has no text mode any more),
 * we draw characters. The font comes as a boot module named "font"; the kernel carries none.
 *
 * The memory is mapped write-combining, so that a row of pixels leaves the processor in a few
 * bursts, and is never read: kernel/screen.c knows which characters are where. The loader's numbers
 * are checked against each other before anything is mapped. An 8-bit channel of colour lies at the
 * bit position the loader names; the one colour used is the same in all of them.
 */
#include "arch/x86/fb.h"
#include "boot/boot_info.h"
#include "kernel/console.h"
#include "kernel/printk.h"
#include "kernel/psf.h"
#include "kernel/screen.h"
#include "kernel/string.h"
#include "mm/frame.h"
#include "mm/space.h"
#include "mm/vmap.h"

#define FB_MAX_BYTES (256 * MiB)
#define CHANNEL	     0xc0 /* light grey */

static u8 *memory;
static u32 pitch, pixel_bytes, ink; /* ink: a set pixel */
static struct psf_font font;
static struct screen screen;
static unsigned cursor_col, cursor_row;

/* => inverted: ink and background change places */
static void draw_glyph(unsigned col, unsigned row, char c, bool inverted)
{
	u8 *line = memory + (u64)row * font.height * pitch + (u64)col * font.width * pixel_bytes;

	for (unsigned y = 0; y < font.height; y++, line += pitch) {
		volatile u8 *p = line;

		for (unsigned x = 0; x < font.width; x++, p += pixel_bytes) {
			u32 v = psf_pixel(&font, c, x, y) != inverted ? ink : 0;

			if (pixel_bytes == 4) {
				*(volatile u32 *)p = v;
			} else {
				p[0] = (u8)v;
				p[1] = (u8)(v >> 8);
				p[2] = (u8)(v >> 16);
			}
		}
	}
}

static void draw(unsigned col, unsigned row, char c)
{
	draw_glyph(col, row, c, false);
}

static void place_cursor(unsigned col, unsigned row)
{
	draw(cursor_col, cursor_row, screen.cells[cursor_row][cursor_col]);
	draw_glyph(col, row, screen.cells[row][col], true);
	cursor_col = col;
	cursor_row = row;
}

static void fb_write(struct console_dev *dev __attribute__((unused)), const char *s, size_t n)
{
	screen_write(&screen, s, n);
}

static struct console_dev fb_console = {.name = "framebuffer", .write = fb_write};

/* => NULL, or what is wrong with the loader's description */
static const char *check_mode(const struct boot_framebuffer *fb)
{
	if (fb->bpp != 24 && fb->bpp != 32)
		return "only 24 and 32 bits a pixel are drawn";
	if (MAX(fb->red_pos, MAX(fb->green_pos, fb->blue_pos)) > fb->bpp - 8)
		return "a colour lies outside the pixel";
	if (!fb->width || !fb->height || fb->pitch / (fb->bpp / 8) < fb->width)
		return "its lines are shorter than its width";
	if (fb->pitch > FB_MAX_BYTES / fb->height || fb->addr > BOOT_PHYS_LIMIT - FB_MAX_BYTES)
		return "it is larger than any screen";
	return NULL;
}

/* => can [m->start, m->end) be read through the direct map? It may be anything the loader said. */
static bool readable(const struct boot_module *m)
{
	if (m->start >= m->end || m->end > space_direct_limit())
		return false;
	for (paddr_t pa = ALIGN_DOWN(m->start, PAGE_SIZE); pa < m->end; pa += PAGE_SIZE) {
		if (!frame_valid(paddr_to_pfn(pa)))
			return false;
	}
	return true;
}

/* => NULL with `font` set, or why there is none */
static const char *find_font(const struct boot_info *bi)
{
	const char *why = "no boot module is named 'font' (give it a PSF font)";

	for (unsigned i = 0; i < bi->nr_modules; i++) {
		const struct boot_module *m = &bi->modules[i];

		if (strcmp(m->name, "font"))
			continue;
		if (!readable(m))
			return "the font module does not lie in the direct map";
		if (!psf_parse(&font, phys_to_virt(m->start), m->end - m->start, &why))
			return NULL;
	}
	return why;
}

void fb_init(const struct boot_info *bi)
{
	const struct boot_framebuffer *fb = &bi->fb;
	u64 offset = fb->addr % PAGE_SIZE, bytes = (u64)fb->pitch * fb->height;
	const char *why;
	char *map;

	if (!fb->addr || fb->text)
		return;
	why = check_mode(fb);
	if (!why)
		why = find_font(bi);
	if (why) {
		printk("fb: no console on the %ux%u framebuffer: %s\n", fb->width, fb->height, why);
		return;
	}
	map = vmap_pfn(paddr_to_pfn(fb->addr),
		       (unsigned)(ALIGN_UP(offset + bytes, PAGE_SIZE) / PAGE_SIZE), VM_W | VM_WC,
		       "framebuffer");
	if (!map) {
		printk("fb: the framebuffer could not be mapped; going on without\n");
		return;
	}
	memory = (u8 *)map + offset;
	pitch = fb->pitch;
	pixel_bytes = fb->bpp / 8;
	ink = (u32)CHANNEL << fb->red_pos | (u32)CHANNEL << fb->green_pos |
	      (u32)CHANNEL << fb->blue_pos;
	screen.cols = MIN(fb->width / font.width, SCREEN_MAX_COLS);
	screen.rows = MIN(fb->height / font.height, SCREEN_MAX_ROWS);
	screen.draw = draw;
	screen.cursor = place_cursor;
	screen_clear(&screen);
	console_register(&fb_console);
	printk("fb: %ux%u pixels, %ux%u characters\n", fb->width, fb->height, screen.cols,
	       screen.rows);
}
