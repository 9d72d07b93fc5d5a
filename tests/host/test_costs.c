// SPDX-License-Identifier: MIT
/*
 * What the common paths cost, counted in the simulator's steps: accesses to words that other CPUs
 * may change, and to entries. A path that is right and yet never taken is found here and nowhere
 * else. Per page the number is exact, and each of its accesses is named; what comes once has a
 * bound, of which the slow path behind it needs a multiple.
 *
 * Instructions are counted where they are real: make bench, in QEMU.
 */
// links: mm/*.c tests/host/sim*.c
#include "mm/frame_cache.h"
#include "mm/kmap.h"
#include "mm/lazy.h"
#include "mm/pagetable.h"
#include "mm/park.h"
#include "mm/vmap.h"
#include "tests/host/mapping.h"

#define FEW	  32 /* pages of the smaller of two calls that are compared */
#define MORE	  64
#define LARGE	  65 /* so many that one area is carved at a time */
#define LAZY_MAX  100000
#define COST(act) (start = sim.steps, act, sim.steps - start)

static u64 start, keep;
static bool calls; /* entries are asked for */
static void *at;

static void boot(void)
{
	sim_boot(&(struct sim_config){
		.cpus = 2, .keep = keep, .deferred = calls, .lazy_max_pages = LAZY_MAX});
	get_frames(LARGE);
}

static void all_back(void)
{
	vm_unmap_aliases();
	frame_free_many(f, LARGE);
}

/* What a second mapping of n frames costs: under tlb a new one, under pte the same again. */
static u64 cost_of_vmap(unsigned n)
{
	vunmap(vmap(f, n, VM_W));
	return COST(at = vmap(f, n, VM_W));
}

/* Of frames whose mapping is gone: nothing can come back. */
static u64 cost_of_new(unsigned n)
{
	vunmap(vmap(f, n, VM_W));
	vm_unmap_aliases();
	return COST(at = vmap(f, n, VM_W));
}

static u64 cost_of_vunmap(unsigned n)
{
	vm_unmap_aliases();
	at = vmap(f, n, VM_W);
	return COST(vunmap(at));
}

static void purge(struct frame *const *frame, unsigned n)
{
	KASSERT(!vm_unmap_frame_aliases(frame, n, PURGE_FLUSH), "refused");
}

static u64 cost_of_purge(unsigned n)
{
	return COST(purge(f, n));
}

static void unmap(void)
{
	vunmap(at);
}

static void nothing(void)
{
}

static const struct path {
	bool keep;
	const char *what;
	u64 (*cost)(unsigned n);
	void (*undo)(void);
	u64 page_4; /* four times what a page costs */
	u64 once;   /* at most */
} paths[] = {
	/* the frame's word is exchanged, the entry written */
	{0, "vmap", cost_of_vmap, unmap, 8, 10},
	/* the entry is cleared, the word exchanged; the clock is read for four at a time */
	{0, "vunmap", cost_of_vunmap, nothing, 9, 12},
	/* the word is looked at, for what its stamp says, before it is exchanged */
	{1, "vmap, nothing to revive", cost_of_new, unmap, 12, 24},
	/* the entry and the word are looked at, and the word's rights to be mapped */
	{1, "vmap, revived", cost_of_vmap, unmap, 12, 10},
	/* one word of the area says it all */
	{1, "vunmap", cost_of_vunmap, nothing, 0, 20},
	/* one look at the word */
	{0, "purge of what was never mapped", cost_of_purge, nothing, 4, 0},
};

static const struct path *path;

static void test_path(void)
{
	u64 few, more;

	keep = path->keep;
	boot();
	few = path->cost(FEW);
	path->undo();
	more = path->cost(MORE);
	path->undo();
	is_u64(more - few, path->page_4 * (MORE - FEW) / 4, "%s: a page", path->what);
	ok(few <= path->page_4 * FEW / 4 + path->once, "%s: once", path->what);
	all_back();
}

/* A kmap that comes back: who it belongs to, its word, and the exchange of that; the end is two. */
static void test_kmap(void)
{
	void *other;

	boot();
	kunmap(kmap(f[0]));
	is_u64(COST(at = kmap(f[0])), 3, "kmap");
	is_u64(COST(kunmap(at)), 2, "kunmap");
	at = kmap(f[0]);
	other = kmap(f[1]);
	ok(COST(kunmap(at)) <= 30, "kunmap of what was not mapped last");
	kunmap(other);
	all_back();
}

