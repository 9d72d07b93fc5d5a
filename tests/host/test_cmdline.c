// SPDX-License-Identifier: MIT
/*
 * The command line: every way a word can be written and quoted, by hand and by GRUB, and values
 * that do not fit.
 */
// links: boot/cmdline.c
#include "boot/boot_info.h"
#include "kernel/errno.h"
#include "tests/host/tap.h"

static void test_cmdline(void)
{
	static const struct {
		const char *line, *key, *value; /* value NULL: not there */
	} cases[] = {
		{"", "a", NULL},
		{"   ", "a", NULL},
		{"a=1", "a", "1"},
		{"  a=1\tb=2 ", "b", "2"},
		{"aa=1 a=2", "a", "2"},
		{"a=1", "aa", NULL},
		{"ab=1", "a", NULL},
		{"x=a=1", "a", NULL},
		{"a=1=2", "a", "1=2"},
		{"a", "a", ""},
		{"a=", "a", ""},
		{"a=1 a", "a", ""},
		{"a=1 b=2 a=3", "a", "3"},
		{"run=\"test; check\" a=1", "run", "test; check"},
		{"run=\"test; check\" a=1", "a", "1"},
		{"run=\"test; a=7\" a=1", "a", "1"},
		{"run=\"a=7 a=8\"", "a", NULL},
		{"\"run=test; check\" a=1", "run", "test; check"},
		{"run=\\\"test; check\\\" a=1", "run", "test; check"},
		{"run=\\\"test; check\\\" a=1", "a", "1"},
		{"run=te\"st; che\"ck", "run", "test; check"},
		{"run=\"never closed a=1", "run", "never closed a=1"},
		{"run=\"never closed a=1", "a", NULL},
		{"\"a=1", "a", "1"},
		{"a=\"\"", "a", ""},
		{"\\", "a", NULL},
		{"a=1\\", "a", "1"},
	};
	char out[64];

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		int n = cmdline_get(cases[i].line, cases[i].key, out, sizeof(out));

		if (!cases[i].value)
			is_u64((u64)n, (u64)-ENOENT, "cmdline: no %s in <%s>", cases[i].key,
			       cases[i].line);
		else
			ok(n == (int)strlen(cases[i].value) && !strcmp(out, cases[i].value),
			   "cmdline: %s in <%s> is <%s>", cases[i].key, cases[i].line,
			   cases[i].value);
	}
	strcpy(out, "untouched");
	is_u64((u64)cmdline_get("a=1234", "a", out, 4), (u64)-E2BIG,
	       "a value and no room for its NUL");
	is_str(out, "untouched", "nothing is written then");
	is_u64((u64)cmdline_get("a=1234", "a", out, 5), 4, "a value that just fits");
	is_u64((u64)cmdline_get("a", "a", out, 0), (u64)-E2BIG, "no room at all");
}

static void test_cmdline_u64(void)
{
	u64 v = 7;

	is_u64((u64)cmdline_get_u64("b=1", "a", &v), (u64)-ENOENT, "cmdline: no number");
	is_u64((u64)cmdline_get_u64("a=x", "a", &v), (u64)-EINVAL, "a bad number");
	is_u64((u64)cmdline_get_u64("a", "a", &v), (u64)-EINVAL, "an empty number");
	is_u64((u64)cmdline_get_u64("a=00000000000000000000000000000000001", "a", &v), (u64)-EINVAL,
	       "a number of too many digits");
	is_u64((u64)cmdline_get_u64("a=18446744073709551616", "a", &v), (u64)-ERANGE, "2^64");
	is_u64(v, 7, "nothing is written then");
	is_u64((u64)cmdline_get_u64("a=64M", "a", &v), 0, "a size");
	is_u64(v, 64 * MiB, "... is right");
}

int main(void)
{
	test_cmdline();
	test_cmdline_u64();
	return done_testing();
}
