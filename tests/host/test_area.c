// SPDX-License-Identifier: MIT
/*
 * mm/area.c against mm/area.h, and against a model that is too simple to be wrong: a sorted array
 * of what is taken. The model says which address the next allocation must get.
 */
// links: mm/*.c tests/host/sim*.c
#include "mm/check.h"
#include "mm/chunk.h"
#include "mm/frame.h"
#include "mm/park.h"
#include "mm/pool.h"
#include "tests/host/scarce.h"
#include "tests/host/sim.h"

#define ALL_PAGES (VMAP_SIZE / PAGE_SIZE)
#define MANY	  400

struct taken {
	u64 at, span; /* pages from VMAP_BASE */
	struct area *a;
};

static struct taken taken[MANY];
static unsigned nr_taken;

/* Anywhere, with no tables: nothing is mapped here. */
static struct area *alloc(u64 pages, u64 align)
{
	return area_alloc(pages, align, AREA_ANYWHERE, AREA_RECORDS);
}

static enum area_state state(const struct area *a)
{
	return word_state(atomic_read(&a->word));
}

static u64 page_of(vaddr_t va)
{
	return (va - VMAP_BASE) >> PAGE_SHIFT;
}

static vaddr_t va_of(u64 page)
{
	return VMAP_BASE + (page << PAGE_SHIFT);
}

/*
 * => the lowest aligned page with `span` free ones, within one table if the CPUs keep areas of that
 * size, or ALL_PAGES; *index is its place in taken[]
 */
static u64 model_fit(u64 span, u64 align, unsigned *index)
{
	u64 at = 0;

	for (*index = 0; *index <= nr_taken; ++*index) {
		u64 end = *index < nr_taken ? taken[*index].at : ALL_PAGES;

		at = ALIGN_UP(at, align);
		if (span <= PARK_MAX_PAGES + 1 && at % CHUNK_PAGES + span > CHUNK_PAGES)
			at = ALIGN_UP(at, MAX(align, CHUNK_PAGES));
		if (at + span <= end)
			return at;
		if (*index < nr_taken)
			at = taken[*index].at + taken[*index].span;
	}
	return ALL_PAGES;
}

static void model_insert(unsigned index, struct area *a)
{
	memmove(&taken[index + 1], &taken[index], (nr_taken++ - index) * sizeof(taken[0]));
	taken[index] = (struct taken){page_of(a->start), a->span, a};
}

static struct taken model_remove(unsigned index)
{
	struct taken t = taken[index];

	memmove(&taken[index], &taken[index + 1], (--nr_taken - index) * sizeof(taken[0]));
	return t;
}

/* => area_stats() and area_find() say what the model says */
static bool agrees(void)
{
	struct area_stats st;
	u64 at = 0, used = 0, holes = 0, largest = 0;
	struct area a;

	for (unsigned i = 0; i <= nr_taken; i++) {
		u64 end = i < nr_taken ? taken[i].at : ALL_PAGES;

		if (end > at) {
			holes++;
			largest = MAX(largest, end - at);
			if (!area_find(va_of(end - 1), &a) || state(&a) != AREA_FREE ||
			    a.start != va_of(at) || a.span != end - at)
				return false;
		}
		if (i == nr_taken)
			break;
		at = end + taken[i].span;
		used += taken[i].span;
		if (!area_find(va_of(at) - 1, &a) || state(&a) == AREA_FREE ||
		    a.start != va_of(end) || a.span != taken[i].span)
			return false;
	}
	area_stats(&st);
	return st.nr[AREA_FREE] == holes && st.pages[AREA_FREE] == ALL_PAGES - used &&
	       st.nr[AREA_CLEARED] == nr_taken && st.pages[AREA_CLEARED] == used &&
	       !st.nr[AREA_LIVE] && st.largest_free == largest;
}

static void test_one(void)
{
	struct area *a, *b, copy;

	sim_boot(&(struct sim_config){0});
	ok(agrees(), "at first all is free");
	a = alloc(3, 1);
	ok(a && a->start == VMAP_BASE && state(a) == AREA_CLEARED, "the lowest address");
	ok(a->pages == 3 && a->span == 4, "the pages and a guard");
	ok(!a->unmapper && !a->unmapped_at && !a->stamp && !a->parked && !a->pte,
	   "nothing else known");
	b = alloc(1, 1);
	is_u64(b->start, VMAP_BASE + 4 * PAGE_SIZE, "the next follows the guard");
	model_insert(0, a);
	model_insert(1, b);
	ok(agrees(), "both are found");
	ok(area_find(a->start + 3 * PAGE_SIZE + 5, &copy) && copy.start == a->start,
	   "by their guards too");
	ok(area_peek(b->start + 7, &copy) && copy.start == b->start, "and without the lock");
	ok(!area_find(VMAP_BASE - 1, &copy) && !area_find(VMAP_END, &copy) &&
		   !area_find(0, &copy) && !area_peek(VMAP_END, &copy),
	   "outside the area there is none");
	area_free(a);
	model_remove(0);
	ok(agrees(), "a hole is left below");
	a = alloc(4, 1);
	is_u64(a->start, VMAP_BASE + 6 * PAGE_SIZE, "what does not fit there goes above");
	area_free(b);
	area_free(a);
	nr_taken = 0;
	ok(agrees(), "all of it comes home");
	is_str(area_kind_name(AREA_RAM), "map_ram", "kinds have names");
}

