// SPDX-License-Identifier: MIT
/* The few string functions the kernel uses; semantics as in ISO C unless said otherwise. */
#ifndef KERNEL_STRING_H
#define KERNEL_STRING_H

#include "kernel/types.h"

void *memcpy(void *dst, const void *src, size_t n);
void *memmove(void *dst, const void *src, size_t n);
void *memset(void *dst, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);
size_t strnlen(const char *s, size_t max);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t n);
char *strchr(const char *s, int c);

/* Copies at most size-1 bytes and always terminates; => the length of src (>= size: truncated) */
size_t strlcpy(char *dst, const char *src, size_t size);

/* Shell-style match of `*` and `?`. */
bool glob_match(const char *pattern, const char *s);

/*
 * parse_u64: decimal or 0x hex, with an optional suffix K M G T (powers of 1024).
 *   => 0, -EINVAL (no number, or something after it), -ERANGE (does not fit); *out only set on 0
 */
int parse_u64(const char *s, u64 *out);

#endif
