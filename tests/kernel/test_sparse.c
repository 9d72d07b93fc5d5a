// SPDX-License-Identifier: MIT
/*
 * Sparse areas: addresses are reserved, pages come and go in them. What the engine promises is that
 * a page is there or not, exactly as it was mapped, and that an address which is used again in the
 * same area shows the new frame on every CPU, though nothing was flushed when the old one went.
 */
#include "kernel/errno.h"
#include "kernel/string.h"
#include "mm/check.h"
#include "mm/describe.h"
#include "mm/vmap.h"
#include "tests/kernel/laziness.h"
#include "tests/kernel/support.h"
#include "tests/kernel/watch.h"

#define SPARSE_PAGES 3000 /* several level-1 tables' worth */

static struct frame *pages[16];

KTEST(sparse, pages_come_and_go)
{
	u8 *area;

	if (!take_frames(pages, 8))
		return;
	area = vm_area_reserve(SPARSE_PAGES, 1, "sparse");
	EXPECT(area, "no area");
	EXPECT(probe_read(area, NULL), "a reserved page could be read");
	EXPECT_EQ(vm_area_map(area, 0, pages, 2, VM_W), 0);
	EXPECT_EQ(vm_area_map(area, SPARSE_PAGES - 2, pages + 2, 2, VM_W), 0);
	EXPECT_EQ(vm_area_map(area, 510, pages + 4, 4, VM_R), 0); /* across two tables */
	for (unsigned i = 0; i < 4; i++)
		EXPECT_EQ(vmalloc_to_frame(area + (510 + i) * PAGE_SIZE), pages[4 + i]);
	EXPECT(!probe_write(area + PAGE_SIZE, 0x11), "the second page");
	EXPECT_EQ(*byte_of(pages[1]), 0x11);
	EXPECT(probe_write(area + 510 * PAGE_SIZE, 1), "a read-only page took a write");
	EXPECT(probe_read(area + 2 * PAGE_SIZE, NULL), "a page that was never mapped");
	EXPECT(probe_read(area + SPARSE_PAGES * PAGE_SIZE, NULL), "the guard");
	EXPECT_EQ(vm_area_unmap(area, 511, 2), 0);
	EXPECT(!probe_read(area + 510 * PAGE_SIZE, NULL), "the one before");
	EXPECT(!probe_read(area + 513 * PAGE_SIZE, NULL), "the one after");
	EXPECT_EQ(entry_at(area + 511 * PAGE_SIZE), 0);
	EXPECT_EQ(frame_aliases(pages[5]), 0);
	EXPECT_EQ(frame_aliases(pages[4]), 1);
	vm_area_free(area);
	vm_unmap_aliases();
	for (unsigned i = 0; i < 8; i++)
		EXPECT_EQ(frame_aliases(pages[i]), 0);
	frame_free_many(pages, 8);
}

#define BIG_PAGES (64 * GiB >> PAGE_SHIFT)
#define FAR_PAGES (9 * GiB >> PAGE_SHIFT)
#define NR_FAR	  ((BIG_PAGES - 1) / FAR_PAGES + 1)

/*
 * Records and tables for all of it would take 3 frames for each 2 MiB, 384 MiB. A page far from all
 * others takes 5: records, their place in the directory, tables of levels 1 and 2; both ends of the
 * area, and the area, may be the first of their kind.
 */
KTEST(sparse, many_gib_cost_what_is_mapped)
{
	static const char told[] =
		"hole: nothing is mapped at page 1310720 of live area '64 GiB' (sparse)";
	u64 before, reserved, mapped;
	char text[200];
	u8 *area;

	if (!take_frames(pages, NR_FAR))
		return;
	before = frame_free_total();
	area = vm_area_reserve(BIG_PAGES, 1, "64 GiB");
	EXPECT(area, "no area");
	if (!area)
		return;
	reserved = frame_free_total();
	EXPECT(before - reserved <= 12, "to reserve it took %lu frames", before - reserved);
	for (u64 i = 0; i < NR_FAR; i++)
		EXPECT_EQ(vm_area_map(area, i * FAR_PAGES, pages + i, 1, VM_W), 0);
	mapped = frame_free_total();
	EXPECT(reserved - mapped <= 5 * NR_FAR, "to map %lu pages in it took %lu", NR_FAR,
	       reserved - mapped);
	for (u64 i = 0; i < NR_FAR; i++) {
		u8 *at = area + i * FAR_PAGES * PAGE_SIZE;

		EXPECT(!probe_write(at, (u8)(0x40 + i)), "page %lu", i * FAR_PAGES);
		EXPECT_EQ(*byte_of(pages[i]), 0x40 + i);
		EXPECT(probe_read(at + PAGE_SIZE, NULL), "a hole could be read");
		EXPECT_EQ(vmalloc_to_frame(at), pages[i]);
	}
	EXPECT(probe_read(area + 5 * GiB, NULL), "a hole far from all could be read");
	mm_describe((vaddr_t)area + 5 * GiB, text, sizeof(text));
	text[strlen(told)] = '\0';
	EXPECT(!strcmp(text, told), "it is told: %s", text);
	EXPECT_EQ(-vm_area_unmap(area, 5 * GiB >> PAGE_SHIFT, 1), EINVAL);
	EXPECT_EQ(mm_check(false), 0);
	vm_area_free(area);
	vm_unmap_aliases();
	for (u64 i = 0; i < NR_FAR; i++)
		EXPECT_EQ(frame_aliases(pages[i]), 0);
	EXPECT_EQ(mm_check(false), 0);
	frame_free_many(pages, NR_FAR);
}