static void test_refused(void)
{
	struct area *a, *b, *rest;

	sim_boot(&(struct sim_config){0});
	ok(!alloc(0, 1), "no pages, no area");
	ok(!alloc(ALL_PAGES, 1), "the whole area leaves no room for a guard");
	ok(!alloc(~0ull, 1) && !alloc(~0ull - 1, 1) && !alloc(1ull << 52, 1), "absurd sizes");
	ok(!alloc(1, 1ull << 40), "absurd alignment");
	ok(agrees(), "nothing is changed");
	rest = take_addresses_but(4);
	ok(!alloc(4, 1), "then there is no room for four pages and a guard");
	a = alloc(1, 1);
	b = alloc(1, 1);
	ok(a && b && b->start == VMAP_BASE + 2 * PAGE_SIZE, "but for twice one");
	ok(!alloc(1, 1), "and nothing more");
	area_free(a);
	a = alloc(1, 1);
	is_u64(a->start, VMAP_BASE, "what is freed serves again");
	area_free(a);
	area_free(b);
	give_addresses(rest);
	ok(agrees() && !area_check(), "all of it comes home");
}

static void test_aligned(void)
{
	struct area *a, *b, *c;

	sim_boot(&(struct sim_config){0});
	a = alloc(1, 1);
	b = alloc(8, 512);
	is_u64(b->start, VMAP_BASE + 512 * PAGE_SIZE, "aligned to 2 MiB");
	c = alloc(500, 1);
	is_u64(c->start, a->start + 2 * PAGE_SIZE, "the gap below is not lost");
	area_free(c);
	c = alloc(1, 1 << 18);
	is_u64(c->start, VMAP_BASE + GiB, "aligned to 1 GiB");
	area_free(c);
	area_free(a);
	a = alloc(511, 512);
	is_u64(a->start, VMAP_BASE, "a hole that fits exactly, aligned as it is, is the lowest");
	area_free(a);
	area_free(b);
	ok(agrees(), "all of it comes home");
}

/* In a range: the lowest place there, exactly up to its end; and tables if asked for. */
static void test_range(void)
{
	struct area_range r = {VMAP_BASE + GiB, VMAP_BASE + GiB + 8 * PAGE_SIZE};
	struct area *a, *b, *c;

	sim_boot(&(struct sim_config){0});
	a = area_alloc(3, 1, r, AREA_TABLES);
	ok(a && a->start == r.lo && a->pte && a->alias == alias_of(a->start), "at its start");
	b = area_alloc(3, 1, r, AREA_TABLES);
	ok(b && b->start == r.lo + 4 * PAGE_SIZE && b->pte == a->pte + 4, "and to its end");
	ok(!area_alloc(1, 1, r, AREA_TABLES), "then it is full");
	c = alloc(1, 1);
	is_u64(c->start, VMAP_BASE, "not so the rest");
	area_free(a);
	ok(!area_alloc(4, 1, r, AREA_RECORDS), "a guard belongs to it");
	ok(!area_alloc(1, 512, (struct area_range){r.lo + PAGE_SIZE, r.hi}, AREA_RECORDS),
	   "so alignment");
	a = area_alloc(2, 2, (struct area_range){r.lo + PAGE_SIZE, r.hi + GiB}, AREA_RECORDS);
	is_u64(a->start, r.hi, "the next aligned hole");
	area_free(c);
	c = area_alloc(512, 1, (struct area_range){VMAP_BASE + PAGE_SIZE, VMAP_END}, AREA_TABLES);
	ok(c->start == VMAP_BASE + PAGE_SIZE && !c->pte, "across two tables there is no pointer");
	area_free(a);
	area_free(b);
	area_free(c);
	ok(agrees() && !area_check(), "all of it comes home");
}

/* Each page of a carved area, the guard too, knows its owner; of a free one it knows none. */
static void test_owner(void)
{
	struct area *a, *b;

	sim_boot(&(struct sim_config){0});
	ok(!area_of(VMAP_BASE) && !area_of(VMAP_END) && !area_of(0), "nobody's");
	a = alloc(600, 1);
	b = alloc(1, 1);
	ok(area_of(a->start) == a && area_of(a->start + 600 * PAGE_SIZE + 4095) == a &&
		   area_of(b->start) == b,
	   "every page knows its area");
	ok(!area_of(area_end(b)), "the next one none");
	area_free(a);
	ok(!area_of(VMAP_BASE) && area_of(b->start) == b, "as those that were freed");
	EXPECT_PANIC("is freed, but is free", {
		atomic_set(&b->word, area_word(AREA_FREE, 0, 0, NULL));
		area_free(b);
	});
	EXPECT_PANIC("is freed, but is live", {
		atomic_set(&b->word, area_word(AREA_LIVE, 0, 0, NULL));
		area_free(b);
	});
	area_free(b);
	ok(agrees(), "all of it comes home");
}

