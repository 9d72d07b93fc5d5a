// SPDX-License-Identifier: MIT
/*
 * A screen as an array of characters. Text memory and framebuffers are slow to read (they are not
 * cached, and sit behind a bus), so they are never read: what is on the screen is known from here,
 * and a device only has to draw a character in a cell.
 *
 * Scrolling moves the characters and draws those cells that differ from what was there. In a boot
 * log most cells are blank before and after, so that is a small part of the screen.
 *
 * After its last column the cursor waits and wraps only when one more character comes, as terminals
 * do, so a line of exactly the screen's width is not followed by an empty one. Of escape
 * sequences only what the line editor sends is understood; others are swallowed.
 *
 * Devices: arch/x86/vga.c, arch/x86/fb.c.
 */
#include "kernel/screen.h"
#include "kernel/string.h"

#define ESCAPE	 0x1b
#define TAB_STOP 8

static void set_cell(struct screen *s, unsigned col, unsigned row, char c)
{
	if (s->cells[row][col] == c)
		return;
	s->cells[row][col] = c;
	s->draw(col, row, c);
}

static void scroll(struct screen *s)
{
	for (unsigned row = 0; row + 1 < s->rows; row++) {
		for (unsigned col = 0; col < s->cols; col++)
			set_cell(s, col, row, s->cells[row + 1][col]);
	}
	for (unsigned col = 0; col < s->cols; col++)
		set_cell(s, col, s->rows - 1, ' ');
}

static void new_line(struct screen *s)
{
	s->col = 0;
	if (s->row + 1 < s->rows)
		s->row++;
	else
		scroll(s);
}

/* Blanks everything from the cursor on. */
static void erase_below(struct screen *s)
{
	for (unsigned row = s->row; row < s->rows; row++) {
		for (unsigned col = row == s->row ? s->col : 0; col < s->cols; col++)
			set_cell(s, col, row, ' ');
	}
}

static void put_text(struct screen *s, char c)
{
	switch (c) {
	case '\n':
		new_line(s);
		break;
	case '\r':
		s->col = 0;
		break;
	case '\b':
		s->col -= s->col > 0;
		break;
	case '\t':
		s->col = MIN(ALIGN_UP(s->col + 1, TAB_STOP), s->cols - 1);
		break;
	case ESCAPE:
		s->state = SCREEN_ESC;
		break;
	default:
		if (c < ' ' || c > '~')
			break;
		if (s->col >= s->cols)
			new_line(s);
		set_cell(s, s->col++, s->row, c);
	}
}

static void put(struct screen *s, char c)
{
	switch (s->state) {
	case SCREEN_TEXT:
		put_text(s, c);
		break;
	case SCREEN_ESC:
		s->state = c == '[' ? SCREEN_CSI : SCREEN_TEXT;
		break;
	case SCREEN_CSI: /* parameters, then one byte from 0x40 on (ECMA-48 5.4) */
		if (c >= ' ' && c < '@')
			break;
		s->state = SCREEN_TEXT;
		if (c == 'H')
			s->col = s->row = 0;
		else if (c == 'J')
			erase_below(s);
	}
}

void screen_write(struct screen *s, const char *text, size_t n)
{
	while (n--)
		put(s, *text++);
	s->cursor(MIN(s->col, s->cols - 1), s->row);
}

void screen_clear(struct screen *s)
{
	s->col = s->row = 0;
	s->state = SCREEN_TEXT;
	for (unsigned row = 0; row < s->rows; row++) {
		for (unsigned col = 0; col < s->cols; col++) {
			s->cells[row][col] = ' ';
			s->draw(col, row, ' ');
		}
	}
	s->cursor(0, 0);
}
