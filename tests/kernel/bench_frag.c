// SPDX-License-Identifier: MIT
/*
 * What becomes of the address space when areas of all sizes come and go: the largest hole that is
 * left, into how many pieces the rest has fallen, and how much of what has been opened up nobody
 * uses. Opened up is what lies outside the largest free range; of that, live pages and their guards
 * are in use, and the rest is idle for the time: free in pieces, waiting for a flush, or kept by a
 * CPU for its next mapping of that size.
 *
 * The sequence is pseudo-random with a fixed seed, so it is the same every time.
 */
#include "kernel/console.h"
#include "kernel/errno.h"
#include "kernel/printk.h"
#include "kernel/test.h"
#include "mm/park.h"
#include "mm/vmalloc.h"
#include "tests/kernel/bench.h"

#define SLOTS	       256
#define MAX_PAGES_LOG2 6 /* sizes from 1 to 64 pages, each power of two as likely as the next */
#define MAX_PAGES      (1u << MAX_PAGES_LOG2)
#define CHANGES	       50000
#define SEED	       88172645463325252ul

/* Marsaglia's xorshift (2003): good enough to be unlike anything the allocator expects. */
static u64 next_random(u64 *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x;
}

static u64 random_pages(u64 *x)
{
	u64 upto = 1ul << next_random(x) % (MAX_PAGES_LOG2 + 1);

	return 1 + next_random(x) % upto;
}

static void show(const char *when)
{
	struct area_stats st;
	u64 opened, used, idle;

	area_stats(&st);
	opened = (VMAP_SIZE >> PAGE_SHIFT) - st.largest_free;
	used = st.pages[AREA_LIVE];
	idle = 1000 * (opened - used) / opened; /* per mille */
	printk("%-22s %9lu %9lu %6lu %8lu %8lu %8lu %4lu.%lu %%\n", when, st.largest_free, opened,
	       st.nr[AREA_FREE], used, st.pages[AREA_LAZY] + st.pages[AREA_CLEARED], st.kept_pages,
	       idle / 10, idle % 10);
	printk("BENCH {\"bench\":\"frag\",\"when\":\"%s\",\"largest_free\":%lu,\"opened\":%lu,"
	       "\"free_ranges\":%lu,\"live_pages\":%lu,\"kept_pages\":%lu,\"idle_per_mille\":%lu}\n",
	       when, st.largest_free, opened, st.nr[AREA_FREE], used, st.kept_pages, idle);
}

/* A slot is filled or emptied, whichever is possible. => 0, -ENOMEM or -EINTR */
static int churn(struct frame *const *f, void **va)
{
	u64 x = SEED;

	for (unsigned i = 0; i < CHANGES; i++) {
		unsigned slot = next_random(&x) % SLOTS;

		if (console_interrupted())
			return -EINTR;
		if (va[slot]) {
			vunmap(va[slot]);
			va[slot] = NULL;
			continue;
		}
		va[slot] = vmap(f + slot * MAX_PAGES, random_pages(&x), VM_W);
		if (!va[slot])
			return -ENOMEM;
	}
	return 0;
}

KBENCH(frag, "areas of random sizes come and go: what is left of the address space")
{
	static void *va[SLOTS];
	struct frame **f;
	int err;

	vm_unmap_aliases();
	park_drain();
	f = bench_frames(SLOTS * MAX_PAGES); /* after that, or the array would lie beyond it all */
	if (!f)
		return -ENOMEM;
	printk("%-22s %9s %9s %6s %8s %8s %8s   idle\n", "pages", "largest", "opened", "ranges",
	       "live", "unmapped", "kept");
	show("before");
	err = churn(f, va);
	show("after 50 000 changes");
	vm_unmap_aliases();
	show("and a purge");
	park_drain();
	show("and a drain");
	for (unsigned i = 0; i < SLOTS; i++) {
		vunmap(va[i]);
		va[i] = NULL;
	}
	vm_unmap_aliases();
	park_drain();
	show("and all unmapped");
	bench_free_frames(f, SLOTS * MAX_PAGES);
	return err;
}