/* Every allocation of memory on the way fails once. */
static void test_no_memory(void)
{
	struct sim_snapshot was;
	unsigned failures = 0;

	sim_boot(&(struct sim_config){0});
	for (unsigned n = 0; n < 100; n++) {
		u64 align = n % 3 ? 1 : 4, at;
		struct area *a;
		unsigned index;

		at = model_fit(n % 7 + 2, align, &index);
		for (u64 k = 1;; k++) {
			was = sim_snapshot();
			frame_inject_failure(k);
			a = alloc(n % 7 + 1, align);
			if (frame_inject_failure(0)) /* not that many were asked for */
				break;
			if (a)
				break;
			failures++;
			if (!sim_unchanged(&was, "area_alloc"))
				ok(false, "area %u, failure %lu", n, k);
		}
		if (!a || a->start != va_of(at)) {
			ok(false, "area %u is at %#lx, not %#lx", n, a ? a->start : 0, va_of(at));
			return;
		}
		model_insert(index, a);
	}
	ok(failures > 2 && agrees(), "%u failures changed nothing", failures);
	while (nr_taken)
		area_free(model_remove(nr_taken / 2).a);
	ok(agrees() && !area_check(), "all of it comes home");
}

static u64 seed;
static bool aligned;

static void test_random(void)
{
	u64 at_hand, bad = 0;

	sim_boot(&(struct sim_config){.seed = seed});
	at_hand = mm_frames_at_hand();
	for (unsigned step = 0; step < 2500 && !bad; step++) {
		if (nr_taken < MANY - 1 && sim_random(100) < 55) {
			u64 pages = 1 + sim_random(sim_random(4) ? 8 : 3000);
			u64 align = aligned ? 1ull << sim_random(10) : 1;
			unsigned index;
			u64 at = model_fit(pages + 1, align, &index);
			struct area *a = alloc(pages, align);

			bad += !a || a->start != va_of(at);
			if (a)
				model_insert(index, a);
		} else if (nr_taken) {
			struct taken t = model_remove(sim_random(nr_taken));

			bad += area_of(va_of(t.at)) != t.a;
			area_free(t.a);
		}
		bad += step % 20 == 0 && (!agrees() || area_check());
	}
	ok(!bad, "seed %lu: 2500 random steps%s agree with the model", seed,
	   aligned ? ", aligned," : "");
	while (nr_taken)
		area_free(model_remove(sim_random(nr_taken)).a);
	ok(agrees() && mm_frames_at_hand() == at_hand, "seed %lu: and nothing is left over", seed);
}

static u8 owner[4096]; /* page from VMAP_BASE -> CPU + 1 */

static void take(struct area *a)
{
	for (u64 p = page_of(a->start); p < page_of(a->start) + a->span; p++) {
		KASSERT(!owner[p], "page %lu belongs to CPU %u", p, owner[p] - 1u);
		owner[p] = (u8)(sim.cpu + 1);
	}
}

static void give(struct area *a)
{
	for (u64 p = page_of(a->start); p < page_of(a->start) + a->span; p++)
		owner[p] = 0;
	area_free(a);
}

static void worker(void *arg __attribute__((unused)))
{
	struct area *mine[16];
	unsigned n = 0;

	for (unsigned step = 0; step < 200; step++) {
		if (n < ARRAY_SIZE(mine) && sim_random(2)) {
			mine[n] = alloc(1 + sim_random(20), 1);
			take(mine[n++]);
		} else if (n) {
			give(mine[--n]);
		}
	}
	while (n)
		give(mine[--n]);
}

static void test_concurrent(void)
{
	sim_boot(&(struct sim_config){.seed = seed, .cpus = 4});
	sim.store_buffer = true;
	sim_run_all(4, 1 + (u32)seed % 4, worker, NULL);
	ok(agrees() && !area_check(), "seed %lu: 4 CPUs never get the same page", seed);
}

/* Where free neighbours become one, the structs of the others are used again. */
static void test_structs_come_back(void)
{
	u64 after_some = 0;

	sim_boot(&(struct sim_config){0});
	for (unsigned i = 0; i < 4000; i++) {
		struct area *a = alloc(1, 1), *b = alloc(1, 1), *c = alloc(1, 1);

		area_free(b);
		area_free(i % 2 ? a : c);
		area_free(i % 2 ? c : a);
		if (i == 100)
			after_some = pool_frames();
	}
	is_u64(pool_frames(), after_some,
	       "no more frames for areas after 4000 rounds than after 100");
}

int main(void)
{
	sim_scenario("one", test_one);
	sim_scenario("refused", test_refused);
	sim_scenario("aligned", test_aligned);
	sim_scenario("range", test_range);
	sim_scenario("owner", test_owner);
	sim_scenario("no memory", test_no_memory);
	sim_scenario("structs come back", test_structs_come_back);
	for (seed = 1; seed <= 4; seed++) {
		aligned = seed % 2;
		sim_scenario("random", test_random);
		sim_scenario("concurrent", test_concurrent);
	}
	return done_testing();
}
