// SPDX-License-Identifier: MIT
/*
 * What mm/ tells people and boot code and nothing else in it needs: listings of address spaces,
 * descriptions of areas, names of policies, memory given back before there is an allocator.
 */
// links: mm/*.c tests/host/sim*.c
#include "mm/aspace.h"
#include "mm/describe.h"
#include "mm/early.h"
#include "mm/frame.h"
#include "mm/kmap.h"
#include "mm/lazy.h"
#include "mm/pagetable.h"
#include "mm/vmalloc.h"
#include "mm/vmap.h"
#include "tests/host/sim.h"

static void test_spaces(void)
{
	struct aspace_info info = {.id = 0};
	struct aspace *as[2];
	u32 first;

	sim_boot(&(struct sim_config){.cpus = 2, .seed = 1});
	ok(!aspace_next(0, &info), "no space, none listed");
	as[0] = aspace_create("a name that is longer than there is room for");
	as[1] = aspace_create("second");
	KASSERT(as[0] && as[1], "no memory");
	KASSERT(!aspace_map(as[1], 2 * MiB, 3, VM_W) && !aspace_load(as[1]), "map, load");
	ok(aspace_next(0, &info) && !strcmp(info.name, "a name that is "), "the first: '%s'",
	   info.name);
	first = info.id;
	is_u64(info.pages, 0, "it has no pages");
	is_u64(info.roots, 0, "and no root");
	is_u64(info.on, 0, "and no CPU");
	ok(aspace_next(info.id, &info) && !strcmp(info.name, "second") && info.id > first,
	   "the next has a larger id");
	is_u64(info.pages, 3, "its pages");
	is_u64(info.tables, 3, "its tables: one of each level");
	is_u64(info.roots, 1, "a root for the CPU that loaded it");
	is_u64(info.on, 1, "which is on it");
	ok(!aspace_next(info.id, &info), "no more");
	aspace_leave();
	KASSERT(!aspace_destroy(as[0]) && !aspace_destroy(as[1]), "destroy");
	ok(!aspace_next(0, &info), "both are gone");
}

static void test_areas(void)
{
	struct frame *f;
	struct area a;
	char text[256];
	void *ram, *stack, *local;

	sim_boot(&(struct sim_config){.cpus = 1, .seed = 2});
	f = frame_alloc(0, 0);
	ram = vm_map_ram(&f, 1, VM_W);
	stack = vmap_stack_alloc(2, "deep thought");
	KASSERT(f && ram && stack, "no memory");
	ok(describe_area_at((vaddr_t)stack + PAGE_SIZE, &a) && !strcmp(a.name, "deep thought") &&
		   a.mapper && a.start == (vaddr_t)stack,
	   "a stack's area, with its mapper");
	ok(describe_area_at((vaddr_t)ram, &a) && !strcmp(a.name, "map_ram") && !a.mapper &&
		   !a.mapped_at,
	   "of what vm_map_ram() does not record nothing is told");
	ok(describe_area_at(VMAP_END - PAGE_SIZE, &a) &&
		   word_state(atomic_read(&a.word)) == AREA_FREE,
	   "the last page is in a free area");
	ok(!describe_area_at(VMAP_END, &a), "beyond it is none");
	mm_describe((vaddr_t)stack - 8, text, sizeof(text));
	ok(strstr(text, "just below stack 'deep thought': an overflow"), "below a stack: %s", text);
	local = kmap_local(f);
	mm_describe((vaddr_t)local, text, sizeof(text));
	ok(strstr(text, "kmap_local slot of CPU 0: frame"), "a slot in use: %s", text);
	kunmap_local(local);
	is_u64((u64)vm_protect((char *)stack + PAGE_SIZE, VM_R), (u64)-EINVAL,
	       "vm_protect of no area's start");
	ok(strstr(sim_printed(), "not the start of a live area"), "it says so");
	vm_unmap_ram(ram, 1);
	vmap_stack_free(stack);
	frame_free(f, 0);
}

static void test_policies(void)
{
	enum purge_policy p;

	sim_boot(&(struct sim_config){.cpus = 1, .seed = 3});
	for (enum purge_policy want = 0; want < NR_PURGE_POLICIES; want++) {
		pfn_t table;

		ok(!pt_purge_policy_parse(pt_purge_policy_name(want), &p) && p == want,
		   "purge policy '%s' is read as it is named", pt_purge_policy_name(want));
		pt_set_purge_policy(want);
		is_u64(pt_purge_policy(), want, "and is what was set");
		KASSERT(!pt_alloc_table(1, &table), "no table");
		is_u64(pfn_frame(table)->type, FRAME_TABLE, "a table under it");
		pt_free_table(table);
	}
	is_u64((u64)pt_purge_policy_parse("some", &p), (u64)-EINVAL, "there is no 'some'");
	lazy_set_trace(true);
	ok(trace_hot && (lazy_slow & LAZY_SLOW_TRACE), "each mapping is traced");
	lazy_set_trace(false);
	ok(!trace_hot && !(lazy_slow & LAZY_SLOW_TRACE), "and no longer");
}

/* Takes all that is free. => how many */
static u64 free_frames(void)
{
	u64 n = 0;
	pfn_t pfn;

	while (!early_alloc(1, 1, ~0ul, &pfn))
		n++;
	return n;
}

static void test_early_release(void)
{
	const struct sim_config c = {.seed = 4, .ram = {{1 * MiB, 9 * MiB}, {16 * MiB, 17 * MiB}}};
	pfn_t pfn;

	sim_power_on(&c);
	sim_early(&c);
	free_frames();
	is_u64((u64)early_alloc(1, 1, ~0ul, &pfn), (u64)-ENOMEM, "all is taken");
	KASSERT(!early_release(4 * MiB, 4 * MiB + 3 * PAGE_SIZE), "release");
	KASSERT(!early_release(16 * MiB, 16 * MiB + PAGE_SIZE), "release");
	KASSERT(!early_release(2 * MiB, 2 * MiB + 2 * PAGE_SIZE), "release");
	ok(!early_alloc(1, 1, ~0ul, &pfn) && pfn.n == 16 * MiB / PAGE_SIZE, "the highest first");
	ok(!early_alloc(2, 1, ~0ul, &pfn) && pfn.n == 4 * MiB / PAGE_SIZE + 1, "two together");
	EXPECT_PANIC("is released, but free", (void)!early_release(2 * MiB, 2 * MiB + PAGE_SIZE));
	is_u64(free_frames(), 3, "what is left is what was released and not taken");
}

int main(void)
{
	sim_scenario("spaces", test_spaces);
	sim_scenario("areas", test_areas);
	sim_scenario("policies", test_policies);
	sim_scenario("early release", test_early_release);
	return done_testing();
}
