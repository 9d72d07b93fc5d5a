// SPDX-License-Identifier: MIT
/*
 * What the keys do to the line, told without a terminal: a text, where the cursor is, and the lines
 * that were. No echo, no code of kernel/lineedit.c. fuzz_monitor.c holds the screen against it.
 *
 * A key is what the user means: the special keys are translated to letters first, as most have one.
 */
#ifndef TESTS_FUZZ_NAIVE_EDITOR_H
#define TESTS_FUZZ_NAIVE_EDITOR_H

#include <string.h>
#include "kernel/types.h"

#define NAIVE_LINE  511 /* characters, at most */
#define NAIVE_LINES 16	/* that are remembered */

enum naive_event {
	NAIVE_TYPING,
	NAIVE_ENTERED,	/* `done` is to be run */
	NAIVE_REFUSED,	/* more was typed than fits: nothing is */
	NAIVE_GIVEN_UP, /* nothing, too */
	NAIVE_ENDED
};

static struct {
	char line[NAIVE_LINE + 1]; /* NUL behind it, and to its end */
	u32 pos;
	bool spoiled;
	char done[NAIVE_LINE + 1];

	char past[NAIVE_LINES][NAIVE_LINE + 1]; /* the newest first */
	u32 nr_past, back;			/* so many lines back is shown */
	char typed[NAIVE_LINE + 1];		/* before the first step back */

	char sequence; /* ESC, then [ or O; 0: none has begun */
	u32 number;
	bool after_cr;
} naive;

static u32 naive_len(void)
{
	return (u32)strlen(naive.line);
}

static void naive_insert(const char *s)
{
	char behind[NAIVE_LINE + 1];

	if (naive_len() + strlen(s) > NAIVE_LINE) {
		naive.spoiled = true;
		return;
	}
	strcpy(behind, naive.line + naive.pos);
	strcpy(naive.line + naive.pos, s);
	naive.pos = naive_len();
	strcat(naive.line, behind);
}

/* Characters [from, to) go, and the cursor is where they were. */
static void naive_delete(u32 from, u32 to)
{
	char behind[NAIVE_LINE + 1];

	strcpy(behind, naive.line + to);
	strcpy(naive.line + from, behind);
	naive.pos = from;
	naive.spoiled &= !!naive.line[0];
}

static void naive_go_back(u32 back)
{
	if (back > naive.nr_past || back == naive.back)
		return;
	if (!naive.back)
		strcpy(naive.typed, naive.line);
	naive.back = back;
	naive.spoiled = false;
	strcpy(naive.line, back ? naive.past[back - 1] : naive.typed);
	naive.pos = naive_len();
}

static void naive_remember(void)
{
	if (!naive.line[0] || (naive.nr_past && !strcmp(naive.past[0], naive.line)))
		return;
	memmove(naive.past[1], naive.past[0], sizeof(naive.past) - sizeof(naive.past[0]));
	strcpy(naive.past[0], naive.line);
	naive.nr_past = MIN(naive.nr_past + 1, NAIVE_LINES);
}

static void naive_new_line(void)
{
	naive.line[0] = '\0';
	naive.pos = naive.back = 0;
	naive.spoiled = false;
}

static u32 naive_word_start(void)
{
	u32 at = naive.pos;

	while (at && naive.line[at - 1] == ' ')
		at--;
	while (at && naive.line[at - 1] != ' ')
		at--;
	return at;
}

/* Is [0, at) such that a command's name may follow: nothing, a ; or the word help after those? */
static bool naive_command_may_begin(u32 at, bool help)
{
	while (at && naive.line[at - 1] == ' ')
		at--;
	if (!at || naive.line[at - 1] == ';')
		return true;
	return help && at >= 4 && !memcmp(naive.line + at - 4, "help", 4) &&
	       naive_command_may_begin(at - 4, false);
}

