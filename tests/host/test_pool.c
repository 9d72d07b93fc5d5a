// SPDX-License-Identifier: MIT
/*
 * mm/pool.c against mm/pool.h. Every object is filled with a byte of its own over its whole size
 * and looked at again before it is freed: objects that overlap each other or a slab's header show.
 */
// links: mm/*.c tests/host/sim*.c
#include "mm/check.h"
#include "mm/frame.h"
#include "mm/pool.h"
#include "tests/host/sim.h"

#define MANY 1000

#define POOL(i, bytes)                                                                \
	{                                                                             \
		.name = "p" #bytes, .size = bytes, .lock = SPINLOCK_INIT("p" #bytes), \
		.partial = LIST_INIT(pools[i].partial)                                \
	}

static struct pool pools[] = {POOL(0, 16), POOL(1, 24), POOL(2, 200), POOL(3, 1000), POOL(4, 1024)};

static u8 *object[MANY];

static bool filled_with(const u8 *o, u32 size, u8 value)
{
	for (u32 i = 0; i < size; i++)
		if (o[i] != value)
			return false;
	return true;
}

static void test_sizes(void)
{
	u64 at_hand;

	sim_boot(&(struct sim_config){.seed = 1});
	at_hand = mm_frames_at_hand();
	for (struct pool *p = pools; p < pools + ARRAY_SIZE(pools); p++) {
		u64 free = frame_free_total();
		bool zero = true, intact = true, aligned = true;

		for (unsigned i = 0; i < MANY; i++) {
			object[i] = pool_alloc(p);
			zero &= filled_with(object[i], p->size, 0);
			aligned &= IS_ALIGNED((u64)object[i], 8);
			memset(object[i], (int)(i % 251 + 1), p->size);
		}
		ok(zero && aligned, "%s: %u zeroed, aligned objects", p->name, MANY);
		is_u64(p->objects, MANY, "%s: counted", p->name);
		is_u64(free - frame_free_total(), p->slabs, "%s: slabs are the frames taken",
		       p->name);
		ok(p->slabs <= MANY / (PAGE_SIZE / p->size - 1) + 1, "%s: few slabs", p->name);
		is_u64(mm_frames_at_hand(), at_hand, "%s: and count as at hand", p->name);
		for (unsigned n = MANY; n;) {
			unsigned i = sim_random(n--);

			intact &= filled_with(object[i], p->size, object[i][0]);
			pool_free(p, object[i]);
			object[i] = object[n];
		}
		ok(intact, "%s: none overlaps another", p->name);
		ok(!p->slabs && !p->objects && frame_free_total() == free,
		   "%s: idle, it holds nothing", p->name);
	}
}

static void test_reuse(void)
{
	struct pool *p = &pools[2];
	u64 *a, *b;

	sim_boot(&(struct sim_config){0});
	a = pool_alloc(p);
	b = pool_alloc(p);
	memset(a, 0xff, p->size);
	pool_free(p, a);
	a = pool_alloc(p);
	ok(filled_with((u8 *)a, p->size, 0), "an object that comes again is zeroed again");
	is_u64(p->slabs, 1, "from the same slab");
	pool_free(p, a);
	pool_free(p, b);
}

static void test_full_slab(void)
{
	struct pool *p = &pools[2];
	unsigned n = 0;

	sim_boot(&(struct sim_config){0});
	do
		object[n++] = pool_alloc(p);
	while (p->slabs == 1);
	pool_free(p, object[--n]);
	is_u64(p->slabs, 1, "%u objects fill a slab", n);
	pool_free(p, object[2]);
	pool_free(p, object[5]);
	object[2] = pool_alloc(p);
	object[5] = pool_alloc(p);
	is_u64(p->slabs, 1, "what is freed in a full slab is found again");
	while (n)
		pool_free(p, object[--n]);
}

static void test_misuse(void)
{
	struct pool *p = &pools[2];
	u8 *a, *b, *other, *after;
	struct frame *f;

	sim_boot(&(struct sim_config){0});
	a = pool_alloc(p);
	b = pool_alloc(p);
	other = pool_alloc(&pools[1]);
	f = frame_alloc(0, FRAME_ZERO);
	pool_free(p, a);
	EXPECT_PANIC("double free", pool_free(p, a));
	EXPECT_PANIC("not an object of pool p200", {
		pool_free(p, b);
		pool_free(p, b); /* its slab is gone */
	});
	EXPECT_PANIC("not an object of pool p200", pool_free(p, other));
	EXPECT_PANIC("not an object of pool p24", pool_free(&pools[1], b));
	EXPECT_PANIC("not an object of pool p200", pool_free(p, frame_virt(f)));
	EXPECT_PANIC("not an object of pool p200", pool_free(p, b + 8));
	EXPECT_PANIC("not an object of pool p200",
		     pool_free(p, (void *)ALIGN_DOWN((u64)b, PAGE_SIZE)));
	for (after = b; (u64)after % PAGE_SIZE + p->size <= PAGE_SIZE;)
		after += p->size; /* behind the last of the slab: none that fits */
	EXPECT_PANIC("not an object of pool p200", pool_free(p, after));
	pool_free(p, b);
	pool_free(&pools[1], other);
	frame_free(f, 0);
}

static void test_no_memory(void)
{
	struct pool *p = &pools[2];
	struct sim_snapshot was;
	void *a, *b;

	sim_boot(&(struct sim_config){0});
	was = sim_snapshot();
	frame_inject_failure(1);
	ok(!pool_alloc(p), "no frame, no object");
	ok(sim_unchanged(&was, "pool_alloc") && !p->slabs && !p->objects, "and nothing else");
	a = pool_alloc(p);
	frame_inject_failure(1);
	b = pool_alloc(p);
	ok(b, "an object of a slab that is there needs no memory");
	is_u64(frame_inject_failure(0), 1, "none was asked for");
	pool_free(p, a);
	pool_free(p, b);
}

static u64 seed;

static void worker(void *arg)
{
	struct pool *p = arg;
	u8 *mine[64];
	unsigned n = 0;

	for (unsigned step = 0; step < 300; step++) {
		if (n < ARRAY_SIZE(mine) && sim_random(2)) {
			mine[n] = pool_alloc(p);
			KASSERT(filled_with(mine[n], p->size, 0), "not zeroed");
			memset(mine[n], (int)sim.cpu + 1, p->size);
			n++;
		} else if (n) {
			unsigned i = sim_random(n--);

			KASSERT(filled_with(mine[i], p->size, (u8)sim.cpu + 1), "two owners");
			pool_free(p, mine[i]);
			mine[i] = mine[n];
		}
	}
	while (n)
		pool_free(p, mine[--n]);
}

static void test_concurrent(void)
{
	u64 at_hand, held;

	sim_boot(&(struct sim_config){.seed = seed, .cpus = 4});
	at_hand = mm_frames_at_hand();
	held = pool_frames();
	sim.store_buffer = true;
	sim_run_all(4, 1 + (u32)seed % 4, worker, &pools[2]);
	ok(!pools[2].slabs && !pools[2].objects && pool_frames() == held &&
		   mm_frames_at_hand() == at_hand,
	   "seed %lu: 4 CPUs leave an idle pool", seed);
}

int main(void)
{
	sim_scenario("sizes", test_sizes);
	sim_scenario("reuse", test_reuse);
	sim_scenario("full slab", test_full_slab);
	sim_scenario("misuse", test_misuse);
	sim_scenario("no memory", test_no_memory);
	for (seed = 1; seed <= 8; seed++)
		sim_scenario("concurrent", test_concurrent);
	return done_testing();
}
