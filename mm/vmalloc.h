// SPDX-License-Identifier: MIT
/*
 * Memory that is contiguous by address only: frames of its own behind an area. Where whole 2 MiB
 * blocks of frames can be had, vmalloc_huge maps them with large pages.
 *
 * The bytes between the end of what was asked for and the end of its last page are a redzone: they
 * are filled with a pattern and looked at by vfree, so an overrun too short for the guard page is
 * noticed as well.
 */
#ifndef MM_VMALLOC_H
#define MM_VMALLOC_H

#include "mm/vmap.h"

/*
 * vmalloc: `bytes` bytes, page aligned, contents undefined; vzalloc: zero.
 * vmalloc_aligned: at a multiple of `align` bytes, a power of two.
 * vmalloc_huge: in large pages as far as aligned blocks of frames can be found, else as vmalloc.
 *   => contexts as in mm/vmap.h
 *   => NULL: 0 bytes, more than there is RAM, an alignment that is no power of two (each with a
 *      message); out of memory or addresses; nothing changed
 */
void *vmalloc(u64 bytes) __must_check;
void *vzalloc(u64 bytes) __must_check;
void *vmalloc_aligned(u64 bytes, u64 align) __must_check;
void *vmalloc_huge(u64 bytes) __must_check;

/*
 * vrealloc: the same memory with another size; in place if its pages are enough, and then the
 * redzone moves; else new memory with the old contents, and the old is freed. Fresh bytes are zero.
 *   => va NULL is vzalloc, bytes 0 is vfree (and NULL); NULL: out of memory, the old stays
 */
void *vrealloc(void *va, u64 bytes) __must_check;

/* vfree: => NULL is nothing; otherwise as vunmap, and panics if the redzone was written to */
void vfree(void *va);

#endif
