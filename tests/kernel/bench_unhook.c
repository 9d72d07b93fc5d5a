// SPDX-License-Identifier: MIT
/*
 * What being rid of many lazy pages costs, by each way there is: entry by entry in batches (all),
 * frame by frame (exact), and by whole tables (unhook, mm/unhook.c). Areas of one page each lie at
 * best 256 to a table, with their guards; of an area of 256 pages there is one in a table, and a
 * little.
 */
#include "kernel/errno.h"
#include "kernel/printk.h"
#include "kernel/test.h"
#include "mm/vmalloc.h"
#include "mm/vmap.h"
#include "tests/kernel/bench.h"

#define PAGES	10000
#define EXACTLY 512 /* frames given to vm_unmap_frame_aliases() at a time */

enum way {
	ALL,
	EXACT,
	UNHOOK,
	WAYS
};

static const char *const names[WAYS] = {"all", "exact", "unhook"};

/* => areas that are lazy now; 0: no memory */
static u64 leave_lazy(struct frame *const *f, void **va, u64 size)
{
	u64 n = 0;

	while (n < PAGES / size && (va[n] = vmap(f + n * size, size, VM_W)))
		n++;
	for (u64 i = 0; i < n; i++)
		vunmap(va[i]);
	return n < PAGES / size ? 0 : n;
}

static void purge_by(enum way way, struct frame *const *f)
{
	if (way == UNHOOK)
		lazy_unhook();
	else if (way == ALL)
		lazy_purge(PURGE_FLUSH);
	for (u64 i = 0; way == EXACT && i < PAGES; i += EXACTLY)
		(void)vm_unmap_frame_aliases(f + i, (unsigned)MIN(PAGES - i, (u64)EXACTLY),
					     PURGE_FLUSH);
}

static int measure(enum way way, struct frame *const *f, void **va, u64 size)
{
	struct bench_moment a, b;
	u64 areas, calls, entries, tables, ticks;

	vm_unmap_aliases();
	areas = leave_lazy(f, va, size);
	if (!areas) {
		printk("bench unhook: no memory for %u pages\n", PAGES);
		return -ENOMEM;
	}
	bench_now(&a);
	purge_by(way, f);
	bench_now(&b);
	calls = bench_grew(&a, &b, CNT_xen_mmu_update) + bench_grew(&a, &b, CNT_xen_mmuext);
	entries = bench_grew(&a, &b, CNT_xen_mmu_entry);
	tables = bench_grew(&a, &b, CNT_unhook);
	ticks = per(b.tsc - a.tsc, PAGES);
	printk("%5lu areas of %3lu pages, %-6s: %5lu hypercalls with %5lu entries, %2lu tables unhooked, "
	       "%5lu ticks a page\n",
	       areas, size, names[way], calls, entries, tables, ticks);
	printk("BENCH {\"bench\":\"unhook\",\"way\":\"%s\",\"area_pages\":%lu,\"pages\":%u,"
	       "\"hypercalls\":%lu,\"entries\":%lu,\"tables\":%lu,\"ticks_page\":%lu}\n",
	       names[way], size, PAGES, calls, entries, tables, ticks);
	return 0;
}

KBENCH(unhook, "a purge of 10 000 lazy pages: all, exact, and by whole tables")
{
	static const u64 sizes[] = {1, 4, 250};
	struct frame **f = bench_frames(PAGES);
	void **va = vmalloc(PAGES * sizeof(void *));
	struct lazy_stats was = bench_begin(LAZY_PTE);
	int err = f && va ? 0 : -ENOMEM;

	lazy_set_max(~0ul);
	for (unsigned s = 0; s < ARRAY_SIZE(sizes); s++)
		for (enum way w = ALL; w < WAYS && !err; w++)
			err = measure(w, f, va, sizes[s]);
	bench_end(&was);
	vfree(va);
	if (f)
		bench_free_frames(f, PAGES);
	return err;
}
