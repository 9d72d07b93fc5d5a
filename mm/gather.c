// SPDX-License-Identifier: MIT
/* See gather.h for what a gather is; here is only when the list of ranges gives up. */
#include "mm/gather.h"
#include "mm/mmu_ops.h"
#include "mm/shootdown.h"

void gather_begin(struct gather *g)
{
	g->nr = 0;
	g->full = false;
	g->unflushed = false;
	g->pages = 0;
	g->stamp = 0;
}

/*
 * "Not known" must not look like "long ago", or whoever has ever flushed would be left out. The
 * time of asking is later than the clearing, whenever that was.
 */
static void add_stamp(struct gather *g, u64 stamp)
{
	g->stamp = MAX(g->stamp, stamp ? stamp : shootdown_stamp());
	g->unflushed = true;
}

void gather_add_range(struct gather *g, vaddr_t start, u64 pages, u64 stamp)
{
	add_stamp(g, stamp);
	g->pages += pages;
	if (g->full)
		return;
	if (g->nr == GATHER_RANGES || g->pages > GATHER_PAGES) {
		g->full = true;
		return;
	}
	g->range[g->nr++] = (struct flush_range){start, pages};
}

void gather_add_all(struct gather *g, u64 stamp)
{
	add_stamp(g, stamp);
	g->full = true;
}

void gather_flush_on(struct gather *g, cpumask_t on)
{
	if (g->unflushed && on.bits)
		mmu->flush(g, on);
	gather_begin(g);
}

void gather_flush(struct gather *g)
{
	gather_flush_on(g, cpus_online());
}

void gather_end(const struct gather *g)
{
	KASSERT(!g->unflushed, "a gather of %lu pages dies unflushed", g->pages);
}
