// SPDX-License-Identifier: MIT
/*
 * mm/frame.c against mm/frame.h. Whoever is given a frame writes its number into it and looks
 * again when giving it back, so two owners of one frame meet each other's writing; frame_check()
 * is asked after every few steps.
 */
// links: mm/*.c tests/host/sim*.c
#include "mm/early.h"
#include "mm/frame.h"
#include "mm/frame_cache.h"
#include "mm/vmap.h"
#include "tests/host/sim.h"

#define MANY 20000

static struct frame *held[MANY];

static void sign(const struct frame *f, unsigned order)
{
	for (u64 i = 0; i < 1ull << order; i++)
		*(u64 *)sim_ram(frame_paddr(f) + i * PAGE_SIZE) = frame_pfn(f).n + i;
}

static bool signed_still(const struct frame *f, unsigned order)
{
	for (u64 i = 0; i < 1ull << order; i++)
		if (*(u64 *)sim_ram(frame_paddr(f) + i * PAGE_SIZE) != frame_pfn(f).n + i)
			return false;
	return true;
}

static void test_orders(void)
{
	sim_boot(&(struct sim_config){0});
	for (unsigned order = 0; order <= FRAME_MAX_ORDER; order++) {
		struct frame *f = frame_alloc(order, FRAME_ZERO);
		bool zero = f != NULL;

		if (!ok(f && IS_ALIGNED(frame_pfn(f).n, 1ull << order), "order %u: aligned", order))
			continue;
		for (u64 i = 0; i < PAGE_SIZE << order; i += 8)
			zero &= *(u64 *)((char *)frame_virt(f) + i) == 0;
		ok(zero && f->type == FRAME_USED && f->order == order, "order %u: zeroed, used",
		   order);
		ok(frame_valid(frame_pfn(f)) && pfn_frame(frame_pfn(f)) == f, "order %u: RAM",
		   order);
		memset(frame_virt(f), 0xff, PAGE_SIZE << order);
		frame_free(f, order);
	}
	ok(!frame_alloc(FRAME_MAX_ORDER + 1, 0), "no order beyond the largest");
	ok(!frame_alloc(~0u, 0), "nor an absurd one");
	ok(!frame_valid(pfn_make(0xff)) && frame_valid(pfn_make(0x100)) &&
		   frame_valid(pfn_make(0x20ff)) && !frame_valid(pfn_make(0x2100)) &&
		   !frame_valid(pfn_make(~0ull)),
	   "valid is RAM, to the frame");
}

static void test_misuse(void)
{
	struct frame *f, *g, *big;
	void *a, *b;

	sim_boot(&(struct sim_config){0});
	f = frame_alloc(0, 0);
	g = frame_alloc(0, 0);
	big = frame_alloc(3, 0);
	frame_free(f, 0);
	EXPECT_PANIC("double free of frame", frame_free(f, 0));
	EXPECT_PANIC("double free of frame", {
		frame_drain_cache();
		frame_free(f, 0);
	});
	EXPECT_PANIC("double free", {
		frame_free(big, 3);
		frame_free(big, 3);
	});
	EXPECT_PANIC("double free", {
		frame_free(big, 3);
		frame_free(big + 4, 0);
	});
	EXPECT_PANIC("with order 1", frame_free(g, 1));
	EXPECT_PANIC("with order 0, allocated with 3", frame_free(big, 0));
	EXPECT_PANIC("with order 4, allocated with 3", frame_free(big, 4));
	EXPECT_PANIC("with order 2", frame_free(big + 4, 2));
	EXPECT_PANIC("with order 0", frame_free(big + 1, 0));
	EXPECT_PANIC("is reserved", frame_free(pfn_frame(pfn_make(0x100)), 0));
	EXPECT_PANIC("is a page table", frame_free(pfn_frame(kernel_root), 0));
	EXPECT_PANIC("is not RAM", frame_free(frames + 1, 0));
	EXPECT_PANIC("is not RAM", frame_free(frames + (1 << 27), 0));
	a = vmap(&g, 1, VM_R);
	b = vmap(&g, 1, VM_R);
	EXPECT_PANIC("still mapped 2 times", frame_free(g, 0));
	EXPECT_PANIC("still mapped 2 times", frame_free_many(&g, 1));
	vunmap(a);
	EXPECT_PANIC("still mapped 1 times", frame_free(g, 0));
	vunmap(b);
	f = big + 7;
	a = vmap(&f, 1, VM_R);
	EXPECT_PANIC("still mapped 1 times", frame_free(big, 3));
	vunmap(a);
	frame_free(g, 0);
	frame_free(big, 3);
	ok(!frame_check(), "and afterwards all is well");
}

