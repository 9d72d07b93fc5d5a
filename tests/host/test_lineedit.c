// SPDX-License-Identifier: MIT
/*
 * The line editor against a toy terminal: one row that understands what the editor echoes. After
 * every key, random ones included, the row must show the prompt and the line and nothing else, with
 * its cursor where the editor thinks it is.
 */
// links: kernel/lineedit.c
#include <stdlib.h>
#include "kernel/lineedit.h"
#include "tests/host/tap.h"
#include "tests/host/toy_terminal.h"

#define PROMPT "> "

static struct lineedit le;

static const char *const words[] = {"help", "hello", "mem", "memory", "purge", NULL};

static const char *candidate(const char *line, unsigned start, unsigned i)
{
	(void)line;
	return start == 0 ? words[i] : NULL;
}

static void fresh(void)
{
	memset(&le, 0, sizeof(le));
	le.echo = terminal;
	le.candidate = candidate;
	le.prompt = PROMPT;
	blank_row();
	bells = row_ends = clears = edge_hits = 0;
	lineedit_start(&le);
}

/* => does the terminal show what the editor has? */
static bool shown(void)
{
	size_t p = strlen(PROMPT);

	for (unsigned i = 0; i < COLS; i++) {
		char want = i < p ? PROMPT[i] : i < p + le.len ? le.line[i - p] : ' ';

		if (row[i] != want)
			return false;
	}
	return col == p + le.pos && !edge_hits;
}

/* Types keys until one ends the line. */
static enum line_event type(const char *keys)
{
	for (; *keys; keys++) {
		enum line_event ev = lineedit_key(&le, *keys);

		if (ev != LINE_MORE)
			return ev;
		if (!shown())
			ok(false, "the terminal shows the line after key %#x",
			   (unsigned char)*keys);
	}
	return LINE_MORE;
}

/* Types keys and Enter in a fresh editor. => the line */
static const char *edit(const char *keys)
{
	fresh();
	type(keys);
	return lineedit_key(&le, '\r') == LINE_DONE ? le.line : "(not done)";
}

#define UP    "\x1b[A"
#define DOWN  "\x1b[B"
#define RIGHT "\x1b[C"
#define LEFT  "\x1b[D"
#define HOME  "\x1b[H"
#define END   "\x1b[F"
#define DEL   "\x1b[3~"

static void test_keys(void)
{
	is_str(edit("mem map"), "mem map", "plain text");
	is_str(edit("mzem\x7f\x7f\x7fpt"), "mpt", "Backspace (7f)");
	is_str(edit("ab\x08"), "a", "Backspace (08)");
	is_str(edit("\x7f\x08"), "", "Backspace in an empty line");
	is_str(edit("bc" LEFT LEFT "a" RIGHT RIGHT RIGHT "d"), "abcd",
	       "cursor keys, stopping at the ends");
	is_str(edit("b" HOME "a" END "c"), "abc", "Home and End");
	is_str(edit("b\x1bOHa\x1bOFc"), "abc", "Home and End as ESC O");
	is_str(edit("b\x1b[1~a\x1b[4~c\x1b[7~0\x1b[8~d"), "0abcd", "Home and End as numbers");
	is_str(edit("b\x01"
		    "a\x05"
		    "c"),
	       "abc", "Ctrl-A and Ctrl-E");
	is_str(edit("ac\x02"
		    "b\x06"
		    "d"),
	       "abcd", "Ctrl-B and Ctrl-F");
	is_str(edit("abcd" LEFT LEFT "\x0b"), "ab", "Ctrl-K");
	is_str(edit("abcd" LEFT LEFT "\x15"), "cd", "Ctrl-U");
	is_str(edit("one two  \x17three"), "one three", "Ctrl-W takes blanks and a word");
	is_str(edit("one two" LEFT "\x17"), "one o", "Ctrl-W in a word");
	is_str(edit("\x17x"), "x", "Ctrl-W in an empty line");
	is_str(edit("abc" HOME DEL), "bc", "Delete");
	is_str(edit("abc" DEL), "abc", "Delete at the end");
	is_str(edit("abc" HOME "\x04"), "bc", "Ctrl-D in a line deletes");
	is_str(edit("a\x1b[1;5Cb"), "ab", "a key with modifiers");
	is_str(edit("a\x1b[99~b\x1bxc\x1b[?25hd\x1bOPe"), "abcde",
	       "unknown sequences are swallowed");
	is_str(edit("a\x1b\x1b[Db"), "ba", "a broken-off sequence before a good one");
	is_str(edit("a\x80\xff\x07"
		    "b"),
	       "ab", "bytes that are no keys");
	is_u64(bells, 3, "ring the bell");
}

static void test_ends(void)
{
	fresh();
	is_u64(type("abc\x03"), LINE_CANCEL, "Ctrl-C gives up");
	lineedit_start(&le);
	is_u64(le.len, 0, "and the next line is empty");
	is_u64(type("\x04"), LINE_EOF, "Ctrl-D on an empty line ends");
	fresh();
	is_u64(type(DEL), LINE_MORE, "Delete on an empty line does not");
	is_u64(type("x\r"), LINE_DONE, "CR ends a line");
	lineedit_start(&le);
	is_u64(type("\n"), LINE_MORE, "the LF after it is not another");
	is_u64(type("\n"), LINE_DONE, "but one more is");
	lineedit_start(&le);
	is_u64(type("\n"), LINE_DONE, "and LF alone ends lines");
	lineedit_start(&le);
	is_u64(type("a\x1b[\n"), LINE_DONE, "LF breaks off an escape sequence and counts");
	is_str(le.line, "a", "and the line is whole");
}

