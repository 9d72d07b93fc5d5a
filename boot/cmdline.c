// SPDX-License-Identifier: MIT
/*
 * The kernel's command line: words of the form key or key=value between blanks.
 *
 * A quote switches quoting on or off, and while it is on blanks belong to the word; the quotes
 * themselves vanish. It may begin anywhere in a word, because of GRUB: what is typed there as
 * run="test; check" arrives as "run=test; check", and quotes that come out of a GRUB variable
 * arrive as run=\"test; check\". Hence a backslash vanishes, too. No value of ours needs either
 * character. A quote that is never closed ends with the line.
 */
#include "boot/boot_info.h"
#include "kernel/errno.h"
#include "kernel/string.h"

struct cursor {
	const char *s;
	bool quoted;
};

static bool blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* => the next character of the word, 0 at its end: there the cursor stays */
static char word_next(struct cursor *c)
{
	for (; *c->s; c->s++) {
		if (*c->s == '"')
			c->quoted = !c->quoted;
		else if (blank(*c->s) && !c->quoted)
			return 0;
		else if (*c->s != '\\')
			return *c->s++;
	}
	return 0;
}

/* Goes to the word's end. => it is `key` or `key=value`; then *value is where its value begins */
static bool word_match(struct cursor *c, const char *key, struct cursor *value)
{
	char ch = word_next(c);
	bool match;

	for (; ch && ch == *key; key++)
		ch = word_next(c);
	match = !*key && (!ch || ch == '=');
	if (match)
		*value = *c;
	while (ch)
		ch = word_next(c);
	return match;
}

int cmdline_get(const char *cmdline, const char *key, char *out, size_t size)
{
	struct cursor c = {cmdline, false}, value, v;
	bool found = false;
	size_t len = 0;

	for (;;) {
		while (blank(*c.s))
			c.s++;
		if (!*c.s)
			break;
		found |= word_match(&c, key, &value);
	}
	if (!found)
		return -ENOENT;
	for (v = value; word_next(&v);)
		len++;
	if (len >= size)
		return -E2BIG;
	for (v = value; (*out = word_next(&v)); out++)
		;
	return (int)len;
}

int cmdline_get_u64(const char *cmdline, const char *key, u64 *out)
{
	char number[32]; /* longer than any that fits in 64 bits */
	int len = cmdline_get(cmdline, key, number, sizeof(number));

	if (len == -E2BIG)
		return -EINVAL;
	if (len < 0)
		return len;
	return parse_u64(number, out);
}
