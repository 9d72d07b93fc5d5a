// SPDX-License-Identifier: MIT
/*
 * What a mapping costs: map n frames, read a byte of each page, unmap; and, shared by all, the
 * purges that bring the addresses home. The purge is made part of the measurement by doing it
 * here, each time as many pages wait as the threshold allows, so that ticks cannot make it cheaper
 * by chance.
 *
 * Under `-icount shift=0` a TSC tick is one instruction and the figures are exact; elsewhere read
 * insns_per_op as TSC ticks.
 */
#include "kernel/console.h"
#include "kernel/errno.h"
#include "kernel/printk.h"
#include "kernel/test.h"
#include "kernel/time.h"
#include "mm/frame.h"
#include "mm/lazy.h"
#include "mm/vmap.h"

#define PURGES 5

static struct frame *frame[256];

static void touch(const volatile u8 *va, unsigned pages)
{
	for (unsigned i = 0; i < pages; i++)
		(void)va[i * PAGE_SIZE];
}

/* => operations done in PURGES rounds, each ended by a purge; 0 if memory ran out, or on Ctrl-C */
static u64 rounds(unsigned pages, u64 max_pages)
{
	u64 ops = 0;

	for (unsigned r = 0; r < PURGES; r++) {
		for (u64 waiting = 0; waiting + pages <= max_pages; waiting += pages, ops++) {
			void *va = vmap(frame, pages, VM_W);

			if (!va || console_interrupted()) {
				vunmap(va);
				return 0;
			}
			touch(va, pages);
			vunmap(va);
		}
		vm_unmap_aliases();
	}
	return ops;
}

static int measure(unsigned pages)
{
	struct lazy_stats st;
	u64 start, ticks, ops;

	if (frame_alloc_many(frame, pages, FRAME_ZERO)) {
		printk("bench vmap: no memory for %u pages\n", pages);
		return -ENOMEM;
	}
	lazy_stats(&st);
	rounds(pages, st.max_pages); /* makes the page tables, warms up */
	start = tsc_now();
	ops = rounds(pages, st.max_pages);
	ticks = tsc_now() - start;
	frame_free_many(frame, pages);
	if (!ops) {
		printk("bench vmap: nothing measured with %u pages and a threshold of %lu\n", pages,
		       st.max_pages);
		return -EINVAL;
	}
	printk("BENCH {\"bench\":\"vmap\",\"pages\":%u,\"touch\":1,\"policy\":\"%s\",\"ops\":%lu,"
	       "\"purges\":%u,\"insns_per_op\":%lu}\n",
	       pages, lazy_policy_name(st.policy), ops, PURGES, ticks / ops);
	return 0;
}

KBENCH(vmap, "map, read every page, unmap; purges included")
{
	static const unsigned sizes[] = {1, 4, 16, 64, 256};

	int err = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(sizes) && !err; i++)
		err = measure(sizes[i]);
	return err;
}