static void test_bounds(void)
{
	char full[LINE_MAX_LEN];

	fresh();
	for (unsigned i = 0; i + 1 < LINE_MAX_LEN; i++)
		lineedit_key(&le, 'x');
	memset(full, 'x', sizeof(full) - 1);
	full[sizeof(full) - 1] = '\0';
	is_u64(bells, 0, "a full line does not ring");
	is_u64(type("\r"), LINE_DONE, "and is a line");
	is_str(le.line, full, "with all its characters");
	lineedit_start(&le);
	type(UP "y");
	is_u64(bells, 1, "one more character rings");
	is_u64(le.len, LINE_MAX_LEN - 1, "and is not taken");
	type(LEFT "\x7f");
	is_u64(type("\r"), LINE_TOO_LONG, "and the line is refused, even when it got shorter");
	lineedit_start(&le);
	type(UP "y\x15ok");
	is_u64(type("\r"), LINE_DONE, "but when it was emptied it is a new line");
	is_str(le.line, "ok", "with what was typed since");
}

static void test_history(void)
{
	fresh();
	type("one\r");
	lineedit_start(&le);
	type("two\r");
	lineedit_start(&le);
	type("two\r");
	lineedit_start(&le);
	type("\r");
	lineedit_start(&le);
	type("typed");
	type(UP);
	is_str((le.line[le.len] = 0, le.line), "two", "up: the last line");
	type(UP);
	is_str((le.line[le.len] = 0, le.line), "one",
	       "a repeated or an empty line is kept once, or not");
	type(UP);
	is_u64(bells, 1, "up at the oldest line rings");
	type(DOWN DOWN);
	is_str((le.line[le.len] = 0, le.line), "typed", "down again: what was being typed");
	type(DOWN);
	is_u64(bells, 2, "down at the newest rings");
	type("\x10\x10\x0e!\r");
	is_str(le.line, "two!", "Ctrl-P, Ctrl-N; a line from the history can be changed");
	lineedit_start(&le);
	type(UP UP);
	is_str((le.line[le.len] = 0, le.line), "two", "and the history has both");
	fresh();
	for (int i = 0; i < LINE_HISTORY + 5; i++) {
		char line[32];

		snprintf(line, sizeof(line), "line %d\r", i);
		type(line);
		lineedit_start(&le);
	}
	for (int i = 0; i < LINE_HISTORY; i++)
		type(UP);
	is_str((le.line[le.len] = 0, le.line), "line 5", "the oldest lines are forgotten");
	is_u64(bells, 0, "and no sooner");
}

static void test_completion(void)
{
	is_str(edit("p\t"), "purge ", "a single candidate is completed, with a blank");
	is_str(edit("he\t"), "hel", "several: as far as they agree");
	fresh();
	type("hel\t");
	is_u64(row_ends, 2, "then they are listed, on a line of their own");
	ok(shown(), "and the line is shown again");
	is_str(edit("mem\to\t"), "memory ", "a word that begins another");
	is_str(edit("x\t"), "x", "no candidate: nothing");
	is_u64(bells, 1, "but the bell");
	is_str(edit("purge p\t"), "purge p", "words the callback knows nothing for");
	is_str(edit("pX" LEFT "\t"), "purgeX", "before the rest of a line, without the blank");
	fresh();
	le.candidate = NULL;
	type("p\t");
	is_u64(le.len, 1, "no callback, no completion");
}

static void test_clear(void)
{
	fresh();
	type("abc" LEFT "\x0c");
	is_u64(clears, 1, "Ctrl-L clears the screen");
	is_str(edit("abc" LEFT "\x0cX"), "abXc", "and keeps line and cursor");
}

static void test_random(void)
{
	static const char *const keys[] = {
		"a",	"b",	 " ",	 ";",	 "\t",	 "\x01",
		"\x02", "\x03",	 "\x04", "\x05", "\x06", "\x08",
		"\x0b", "\x0c",	 "\x0e", "\x10", "\x15", "\x17",
		"\x7f", "\r",	 "\n",	 "p",	 "he",	 LEFT,
		RIGHT,	UP,	 DOWN,	 HOME,	 END,	 DEL,
		"\x1b", "\x1b[", "\xff", "0",	 "~",	 "word word word word word word word word",
	};
	bool all = true;

	srand(1);
	fresh();
	for (int i = 0; i < 200000 && all; i++) {
		enum line_event ev =
			type(keys[(unsigned)rand() % (sizeof(keys) / sizeof(keys[0]))]);

		if (ev != LINE_MORE) {
			all = strnlen(le.line, LINE_MAX_LEN) < LINE_MAX_LEN;
			blank_row(); /* Ctrl-D ends the line without ending the row */
			lineedit_start(&le);
		}
		all = all && le.pos <= le.len && le.len < LINE_MAX_LEN && shown();
	}
	ok(all, "200000 random keys: terminal and line agree");
}

int main(void)
{
	test_keys();
	test_ends();
	test_bounds();
	test_history();
	test_completion();
	test_clear();
	test_random();
	return done_testing();
}
