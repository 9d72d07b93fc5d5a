// SPDX-License-Identifier: MIT
/*
 * Memory before there is an allocator: the loader's map minus what is taken, and a bump allocator
 * over it. It serves the frame array and the first page tables, then hands everything that is left
 * to frames_init() and is gone.
 */
#ifndef MM_EARLY_H
#define MM_EARLY_H

#include "mm/mm_internal.h"

#define EARLY_MAX_RANGES 192

struct early_range {
	u64 start, end; /* pfns, end exclusive */
};

/* RAM as the loader told it, sorted, not overlapping. => early_ram[0 .. early_nr_ram-1] */
extern struct early_range early_ram[];
extern unsigned early_nr_ram;

/* Frames in all of it. */
u64 early_ram_frames(void);

/*
 * early_add_ram: a range of RAM, in ascending order. early_reserve: a part of it (or of nothing)
 * that is taken.
 *   => boot, one CPU; bytes; 0 or -E2BIG
 */
int early_add_ram(paddr_t start, paddr_t end);
int early_reserve(paddr_t start, paddr_t end);

/*
 * early_alloc: `pages` frames aligned to `align` pages (a power of two), below physical `limit`,
 * highest first.
 *   => 0 with *out, or -ENOMEM; not zeroed
 */
int early_alloc(u64 pages, u64 align, paddr_t limit, pfn_t *out) __must_check;

/* What was reserved is free again. => RAM, no part of it free; 0 or -E2BIG */
int early_release(paddr_t start, paddr_t end) __must_check;

/* Calls fn for each range that is still free, ascending. */
void early_for_each_free(void (*fn)(u64 start, u64 end));

#endif
