// SPDX-License-Identifier: MIT
/* Line editing for the monitor's prompt: bytes in, lines out. Its essay is in lineedit.c. */
#ifndef KERNEL_LINEEDIT_H
#define KERNEL_LINEEDIT_H

#include "kernel/types.h"

#define LINE_MAX_LEN 512 /* with its NUL */
#define LINE_HISTORY 16

enum line_event {
	LINE_MORE,     /* go on typing */
	LINE_DONE,     /* le->line is complete */
	LINE_CANCEL,   /* Ctrl-C: start anew */
	LINE_EOF,      /* Ctrl-D on an empty line */
	LINE_TOO_LONG, /* Enter, but some bytes did not fit: the line must not be used */
};

/* Inside an escape sequence: after ESC, ESC [ or ESC O. */
enum key_state {
	KEY_PLAIN,
	KEY_ESC,
	KEY_CSI,
	KEY_SS3
};

struct lineedit {
	/* What the editor is given. */
	/* Shows bytes: text, '\b', '\n', '\a', and ESC [ H ESC [ J to clear the screen. */
	void (*echo)(const char *s, size_t n);
	/*
	 * => the i-th word (from 0) that may stand at line[start..], or NULL after the last; the
	 *    editor itself picks those that begin with what is typed. NULL: no completion.
	 */
	const char *(*candidate)(const char *line, unsigned start, unsigned i);
	const char *prompt;

	/* The line. */
	char line[LINE_MAX_LEN];
	unsigned len, pos; /* pos: the cursor, 0 .. len */
	bool overflow;	   /* a byte found no room since the line was last empty */

	/* The input's state. */
	enum key_state state;
	unsigned param; /* number inside ESC [ n ~ */
	bool after_cr;	/* a '\n' now belongs to the '\r' before it */

	/* History, oldest first; hist_at counts back from the newest, 0 is the line being typed. */
	char history[LINE_HISTORY][LINE_MAX_LEN];
	unsigned nr_history, hist_at;
	char typed[LINE_MAX_LEN]; /* the line left behind by going up */
};

/* Empties the line and shows the prompt. */
void lineedit_start(struct lineedit *le);

/* One byte typed. => anything but LINE_MORE ends the line; then lineedit_start() */
enum line_event lineedit_key(struct lineedit *le, char c);

#endif
