// SPDX-License-Identifier: MIT
/*
 * printk: a format, a buffer on the stack, and console_write(). Everything that makes printing
 * safe in any context is below it: the formatting keeps no state (kernel/format.c), the log takes
 * no lock (kernel/log.c), and the console never waits where waiting could deadlock
 * (kernel/console.c, the file to read next).
 */
#include "kernel/printk.h"
#include "kernel/console.h"
#include "kernel/string.h"

void vprintk(const char *fmt, va_list ap)
{
	static const char cut[] = "[cut]\n";
	char text[PRINTK_MAX + 1];
	size_t n = (size_t)vsnprintf(text, sizeof(text), fmt, ap);

	if (n > PRINTK_MAX) {
		n = PRINTK_MAX;
		memcpy(text + n - (sizeof(cut) - 1), cut, sizeof(cut) - 1);
	}
	console_write(text, n);
}

void printk(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vprintk(fmt, ap);
	va_end(ap);
}
