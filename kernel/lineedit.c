// SPDX-License-Identifier: MIT
/*
 * A line editor is a state machine: one byte in, some bytes echoed, and now and then a line that
 * is done. It reads no device and knows no command; the monitor feeds it, and so do the host
 * tests, which keep a toy terminal and compare what it shows with what the line is.
 *
 *   Left Right  Ctrl-B Ctrl-F   move           Backspace  Ctrl-H   delete before the cursor
 *   Home End    Ctrl-A Ctrl-E   to the ends    Delete     Ctrl-D   delete under it
 *   Up Down     Ctrl-P Ctrl-N   history        Ctrl-U     Ctrl-K   delete to the start, to the end
 *   Tab         complete                       Ctrl-W     word before the cursor
 *   Ctrl-L      clear the screen               Ctrl-C     give the line up
 *
 * Moving left is '\b' and moving right is echoing the character again, so any terminal will do, a
 * screen of our own included. The price: '\b' stops at the screen's left edge, so a line that is
 * longer than the screen is wide is edited correctly but shown badly.
 *
 * Special keys arrive as ESC [ ... or ESC O ... (ECMA-48 5.4; xterm's and the VT220's numbers);
 * a sequence that is not known is swallowed whole. Bytes that do not fit ring the bell and spoil
 * the line: half of a command must not run. Next: kernel/monitor.c.
 */
#include "kernel/lineedit.h"
#include "kernel/string.h"

#define CTRL(letter) ((letter)-0x40)
#define KEY_ESCAPE   0x1b
#define KEY_DEL	     0x7f

static void echo(struct lineedit *le, const char *s)
{
	le->echo(s, strlen(s));
}

static void move_left(struct lineedit *le, unsigned n)
{
	for (; n; n--, le->pos--)
		echo(le, "\b");
}

static void move_right(struct lineedit *le, unsigned n)
{
	le->echo(le->line + le->pos, n);
	le->pos += n;
}

/* Shows the line from the cursor on, with `gone` characters of it erased; the cursor stays. */
static void redraw_tail(struct lineedit *le, unsigned gone)
{
	unsigned pos = le->pos;

	move_right(le, le->len - le->pos);
	for (unsigned i = 0; i < gone; i++)
		echo(le, " ");
	for (unsigned i = 0; i < gone; i++)
		echo(le, "\b");
	move_left(le, le->len - pos);
}

/* Deletes the n characters before the cursor. */
static void delete_before(struct lineedit *le, unsigned n)
{
	move_left(le, n);
	memmove(le->line + le->pos, le->line + le->pos + n, le->len - le->pos - n);
	le->len -= n;
	if (!le->len)
		le->overflow = false;
	redraw_tail(le, n);
}

static void delete_after(struct lineedit *le, unsigned n)
{
	move_right(le, n);
	delete_before(le, n);
}

static void insert(struct lineedit *le, const char *s, unsigned n)
{
	if (n > LINE_MAX_LEN - 1 - le->len) {
		le->overflow = true;
		echo(le, "\a");
		return;
	}
	memmove(le->line + le->pos + n, le->line + le->pos, le->len - le->pos);
	memcpy(le->line + le->pos, s, n);
	le->len += n;
	move_right(le, n);
	redraw_tail(le, 0);
}

static void replace_line(struct lineedit *le, const char *s)
{
	move_right(le, le->len - le->pos);
	delete_before(le, le->len);
	insert(le, s, (unsigned)strlen(s));
}

static void redraw_all(struct lineedit *le)
{
	unsigned pos = le->pos;

	echo(le, le->prompt);
	le->pos = 0;
	move_right(le, le->len);
	move_left(le, le->len - pos);
}

static void delete_word(struct lineedit *le)
{
	unsigned start = le->pos;

	while (start && le->line[start - 1] == ' ')
		start--;
	while (start && le->line[start - 1] != ' ')
		start--;
	delete_before(le, le->pos - start);
}

/*
 * History.
 */
static char *history_entry(struct lineedit *le, unsigned back)
{
	return le->history[le->nr_history - back];
}

static void history_add(struct lineedit *le)
{
	if (!le->len || (le->nr_history && !strcmp(history_entry(le, 1), le->line)))
		return;
	if (le->nr_history == LINE_HISTORY) {
		memmove(le->history[0], le->history[1], sizeof(le->history) - LINE_MAX_LEN);
		le->nr_history--;
	}
	strlcpy(le->history[le->nr_history++], le->line, LINE_MAX_LEN);
}

static void history_go(struct lineedit *le, unsigned back)
{
	if (back > le->nr_history || back == le->hist_at) {
		echo(le, "\a");
		return;
	}
	if (!le->hist_at) {
		le->line[le->len] = '\0';
		strlcpy(le->typed, le->line, LINE_MAX_LEN);
	}
	le->hist_at = back;
	replace_line(le, back ? history_entry(le, back) : le->typed);
}

/*
 * Completion.
 */
static bool begins_with(const char *word, const char *start, unsigned n)
{
	return strncmp(word, start, n) == 0;
}

static unsigned common_prefix(const char *a, const char *b, unsigned max)
{
	unsigned n = 0;

	while (n < max && a[n] && a[n] == b[n])
		n++;
	return n;
}

static void list_candidates(struct lineedit *le, unsigned start)
{
	const char *word;

	echo(le, "\n");
	for (unsigned i = 0; (word = le->candidate(le->line, start, i)); i++) {
		if (!begins_with(word, le->line + start, le->pos - start))
			continue;
		echo(le, word);
		echo(le, "  ");
	}
	echo(le, "\n");
	redraw_all(le);
}