/* Takes all there is in blocks of `order`. => how many */
static unsigned take_all(unsigned order, unsigned flags)
{
	unsigned n = 0;

	while (n < MANY && (held[n] = frame_alloc(order, flags)))
		sign(held[n++], order);
	return n;
}

/* Gives n blocks back in random order. => all were as they were left */
static bool give_all(unsigned n, unsigned order)
{
	bool intact = true;

	while (n) {
		unsigned i = sim_random(n);

		intact &= signed_still(held[i], order);
		frame_free(held[i], order);
		held[i] = held[--n];
	}
	frame_drain_cache();
	return intact;
}

static void test_exhaustion(void)
{
	u64 free;
	unsigned large, n;

	sim_boot(&(struct sim_config){.seed = 3});
	frame_drain_cache();
	free = frame_free_total();
	large = take_all(FRAME_MAX_ORDER, 0);
	ok(large > 3 && give_all(large, FRAME_MAX_ORDER), "%u of the largest blocks", large);
	n = take_all(0, 0);
	is_u64(n, free, "every single frame can be had");
	is_u64(frame_free_total(), 0, "then none is left");
	ok(!frame_alloc(0, 0) && !frame_alloc(1, 0) && !frame_alloc(0, FRAME_HIGH),
	   "none of any kind");
	ok(give_all(n, 0), "no frame had two owners");
	is_u64(frame_free_total(), free, "all come back");
	ok(!frame_check(), "frame_check() agrees");
	is_u64(take_all(FRAME_MAX_ORDER, 0), large,
	       "coalescing is exact: as many large blocks as before");
	ok(give_all(large, FRAME_MAX_ORDER), "and back");
	for (unsigned order = 1; order < FRAME_MAX_ORDER; order++) {
		n = take_all(order, 0);
		ok(give_all(n, order) && frame_free_total() == free, "%u blocks of order %u", n,
		   order);
	}
}

static void test_cached_elsewhere(void)
{
	struct frame *f;
	u64 free;
	unsigned n;

	sim_boot(&(struct sim_config){.cpus = 2});
	frame_drain_cache();
	free = frame_free_total();
	f = frame_alloc(0, 0);
	sim_on(1);
	frame_free(f, 0);
	is_u64(f->type, FRAME_CACHED, "freed on another CPU, it is in that one's cache");
	sim_on(0);
	n = take_all(0, 0);
	is_u64(n + frame_free_total(), free, "what CPU 0 gets and what CPU 1 has cached is all");
	ok(give_all(n, 0), "all given back");
	sim_on(1);
	frame_drain_cache();
	sim_on(0);
	is_u64(frame_free_total(), free, "the count is what it was");
}

static void test_own_cache(void)
{
	struct frame *f;
	unsigned n;

	sim_boot(&(struct sim_config){0});
	n = take_all(1, 0);
	ok(n, "all pairs are taken");
	while (frame_alloc(0, 0))
		;
	frame_free(held[0], 1);
	f = frame_alloc(0, 0);
	frame_free(f, 0);
	ok(frame_alloc(1, 0), "a pair whose halves this CPU has cached can be had");
}