/* Tab. => names: all that there are, NULL behind the last */
static void naive_complete(const char *const *names)
{
	u32 start = naive.pos, typed, nr = 0;
	char all[NAIVE_LINE + 1] = "";

	while (start && naive.line[start - 1] != ' ' && naive.line[start - 1] != ';')
		start--;
	typed = naive.pos - start;
	if (!naive_command_may_begin(start, true))
		return;
	for (; *names; names++) {
		if (strncmp(*names, naive.line + start, typed))
			continue;
		if (!nr++)
			strcpy(all, *names);
		while (strncmp(all, *names, strlen(all)))
			all[strlen(all) - 1] = '\0'; /* what it shares with those before */
	}
	if (!nr)
		return;
	if (strlen(all) > typed)
		naive_insert(all + typed);
	if (nr == 1 && !naive.line[naive.pos])
		naive_insert(" ");
}

/* => the letter that goes with Ctrl and does the same, '@': none does, 0: the sequence goes on */
static char naive_special(char c)
{
	static const char by_letter[][2] = {{'A', 'P'}, {'B', 'N'}, {'C', 'F'},
					    {'D', 'B'}, {'H', 'A'}, {'F', 'E'}};

	if (naive.sequence == '[' && c >= '0' && c <= '9')
		naive.number = MIN(naive.number * 10 + (u32)(c - '0'), 100000u);
	if (naive.sequence == '[' && c >= 0x20 && c < 0x40)
		return 0;
	if (c == '~')
		switch (naive.number) {
		case 1:
		case 7:
			return 'A';
		case 3:
			return naive.line[0] ? 'D' : '@';
		case 4:
		case 8:
			return 'E';
		}
	for (u32 i = 0; i < ARRAY_SIZE(by_letter); i++)
		if (by_letter[i][0] == c)
			return by_letter[i][1];
	return '@';
}

/* => letter: of the key that is held with Ctrl */
static enum naive_event naive_control(char letter, const char *const *names)
{
	u32 len = naive_len();

	switch (letter) {
	case 'A':
		naive.pos = 0;
		break;
	case 'B':
		naive.pos -= !!naive.pos;
		break;
	case 'C':
		naive_new_line();
		return NAIVE_GIVEN_UP;
	case 'D':
		if (!len)
			return NAIVE_ENDED;
		naive_delete(naive.pos, MIN(naive.pos + 1, len));
		break;
	case 'E':
		naive.pos = len;
		break;
	case 'F':
		naive.pos = MIN(naive.pos + 1, len);
		break;
	case 'H':
		naive_delete(naive.pos - !!naive.pos, naive.pos);
		break;
	case 'I':
		naive_complete(names);
		break;
	case 'K':
		naive_delete(naive.pos, len);
		break;
	case 'N':
		naive_go_back(naive.back - !!naive.back);
		break;
	case 'P':
		naive_go_back(naive.back + 1);
		break;
	case 'U':
		naive_delete(0, naive.pos);
		break;
	case 'W':
		naive_delete(naive_word_start(), naive.pos);
		break;
	}
	return NAIVE_TYPING;
}

static enum naive_event naive_enter(void)
{
	bool good = !naive.spoiled;

	strcpy(naive.done, naive.line);
	if (good)
		naive_remember();
	naive_new_line();
	return good ? NAIVE_ENTERED : NAIVE_REFUSED;
}

static enum naive_event naive_key(u8 c, const char *const *names)
{
	bool after_cr = naive.after_cr;
	char text[2] = {(char)c, '\0'};

	naive.after_cr = c == '\r';
	if (c < ' ') { /* whatever has begun, ends */
		naive.sequence = c == 0x1b ? 0x1b : 0;
		naive.number = 0;
		if (c == 0x1b || (c == '\n' && after_cr))
			return NAIVE_TYPING;
		return c == '\r' || c == '\n' ? naive_enter()
					      : naive_control((char)(c + '@'), names);
	}
	if (naive.sequence == 0x1b) {
		naive.sequence = c == '[' || c == 'O' ? (char)c : 0;
		return NAIVE_TYPING;
	}
	if (naive.sequence) {
		char letter = naive_special((char)c);

		naive.sequence = letter ? 0 : naive.sequence;
		return letter ? naive_control(letter, names) : NAIVE_TYPING;
	}
	if (c < 0x7f)
		naive_insert(text);
	return c == 0x7f ? naive_control('H', names) : NAIVE_TYPING;
}

#endif
