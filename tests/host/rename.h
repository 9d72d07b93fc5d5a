// SPDX-License-Identifier: MIT
/*
 * Put in front of every host object (-include): the string functions under other names. So those of
 * kernel/string.c, not libc's, are what the code under test uses and what the tests test; they are
 * compiled with the sanitizers like everything else; and libc, which the sanitizers' own library
 * depends on, keeps its own.
 *
 * The exception are the three that are inline assembly, which ASan cannot see into: only
 * kernel/string.c and its own test get them (RENAME_MEM). Everybody else calls libc's, whose every
 * access is checked; an overrun by memcpy would pass unnoticed otherwise.
 */
#ifndef TESTS_HOST_RENAME_H
#define TESTS_HOST_RENAME_H

#ifdef RENAME_MEM
#define memcpy	lazymap_memcpy
#define memmove lazymap_memmove
#define memset	lazymap_memset
#endif
#define memcmp	lazymap_memcmp
#define strlen	lazymap_strlen
#define strnlen lazymap_strnlen
#define strcmp	lazymap_strcmp
#define strncmp lazymap_strncmp
#define strchr	lazymap_strchr
#define strlcpy lazymap_strlcpy

#endif