/* Adds what all candidates have in common; if that is nothing, lists them. */
static void complete(struct lineedit *le)
{
	unsigned start = le->pos, typed, matches = 0, common = 0;
	const char *word, *first = NULL;

	while (start && le->line[start - 1] != ' ' && le->line[start - 1] != ';')
		start--;
	typed = le->pos - start;
	le->line[le->len] = '\0';
	for (unsigned i = 0; le->candidate && (word = le->candidate(le->line, start, i)); i++) {
		if (!begins_with(word, le->line + start, typed))
			continue;
		common = first ? common_prefix(first, word, common) : (unsigned)strlen(word);
		first = first ? first : word;
		matches++;
	}
	if (!matches)
		echo(le, "\a");
	else if (common > typed)
		insert(le, first + typed, common - typed);
	else if (matches > 1)
		list_candidates(le, start);
	if (matches == 1 && le->pos == le->len)
		insert(le, " ", 1);
}

/*
 * Keys.
 */
static enum line_event finish(struct lineedit *le)
{
	enum line_event ev = le->overflow ? LINE_TOO_LONG : LINE_DONE;

	le->line[le->len] = '\0';
	echo(le, "\n");
	if (ev == LINE_DONE)
		history_add(le);
	return ev;
}

/* Keys that have a letter; the special ones are turned into these. */
static enum line_event control_key(struct lineedit *le, char c)
{
	switch (c) {
	case CTRL('A'):
		move_left(le, le->pos);
		break;
	case CTRL('B'):
		move_left(le, le->pos ? 1 : 0);
		break;
	case CTRL('C'):
		echo(le, "^C\n");
		return LINE_CANCEL;
	case CTRL('D'):
		if (!le->len)
			return LINE_EOF;
		delete_after(le, le->pos < le->len ? 1 : 0);
		break;
	case CTRL('E'):
		move_right(le, le->len - le->pos);
		break;
	case CTRL('F'):
		move_right(le, le->pos < le->len ? 1 : 0);
		break;
	case CTRL('H'):
	case KEY_DEL:
		delete_before(le, le->pos ? 1 : 0);
		break;
	case CTRL('I'):
		complete(le);
		break;
	case CTRL('K'):
		delete_after(le, le->len - le->pos);
		break;
	case CTRL('L'):
		echo(le, "\x1b[H\x1b[J");
		redraw_all(le);
		break;
	case CTRL('N'):
		history_go(le, le->hist_at ? le->hist_at - 1 : 0);
		break;
	case CTRL('P'):
		history_go(le, le->hist_at + 1);
		break;
	case CTRL('U'):
		delete_before(le, le->pos);
		break;
	case CTRL('W'):
		delete_word(le);
		break;
	default:
		echo(le, "\a");
	}
	return LINE_MORE;
}

/* An escape sequence ended with `final`. => the letter key that does the same, or 0 */
static char special_key(char final, unsigned param)
{
	static const char by_number[] = {
		[1] = CTRL('A'), [3] = CTRL('D'), [4] = CTRL('E'), [7] = CTRL('A'), [8] = CTRL('E'),
	};

	switch (final) {
	case 'A':
		return CTRL('P');
	case 'B':
		return CTRL('N');
	case 'C':
		return CTRL('F');
	case 'D':
		return CTRL('B');
	case 'H':
		return CTRL('A');
	case 'F':
		return CTRL('E');
	case '~':
		return param < sizeof(by_number) ? by_number[param] : 0;
	default:
		return 0;
	}
}

/* => the sequence goes on */
static bool escape_continues(struct lineedit *le, char c)
{
	switch (le->state) {
	case KEY_ESC:
		le->state = c == '[' ? KEY_CSI : c == 'O' ? KEY_SS3 : KEY_PLAIN;
		le->param = 0;
		return le->state != KEY_PLAIN;
	case KEY_CSI: /* parameter and intermediate bytes, then a final one from 0x40 to 0x7e */
		if (c >= '0' && c <= '9')
			le->param = MIN(le->param * 10 + (unsigned)(c - '0'), 1000u);
		return c >= 0x20 && c < 0x40;
	default: /* KEY_SS3 has one byte */
		return false;
	}
}

static enum line_event escape_key(struct lineedit *le, char c)
{
	bool sequence = le->state != KEY_ESC; /* ESC and a letter is a key with Alt: nothing */
	char key;

	if (escape_continues(le, c))
		return LINE_MORE;
	le->state = KEY_PLAIN;
	key = sequence ? special_key(c, le->param) : 0;
	/* Delete deletes; only a Ctrl-D that was typed as such ends the input. */
	if (!key || (key == CTRL('D') && !le->len))
		return LINE_MORE;
	return control_key(le, key);
}

enum line_event lineedit_key(struct lineedit *le, char c)
{
	bool after_cr = le->after_cr;

	le->after_cr = c == '\r';
	if (c == KEY_ESCAPE) {
		le->state = KEY_ESC;
		return LINE_MORE;
	}
	if (c >= 0 && c < ' ')
		le->state = KEY_PLAIN; /* a control byte breaks a sequence off and counts */
	if (le->state != KEY_PLAIN)
		return escape_key(le, c);
	if (c == '\n' && after_cr)
		return LINE_MORE; /* "\r\n" is one Enter */
	if (c == '\r' || c == '\n')
		return finish(le);
	if (c >= ' ' && c < KEY_DEL) {
		insert(le, &c, 1);
		return LINE_MORE;
	}
	return control_key(le, c);
}

void lineedit_start(struct lineedit *le)
{
	le->len = le->pos = le->hist_at = 0;
	le->overflow = false;
	le->state = KEY_PLAIN;
	redraw_all(le);
}
