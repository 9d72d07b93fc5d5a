// SPDX-License-Identifier: MIT
/*
 * A terminal of one row, which understands what the line editor echoes (kernel/lineedit.h) and
 * nothing else. `row` is what it shows now, blanks behind it.
 */
#ifndef TESTS_HOST_TOY_TERMINAL_H
#define TESTS_HOST_TOY_TERMINAL_H

#include <string.h>
#include "kernel/lineedit.h"

#define COLS (2 * LINE_MAX_LEN)

static char row[COLS];
static unsigned col, bells, row_ends, clears, edge_hits; /* edge_hits: \b in the first column */

/* What is called when a row ends, before it is blank again. NULL: nothing */
static void (*row_ended)(void);

static void blank_row(void)
{
	memset(row, ' ', sizeof(row));
	col = 0;
}

static void terminal(const char *s, size_t n)
{
	static char esc[8];
	static unsigned in_esc;

	for (; n; n--, s++) {
		if (in_esc) {
			if (in_esc <= sizeof(esc)) /* a stray one may be of any length */
				esc[in_esc++ - 1] = *s;
			if (*s >= '@' && *s != '[') {
				clears += esc[1] == 'J';
				if (esc[1] == 'J')
					blank_row();
				in_esc = 0;
			}
		} else if (*s == 0x1b) {
			in_esc = 1;
		} else if (*s == '\b') {
			edge_hits += !col;
			col -= !!col;
		} else if (*s == '\a') {
			bells++;
		} else if (*s == '\n') {
			if (row_ended)
				row_ended();
			blank_row();
			row_ends++;
		} else if (col < COLS) {
			row[col++] = *s;
		}
	}
}

#endif