/* What a cache cannot take, or give, is fetched or brought away in one go. */
static void test_cache_is_full(void)
{
	static struct frame *out[2 * FRAME_CACHE_SLOTS];
	unsigned full, more;
	u64 locks;

	sim_boot(&(struct sim_config){0});
	full = frame_cache_max;
	more = full / 3;
	KASSERT(more && !frame_alloc_many(out, full + more, 0), "%u frames", full + more);
	frame_drain_cache();
	locks = counter_sum(CNT_lock);
	frame_free_many(out, full);
	is_u64(counter_sum(CNT_lock) - locks, 0, "an empty cache takes %u", full);
	frame_free_many(out + full, more);
	is_u64(counter_sum(CNT_lock) - locks, 1, "when it is full the zone is locked once for %u",
	       more);
	KASSERT(!frame_alloc_many(out, full, 0), "%u frames", full);
	is_u64(counter_sum(CNT_lock) - locks, 1, "it is full again: %u are taken out of it", full);
	KASSERT(!frame_alloc_many(out + full, full, 0), "%u frames", full);
	is_u64(counter_sum(CNT_lock) - locks, 2, "empty, it is filled in one go");
	frame_free_many(out, 2 * full);
}

static void test_many(void)
{
	static struct frame *out[MANY];
	struct sim_snapshot was;
	u64 free;

	sim_boot(&(struct sim_config){0});
	frame_drain_cache();
	free = frame_free_total();
	was = sim_snapshot();
	is_u64((u64)frame_alloc_many(out, (unsigned)free + 1, 0), (u64)-ENOMEM,
	       "more than there are");
	ok(sim_unchanged(&was, "alloc_many") && !frame_check(), "changes nothing");
	ok(!frame_alloc_many(out, 0, 0), "none is easy");
	for (u64 k = 1;; k++) {
		int err;

		frame_inject_failure(k);
		err = frame_alloc_many(out, 10, FRAME_ZERO);
		if (!err) {
			is_u64(frame_inject_failure(0), 1, "ten frames are ten allocations");
			is_u64(k, 11, "each of which can fail");
			break;
		}
		if (err != -ENOMEM || !sim_unchanged(&was, "injected failure"))
			ok(false, "failure of allocation %lu", k);
	}
	ok(!frame_alloc_many(out + 10, (unsigned)free - 10, 0), "all that are left");
	is_u64(frame_free_total(), 0, "are all");
	frame_free_many(out, (unsigned)free);
	ok(sim_unchanged(&was, "free_many"), "and all come back");
}

static void test_injection(void)
{
	struct frame *f;

	sim_boot(&(struct sim_config){0});
	is_u64(frame_inject_failure(3), 0, "off at first");
	f = frame_alloc(0, 0);
	is_u64(frame_inject_failure(2), 2, "one allocation later two are left");
	frame_free(f, 0);
	f = frame_alloc(4, 0);
	ok(f && !frame_alloc(0, 0), "the second fails");
	frame_free(f, 4);
	f = frame_alloc(0, 0);
	ok(f, "the third does not");
	is_u64(frame_inject_failure(0), 0, "it is off again");
	frame_free(f, 0);
}

