// SPDX-License-Identifier: MIT
/*
 * The string functions against libc's. tests/host/rename.h makes memcpy and its like mean the
 * kernel's here; libc's are reached by their symbols. The kernel's copy with inline assembly, which
 * the sanitizers cannot see into, so the bytes around every buffer are compared as well.
 */
#include <errno.h>
#include <stdlib.h>
#include "kernel/string.h"
#include "tests/host/tap.h"

void *libc_memcpy(void *, const void *, size_t) __asm__("memcpy");
void *libc_memmove(void *, const void *, size_t) __asm__("memmove");
void *libc_memset(void *, int, size_t) __asm__("memset");
int libc_memcmp(const void *, const void *, size_t) __asm__("memcmp");
size_t libc_strlen(const char *) __asm__("strlen");
size_t libc_strnlen(const char *, size_t) __asm__("strnlen");
int libc_strcmp(const char *, const char *) __asm__("strcmp");
int libc_strncmp(const char *, const char *, size_t) __asm__("strncmp");
char *libc_strchr(const char *, int) __asm__("strchr");

#define ARENA 256

static u8 a[ARENA], b[ARENA];

static void fill(void)
{
	for (size_t i = 0; i < ARENA; i++)
		a[i] = b[i] = (u8)rand();
}

static bool same(void)
{
	return libc_memcmp(a, b, ARENA) == 0;
}

static int sign(int v)
{
	return (v > 0) - (v < 0);
}

/* Every offset, distance and length that matters to copying by eights, and overlaps both ways. */
static void test_memory(void)
{
	bool copy = true, move = true, set = true, returned = true;

	srand(1);
	for (size_t n = 0; n < 40; n++) {
		for (size_t to = 0; to < 48; to++) {
			fill();
			returned = returned && memcpy(a + to, a + 128, n) == a + to;
			libc_memcpy(b + to, b + 128, n);
			copy = copy && same();

			for (size_t from = 0; from < 48; from += 3) {
				fill();
				returned = returned && memmove(a + to, a + from, n) == a + to;
				libc_memmove(b + to, b + from, n);
				move = move && same();
			}

			fill();
			returned = returned && memset(a + to, (int)(0x1a00 + n), n) == a + to;
			libc_memset(b + to, (int)(0x1a00 + n), n);
			set = set && same();
		}
	}
	ok(copy, "memcpy");
	ok(move, "memmove, overlaps included");
	ok(set, "memset, of the low byte of its value");
	ok(returned, "all return the destination");
}

/* Two short strings of few letters, so that they are often equal for a while. */
static void random_strings(char *s, char *t)
{
	size_t n = (size_t)rand() % 12, m = (size_t)rand() % 12;

	for (size_t i = 0; i < n; i++)
		s[i] = "ab\xff"[rand() % 3];
	for (size_t i = 0; i < m; i++)
		t[i] = rand() % 4 ? s[i < n ? i : 0] : 'a';
	s[n] = t[m] = '\0';
	if (m && !*t)
		*t = 'a';
}

static void test_strings(void)
{
	bool good[6] = {true, true, true, true, true, true};

	for (int i = 0; i < 100000; i++) {
		char s[16] = "", t[16] = "";
		size_t n = (size_t)rand() % 14;
		int c = "abc\xff"[rand() % 5]; /* the NUL as well */

		random_strings(s, t);
		good[0] = good[0] && strlen(s) == libc_strlen(s);
		good[1] = good[1] && strnlen(s, n) == libc_strnlen(s, n);
		good[2] = good[2] && sign(strcmp(s, t)) == sign(libc_strcmp(s, t));
		good[3] = good[3] && sign(strncmp(s, t, n)) == sign(libc_strncmp(s, t, n));
		good[4] = good[4] && strchr(s, c) == libc_strchr(s, c);
		good[5] = good[5] && sign(memcmp(s, t, n)) == sign(libc_memcmp(s, t, n));
	}
	ok(good[0], "strlen");
	ok(good[1], "strnlen");
	ok(good[2], "strcmp, bytes as unsigned");
	ok(good[3], "strncmp");
	ok(good[4], "strchr, the end included");
	ok(good[5], "memcmp, bytes as unsigned");
}

static void test_strlcpy(void)
{
	char *exact = malloc(4);

	is_u64(strlcpy(exact, "abc", 4), 3, "strlcpy of what just fits");
	is_str(exact, "abc", "is whole");
	is_u64(strlcpy(exact, "abcdef", 4), 6, "of what does not: the length it would have");
	is_str(exact, "abc", "and a terminated part");
	is_u64(strlcpy(exact, "xyz", 0), 3, "into no bytes");
	is_str(exact, "abc", "changes nothing");
	free(exact);
}

/* The definition, for comparison: slow and plain. */
static bool glob_slow(const char *p, const char *s)
{
	if (*p == '*')
		return glob_slow(p + 1, s) || (*s && glob_slow(p, s + 1));
	if (!*p || !*s)
		return *p == *s;
	return (*p == '?' || *p == *s) && glob_slow(p + 1, s + 1);
}

static void test_glob(void)
{
	unsigned matched = 0;
	bool good = true;

	for (int i = 0; i < 200000 && good; i++) {
		char p[9] = "", s[9] = "";

		for (int j = rand() % 9; j > 0; j--)
			p[j - 1] = "ab*?"[rand() % 4];
		for (int j = rand() % 9; j > 0; j--)
			s[j - 1] = "ab"[rand() % 2];
		good = glob_match(p, s) == glob_slow(p, s);
		matched += good && glob_slow(p, s);
		if (!good)
			printf("# pattern \"%s\", text \"%s\"\n", p, s);
	}
	ok(good && matched > 1000, "glob_match is what its definition says (%u matched)", matched);
	ok(!glob_match("*a*a*a*a*a*a*a*a*a*b",
		       "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
	   "many stars take no time");
}

static void test_parse(void)
{
	static const struct {
		const char *s;
		int err;
		u64 v;
	} cases[] = {
		{"0", 0, 0},
		{"42", 0, 42},
		{"007", 0, 7},
		{"18446744073709551615", 0, UINT64_MAX},
		{"18446744073709551616", -ERANGE, 0},
		{"99999999999999999999", -ERANGE, 0},
		{"0x0", 0, 0},
		{"0xdeadBEEF", 0, 0xdeadbeef},
		{"0Xff", 0, 0xff},
		{"0xffffffffffffffff", 0, UINT64_MAX},
		{"0x10000000000000000", -ERANGE, 0},
		{"1k", 0, 1024},
		{"3M", 0, 3 << 20},
		{"0x10G", 0, 16ull << 30},
		{"2T", 0, 2ull << 40},
		{"16777215T", 0, 16777215ull << 40},
		{"16777216T", -ERANGE, 0},
		{"", -EINVAL, 0},
		{" 1", -EINVAL, 0},
		{"-1", -EINVAL, 0},
		{"0x", -EINVAL, 0},
		{"x1", -EINVAL, 0},
		{"1b", -EINVAL, 0},
		{"1KB", -EINVAL, 0},
		{"1 ", -EINVAL, 0},
		{"1k2", -EINVAL, 0},
		{"0xg", -EINVAL, 0},
		{"@", -EINVAL, 0},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		u64 v = 77;
		int err = parse_u64(cases[i].s, &v);

		ok(err == cases[i].err && v == (err ? 77 : cases[i].v),
		   "parse_u64(\"%s\") = %d, %lu", cases[i].s, err, v);
	}
}

int main(void)
{
	test_memory();
	test_strings();
	test_strlcpy();
	test_glob();
	test_parse();
	return done_testing();
}
