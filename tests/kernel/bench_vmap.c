// SPDX-License-Identifier: MIT
/*
 * What a mapping costs on one CPU: map n pages, read a byte of each, unmap, again and again. From
 * one purge to another, and for several times as many pages as may wait, so what laziness puts off
 * is in the figure: looks at what waits, flushes, the last purge. How many there were is printed
 * beside.
 *
 * Beside the default policy stand the others, and under pte two sorts of loop: with other frames
 * each time, so that nothing can be revived, and with the same ones, so that everything is.
 *
 * `floor` is the least that any engine could do with the same pages: store the entries, read the
 * pages, store zeroes, and a full flush for every LAZY_PAGES pages. No addresses are chosen, no
 * alias is noted, nothing is atomic. `engine` shows all beside it.
 */
#include "tests/kernel/bench.h"
#include "kernel/console.h"
#include "kernel/errno.h"
#include "kernel/printk.h"
#include "kernel/test.h"
#include "mm/chunk.h"
#include "mm/kmap.h"
#include "mm/shootdown.h"
#include "mm/vmalloc.h"

#define LAZY_PAGES 8192 /* that may wait: the default with one CPU, and Linux's */
#define ROUNDS	   5
/* Under `off` nothing is put off and each loop flushes: a short look will do. */
#define OFF_PAGES 1024

static const unsigned sizes[] = {1, 4, 16, 64, 256};

#define SIZES	  ARRAY_SIZE(sizes)
#define MAX_PAGES 256

/*
 * `ops` loops with `pages` pages; the next loop takes its frames `stride` further on. => false: a
 * mapping failed
 */
typedef bool round_fn(struct frame *const *f, u64 pages, u64 stride, u64 ops);

/* Made part of each caller, so that the calls it measures are direct ones. */
static __always_inline bool loops(struct frame *const *f, u64 pages, u64 stride, u64 ops,
				  void *(*map)(struct frame *const *f, u64 pages),
				  void (*unmap)(void *va, u64 pages))
{
	for (; ops; ops--, f += stride) {
		void *va = map(f, pages);

		if (!va)
			return false;
		touch(va, pages);
		unmap(va, pages);
	}
	return true;
}

#define CALLS(name, map_call, unmap_call)                                          \
	static __always_inline void *map_##name(struct frame *const *f, u64 pages) \
	{                                                                          \
		return map_call;                                                   \
	}                                                                          \
	static __always_inline void unmap_##name(void *va, u64 pages)              \
	{                                                                          \
		unmap_call;                                                        \
	}

