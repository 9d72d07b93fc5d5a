// SPDX-License-Identifier: MIT
/*
 * EGA/VGA text mode: 16-bit words in memory, the character in the low byte and its colours in the
 * high one. Only ever written (kernel/screen.c knows what is there), but once, to find out whether
 * there is such memory at all. The cursor is placed through two registers of the CRT controller
 * (IBM VGA technical reference, "CRT controller registers", 0Eh and 0Fh).
 */
#include "arch/x86/vga.h"
#include "arch/x86/io.h"
#include "boot/boot_info.h"
#include "kernel/console.h"
#include "kernel/printk.h"
#include "kernel/screen.h"
#include "mm/vmap.h"

#define TEXT_MEMORY	 0xb8000
#define TEXT_COLS	 80
#define TEXT_ROWS	 25
#define COLOURS		 0x0700 /* light grey on black */
#define PROBE_WORD	 (COLOURS | '#')

#define CRTC_INDEX	 0x3d4
#define CRTC_DATA	 0x3d5
#define CRTC_CURSOR_HIGH 0x0e
#define CRTC_CURSOR_LOW	 0x0f

static volatile u16 *text;
static struct screen screen;

static void draw(unsigned col, unsigned row, char c)
{
	text[row * screen.cols + col] = (u16)(COLOURS | (u8)c);
}

static void place_cursor(unsigned col, unsigned row)
{
	unsigned pos = row * screen.cols + col;

	outb(CRTC_INDEX, CRTC_CURSOR_HIGH);
	outb(CRTC_DATA, (u8)(pos >> 8));
	outb(CRTC_INDEX, CRTC_CURSOR_LOW);
	outb(CRTC_DATA, (u8)pos);
}

static void vga_write(struct console_dev *dev __attribute__((unused)), const char *s, size_t n)
{
	screen_write(&screen, s, n);
}

static struct console_dev vga_console = {.name = "vga", .write = vga_write};

/* => is this memory? A word written is read back; what was there is put back */
static bool probe(void)
{
	u16 old = text[0];
	bool found;

	text[0] = PROBE_WORD;
	found = text[0] == PROBE_WORD;
	text[0] = old;
	return found;
}

void vga_init(const struct boot_info *bi)
{
	const struct boot_framebuffer *fb = &bi->fb;
	paddr_t pa = fb->addr ? fb->addr : TEXT_MEMORY;
	unsigned cols = fb->addr ? fb->width : TEXT_COLS, rows = fb->addr ? fb->height : TEXT_ROWS;
	u64 offset = pa % PAGE_SIZE, bytes;
	char *map;

	if (fb->addr && !fb->text)
		return;
	if (!cols || cols > SCREEN_MAX_COLS || !rows || rows > SCREEN_MAX_ROWS) {
		printk("vga: a text screen of %u x %u is not usable\n", cols, rows);
		return;
	}
	bytes = (u64)cols * rows * sizeof(*text);
	map = vmap_pfn(paddr_to_pfn(pa),
		       (unsigned)(ALIGN_UP(offset + bytes, PAGE_SIZE) / PAGE_SIZE), VM_W | VM_UC,
		       "vga");
	if (!map) {
		printk("vga: the text screen could not be mapped; going on without\n");
		return;
	}
	text = (volatile u16 *)(map + offset);
	if (!probe()) {
		vunmap(map);
		return;
	}
	screen.cols = cols;
	screen.rows = rows;
	screen.draw = draw;
	screen.cursor = place_cursor;
	screen_clear(&screen);
	console_register(&vga_console);
}