/* Frames that may not be mapped at all cost the same look. */
static void test_purge_of_tables(void)
{
	struct frame *table[8];

	boot();
	for (unsigned i = 0; i < ARRAY_SIZE(table); i++) {
		pfn_t pfn;

		KASSERT(!pt_alloc_table(1, &pfn), "no table");
		table[i] = pfn_frame(pfn);
	}
	is_u64(COST(purge(table, 8)), 8, "purge of tables: one look at each");
	for (unsigned i = 0; i < ARRAY_SIZE(table); i++)
		pt_free_table(frame_pfn(table[i]));
	all_back();
}

/* An exact purge costs what its frames have, however much else waits. */
static u64 cost_of_purge_among(unsigned areas)
{
	vm_unmap_aliases();
	while (areas--)
		vunmap(vmap(f + 4 + areas % 8, 3, VM_W));
	vunmap(vmap(f, 4, VM_W));
	return cost_of_purge(4);
}

static void test_purge_is_exact(void)
{
	u64 among_few;

	boot();
	cost_of_purge_among(400); /* what is carved stays */
	among_few = cost_of_purge_among(10);
	is_u64(cost_of_purge_among(400), among_few, "among 400 other areas as among 10");
	all_back();
}

/* The longest time that interrupts are off, in steps. */
static u64 off, longest;

static void watch(const struct sim_point *p __attribute__((unused)))
{
	off = irqs_enabled() ? 0 : off + 1;
	longest = MAX(longest, off);
}

static u64 longest_of_purge(unsigned areas)
{
	static void *va[40];

	for (unsigned i = 0; i < areas; i++) {
		va[i] = vmap(f, MORE, VM_W);
		KASSERT(va[i], "no area");
	}
	while (areas)
		vunmap(va[--areas]);
	longest = 0;
	sim_saw = watch;
	lazy_purge(PURGE_FLUSH);
	sim_saw = NULL;
	return longest;
}

/* A purge of everything lets interrupts in, however much there is. */
static void test_interrupts(void)
{
	u64 some;

	boot();
	longest_of_purge(40);
	some = longest_of_purge(20);
	is_u64(longest_of_purge(40), some, "purges of 1280 and 2560 pages");
	all_back();
}

static const atomic_t *watched;
static u64 looks;

static void watch_word(const struct sim_point *p)
{
	looks += p->word == watched;
}

/* Who finds none ready looks once at those that wait; again when there is hope. */
static void test_misses(void)
{
	boot();
	all_quiet();
	watched = &this_park()->class[LARGE - 1].cleared;
	vunmap(vmap(f, LARGE, VM_W));
	sim_saw = watch_word;
	for (unsigned i = 0; i < 3; i++) {
		looks = 0;
		at = vmap(f, LARGE, VM_W);
		is_u64(!!looks, !i, "a look at what waits: %lu", looks);
		vunmap(at);
	}
	all_quiet();
	looks = 0;
	at = vmap(f, LARGE, VM_W);
	ok(looks, "and one when all have flushed");
	vunmap(at);
	sim_saw = NULL;
	all_back();
}

/* From the CPU's own cache, whatever else there is. */
static void test_frames(void)
{
	struct frame *g;

	boot();
	frame_free(frame_alloc(0, 0), 0);
	ok(COST(g = frame_alloc(0, 0)) <= 8, "frame_alloc");
	ok(COST(frame_free(g, 0)) <= 8, "frame_free");
	all_back();
}

int main(void)
{
	for (path = paths; path < paths + ARRAY_SIZE(paths); path++)
		sim_scenario(path->what, test_path);
	sim_scenario("misses", test_misses);
	for (keep = 0; keep < 2; keep++) {
		sim_scenario("purge is exact", test_purge_is_exact);
		sim_scenario("purge of tables", test_purge_of_tables);
		sim_scenario("frames", test_frames);
		sim_scenario("interrupts off", test_interrupts);
	}
	keep = 1;
	calls = true;
	sim_scenario("interrupts off, by calls", test_interrupts);
	calls = false;
	sim_scenario("kmap", test_kmap);
	return done_testing();
}
