// SPDX-License-Identifier: MIT
/* What something cost, told by the counters: their growth on all CPUs together. */
#ifndef KERNEL_COST_H
#define KERNEL_COST_H

#include "kernel/counter.h"

struct cost {
	u64 cleared;	/* entries that a purge cleared */
	u64 shootdowns; /* begun */
	u64 ipis;	/* sent for them */
	u64 pages;	/* single pages invalidated */
	u64 full;	/* full flushes, those at ticks included */
};

static inline struct cost cost_now(void)
{
	return (struct cost){
		.cleared = counter_sum(CNT_clear_pages) + counter_sum(CNT_purge_hit),
		.shootdowns = counter_sum(CNT_shootdown),
		.ipis = counter_sum(CNT_ipi_sent),
		.pages = counter_sum(CNT_tlb_page),
		.full = counter_sum(CNT_tlb_full),
	};
}

/* => since `from` was taken by cost_now() */
static inline struct cost cost_since(const struct cost *from)
{
	struct cost to = cost_now();

	to.cleared -= from->cleared;
	to.shootdowns -= from->shootdowns;
	to.ipis -= from->ipis;
	to.pages -= from->pages;
	to.full -= from->full;
	return to;
}

#endif