#define ROUND(name, map_call, unmap_call)                                                \
	CALLS(name, map_call, unmap_call)                                                \
	static bool round_##name(struct frame *const *f, u64 pages, u64 stride, u64 ops) \
	{                                                                                \
		return loops(f, pages, stride, ops, map_##name, unmap_##name);           \
	}

ROUND(vmap, vmap(f, pages, VM_W), ((void)pages, vunmap(va)))
ROUND(vm_map_ram, vm_map_ram(f, pages, VM_W), vm_unmap_ram(va, pages))
ROUND(vmalloc, ((void)f, vmalloc(pages *PAGE_SIZE)), ((void)pages, vfree(va)))
CALLS(kmap, ((void)pages, kmap(*f)), ((void)pages, kunmap(va)))

/* Always one page, and the compiler knows. */
static bool round_kmap(struct frame *const *f, u64 pages __attribute__((unused)), u64 stride,
		       u64 ops)
{
	return loops(f, 1, stride, ops, map_kmap, unmap_kmap);
}

static void *floor_area; /* reserved addresses with a level-1 table, in which nothing else is */

static bool round_floor(struct frame *const *f, u64 pages, u64 stride, u64 ops)
{
	const u64 base = pte_leaf_bits(VM_W, 1) - ((u64)frames << FRAME_TO_PADDR_SHIFT);
	pte_t *e = entry_of((vaddr_t)floor_area);

	for (; ops; ops--, f += stride) {
		for (u64 i = 0; i < pages; i++)
			WRITE_ONCE(e[i].v, ((u64)f[i] << FRAME_TO_PADDR_SHIFT) + base);
		touch(floor_area, pages);
		for (u64 i = 0; i < pages; i++)
			WRITE_ONCE(e[i].v, 0);
	}
	shootdown_flush_local();
	return true;
}

struct call {
	const char *name;
	round_fn *round;
	bool own_frames;	 /* it takes frames by itself: they cannot be chosen */
	unsigned at_most[SIZES]; /* the goals, under policy tlb; 0: none */
};

static const struct call call_vmap = {"vmap", round_vmap, false, {245, 320, 620, 2000, 6300}};
static const struct call call_ram = {
	"vm_map_ram", round_vm_map_ram, false, {130, 210, 560, 1900, 6200}};
static const struct call call_vmalloc = {
	"vmalloc", round_vmalloc, true, {400, 600, 1400, 4500, 16000}};
static const struct call call_kmap = {"kmap", round_kmap, false, {0}};
static const struct call call_floor = {"floor", round_floor, false, {0}};

#define REVIVED_KMAP_AT_MOST 45

struct cost {
	u64 ops, ticks, flushes, purges, revived;
};

/* ROUNDS rounds; `fresh`: each loop of a round has frames of its own. => 0, -ENOMEM or -EINTR */
static int rounds(const struct call *c, u64 pages, u64 ops, struct frame **f, bool fresh)
{
	for (unsigned r = 0; r < ROUNDS; r++) {
		if (console_interrupted())
			return -EINTR;
		if (!c->round(f, pages, fresh ? pages : 0, ops))
			return -ENOMEM;
	}
	return 0;
}

/* The first pass makes tables, carves addresses and fills caches; the second is measured. */
static int measure_loops(const struct call *c, u64 pages, u64 ops, struct frame **f, bool fresh,
			 struct cost *cost)
{
	struct bench_moment start, end;
	u64 ticks = 0;
	int err = 0;

	for (unsigned pass = 0; pass < 2 && !err; pass++) {
		vm_unmap_aliases();
		bench_now(&start);
		err = rounds(c, pages, ops, f, fresh);
		vm_unmap_aliases();
		ticks = tsc_now() - start.tsc;
	}
	bench_now(&end);
	*cost = (struct cost){
		.ops = ops * ROUNDS,
		.ticks = ticks,
		.flushes = bench_grew(&start, &end, CNT_tlb_full),
		.purges = bench_grew(&start, &end, CNT_purge),
		.revived = bench_grew(&start, &end, CNT_revive),
	};
	return err;
}

/*
 * Fresh frames come round again after twice as many pages as may wait: by then their lazy mapping
 * is gone.
 */
static int measure(const struct call *c, u64 pages, enum lazy_policy policy, bool fresh,
		   struct cost *cost)
{
	u64 n = policy == LAZY_OFF ? OFF_PAGES : fresh ? 2 * LAZY_PAGES : LAZY_PAGES;
	u64 nframes = fresh ? n : MAX_PAGES;
	struct frame **f = bench_frames(nframes);
	struct lazy_stats was;
	int err;

	if (!f)
		return -ENOMEM;
	was = bench_begin(policy);
	lazy_set_max(LAZY_PAGES);
	err = measure_loops(c, pages, n / pages, f, fresh, cost);
	bench_end(&was);
	bench_free_frames(f, nframes);
	if (err)
		printk("bench %s: %s with %lu pages\n", c->name,
		       err == -EINTR ? "interrupted" : "a mapping failed", pages);
	return err;
}

static void report(const struct call *c, u64 pages, enum lazy_policy policy, unsigned revival,
		   unsigned at_most, const struct cost *cost)
{
	const char *name = lazy_policy_name(policy);
	u64 ticks = per(cost->ticks, cost->ops);
	char goal[40] = "";

	if (at_most)
		snprintf(goal, sizeof(goal), " (at most %u: %s)", at_most,
			 verdict(ticks <= at_most));
	printk("%-10s %3lu pages, %s%s: %6lu ticks%s; %lu loops, %lu full flushes, %lu purges, "
	       "%lu revived\n",
	       c->name, pages, name, revival ? " revived" : "", ticks, goal, cost->ops,
	       cost->flushes, cost->purges, cost->revived);
	printk("BENCH {\"bench\":\"%s\",\"pages\":%lu,\"policy\":\"%s\",\"revival\":%u,"
	       "\"ops\":%lu,\"purges\":%lu,\"flushes\":%lu,\"insns_per_op\":%lu}\n",
	       c->name, pages, name, revival, cost->ops, cost->purges, cost->flushes, ticks);
}

static int one(const struct call *c, u64 pages, enum lazy_policy policy, unsigned revival,
	       unsigned at_most)
{
	bool fresh = policy == LAZY_PTE && !revival && !c->own_frames;
	struct cost cost;
	int err = measure(c, pages, policy, fresh, &cost);

	if (c->own_frames && !err)
		revival = 2 * cost.revived > cost.ops; /* as it happened */
	if (!err)
		report(c, pages, policy, revival, at_most, &cost);
	return err;
}

static int every_size(const struct call *c, enum lazy_policy policy, unsigned revival)
{
	int err = 0;

	for (unsigned i = 0; i < SIZES && !err; i++)
		err = one(c, sizes[i], policy, revival, policy == LAZY_TLB ? c->at_most[i] : 0);
	return err;
}

/* The default policy first: who reads the lines by program takes the first that fits. */
static int every_policy(const struct call *c)
{
	int err = every_size(c, LAZY_TLB, 0);

	if (!err)
		err = every_size(c, LAZY_PTE, 0);
	if (!err && !c->own_frames)
		err = every_size(c, LAZY_PTE, 1);
	return err ? err : every_size(c, LAZY_OFF, 0);
}

KBENCH(vmap, "vmap, read every page, vunmap: ticks a loop, by policy")
{
	return every_policy(&call_vmap);
}

KBENCH(vm_map_ram, "the same by vm_map_ram and vm_unmap_ram")
{
	return every_policy(&call_ram);
}

KBENCH(vmalloc, "the same by vmalloc and vfree")
{
	return every_policy(&call_vmalloc);
}

KBENCH(kmap, "kmap, read, kunmap: by tlb, and by pte, where it is revived")
{
	int err = one(&call_kmap, 1, LAZY_TLB, 0, 0);

	return err ? err : one(&call_kmap, 1, LAZY_PTE, 1, REVIVED_KMAP_AT_MOST);
}

static int with_floor(int (*fn)(void))
{
	int err;

	floor_area = vm_area_reserve(MAX_PAGES, MAX_PAGES, "bench floor"); /* in one table */
	if (!floor_area)
		return -ENOMEM;
	err = fn();
	vm_area_free(floor_area);
	return err;
}

static int floor_of_every_size(void)
{
	return every_size(&call_floor, LAZY_TLB, 0);
}

KBENCH(floor, "the least it could cost: the same entries stored, cleared and read, no engine")
{
	return with_floor(floor_of_every_size);
}

/* One cell: the cost, its goal, how many times the floor it is. */
static void cell(u64 ticks, u64 at_most, u64 floor)
{
	u64 tenths = 10 * ticks / MAX(floor, 1ul);

	printk(" | %6lu %5lu %-6s %3lu.%lu", ticks, at_most, verdict(ticks <= at_most), tenths / 10,
	       tenths % 10);
}

static int engine_table(void)
{
	static const struct call *const calls[] = {&call_ram, &call_vmap, &call_vmalloc};

	printk("ticks a loop under policy tlb, the goal, and how many times the floor it is\n"
	       "pages  floor | vm_map_ram                | vmap                      | vmalloc\n");
	for (unsigned i = 0; i < SIZES; i++) {
		struct cost cost[1 + ARRAY_SIZE(calls)];
		u64 ticks[1 + ARRAY_SIZE(calls)];

		for (unsigned k = 0; k <= ARRAY_SIZE(calls); k++) {
			int err = measure(k ? calls[k - 1] : &call_floor, sizes[i], LAZY_TLB, false,
					  &cost[k]);

			if (err)
				return err;
			ticks[k] = per(cost[k].ticks, cost[k].ops);
		}
		printk("%5u %6lu", sizes[i], ticks[0]);
		for (unsigned k = 0; k < ARRAY_SIZE(calls); k++)
			cell(ticks[k + 1], calls[k]->at_most[i], ticks[0]);
		printk("\nBENCH {\"bench\":\"engine\",\"pages\":%u,\"policy\":\"tlb\",\"floor\":%lu,"
		       "\"vm_map_ram\":%lu,\"vmap\":%lu,\"vmalloc\":%lu}\n",
		       sizes[i], ticks[0], ticks[1], ticks[2], ticks[3]);
	}
	return 0;
}

KBENCH(engine, "vm_map_ram, vmap and vmalloc beside their goals and the floor")
{
	return with_floor(engine_table);
}
