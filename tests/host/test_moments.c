// SPDX-License-Identifier: MIT
/*
 * One CPU unmaps, step by step, and after every number of steps there is, another does something:
 * it flushes, or purges the frames, or looks. Random schedules meet a moment that is one step long
 * once in a while; here each is met, in a few thousand runs. What is asked is always the same: who
 * is said to have forgotten, has.
 */
// links: mm/*.c tests/host/sim*.c
#include "mm/check.h"
#include "mm/chunk.h"
#include "mm/lazy.h"
#include "mm/shootdown.h"
#include "mm/vmalloc.h"
#include "mm/vmap.h"
#include "tests/host/mapping.h"

#define PAGES	   9u /* both of the loops in mm/run.h */
#define HUGE_PAGES PT_ENTRIES
#define STEPS_MAX  40000u

/* What is unmapped. CPU 0 does it, of `pages` frames f[] at `va`. */
struct way {
	const char *name;
	enum lazy_policy policy;
	unsigned pages;
	vaddr_t (*map)(void);
	void (*unmap)(void *va);
	bool at_once; /* and when it returns nobody remembers */
};

static const struct way *way;
static vaddr_t va;
static bool done;

static vaddr_t map_some(void)
{
	return (vaddr_t)vmap(f, way->pages, VM_W);
}

static void unmap_and_purge(void *p)
{
	vunmap(p);
	lazy_purge(PURGE_PTES);
}

static vaddr_t map_owned(void)
{
	return (vaddr_t)vmalloc(way->pages * PAGE_SIZE);
}

static vaddr_t map_huge(void)
{
	return (vaddr_t)vmalloc_huge(way->pages * PAGE_SIZE);
}

static vaddr_t map_sparse(void)
{
	static void *area;

	if (!area)
		area = vm_area_reserve(1000, 1, "sparse");
	KASSERT(!vm_area_map(area, 5, f, way->pages, VM_W), "no memory");
	return (vaddr_t)area + 5 * PAGE_SIZE;
}

static void unmap_sparse(void *p)
{
	KASSERT(!vm_area_unmap((void *)((vaddr_t)p - 5 * PAGE_SIZE), 5, way->pages), "not mapped");
}

static const struct way ways[] = {
	{"one page", LAZY_TLB, 1, map_some, vunmap, false},
	{"some pages", LAZY_TLB, PAGES, map_some, vunmap, false},
	{"some pages, flushed at once", LAZY_OFF, PAGES, map_some, vunmap, true},
	{"lazy pages, purged", LAZY_PTE, PAGES, map_some, unmap_and_purge, false},
	{"pages that are owned", LAZY_TLB, PAGES, map_owned, vfree, false},
	{"a large page", LAZY_TLB, HUGE_PAGES, map_huge, vfree, false},
	{"sparse pages", LAZY_TLB, PAGES, map_sparse, unmap_sparse, false},
};

static void unmap_it(void *p)
{
	way->unmap(p);
	KASSERT(!way->at_once || !(sim_tlb_holders(va, way->pages).bits & sim_online().bits),
		"unmapped, flushed, and remembered");
	done = true;
}

/*
 * CPU 0 does so many steps of the unmapping; then it is CPU 1's turn, as which we act.
 * => false: it is done before
 */
static bool stop_after(u64 steps)
{
	va = way->map();
	KASSERT(va, "not mapped");
	for (unsigned i = 0; i < way->pages; i++)
		f[i] = vmalloc_to_frame((void *)(va + i * PAGE_SIZE));
	done = false;
	sim_on(1);
	sim.preempt = 1;
	sim_spawn(0, unmap_it, (void *)va);
	sim_run_for(steps);
	sim.preempt = 0;
	return !done;
}

static bool remembered_by_some(const struct frame *frame)
{
	return sim_tlb_frame_holders(frame_pfn(frame)).bits & sim_online().bits;
}

/* What mm/ says to be forgotten is. */
static void check_claims(void)
{
	struct area a;

	for (unsigned i = 0; i < way->pages; i++)
		if (!frame_remembered(f[i]) && remembered_by_some(f[i]))
			panic("frame %u, word %#lx: said to be forgotten", i,
			      atomic_read(&f[i]->alias));
	if (area_find(va, &a) && a.stamp && word_state(atomic_read(&a.word)) == AREA_CLEARED &&
	    shootdown_covered(a.stamp) && sim_tlb_holders(va, way->pages).bits)
		panic("stamp %lu is covered, and the area remembered", a.stamp);
}

static void flush(void)
{
	shootdown_flush_local();
}

static void purge(void)
{
	if (vm_unmap_frame_aliases(f, way->pages, PURGE_FLUSH))
		return; /* they are in use still */
	for (unsigned i = 0; i < way->pages; i++)
		if (remembered_by_some(f[i]))
			panic("frame %u is purged, and remembered", i);
}

static void (*meanwhile)(void);

static void test_moments(void)
{
	u64 steps = 0;
	bool more;

	sim_boot(&(struct sim_config){.cpus = 2, .seed = 1});
	get_frames(PAGES);
	lazy_set_policy(way->policy);
	do {
		more = stop_after(steps);
		steps += way->pages > PAGES ? 9 : 1;
		if (!in_interrupt()) /* CPU 1 is not in the middle of answering */
			meanwhile();
		sim_run();
		sim_raise(0, SIM_TICK);
		sim_settle();
		check_claims();
		all_quiet();
		check_claims();
	} while (more && steps < STEPS_MAX);
	ok(!more && steps > 3, "%s: %lu moments", way->name, steps);
	vm_unmap_aliases();
}

static void map_it(void *arg __attribute__((unused)))
{
	va = map_some();
	done = true;
}

/* Whoever finds a live area finds all of it (CVE-2024-46847), by whatever address. */
static void test_found_complete(void)
{
	const vaddr_t end = VMAP_BASE + 4000 * PAGE_SIZE;
	u64 steps = 0;
	bool more;

	sim_boot(&(struct sim_config){.cpus = 2, .seed = 1});
	get_frames(PAGES);
	lazy_set_policy(way->policy);
	do {
		struct area a;

		done = false;
		sim_on(1);
		sim.preempt = 1;
		sim_spawn(0, map_it, NULL);
		sim_run_for(steps++);
		sim.preempt = 0;
		more = !done;
		for (vaddr_t page = VMAP_BASE; page < end; page += PAGE_SIZE)
			if (find_vm_area((void *)page, &a) && !strcmp(a.name, "vmap") &&
			    !entry_value(page))
				panic("page %#lx of a live area is not mapped", page);
		sim_run();
		vunmap((void *)va);
		vm_unmap_aliases();
	} while (more && steps < STEPS_MAX);
	ok(!more && steps > 3, "%s: %lu moments", way->name, steps);
}

int main(void)
{
	for (unsigned i = 0; i < ARRAY_SIZE(ways); i++) {
		way = &ways[i];
		meanwhile = flush;
		sim_scenario("a flush", test_moments);
		meanwhile = purge;
		sim_scenario("a purge", test_moments);
		if (way->map == map_some)
			sim_scenario("found complete", test_found_complete);
	}
	return done_testing();
}
