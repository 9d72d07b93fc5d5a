// SPDX-License-Identifier: MIT
/*
 * Strings and memory. The four mem* functions are here because the compiler calls them by name
 * even in a freestanding program (struct copies, large initialisers); the rest is what a kernel
 * that parses a command line needs, and no more.
 *
 * Copying and filling use the string instructions: one instruction for the processor, and one for
 * an emulator, where every instruction costs. The bulk goes in 8-byte steps, because without
 * ERMSB (SDM vol. 1, 7.3.9.3) and in an emulator the time goes by the number of steps. The
 * direction flag is clear in all C code (System V ABI, 3.2.1): only the backward copy touches it.
 *
 * These are the first functions to look at with `make test-host`: the tests compare them with
 * libc's on random input. Next: kernel/format.c.
 */
#include "kernel/string.h"
#include "kernel/errno.h"

void *memcpy(void *dst, const void *src, size_t n)
{
	void *d = dst;
	size_t words = n / 8;

	__asm__ volatile("rep movsq" : "+D"(d), "+S"(src), "+c"(words)::"memory");
	n %= 8;
	__asm__ volatile("rep movsb" : "+D"(d), "+S"(src), "+c"(n)::"memory");
	return dst;
}

static void copy_backward(u8 *dst, const u8 *src, size_t n)
{
	u8 *d = dst + n - 1;
	const u8 *s = src + n - 1;

	__asm__ volatile("std; rep movsb; cld" : "+D"(d), "+S"(s), "+c"(n)::"memory", "cc");
}

void *memmove(void *dst, const void *src, size_t n)
{
	/* Forward is right unless dst lies inside [src, src + n). */
	if ((vaddr_t)dst - (vaddr_t)src >= n)
		return memcpy(dst, src, n);
	copy_backward(dst, src, n);
	return dst;
}

void *memset(void *dst, int c, size_t n)
{
	void *d = dst;
	size_t words = n / 8;
	u64 v = (u8)c * 0x0101010101010101ull;

	__asm__ volatile("rep stosq" : "+D"(d), "+c"(words) : "a"(v) : "memory");
	n %= 8;
	__asm__ volatile("rep stosb" : "+D"(d), "+c"(n) : "a"(v) : "memory");
	return dst;
}

int memcmp(const void *a, const void *b, size_t n)
{
	const u8 *x = a, *y = b;

	for (; n; n--, x++, y++) {
		if (*x != *y)
			return *x - *y;
	}
	return 0;
}

size_t strlen(const char *s)
{
	return strnlen(s, SIZE_MAX);
}

size_t strnlen(const char *s, size_t max)
{
	size_t n = 0;

	while (n < max && s[n])
		n++;
	return n;
}

int strcmp(const char *a, const char *b)
{
	return strncmp(a, b, SIZE_MAX);
}

int strncmp(const char *a, const char *b, size_t n)
{
	for (; n; n--, a++, b++) {
		if (*a != *b || !*a)
			return (u8)*a - (u8)*b;
	}
	return 0;
}

char *strchr(const char *s, int c)
{
	for (; *s != (char)c; s++) {
		if (!*s)
			return NULL;
	}
	return (char *)s;
}

size_t strlcpy(char *dst, const char *src, size_t size)
{
	size_t len = strlen(src);

	if (size) {
		size_t n = MIN(len, size - 1);

		memcpy(dst, src, n);
		dst[n] = '\0';
	}
	return len;
}

/*
 * On a mismatch only the last star need take one more character: whatever an earlier star could
 * still take, the last one can take as well. So there is one place to go back to and no recursion.
 */
bool glob_match(const char *pattern, const char *s)
{
	const char *star = NULL, *retry = NULL;

	while (*s) {
		if (*pattern == '*') {
			star = ++pattern;
			retry = s;
		} else if (*pattern == '?' || *pattern == *s) {
			pattern++;
			s++;
		} else if (star) {
			pattern = star;
			s = ++retry;
		} else {
			return false;
		}
	}
	while (*pattern == '*')
		pattern++;
	return !*pattern;
}

/* => 0 to 35, or 36 if c is neither digit nor letter */
static unsigned digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20; /* lower case */
	return c >= 'a' && c <= 'z' ? c - 'a' + 10 : 36;
}

/* => log2 of the suffix's factor, or -1 */
static int suffix_shift(char c)
{
	switch (c | 0x20) {
	case 'k':
		return 10;
	case 'm':
		return 20;
	case 'g':
		return 30;
	case 't':
		return 40;
	default:
		return -1;
	}
}

int parse_u64(const char *s, u64 *out)
{
	unsigned base = 10;
	u64 v = 0;

	if (s[0] == '0' && (s[1] | 0x20) == 'x') {
		base = 16;
		s += 2;
	}
	if (digit_value(*s) >= base)
		return -EINVAL;
	for (; digit_value(*s) < base; s++) {
		if (__builtin_mul_overflow(v, (u64)base, &v) ||
		    __builtin_add_overflow(v, (u64)digit_value(*s), &v))
			return -ERANGE;
	}
	if (*s) {
		int shift = suffix_shift(*s);

		if (shift < 0 || s[1])
			return -EINVAL;
		if (v > UINT64_MAX >> shift)
			return -ERANGE;
		v <<= shift;
	}
	*out = v;
	return 0;
}
