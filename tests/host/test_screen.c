// SPDX-License-Identifier: MIT
/*
 * The character screen: what has been drawn must be what its cells say, after anything. The
 * device here is an array; a draw outside the screen is a failure by itself.
 */
// links: kernel/screen.c
#include <stdlib.h>
#include "kernel/screen.h"
#include "tests/host/tap.h"

#define COLS 10
#define ROWS 4

static struct screen s;
static char glass[ROWS][COLS + 1]; /* what one sees */
static unsigned draws, cursor_col, cursor_row;

static void draw(unsigned col, unsigned row, char c)
{
	if (col >= COLS || row >= ROWS || c < ' ' || c > '~')
		ok(false, "drawn at %u,%u: %#x", col, row, (unsigned char)c);
	else
		glass[row][col] = c;
	draws++;
}

static void cursor(unsigned col, unsigned row)
{
	if (col >= COLS || row >= ROWS)
		ok(false, "cursor at %u,%u", col, row);
	cursor_col = col;
	cursor_row = row;
}

static void fresh(void)
{
	memset(&s, 0, sizeof(s));
	memset(glass, 0, sizeof(glass));
	s.cols = COLS;
	s.rows = ROWS;
	s.draw = draw;
	s.cursor = cursor;
	screen_clear(&s);
	draws = 0;
}

static void write_text(const char *text)
{
	screen_write(&s, text, strlen(text));
}

/* Row `row` as one sees it, without the blanks at its end. */
static const char *seen(unsigned row)
{
	static char line[COLS + 1];
	size_t n = COLS;

	memcpy(line, glass[row], COLS);
	while (n && line[n - 1] == ' ')
		n--;
	line[n] = '\0';
	return line;
}

static void test_text(void)
{
	fresh();
	is_str(seen(0), "", "a cleared screen is blank");
	write_text("ab\ncd");
	is_str(seen(0), "ab", "a line");
	is_str(seen(1), "cd", "and the next, from its start");
	ok(cursor_col == 2 && cursor_row == 1, "the cursor follows");
	write_text("\rX\b\b\bY");
	is_str(seen(1), "Yd", "return and backspace, not beyond the edge");
	fresh();
	write_text("a\tb");
	is_str(seen(0), "a       b", "a tab stop every 8");
	write_text("\tc");
	is_str(seen(0), "a       bc", "a tab stays on the screen");
	fresh();
	write_text("a\x01\x7f\xe9\ab");
	is_str(seen(0), "ab", "what cannot be shown is not");
}

static void test_wrap_and_scroll(void)
{
	fresh();
	write_text("0123456789");
	ok(cursor_row == 0 && cursor_col == COLS - 1, "a full line does not wrap yet");
	write_text("\nx");
	is_str(seen(1), "x", "so no empty line follows it");
	fresh();
	write_text("0123456789x");
	is_str(seen(1), "x", "one more character wraps");
	fresh();
	write_text("0123456789\bz");
	is_str(seen(0), "012345678z", "backspace from behind the last column");
	fresh();
	write_text("one\ntwo\nthree\nfour\nfive");
	is_str(seen(0), "two", "the screen scrolls");
	is_str(seen(3), "five", "and the last line is new");
	draws = 0;
	write_text("\n");
	ok(draws <= 16, "scrolling draws only what changes (%u cells)", draws);
}

static void test_escapes(void)
{
	fresh();
	write_text("one\ntwo\x1b[H\x1b[J"
		   "new");
	is_str(seen(0), "new", "home and erase");
	is_str(seen(1), "", "erases all lines");
	fresh();
	write_text("one\ntwo\nthree\x1b[H12\x1b[J");
	is_str(seen(0), "12", "erasing begins at the cursor");
	is_str(seen(1), "", "and takes the lines below it");
	is_str(seen(2), "", "from their start");
	fresh();
	write_text("a\x1b[1;31mb\x1b[0mc\x1bZd");
	is_str(seen(0), "abcd", "other sequences show nothing");
	write_text("\x1b[");
	write_text("31m");
	write_text("e");
	is_str(seen(0), "abcde", "also when they come in pieces");
}

static void test_random(void)
{
	static const char *const bits[] = {"\n",   "\r", "\b",	 "\t",	       "\x1b[H", "\x1b[J",
					   "\x1b", "[",	 "word", "0123456789", "x",	 " "};
	bool same = true;

	fresh();
	srand(1);
	for (int i = 0; i < 100000 && same; i++) {
		write_text(bits[(unsigned)rand() % (sizeof(bits) / sizeof(bits[0]))]);
		for (unsigned row = 0; row < ROWS; row++)
			same = same && !memcmp(glass[row], s.cells[row], COLS);
	}
	ok(same, "100000 random pieces: the glass shows the cells");
}

int main(void)
{
	test_text();
	test_wrap_and_scroll();
	test_escapes();
	test_random();
	return done_testing();
}