static void test_high(void)
{
	struct frame *f, *g;
	struct frame_stats before, st;
	unsigned n;

	sim_boot(&(struct sim_config){.direct_limit = 20 * MiB + 40 * KiB});
	frame_stats(&before);
	ok(before.free_high > 3000, "there are high frames");
	f = frame_alloc(0, FRAME_HIGH);
	ok(frame_paddr(f) >= 20 * MiB + 40 * KiB && f->zone == ZONE_HIGH, "high if wanted");
	g = frame_alloc(2, FRAME_HIGH);
	ok(frame_paddr(g) >= 20 * MiB + 40 * KiB, "blocks too");
	frame_free(g, 2);
	g = frame_alloc(0, FRAME_HIGH | FRAME_ZERO);
	ok(frame_paddr(g) < 20 * MiB + 40 * KiB, "zeroed frames are in the direct map");
	frame_free(g, 0);
	frame_free(f, 0);
	n = take_all(0, 0);
	for (unsigned i = 0; i < n; i++)
		if (frame_paddr(held[i]) >= 20 * MiB + 40 * KiB)
			ok(false, "frame %#lx is high", frame_pfn(held[i]).n);
	frame_stats(&st);
	is_u64(st.free, st.free_high, "only high frames are left");
	is_u64(st.free_high, before.free_high, "and none of those was touched");
	give_all(n, 0);
	n = take_all(0, FRAME_HIGH);
	is_u64(frame_free_total(), 0, "who wants high frames gets direct ones when they run out");
	ok(give_all(n, 0), "no frame had two owners");
	ok(!frame_check(), "zones are intact");
}

static void test_far(void)
{
	static const struct sim_range ram[] = {
		{0, 640 * KiB},
		{1 * MiB, 24 * MiB + 4 * KiB},
		{24 * MiB + 12 * KiB, 24 * MiB + 16 * KiB},
		{4 * GiB, 4 * GiB + 8 * MiB},
		{SIM_PHYS_MAX - 8 * MiB, SIM_PHYS_MAX},
	};
	struct sim_config c = {0};
	struct frame_stats st;
	u64 total = 0, free;
	unsigned n;

	memcpy(c.ram, ram, sizeof(ram));
	sim_boot(&c);
	for (unsigned i = 0; i < ARRAY_SIZE(ram); i++) {
		u64 s = ram[i].start >> PAGE_SHIFT, e = ram[i].end >> PAGE_SHIFT;

		total += e - s;
		ok(frame_valid(pfn_make(s)) && frame_valid(pfn_make(e - 1)) &&
			   !frame_valid(pfn_make(e)) && (!s || !frame_valid(pfn_make(s - 1))),
		   "range %u is valid to the frame", i);
	}
	frame_stats(&st);
	is_u64(st.total, total, "all RAM is counted");
	is_u64(st.reserved + st.tables + st.used + st.free + st.cached, total,
	       "each frame as one thing");
	free = frame_free_total();
	n = take_all(0, 0);
	is_u64(n, free, "across holes and 1 TiB every frame can be had");
	ok(give_all(n, 0) && !frame_check(), "and comes back");
	n = take_all(9, 0);
	ok(give_all(n, 9) && n, "%u large blocks, none across a hole", n);
}

static u64 seed;

static void test_random(void)
{
	static unsigned order[MANY];
	unsigned n = 0, bad = 0;
	u64 free;

	sim_boot(&(struct sim_config){
		.seed = seed, .cpus = 3, .direct_limit = seed % 2 ? 0 : 17 * MiB});
	for (unsigned cpu = 0; cpu < 3; cpu++) {
		sim_on(cpu);
		frame_drain_cache();
	}
	free = frame_free_total();
	for (unsigned step = 0; step < 4000; step++) {
		sim_on(sim_random(3));
		if (n < MANY && sim_random(100) < 52) {
			unsigned o = sim_random(3) ? 0 : sim_random(FRAME_MAX_ORDER + 1);

			held[n] = frame_alloc(o, sim_random(2) ? FRAME_HIGH : 0);
			order[n] = o;
			if (held[n])
				sign(held[n++], o);
		} else if (n) {
			unsigned i = sim_random(n);

			bad += !signed_still(held[i], order[i]);
			frame_free(held[i], order[i]);
			held[i] = held[--n];
			order[i] = order[n];
		}
		if (!sim_random(50))
			frame_drain_cache();
		if (step % 100 == 0)
			bad += frame_check();
	}
	while (n--) {
		bad += !signed_still(held[n], order[n]);
		frame_free(held[n], order[n]);
	}
	ok(!bad && frame_free_total() == free, "seed %lu: 4000 random steps on 3 CPUs", seed);
}

