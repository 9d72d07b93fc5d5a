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
#include "tests/host/spaces.h"

#define PAGES	   9u  /* both of the loops in mm/run.h */
#define MOST_PAGES 70u /* so many that their table is emptied as a whole */
#define HUGE_PAGES PT_ENTRIES
#define STEPS_MAX  40000u

/* What is unmapped. CPU 0 does it, of `pages` frames f[] at `va`; f[MANY - 1] is another's. */
struct way {
	const char *name;
	enum lazy_policy policy;
	unsigned pages;
	vaddr_t (*map)(void);
	void (*unmap)(void *va);
	bool at_once;  /* and when it returns nobody remembers */
	bool deferred; /* entries are asked for */
};

static const struct way *way;
static vaddr_t va;
static void *other; /* CPU 1's: another frame, */
static bool same;   /* or one of those */
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

static void unmap_and_unhook(void *p)
{
	vunmap(p);
	lazy_unhook();
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

static struct aspace *space;

static vaddr_t map_in_space(void)
{
	if (!space)
		space = new_space("space");
	load(0, space);
	load(1, space);
	KASSERT(!aspace_map(space, BASE, way->pages, VM_W), "no memory");
	return BASE;
}

static void unmap_in_space(void *p)
{
	KASSERT(!aspace_unmap(space, (vaddr_t)p, way->pages), "not mapped");
}

static const struct way in_space = {"pages of a space", LAZY_TLB, PAGES, map_in_space,
				    unmap_in_space,	true,	  false};

static const struct way ways[] = {
	{"one page", LAZY_TLB, 1, map_some, vunmap, false, false},
	{"some pages", LAZY_TLB, PAGES, map_some, vunmap, false, false},
	{"some pages, flushed at once", LAZY_OFF, PAGES, map_some, vunmap, true, false},
	{"lazy pages, purged", LAZY_PTE, PAGES, map_some, unmap_and_purge, false, false},
	{"some pages, by calls", LAZY_TLB, PAGES, map_some, vunmap, false, true},
	{"lazy pages, by calls", LAZY_PTE, PAGES, map_some, unmap_and_purge, false, true},
	{"a table of lazy pages", LAZY_PTE, MOST_PAGES, map_some, unmap_and_unhook, true, true},
	{"pages that are owned", LAZY_TLB, PAGES, map_owned, vfree, false, false},
	{"a large page", LAZY_TLB, HUGE_PAGES, map_huge, vfree, false, false},
	{"sparse pages", LAZY_TLB, PAGES, map_sparse, unmap_sparse, false, false},
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
		f[i] = way == &in_space ? aspace_frame(space, va + i * PAGE_SIZE)
					: vmalloc_to_frame((void *)(va + i * PAGE_SIZE));
	done = false;
	sim_on(1);
	other = vmap(&f[same ? 0 : MANY - 1], 1, VM_W);
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

static void check_frame(struct frame *frame)
{
	if (!frame_remembered(frame) && remembered_by_some(frame))
		panic("frame %#lx, word %#lx: said to be forgotten", frame_pfn(frame).n,
		      atomic_read(&frame->alias));
}

/* What mm/ says to be forgotten is. */
static void check_claims(void)
{
	struct area a;

	for (unsigned i = 0; i < way->pages; i++)
		check_frame(f[i]);
	check_frame(f[MANY - 1]);
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

static void unmap_another(void)
{
	vunmap(other);
	other = NULL;
	vm_unmap_frame_aliases(&f[MANY - 1], 1, PURGE_PTES);
}

static void flush_and_unmap_it(void)
{
	shootdown_flush_local();
	vunmap(other);
	other = NULL;
}

/* What a space had is free when nobody can reach it any more, not before. */
static void look_at_free_ones(void)
{
	for (unsigned i = 0; i < way->pages; i++)
		if (f[i]->type != FRAME_SPACE && f[i]->type != FRAME_USED &&
		    remembered_by_some(f[i]))
			panic("frame %u is %s, and remembered", i, frame_type_name(f[i]->type));
}

static void (*meanwhile)(void);

static void test_moments(void)
{
	u64 steps = 0;
	bool more;

	sim_boot(&(struct sim_config){.cpus = 2, .seed = 1, .deferred = way->deferred});
	get_frames(MOST_PAGES);
	f[MANY - 1] = frame_alloc(0, 0);
	KASSERT(f[MANY - 1], "no frame");
	lazy_set_policy(way->policy);
	do {
		more = stop_after(steps);
		steps += way->pages == HUGE_PAGES ? 29 : 1;
		if (!in_interrupt()) /* CPU 1 is not in the middle of answering */
			meanwhile();
		sim_run();
		sim_raise(0, SIM_TICK);
		sim_settle();
		check_claims();
		if (other)
			vunmap(other);
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
	get_frames(MOST_PAGES);
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

static void leave_pte(void *arg __attribute__((unused)))
{
	lazy_set_policy(LAZY_TLB);
	done = true;
}

static void unmap_revived(void *arg __attribute__((unused)))
{
	vunmap((void *)va);
	done = true;
}

static bool policy_first;

/*
 * An area that was revived is on the list of lazy ones still. When it is unmapped for good, since
 * the policy is another now, the purge that the change began may or may not have come by: just one
 * of the two parks it.
 */
static void test_policy_left(void)
{
	u64 steps = 0;
	bool more;

	sim_boot(&(struct sim_config){.cpus = 2, .seed = 1});
	get_frames(3);
	do {
		lazy_set_policy(LAZY_PTE);
		vunmap(vmap(f, 3, VM_W));
		va = (vaddr_t)vmap(f, 3, VM_W);
		done = false;
		sim_on(1);
		sim.preempt = 1;
		sim_spawn(0, policy_first ? leave_pte : unmap_revived, NULL);
		sim_run_for(steps++);
		sim.preempt = 0;
		more = !done;
		if (policy_first)
			vunmap((void *)va);
		else
			lazy_set_policy(LAZY_TLB);
		sim_run();
		if (mm_check(false) || state_of(va) == AREA_LIVE)
			panic("after %lu steps: %s", steps, sim_printed());
		vm_unmap_aliases();
	} while (more && steps < STEPS_MAX);
	ok(!more && steps > 3, "%lu moments", steps);
	frame_free_many(f, 3);
}

int main(void)
{
	for (unsigned i = 0; i < ARRAY_SIZE(ways); i++) {
		way = &ways[i];
		meanwhile = flush;
		sim_scenario("a flush", test_moments);
		meanwhile = purge;
		sim_scenario("a purge", test_moments);
		meanwhile = unmap_another;
		sim_scenario("another unmapping", test_moments);
		if (way->map != map_some)
			continue;
		sim_scenario("found complete", test_found_complete);
		meanwhile = flush_and_unmap_it;
		same = true;
		sim_scenario("another unmapping of the same", test_moments);
		same = false;
	}
	sim_scenario("policy left by the one", test_policy_left);
	policy_first = true;
	sim_scenario("policy left by the other", test_policy_left);
	way = &in_space;
	meanwhile = look_at_free_ones;
	sim_scenario("a look", test_moments);
	return done_testing();
}
