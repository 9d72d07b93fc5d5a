// SPDX-License-Identifier: MIT
/*
 * No memory, at every point of every call that takes some. In two ways, because they find different
 * things: the n-th allocation from here on fails and the others do not (a call may try once more,
 * and succeed); and all frames but n are taken away (nothing it tries can help). After each failure
 * nothing has changed but that what was made for good (tables, records) stays, and the walker finds
 * nothing. The last try of each succeeds, so each point was passed.
 */
// links: mm/*.c tests/host/sim*.c
#include "mm/check.h"
#include "mm/kmap.h"
#include "mm/pagetable.h"
#include "mm/park.h"
#include "mm/vmalloc.h"
#include "mm/vmap.h"
#include "tests/host/mapping.h"

#define PAGES 1100 /* in three tables */

struct call {
	const char *name;
	void *(*map)(void);
	void (*unmap)(void *va);
	unsigned least; /* starved so often that it must fail, at least */
};

static void *sparse; /* an area that is there already */

static void *map_vmap(void)
{
	return vmap(f, PAGES, VM_W);
}

static void *map_ram(void)
{
	return vm_map_ram(f, PAGES, VM_R);
}

static void unmap_ram(void *va)
{
	vm_unmap_ram(va, PAGES);
}

static void *map_kmap(void)
{
	return kmap(f[0]);
}

static void *map_device(void)
{
	return vmap_pfn(pfn_make(0xfe001), PAGES, VM_W | VM_UC, "device");
}

static void *map_large_device(void)
{
	return vmap_pfn(pfn_make(0xfe000), PAGES, VM_W | VM_UC, "device");
}

static void *map_vmalloc(void)
{
	return vmalloc(600 * PAGE_SIZE - 7);
}

static void *map_aligned(void)
{
	return vmalloc_aligned(70 * PAGE_SIZE, 4 * MiB);
}

static void *map_huge(void)
{
	return vmalloc_huge(4 * MiB + 3 * PAGE_SIZE);
}

static void *map_stack(void)
{
	return vmap_stack_alloc(70, "stack");
}

static void *map_sparse(void)
{
	return vm_area_reserve(PAGES, 1, "sparse");
}

static void *map_in_sparse(void)
{
	return vm_area_map(sparse, 3, f, PAGES, VM_W) ? NULL : sparse;
}

static void unmap_in_sparse(void *va)
{
	KASSERT(!vm_area_unmap(va, 3, PAGES), "not mapped");
}

static const struct call calls[] = {
	{"vmap", map_vmap, vunmap, 4},
	{"vm_map_ram", map_ram, unmap_ram, 4},
	{"kmap", map_kmap, kunmap, 3},
	{"vmap_pfn", map_device, vunmap, 4},
	{"vmap_pfn, large", map_large_device, vunmap, 2},
	{"vmalloc", map_vmalloc, vfree, 30},
	{"vmalloc_aligned", map_aligned, vfree, 20},
	{"vmalloc_huge", map_huge, vfree, 30},
	{"vmap_stack_alloc", map_stack, vmap_stack_free, 20},
	{"vm_area_reserve", map_sparse, vm_area_free, 4},
	{"vm_area_map", map_in_sparse, unmap_in_sparse, 4},
};

static const struct call *call;
static enum lazy_policy policy;

static void boot(void)
{
	sim_boot(&(struct sim_config){.cpus = 2,
				      .eager = policy == LAZY_OFF,
				      .keep = policy == LAZY_PTE,
				      .ram = {{1 * MiB, 33 * MiB}, {36 * MiB, 52 * MiB}}});
	get_frames(PAGES);
	if (call->map == map_in_sparse)
		sparse = vm_area_reserve(PAGES + 5, 1, "sparse");
}

/* It has worked: at the end of all, nothing is left of it. */
static void end(void *va, const struct sim_snapshot *was)
{
	call->unmap(va);
	vm_unmap_aliases();
	ok(sim_unchanged(was, call->name) && aliases_are(PAGES, 0), "%s, policy %s: undone",
	   call->name, lazy_policy_name(policy));
	if (sparse)
		vm_area_free(sparse);
	frame_free_many(f, PAGES);
}

/*
 * The first allocations fail on a fresh machine each, for a call that succeeds all the same leaves
 * tables behind that the next one finds.
 */
#define FRESH 12
static u64 first_k, last_k;

static void test_injected(void)
{
	struct sim_snapshot was;
	unsigned failures = 0;
	u64 k, rest = 0;
	void *va = NULL;

	boot();
	was = sim_snapshot();
	for (k = first_k; k <= last_k && !rest; k++) {
		if (va) {
			call->unmap(va);
			vm_unmap_aliases();
		}
		frame_inject_failure(k);
		va = call->map();
		rest = frame_inject_failure(0);
		failures += !va;
		if (!va &&
		    (!sim_unchanged(&was, call->name) || !aliases_are(PAGES, 0) || mm_check(false)))
			ok(false, "%s: failure of allocation %lu", call->name, k);
	}
	if (!va)
		va = call->map();
	ok(va && (rest || last_k <= FRESH),
	   "%s, policy %s: allocations %lu to %lu failed in turn, %u times the call did",
	   call->name, lazy_policy_name(policy), first_k, k - 1, failures);
	end(va, &was);
}

#define HOARD 12000
static struct frame *hoard[HOARD];

/* All frames but `keep` are taken: large blocks first, for speed. => how many frames */
static unsigned take_all_but(u64 keep)
{
	unsigned n = 0;

	frame_drain_cache();
	while (n < HOARD && frame_free_total() > keep && (hoard[n] = frame_alloc(0, 0)))
		n++;
	KASSERT(frame_free_total() == keep, "%lu frames are left", frame_free_total());
	return n;
}

static void test_starved(void)
{
	struct sim_snapshot was;
	unsigned failures = 0, n;
	void *va = NULL;

	boot();
	was = sim_snapshot();
	for (u64 keep = 0; !va; keep += keep < 24 ? 1 : 37) {
		n = take_all_but(keep);
		va = call->map();
		frame_free_many(hoard, n);
		failures += !va;
		if (!va &&
		    (!sim_unchanged(&was, call->name) || !aliases_are(PAGES, 0) || mm_check(false)))
			ok(false, "%s with %lu frames", call->name, keep);
	}
	ok(failures >= call->least, "%s, policy %s: %u failures for want of memory", call->name,
	   lazy_policy_name(policy), failures);
	end(va, &was);
}

/* What is full fails at once: no purge after purge that brings nothing home. */
static void test_one_purge(void)
{
	unsigned n;

	call = &calls[0];
	boot();
	n = take_all_but(0);
	ok(!vmap(f, PAGES, VM_W), "no memory for tables");
	ok(counter_sum(CNT_purge) <= 1, "%lu purges were tried", counter_sum(CNT_purge));
	frame_free_many(hoard, n);
	frame_free_many(f, PAGES);
}

int main(void)
{
	for (policy = LAZY_OFF; policy < NR_LAZY_POLICIES; policy++)
		for (unsigned i = 0; i < ARRAY_SIZE(calls); i++) {
			call = &calls[i];
			for (first_k = last_k = 1; first_k <= FRESH && policy == LAZY_TLB;
			     last_k = ++first_k)
				sim_scenario("injected", test_injected);
			last_k = ~0ull;
			sim_scenario("injected", test_injected);
			sim_scenario("starved", test_starved);
		}
	policy = LAZY_TLB;
	sim_scenario("one purge", test_one_purge);
	return done_testing();
}
