// SPDX-License-Identifier: MIT
/*
 * Our printf against libc's: every conversion with flags, widths, precisions and lengths, first
 * chosen cases and then many random ones, into buffers of every size. The text, what lies behind
 * the buffer, and the length returned must all be the same. Where C leaves the result open, or
 * ours differs on purpose (%p of NULL, %pS), the expected text is written out.
 */
// links:
#define vsnprintf k_vsnprintf
#define snprintf  k_snprintf
#include "kernel/format.c"
#undef vsnprintf
#undef snprintf

#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include "tests/host/tap.h"

/* In place of kernel/symbols.c: one function of 256 bytes. */
const char *symbol_lookup(u64 addr, u64 *offset)
{
	if (addr < 0x1000 || addr >= 0x1100)
		return NULL;
	*offset = addr - 0x1000;
	return "some_function";
}

#define CANARY 0x5a

static char ours[512], libcs[512];
static unsigned compared, differed;

/* After one conversion by each, into `size` bytes: is it the same, to the last byte? */
static void compare(const char *format, size_t size, int n_ours, int n_libc)
{
	bool same = n_ours == n_libc;

	for (size_t i = 0; i < sizeof(ours); i++)
		same = same && ours[i] == (i < size ? libcs[i] : CANARY);
	compared++;
	if (same || differed++ > 20)
		return;
	ours[sizeof(ours) - 1] = libcs[sizeof(libcs) - 1] = '\0';
	printf("# \"%s\" into %zu bytes: ours %d \"%s\", libc %d \"%s\"\n", format, size, n_ours,
	       size ? ours : "", n_libc, size ? libcs : "");
}