KTEST(sparse, areas_are_aligned)
{
	for (unsigned shift = 0; shift <= 18; shift += 3) {
		void *area = vm_area_reserve(5, 1ul << shift, "aligned");

		EXPECT(area && IS_ALIGNED((vaddr_t)area, PAGE_SIZE << shift), "%p for 2^%u pages",
		       area, shift);
		vm_area_free(area);
	}
}

KTEST(sparse, wrong_pages_are_refused)
{
	u8 *area;

	if (!take_frames(pages, 4))
		return;
	area = vm_area_reserve(10, 1, "sparse");
	EXPECT(area, "no area");
	EXPECT_EQ(vm_area_map(area, 3, pages, 2, VM_W), 0);
	EXPECT_EQ(-vm_area_map(area, 9, pages + 2, 2, VM_W), EINVAL);	 /* beyond the end */
	EXPECT_EQ(-vm_area_map(area, 10, pages + 2, 1, VM_W), EINVAL);	 /* the guard */
	EXPECT_EQ(-vm_area_map(area, ~0ul, pages + 2, 2, VM_W), EINVAL); /* wraps */
	EXPECT_EQ(-vm_area_map(area, 2, pages + 2, 2, VM_W), EINVAL);	 /* the second is mapped */
	EXPECT_EQ(entry_at(area + 2 * PAGE_SIZE), 0); /* and so the first is not */
	EXPECT_EQ(frame_aliases(pages[2]), 0);
	EXPECT_EQ(-vm_area_unmap(area, 2, 2), EINVAL); /* the first is not mapped */
	EXPECT_EQ(-vm_area_unmap(area, 4, 2), EINVAL);
	EXPECT_EQ(-vm_area_unmap(area, 9, 2), EINVAL);
	EXPECT(!probe_read(area + 4 * PAGE_SIZE, NULL), "gone though its unmapping failed");
	frame_refuse_aliases(pages[3]);
	EXPECT_EQ(-vm_area_map(area, 5, pages + 2, 2, VM_W), EINVAL);
	EXPECT_EQ(entry_at(area + 5 * PAGE_SIZE), 0);
	EXPECT_EQ(frame_aliases(pages[2]), 0);
	frame_allow_aliases(pages[3]);
	vm_area_free(area);
	frame_free_many(pages, 4);
}

KTEST(sparse, a_reused_page_shows_the_new_frame_everywhere)
{
	struct watch w;
	u8 *area;

	if (!take_frames(pages, 2))
		return;
	*byte_of(pages[0]) = 0x0d;
	*byte_of(pages[1]) = 0x5e;
	area = vm_area_reserve(4, 1, "sparse");
	EXPECT(area, "no area");
	watch_begin(&w, area + PAGE_SIZE);
	EXPECT_EQ(watch_read(&w), 0);
	EXPECT_EQ(vm_area_map(area, 1, pages, 1, VM_R), 0);
	EXPECT_EQ(watch_read(&w), cpus_online().bits);
	EXPECT_EQ(vm_area_unmap(area, 1, 1), 0);
	EXPECT_EQ(vm_area_map(area, 1, pages + 1, 1, VM_R), 0);
	EXPECT_EQ(watch_read(&w), cpus_online().bits);
	for (unsigned cpu = 0; cpu < nr_cpus; cpu++)
		EXPECT_EQ(w.seen[cpu], 0x5e);
	vm_area_free(area);
	vm_unmap_aliases();
	EXPECT_EQ(watch_read(&w), 0);
	watch_end(&w);
	frame_free_many(pages, 2);
}

/* Maps and unmaps by chance and compares with a plain array of what should be there. */
KTEST(sparse, behaves_like_an_array)
{
	bool there[64] = {false};
	u64 x = 2007;
	u8 *area;

	if (!take_frames(pages, ARRAY_SIZE(pages)))
		return;
	area = vm_area_reserve(ARRAY_SIZE(there), 1, "sparse");
	EXPECT(area, "no area");
	for (unsigned i = 0; i < 400 && !test_failed(); i++) {
		u64 page = test_random(&x) % ARRAY_SIZE(there), n = 1 + test_random(&x) % 4;
		unsigned mapped = 0, absent = 0;
		bool mapping;
		int want, got;

		for (u64 p = page; p < page + n; p++) {
			mapped += p < ARRAY_SIZE(there) && there[p];
			absent += p < ARRAY_SIZE(there) && !there[p];
		}
		if (mapped && absent && i % 8)
			continue; /* wrong either way: a few of these are enough */
		if (i % 8 ? absent : i % 16) {
			want = absent == n ? 0 : -EINVAL;
			got = vm_area_map(area, page, pages + i % 12, n, VM_W);
			mapping = true;
		} else {
			want = mapped == n ? 0 : -EINVAL;
			got = vm_area_unmap(area, page, n);
			mapping = false;
		}
		EXPECT(got == want, "%s of %lu+%lu gives %d, not %d", mapping ? "map" : "unmap",
		       page, n, got, want);
		for (u64 p = page; !want && p < page + n; p++)
			there[p] = mapping;
	}
	for (unsigned p = 0; p < ARRAY_SIZE(there); p++)
		EXPECT((entry_at(area + p * PAGE_SIZE) != 0) == there[p], "page %u", p);
	vm_area_free(area);
	frame_free_many(pages, ARRAY_SIZE(pages));
}
