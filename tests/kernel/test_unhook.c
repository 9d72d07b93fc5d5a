// SPDX-License-Identifier: MIT
/*
 * Purges as a guest of Xen pays for them: in hypercalls. Many entries are asked for at once, whole
 * tables are emptied by a change of one entry (mm/unhook.c), and who uses other addresses of the
 * same tables meanwhile notices nothing. Natively the same calls clear entry by entry.
 */
#include "kernel/atomic.h"
#include "kernel/thread.h"
#include "mm/check.h"
#include "mm/chunk.h"
#include "mm/vmap.h"
#include "tests/kernel/stage.h"

#define PAGES 600 /* more than two tables of areas of one page and its guard */

static struct frame *pages[PAGES];
static void *va[PAGES];

/* Areas of one page, all there at once. => false: the test has failed */
static bool map_pages(unsigned n)
{
	unsigned mapped = 0;

	while (mapped < n && (va[mapped] = vmap(pages + mapped, 1, VM_W)))
		mapped++;
	EXPECT_EQ(mapped, n);
	if (mapped == n)
		return true;
	while (mapped)
		vunmap(va[--mapped]);
	return false;
}

static void unmap_pages(unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		vunmap(va[i]);
}

static unsigned aliases_left(unsigned n)
{
	unsigned left = 0;

	for (unsigned i = 0; i < n; i++)
		left += frame_aliases(pages[i]);
	return left;
}

static bool asks(void)
{
	if (!mmu->clear_begin)
		test_skip("entries are written here, not asked for");
	return mmu->clear_begin;
}

KTEST(unhook, a_purge_asks_once_for_many_entries)
{
	struct stage s;
	u64 before;

	if (!asks() || !stage_begin(&s, pages, PAGES, LAZY_PTE))
		return;
	lazy_set_max(~0ul);
	if (map_pages(PAGES)) {
		unmap_pages(PAGES);
		before = counter_sum(CNT_xen_mmu_update);
		EXPECT_EQ(lazy_purge(PURGE_PTES), PAGES);
		EXPECT_EQ(counter_sum(CNT_xen_mmu_update) - before, 2); /* 512 and 88 */
		EXPECT_EQ(aliases_left(PAGES), 0);
		EXPECT_EQ(mm_check(false), 0);
	}
	stage_end(&s);
}

KTEST(unhook, frames_lose_their_aliases_by_one_call)
{
	struct stage s;
	u64 before;

	if (!asks() || !stage_begin(&s, pages, 128, LAZY_PTE))
		return;
	lazy_set_max(~0ul);
	for (unsigned i = 0; i < 128; i += 4)
		vunmap(vmap(pages + i, 4, VM_W));
	before = counter_sum(CNT_xen_mmu_update);
	EXPECT_EQ(vm_unmap_frame_aliases(pages + 1, 126, PURGE_PTES), 0);
	EXPECT_EQ(counter_sum(CNT_xen_mmu_update) - before, 1);
	EXPECT_EQ(aliases_left(128), 2);
	EXPECT_EQ(mm_check(false), 0);
	stage_end(&s);
}

KTEST(unhook, tables_with_nothing_else_are_emptied_at_once)
{
	struct stage s;
	u64 tables;

	if (!stage_begin(&s, pages, PAGES, LAZY_PTE))
		return;
	lazy_set_max(~0ul);
	if (map_pages(PAGES)) {
		unmap_pages(PAGES);
		tables = counter_sum(CNT_unhook);
		EXPECT_EQ(lazy_unhook(), PAGES);
		tables = counter_sum(CNT_unhook) - tables;
		EXPECT(tables >= 1 || !mmu->empty_table, "no table was emptied at once");
		EXPECT_EQ(aliases_left(PAGES), 0);
		for (unsigned i = 0; i < PAGES; i++)
			EXPECT_EQ(entry_at(va[i]), 0);
		EXPECT_EQ(mm_check(false), 0);
	}
	if (map_pages(PAGES)) { /* the tables serve again, and no CPU remembers what they had */
		for (unsigned i = 0; i < PAGES; i++) {
			*(volatile u8 *)va[i] = (u8)i;
			EXPECT_EQ(*byte_of(pages[i]), (u8)i);
		}
		unmap_pages(PAGES);
	}
	stage_end(&s);
}

/* => is it the first of the pages in its table? */
static bool is_first(unsigned i)
{
	for (unsigned k = 0; k < i; k++)
		if ((vaddr_t)va[k] >> CHUNK_SHIFT == (vaddr_t)va[i] >> CHUNK_SHIFT)
			return false;
	return true;
}

/* Each table has a page that is used. */
KTEST(unhook, tables_in_use_are_left_alone)
{
	struct stage s;
	unsigned used = 0;
	u64 tables;

	if (!stage_begin(&s, pages, PAGES, LAZY_PTE))
		return;
	lazy_set_max(~0ul);
	if (map_pages(PAGES)) {
		for (unsigned i = 0; i < PAGES; i++)
			if (is_first(i))
				used++;
			else
				vunmap(va[i]);
		tables = counter_sum(CNT_unhook);
		EXPECT_EQ(lazy_unhook(), PAGES - used);
		EXPECT_EQ(counter_sum(CNT_unhook), tables);
		for (unsigned i = 0; i < PAGES; i++)
			if (is_first(i)) {
				*(volatile u8 *)va[i] = (u8)(i + 1);
				EXPECT_EQ(*byte_of(pages[i]), (u8)(i + 1));
				vunmap(va[i]);
			}
		EXPECT_EQ(mm_check(false), 0);
	}
	stage_end(&s);
}

#define MINE   8   /* frames of each other CPU */
#define ROUNDS 200 /* of each */
#define LEAST  10  /* rounds of CPU 0, if it is alone */

static atomic_t mappers; /* those that are not done yet */

static void map_and_look(void)
{
	struct frame **mine = pages + PAGES - MINE * cpu_id();
	u64 x = cpu_id();

	for (unsigned r = 0; r < ROUNDS && !test_failed(); r++) {
		unsigned n = 1 + test_random(&x) % MINE;
		u8 *at = vmap(mine, n, VM_W);

		EXPECT(at, "no mapping of %u pages", n);
		for (unsigned i = 0; at && i < n; i++) {
			at[i * PAGE_SIZE] = (u8)x;
			EXPECT_EQ(*byte_of(mine[i]), (u8)x);
		}
		vunmap(at);
	}
	atomic_fetch_add(&mappers, -1ul);
}

static void map_or_unhook(void *arg __attribute__((unused)))
{
	if (cpu_id()) {
		map_and_look();
		return;
	}
	for (unsigned r = 0; (r < LEAST || atomic_read(&mappers)) && map_pages(300); r++) {
		unmap_pages(300);
		lazy_unhook();
		EXPECT_EQ(aliases_left(300), 0);
	}
}

KTEST(unhook, others_map_and_unmap_meanwhile)
{
	struct stage s;

	if (PAGES - 300 < MINE * nr_cpus) {
		test_skip("too many CPUs for the frames there are");
		return;
	}
	if (!stage_begin(&s, pages, PAGES, LAZY_PTE))
		return;
	atomic_set(&mappers, nr_cpus - 1);
	EXPECT_EQ(run_on_cpus(cpus_online().bits, map_or_unhook, NULL), 0);
	vm_unmap_aliases();
	EXPECT_EQ(aliases_left(PAGES), 0);
	EXPECT_EQ(mm_check(false), 0);
	stage_end(&s);
}
