// SPDX-License-Identifier: MIT
/*
 * TAP (Test Anything Protocol) for the host tests, in one header. A test program is an ordinary
 * main() that calls ok(), is_u64(), ... and ends with `return done_testing();`. A failed check
 * prints what was found and goes on; the plan comes last, so a program that dies has no plan and
 * counts as failed (tests/harness/tap.py reads the output).
 *
 * Each tests/host/test_NAME.c is one program. The files it is linked with stand in it, one comment
 * line that the Makefile reads, paths from the top of the tree:
 *
 *	// links: boot/boot_info.c boot/cmdline.c tests/host/sim.c
 *
 * Project files are compiled unchanged, with `-Itests/host/shim -I.`, under ASan and UBSan.
 * kernel/string.c and kernel/format.c are always at hand (see tests/host/rename.h).
 */
#ifndef TESTS_HOST_TAP_H
#define TESTS_HOST_TAP_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Weak, so that all files of a program that include this header share one count. */
__attribute__((weak)) unsigned tap_count, tap_failures;

#define TAP_PRINTF(fmt, args) __attribute__((format(printf, fmt, args), unused))

static bool tap_result(bool good, const char *fmt, va_list ap)
{
	printf("%sok %u - ", good ? "" : "not ", ++tap_count);
	vprintf(fmt, ap);
	putchar('\n');
	tap_failures += !good;
	fflush(stdout);
	return good;
}

/* => cond, reported under the name the format gives */
TAP_PRINTF(2, 3) static bool ok(bool cond, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	tap_result(cond, fmt, ap);
	va_end(ap);
	return cond;
}

/* => got == want; both are printed where they differ */
TAP_PRINTF(3, 4) static bool is_u64(uint64_t got, uint64_t want, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (!tap_result(got == want, fmt, ap))
		printf("# got %#llx, want %#llx\n", (unsigned long long)got,
		       (unsigned long long)want);
	va_end(ap);
	return got == want;
}

/* => the strings are equal; NULL equals only NULL */
TAP_PRINTF(3, 4) static bool is_str(const char *got, const char *want, const char *fmt, ...)
{
	bool same = got && want ? !strcmp(got, want) : got == want;
	va_list ap;

	va_start(ap, fmt);
	if (!tap_result(same, fmt, ap))
		printf("# got  \"%s\"\n# want \"%s\"\n", got ? got : "(null)",
		       want ? want : "(null)");
	va_end(ap);
	return same;
}

/* One check that cannot be made here; the format names the reason. */
TAP_PRINTF(1, 2) static void skip(const char *fmt, ...)
{
	va_list ap;

	printf("ok %u # SKIP ", ++tap_count);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
}

/* The end of main(). => its exit status */
__attribute__((unused)) static int done_testing(void)
{
	printf("1..%u\n", tap_count);
	if (tap_failures)
		printf("# %u of %u failed\n", tap_failures, tap_count);
	return tap_failures ? 1 : 0;
}

#endif
