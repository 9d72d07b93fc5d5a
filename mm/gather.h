// SPDX-License-Identifier: MIT
/*
 * A gather is what must be forgotten: the exact ranges whose entries were cleared, collected until
 * one flush serves them all. It keeps ranges, not their union: two pages far apart cost two
 * invalidations, not a full flush. When the list is full, or invalidating page by page would cost
 * more than forgetting everything, it turns into "everything".
 *
 * A gather that was added to must be flushed before it dies: gather_end() asserts it.
 */
#ifndef MM_GATHER_H
#define MM_GATHER_H

#include "mm/mm_internal.h"

#define GATHER_RANGES 16

/*
 * More pages than this and a full flush is cheaper: an INVLPG is ~100-200 cycles, and the refill
 * after a full flush of a kernel's working set a few thousand. Linux's ceiling, 33, is of the same
 * size.
 */
#define GATHER_PAGES 32

struct flush_range {
	vaddr_t start;
	u64 pages;
};

struct gather {
	unsigned nr;	/* ranges in use */
	bool full;	/* everything, the ranges no longer count */
	bool unflushed; /* added to since the last flush */
	u64 pages;	/* named in total, also when full */
	u64 stamp;	/* the newest stamp added: a CPU that flushed after it needs nothing */
	struct flush_range range[GATHER_RANGES];
};

void gather_begin(struct gather *g);

/*
 * gather_add: [start, start + pages) is to be forgotten.
 *   => its entries were cleared before shootdown_stamp() gave `stamp`; 0: nobody knows when they
 *      were, so no flush until now proves anything
 */
void gather_add_range(struct gather *g, vaddr_t start, u64 pages, u64 stamp);

static inline void gather_add(struct gather *g, vaddr_t start, u64 pages, u64 stamp)
{
	if (g->full && stamp - 1 < g->stamp) /* a stamp, and no news */
		g->pages += pages;
	else
		gather_add_range(g, start, pages, stamp);
}

/* What was added so far was cleared before shootdown_stamp() gave `stamp`, not sooner. */
static inline void gather_stamp(struct gather *g, u64 stamp)
{
	g->stamp = MAX(g->stamp, stamp);
}

/* The same for addresses that are not known any more: everything. */
void gather_add_all(struct gather *g, u64 stamp);

/*
 * Flushes on every online CPU. => thread context, IRQs on, no spinlock held; the gather is empty
 * again
 */
void gather_flush(struct gather *g);

/* The same on the CPUs of `on`, which are all that may hold what was cleared. */
void gather_flush_on(struct gather *g, cpumask_t on);

/* Asserts that nothing is left unflushed. */
void gather_end(const struct gather *g);

#endif
