// SPDX-License-Identifier: MIT
/* What an address means: for panics, the monitor and anyone with a number in hand. */
#ifndef MM_DESCRIBE_H
#define MM_DESCRIBE_H

#include "mm/mm_internal.h"

/*
 * mm_describe: one line such as "guard page after area 'vmap' 0xffff900000003000+4 pages, mapped
 * by f".
 *   => any context, a panic included: takes no lock; length as snprintf
 */
int mm_describe(vaddr_t va, char *buf, size_t size);

#endif