/* The same with CPUs that are preempted at any shared access. */
static void worker(void *arg __attribute__((unused)))
{
	struct frame *mine[24];
	unsigned order[24], n = 0;

	for (unsigned step = 0; step < 150; step++) {
		if (n < ARRAY_SIZE(mine) && sim_random(2)) {
			order[n] = sim_random(2) ? 0 : sim_random(5);
			mine[n] = frame_alloc(order[n], 0);
			if (mine[n]) {
				sign(mine[n], order[n]);
				n++;
			}
		} else if (n) {
			n--;
			KASSERT(signed_still(mine[n], order[n]), "a frame has two owners");
			frame_free(mine[n], order[n]);
		}
	}
	while (n--)
		frame_free(mine[n], order[n]);
}

static void test_concurrent(void)
{
	u64 free;

	sim_boot(&(struct sim_config){.seed = seed, .cpus = 4});
	free = frame_free_total();
	sim.store_buffer = true;
	sim_run_all(4, 1 + (u32)seed % 5, worker, NULL);
	ok(frame_free_total() == free && !frame_check(), "seed %lu: 4 CPUs at once", seed);
}

/*
 * Halves of one block, and no other pair: who frees one looks at the other, which the other CPU is
 * just taking or giving back (a block typed after the lock was released was merged with once).
 */
#define HALF 1

static void halves_worker(void *arg __attribute__((unused)))
{
	for (unsigned i = 0; i < 40; i++) {
		struct frame *half = frame_alloc(HALF, 0);

		KASSERT(half, "a half has been lost");
		sign(half, HALF);
		KASSERT(signed_still(half, HALF), "a half has two owners");
		frame_free(half, HALF);
	}
}

static void test_halves(void)
{
	struct frame *both;
	unsigned rest;

	sim_boot(&(struct sim_config){.seed = seed, .cpus = 2});
	both = frame_alloc(HALF + 1, 0);
	rest = take_all(HALF, 0);
	frame_free(both, HALF + 1);
	sim_run_all(2, 1 + (u32)seed % 3, halves_worker, NULL);
	ok(!frame_check() && frame_alloc(HALF + 1, 0) == both,
	   "seed %lu: two halves, whose owners come and go, are one block again", seed);
	frame_free(both, HALF + 1);
	ok(give_all(rest, HALF), "and all others as they were left");
}

static void injected_worker(void *arg)
{
	for (unsigned i = 0; i < 20; i++) {
		struct frame *f = frame_alloc(0, 0);

		if (f)
			frame_free(f, 0);
		else
			++*(unsigned *)arg;
	}
}

static void test_concurrent_injection(void)
{
	unsigned failed = 0;

	sim_boot(&(struct sim_config){.seed = seed, .cpus = 4});
	frame_inject_failure(37);
	sim_run_all(4, 2, injected_worker, &failed);
	is_u64(failed, 1, "seed %lu: of 80 allocations on 4 CPUs exactly one fails", seed);
	is_u64(frame_inject_failure(0), 0, "then injection is off");
}

int main(void)
{
	sim_scenario("orders", test_orders);
	sim_scenario("misuse", test_misuse);
	sim_scenario("exhaustion", test_exhaustion);
	sim_scenario("cached elsewhere", test_cached_elsewhere);
	sim_scenario("own cache", test_own_cache);
	sim_scenario("cache is full", test_cache_is_full);
	sim_scenario("many", test_many);
	sim_scenario("injection", test_injection);
	sim_scenario("high", test_high);
	sim_scenario("far", test_far);
	for (seed = 1; seed <= 4; seed++) {
		sim_scenario("random", test_random);
		sim_scenario("concurrent", test_concurrent);
		sim_scenario("concurrent injection", test_concurrent_injection);
	}
	for (seed = 1; seed <= 16; seed++)
		sim_scenario("halves", test_halves);
	return done_testing();
}
