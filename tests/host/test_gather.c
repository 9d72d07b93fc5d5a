// SPDX-License-Identifier: MIT
/*
 * mm/gather.c against mm/gather.h: what a flush is asked for must cover what was added, and be no
 * more than that as long as the list lasts.
 */
// links: mm/*.c tests/host/sim*.c
#include "mm/gather.h"
#include "mm/shootdown.h"
#include "tests/host/sim.h"

static struct gather flushed;
static cpumask_t flushed_cpus;
static unsigned flushes;

static void record(const struct gather *g, cpumask_t on)
{
	flushed = *g;
	flushed_cpus = on;
	flushes++;
}

/* => g names [va, va + pages) */
static bool names(const struct gather *g, vaddr_t va, u64 pages)
{
	if (g->full)
		return true;
	for (unsigned i = 0; i < g->nr; i++)
		if (va >= g->range[i].start &&
		    va + pages * PAGE_SIZE <= g->range[i].start + g->range[i].pages * PAGE_SIZE)
			return true;
	return false;
}

static u64 listed(const struct gather *g)
{
	u64 pages = 0;

	for (unsigned i = 0; i < g->nr; i++)
		pages += g->range[i].pages;
	return pages;
}

static void test_list(void)
{
	struct gather g;

	sim_boot(&(struct sim_config){.cpus = 3});
	sim_mmu_ops.flush = record;
	gather_begin(&g);
	gather_end(&g);
	gather_flush(&g);
	is_u64(flushes, 0, "an empty gather flushes nothing");
	for (unsigned i = 0; i < GATHER_RANGES; i++)
		gather_add(&g, VMAP_BASE + i * GiB, 1 + (i == 3), 100 - i);
	ok(!g.full && g.nr == GATHER_RANGES, "%u ranges far apart are a list", GATHER_RANGES);
	is_u64(g.stamp, 100, "the newest stamp counts, not the last");
	is_u64(g.pages, GATHER_RANGES + 1, "pages are counted");
	EXPECT_PANIC("dies unflushed", gather_end(&g));
	gather_flush(&g);
	ok(flushes == 1 && flushed_cpus.bits == 7, "one flush on all online CPUs");
	ok(!flushed.full && listed(&flushed) == GATHER_RANGES + 1, "of exact ranges");
	for (unsigned i = 0; i < GATHER_RANGES; i++)
		if (!names(&flushed, VMAP_BASE + i * GiB, 1 + (i == 3)))
			ok(false, "range %u is not named", i);
	is_u64(flushed.stamp, 100, "with the stamp");
	gather_end(&g);
	gather_flush(&g);
	ok(flushes == 1 && !g.pages && !g.nr && !g.stamp, "then it is empty again");
}

static void test_full(void)
{
	struct gather g;

	sim_boot(&(struct sim_config){0});
	sim_mmu_ops.flush = record;
	gather_begin(&g);
	for (unsigned i = 0; i <= GATHER_RANGES; i++)
		gather_add(&g, VMAP_BASE + i * GiB, 1, 1 + i);
	ok(g.full && g.pages == GATHER_RANGES + 1 && g.stamp == GATHER_RANGES + 1,
	   "a range too many: all");
	gather_add(&g, VMAP_BASE, 5, 99);
	ok(g.full && g.pages == GATHER_RANGES + 6 && g.stamp == 99, "pages and stamps still count");
	gather_flush(&g);
	ok(flushed.full && flushed.stamp == 99 && !g.full, "flushed as such, and a list again");

	gather_add(&g, VMAP_BASE, GATHER_PAGES, 1);
	ok(!g.full, "%u pages are a list", GATHER_PAGES);
	gather_add(&g, VMAP_BASE + GiB, 1, 1);
	ok(g.full, "one more: all");
	gather_flush(&g);
	gather_add(&g, VMAP_BASE, ~0ull >> PAGE_SHIFT, 1);
	ok(g.full, "an absurd range is all");
	gather_flush(&g);
	gather_end(&g);
}

/* Linux had this bug (its commit aa44284960d5): a generation of 0, "not known", passed for a very old one. */
static void test_unknown(void)
{
	struct gather g;

	sim_boot(&(struct sim_config){.cpus = 2});
	sim_mmu_ops.flush = record;
	shootdown_flush_local();
	gather_begin(&g);
	gather_add(&g, VMAP_BASE, 1, 0);
	is_u64(g.stamp, shootdown_clock(), "cleared nobody knows when: perhaps just now");
	gather_add(&g, VMAP_BASE, 1, 1);
	is_u64(g.stamp, shootdown_clock(), "and what was cleared earlier does not change that");
	gather_flush(&g);
	gather_add_all(&g, 0);
	is_u64(g.stamp, shootdown_clock(), "the same for everything");
	shootdown_flush_local();
	gather_add(&g, VMAP_BASE, 1, 0);
	is_u64(g.stamp, shootdown_clock(), "also if everything is in it already, by an older time");
	gather_flush(&g);
}

static void test_random(void)
{
	struct flush_range added[40];
	unsigned bad = 0;

	sim_boot(&(struct sim_config){.seed = 9});
	sim_mmu_ops.flush = record;
	for (unsigned i = 0; i < 2000; i++) {
		unsigned n = 1 + sim_random(i % 2 ? 4 : 40);
		u64 stamp = 0, pages = 0;
		struct gather g;

		gather_begin(&g);
		for (unsigned k = 0; k < n; k++) {
			u64 s = 1 + sim_random(1000);

			added[k].start = VMAP_BASE + sim_random(100000) * PAGE_SIZE;
			added[k].pages = 1 + sim_random(i % 3 ? 2 : 20);
			gather_add(&g, added[k].start, added[k].pages, s);
			stamp = MAX(stamp, s);
			pages += added[k].pages;
		}
		gather_flush(&g);
		gather_end(&g);
		bad += flushed.stamp != stamp || flushed.pages != pages;
		bad += !flushed.full && listed(&flushed) > pages;
		bad += flushed.full && n <= GATHER_RANGES && pages <= GATHER_PAGES;
		for (unsigned k = 0; k < n; k++)
			bad += !names(&flushed, added[k].start, added[k].pages);
	}
	ok(!bad && flushes == 2000,
	   "2000 random gathers name what was added, and are lists while they can");
}

int main(void)
{
	sim_scenario("list", test_list);
	sim_scenario("full", test_full);
	sim_scenario("unknown", test_unknown);
	sim_scenario("random", test_random);
	return done_testing();
}
