// SPDX-License-Identifier: MIT
/*
 * Formatted output. The formats are printf's (checked by the compiler), with no floating point,
 * and one addition: %pS prints an address as symbol+offset.
 */
#ifndef KERNEL_PRINTK_H
#define KERNEL_PRINTK_H

#include <stdarg.h>
#include "kernel/types.h"

/*
 * vsnprintf as in C: writes at most `size` bytes with the terminating NUL, returns the length
 * the whole text would have.
 *   => flags - 0 + space #, width, precision (also *), lengths hh h l ll z t, conversions
 *      d i u x X o c s p %, and %pS
 *   => any context; allocates nothing
 */
int vsnprintf(char *buf, size_t size, const char *fmt, va_list ap);
int snprintf(char *buf, size_t size, const char *fmt, ...) __printf_like(3, 4);

/*
 * To the console, and kept in the log for consoles that come later.
 *   => any context; texts longer than PRINTK_MAX are cut, and say so
 */
#define PRINTK_MAX 1024
void printk(const char *fmt, ...) __printf_like(1, 2);
void vprintk(const char *fmt, va_list ap);

#endif
