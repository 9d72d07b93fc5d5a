// SPDX-License-Identifier: MIT
/*
 * mm/early.c against mm/early.h: lists of ranges, held against a bitmap of pages. Each part runs in
 * a process of its own because what early_reserve() takes is never given back.
 */
// links: mm/*.c tests/host/sim*.c
#include "mm/early.h"
#include "tests/host/sim.h"

#define MODEL_PAGES 4096

static bool model[MODEL_PAGES]; /* free? */
static u64 seen_pages, seen_ranges, seen_last;
static bool seen_wrong;

static void see(u64 start, u64 end)
{
	seen_wrong |= start >= end || (seen_ranges && start < seen_last);
	for (u64 p = start; p < end && p < MODEL_PAGES; p++)
		seen_wrong |= !model[p];
	seen_pages += end - start;
	seen_ranges++;
	seen_last = end;
}

/* => early_for_each_free() names exactly the pages that the model has free, in ascending order */
static bool agrees(void)
{
	u64 pages = 0;

	for (u64 p = 0; p < MODEL_PAGES; p++)
		pages += model[p];
	seen_pages = seen_ranges = seen_last = 0;
	seen_wrong = false;
	early_for_each_free(see);
	return !seen_wrong && seen_pages == pages;
}

static void set(u64 start, u64 end, bool free)
{
	for (u64 p = start; p < end; p++)
		model[p] = free;
}

static void test_add(void)
{
	is_u64((u64)early_add_ram(1, PAGE_SIZE - 1), 0, "less than a page is accepted");
	is_u64(early_nr_ram, 0, "and is nothing");
	is_u64((u64)early_add_ram(PAGE_SIZE, PAGE_SIZE), 0, "as is an empty range");
	is_u64((u64)early_add_ram(1, 3 * PAGE_SIZE - 1), 0, "an odd range is accepted");
	ok(early_nr_ram == 1 && early_ram[0].start == 1 && early_ram[0].end == 2,
	   "its whole pages");
	is_u64((u64)early_add_ram(2 * PAGE_SIZE, 4 * PAGE_SIZE), 0, "a neighbour is accepted");
	EXPECT_PANIC("comes after RAM", (void)!early_add_ram(3 * PAGE_SIZE, 5 * PAGE_SIZE));
	EXPECT_PANIC("comes after RAM", (void)!early_add_ram(0, PAGE_SIZE));
	set(1, 4, true);
	ok(agrees(), "both are free");
}

static void test_too_many(void)
{
	int err = 0;
	u64 i;

	for (i = 0; !err && i <= EARLY_MAX_RANGES; i++) {
		err = early_add_ram(2 * i * PAGE_SIZE, (2 * i + 1) * PAGE_SIZE);
		if (!err)
			model[2 * i] = true;
	}
	ok(err == -E2BIG && i == EARLY_MAX_RANGES + 1, "one range too many is -E2BIG");
	is_u64(early_nr_ram, EARLY_MAX_RANGES, "and is not taken");
	ok(agrees(), "the others are");
}

static void test_split_too_many(void)
{
	int err = 0;

	err |= early_add_ram(0, MODEL_PAGES * PAGE_SIZE);
	set(0, MODEL_PAGES, true);
	for (u64 i = 0; i < EARLY_MAX_RANGES - 1; i++) {
		err |= early_reserve((2 * i + 1) * PAGE_SIZE, (2 * i + 2) * PAGE_SIZE);
		model[2 * i + 1] = false;
	}
	ok(!err && agrees(), "%u holes are dug", EARLY_MAX_RANGES - 1);
	is_u64((u64)early_reserve(1000 * PAGE_SIZE, 1001 * PAGE_SIZE), (u64)-E2BIG,
	       "one more is -E2BIG");
	ok(agrees(), "and changes nothing");
	is_u64((u64)early_reserve(4000 * PAGE_SIZE, ~0ull - PAGE_SIZE), 0, "the end can be taken");
	set(4000, MODEL_PAGES, false);
	ok(agrees(), "it makes no range");
}

static void test_reserve(void)
{
	ok(!early_add_ram(10 * PAGE_SIZE, 20 * PAGE_SIZE) &&
		   !early_add_ram(30 * PAGE_SIZE, 40 * PAGE_SIZE),
	   "RAM");
	set(10, 20, true);
	set(30, 40, true);
	ok(!early_reserve(20 * PAGE_SIZE, 30 * PAGE_SIZE) && agrees(),
	   "a hole is reserved: nothing");
	ok(!early_reserve(15 * PAGE_SIZE, 15 * PAGE_SIZE) && agrees(), "an empty range: nothing");
	ok(!early_reserve(15 * PAGE_SIZE + 8, 15 * PAGE_SIZE + 8) && agrees(),
	   "an empty range inside a page: nothing");
	ok(!early_reserve(12 * PAGE_SIZE + 1, 12 * PAGE_SIZE + 2), "a byte is reserved");
	model[12] = false;
	ok(agrees(), "which takes its page");
	ok(!early_reserve(12 * PAGE_SIZE, 13 * PAGE_SIZE) && agrees(), "twice is once");
	ok(!early_reserve(18 * PAGE_SIZE, 32 * PAGE_SIZE), "an end, a hole and a start");
	set(18, 32, false);
	ok(agrees(), "are taken");
	ok(!early_reserve(0, 1 * TiB), "everything");
	set(0, MODEL_PAGES, false);
	ok(agrees(), "is taken");
}

