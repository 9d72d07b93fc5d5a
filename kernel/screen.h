// SPDX-License-Identifier: MIT
/* A screen of characters, whatever shows them. Its essay is in screen.c. */
#ifndef KERNEL_SCREEN_H
#define KERNEL_SCREEN_H

#include "kernel/types.h"

#define SCREEN_MAX_COLS 256
#define SCREEN_MAX_ROWS 100

/* Inside an escape sequence: after ESC, or ESC [. */
enum screen_state {
	SCREEN_TEXT,
	SCREEN_ESC,
	SCREEN_CSI
};

struct screen {
	unsigned cols, rows; /* 1 .. SCREEN_MAX_COLS, 1 .. SCREEN_MAX_ROWS */
	/* Shows character c in a cell. => within cols and rows; 0x20 to 0x7e */
	void (*draw)(unsigned col, unsigned row, char c);
	/* The cursor stands here now. */
	void (*cursor)(unsigned col, unsigned row);
	unsigned col, row; /* where the next character goes; at col == cols it wraps first */
	enum screen_state state;
	char cells[SCREEN_MAX_ROWS][SCREEN_MAX_COLS];
};

/* Blanks the screen. => cols, rows, draw and cursor are set */
void screen_clear(struct screen *s);

/* Shows text, '\n' (with return) '\r' '\b' '\t', ESC [ H, ESC [ J; other controls show nothing. */
void screen_write(struct screen *s, const char *text, size_t n);

#endif