#define BOTH(size, format, ...)                                     \
	do {                                                        \
		int _a, _b;                                         \
                                                                    \
		memset(ours, CANARY, sizeof(ours));                 \
		memset(libcs, CANARY, sizeof(libcs));               \
		_a = k_snprintf(ours, size, format, ##__VA_ARGS__); \
		_b = snprintf(libcs, size, format, ##__VA_ARGS__);  \
		compare(format, size, _a, _b);                      \
	} while (0)

#define EVERY_SIZE(format, ...)                             \
	do {                                                \
		for (size_t _size = 0; _size < 40; _size++) \
			BOTH(_size, format, ##__VA_ARGS__); \
	} while (0)

/* The formats are meant to be odd: what the compiler says of them is beside the point here. */
#pragma GCC diagnostic ignored "-Wformat"
#pragma GCC diagnostic ignored "-Wformat-truncation"
#pragma GCC diagnostic ignored "-Wformat-overflow"
#pragma GCC diagnostic ignored "-Wformat-zero-length"

static void test_chosen(void)
{
	EVERY_SIZE("");
	EVERY_SIZE("plain text");
	EVERY_SIZE("100%% of %s", "it");
	EVERY_SIZE("%d %i %u", -1, INT_MIN, UINT_MAX);
	EVERY_SIZE("%ld %lu %lld", LONG_MIN, ULONG_MAX, LLONG_MAX);
	EVERY_SIZE("%hhd %hhu %hd %hu", 0x181, 0x1ff, 0x18001, 0x1ffff);
	EVERY_SIZE("%zu %zx %td", SIZE_MAX, SIZE_MAX, PTRDIFF_MIN);
	EVERY_SIZE("%x %X %#x %#X %#o %o", 0xbeef, 0xbeef, 0xbeef, 0xbeef, 8, 8);
	EVERY_SIZE("%#x %#o %.0d %.0x %#.0o %#.0x", 0, 0, 0, 0, 0, 0);
	EVERY_SIZE("%#.4o %#6.3o %#o", 8, 8, 1);
	EVERY_SIZE("%5d|%-5d|%05d|%+d|% d|%+5d|%-+5d|%+05d", 42, 42, 42, 42, 42, 42, 42, 42);
	EVERY_SIZE("%+ d|% +d|%-05d|%0-5d", 1, 1, 1, 1);
	EVERY_SIZE("%8.3d|%-8.3d|%08.3d|%.10d", -5, -5, -5, -5);
	EVERY_SIZE("%*d|%-*d|%*d", 6, 1, 6, 2, -6, 3);
	EVERY_SIZE("%.*d|%.*d|%.*s", 4, 1, -1, 2, 2, "abc");
	EVERY_SIZE("%s|%10s|%-10s|%.2s|%10.2s|%.0s", "abc", "abc", "abc", "abc", "abc", "abc");
	EVERY_SIZE("%c|%3c|%-3c|%c", 'x', 'y', 'z', 0);
	EVERY_SIZE("%p", (void *)0x1234abcd);
	EVERY_SIZE("%20p|%-20p|", (void *)0xffff880000001000, (void *)1);
	is_u64(differed, 0, "%u chosen cases are as libc's", compared);
}

static void test_unterminated_string(void)
{
	char *four = malloc(4);

	memcpy(four, "abcd", 4);
	EVERY_SIZE("%.4s|%.3s", four, four);
	is_u64(differed, 0, "%%.4s of four bytes without an end reads no fifth");
	free(four);
}

/* A random format of one conversion that C defines. => its conversion letter */
static char random_format(char *f, const char **length)
{
	static const char conversions[] = "diuxXocs";
	static const char *const lengths[] = {"hh", "h", "", "l", "ll", "z"};
	char c = conversions[rand() % 8];
	bool number = !strchr("cs", c);

	*length = number ? lengths[rand() % 6] : "";
	*f++ = '%';
	if (rand() % 3 == 0)
		*f++ = '-';
	if (number && rand() % 3 == 0)
		*f++ = '0';
	if (strchr("di", c) && rand() % 3 == 0)
		*f++ = "+ "[rand() % 2];
	if (strchr("xXo", c) && rand() % 2)
		*f++ = '#';
	if (rand() % 2)
		f += sprintf(f, "%d", rand() % 24 + 1);
	if (c != 'c' && rand() % 2)
		f += sprintf(f, ".%d", rand() % 24);
	sprintf(f, "%s%c", *length, c);
	return c;
}

static u64 random_value(void)
{
	u64 v = (u64)rand() << 62 ^ (u64)rand() << 31 ^ (u64)rand();

	/* All magnitudes, and the corners. */
	return rand() % 8 ? v >> rand() % 64 : (u64)(rand() % 3 - 1) << rand() % 64;
}

static void test_random(void)
{
	char format[64], string[24];

	compared = differed = 0;
	srand(1);
	for (int i = 0; i < 200000; i++) {
		size_t size = (size_t)rand() % 48;
		u64 v = random_value();
		const char *length;
		char c = random_format(format, &length);

		if (c == 's') {
			size_t n = (size_t)rand() % sizeof(string);

			memset(string, 'a' + (int)(v % 26), n);
			string[n] = '\0';
			BOTH(size, format, string);
		} else if (c == 'c') {
			BOTH(size, format, (int)(v % 256));
		} else if (strchr(length, 'l') || strchr(length, 'z')) {
			BOTH(size, format, v);
		} else {
			BOTH(size, format, (int)v);
		}
	}
	is_u64(differed, 0, "%u random cases are as libc's", compared);
}

static const char *text(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	k_vsnprintf(ours, sizeof(ours), format, ap);
	va_end(ap);
	return ours;
}

static void test_our_own(void)
{
	is_str(text("%p", NULL), "0", "%%p of NULL");
	is_str(text("%s", NULL), "(null)", "%%s of NULL");
	is_str(text("%.3s", NULL), "(nu", "%%.3s of NULL");
	is_str(text("[%pS]", 0x1012), "[some_function+0x12]", "%%pS in a function");
	is_str(text("[%pS]", 0x1000), "[some_function+0]", "%%pS at its start");
	is_str(text("[%pS]", 0x2000), "[0x2000]", "%%pS elsewhere");
	is_str(text("[%24pS|%-24pS]", 0x1012, 0x2000),
	       "[      some_function+0x12|0x2000                  ]", "%%pS with a width");
	is_str(text("%pSx", 0x2000), "0x2000x", "what follows %%pS");
	is_str(text("%y %d", 7), "%y 7", "an unknown conversion is shown and takes no argument");
	is_str(text("abc%"), "abc%", "a format that ends in %%");
	is_str(text("abc%-5"), "abc%-5", "or in the middle of one");
	is_u64((u64)k_snprintf(ours, 8, "%99999999999d", 1), 65536, "a width beyond int is held");
	is_u64((u64)k_snprintf(ours, 8, "%*d", INT_MIN, 1), 65536, "INT_MIN by * too");
	is_u64((u64)k_snprintf(NULL, 0, "%s", "abc"), 3, "no buffer: the length");
}

int main(void)
{
	test_chosen();
	test_unterminated_string();
	test_random();
	test_our_own();
	return done_testing();
}