static void test_alloc(void)
{
	pfn_t p = {7};

	ok(!early_add_ram(0x100 * PAGE_SIZE, 0x200 * PAGE_SIZE) &&
		   !early_add_ram(0x300 * PAGE_SIZE, 0x380 * PAGE_SIZE),
	   "RAM");
	set(0x100, 0x200, true);
	set(0x300, 0x380, true);
	is_u64((u64)early_alloc(0x101, 1, ~0ull, &p), (u64)-ENOMEM, "more than any range has");
	is_u64((u64)early_alloc(1, 1, 0x100 * PAGE_SIZE, &p), (u64)-ENOMEM,
	       "a limit below all RAM");
	is_u64((u64)early_alloc(1, 0x1000, ~0ull, &p), (u64)-ENOMEM, "an alignment nobody has");
	ok(p.n == 7 && agrees(), "failures change nothing");
	ok(!early_alloc(1, 1, ~0ull, &p) && p.n == 0x37f, "the highest page comes first");
	ok(!early_alloc(0x10, 0x10, ~0ull, &p) && p.n == 0x360, "aligned, just below");
	ok(!early_alloc(0xf, 1, ~0ull, &p) && p.n == 0x370, "the gap above it is not lost");
	ok(!early_alloc(1, 1, 0x310 * PAGE_SIZE, &p) && p.n == 0x30f, "a limit inside a range");
	ok(!early_alloc(2, 2, 0x1f0 * PAGE_SIZE + 1, &p) && p.n == 0x1ee, "a limit inside a page");
	ok(!early_alloc(0x100 - 0x12, 2, ~0ull, &p) && p.n == 0x100, "an exact fit");
	set(0x30f, 0x310, false);
	set(0x360, 0x380, false);
	set(0x100, 0x1f0, false);
	ok(agrees(), "what is left is what was not given");
}

/* => the highest aligned run of free pages below limit, or -1 */
static s64 model_find(u64 pages, u64 align, u64 limit)
{
	for (s64 s = (s64)ALIGN_DOWN(MODEL_PAGES - pages, align); s >= 0; s -= (s64)align) {
		u64 n = 0;

		while (n < pages && model[(u64)s + n])
			n++;
		if (n == pages && (u64)s + pages <= limit)
			return s;
	}
	return -1;
}

static u64 seed;

static void test_random(void)
{
	unsigned bad = 0;

	sim_power_on(&(struct sim_config){.seed = seed});
	for (u64 p = sim_random(100); p < MODEL_PAGES - 700;) {
		u64 end = p + 1 + sim_random(600);

		bad += early_add_ram(p * PAGE_SIZE, end * PAGE_SIZE) != 0;
		set(p, end, true);
		p = end + 1 + sim_random(3) * sim_random(200); /* a loader joins neighbours */
	}
	for (unsigned i = 0; i < 150 && !bad; i++) {
		u64 pages = 1 + sim_random(sim_random(2) ? 4 : 300), align = 1ull << sim_random(6);
		u64 limit = sim_random(2) ? MODEL_PAGES : sim_random(MODEL_PAGES);
		u64 at = sim_random(MODEL_PAGES - 300);
		pfn_t p;

		if (sim_random(2)) {
			s64 want = model_find(pages, align, limit);
			int err = early_alloc(pages, align, limit * PAGE_SIZE, &p);

			bad += want < 0 ? err != -ENOMEM : err || p.n != (u64)want;
			at = (u64)want;
			if (err)
				pages = 0;
		} else {
			bad += early_reserve(at * PAGE_SIZE, (at + pages) * PAGE_SIZE) != 0;
		}
		set(at, at + pages, false);
		bad += !agrees();
	}
	ok(!bad, "seed %lu: 150 random steps agree with a bitmap", seed);
}

int main(void)
{
	sim_scenario("add", test_add);
	sim_scenario("too many", test_too_many);
	sim_scenario("split too many", test_split_too_many);
	sim_scenario("reserve", test_reserve);
	sim_scenario("alloc", test_alloc);
	for (seed = 1; seed <= 10; seed++)
		sim_scenario("random", test_random);
	return done_testing();
}
