// SPDX-License-Identifier: MIT
/*
 * Sparse areas larger than memory could ever back: what they cost, what is known of addresses in
 * them that were never used, and that neighbours who share a chunk with them are not disturbed.
 * What goes on in the pages that are mapped is in test_vmalloc.c, and what fails in
 * test_failures.c.
 */
// links: mm/*.c tests/host/sim*.c
#include "mm/check.h"
#include "mm/chunk.h"
#include "mm/describe.h"
#include "mm/early.h"
#include "mm/park.h"
#include "mm/vmalloc.h"
#include "tests/host/mapping.h"

#define BIG	(64 * GiB >> PAGE_SHIFT)
#define BIG_ODD (BIG + 100) /* ends within a chunk */
#define FAR	(8 * GiB >> PAGE_SHIFT)
#define NR_FAR	(BIG / FAR)
/* An address far from all others: records, a page of the directory, tables of levels 1 and 2. */
#define FAR_COST 5

static vaddr_t big;

static vaddr_t at(u64 page)
{
	return big + (page << PAGE_SHIFT);
}

/* An area of BIG_ODD pages. => how many frames it took */
static u64 reserve(void)
{
	u64 before;

	sim_boot(&(struct sim_config){.cpus = 2});
	get_frames(NR_FAR);
	before = frame_free_total();
	big = (vaddr_t)vm_area_reserve(BIG_ODD, 1, "big");
	KASSERT(big, "no area");
	return before - frame_free_total();
}

static bool map_far(u64 n)
{
	bool ok = true;

	for (u64 i = 0; i < n; i++)
		ok &= !vm_area_map((void *)big, i * FAR, f + i, 1, VM_W);
	return ok;
}

/* What was freed is forgotten, and its addresses are nobody's. */
static void go_home(void)
{
	vm_unmap_aliases();
	park_drain();
}

static void test_cost(void)
{
	u64 took = reserve(), before = frame_free_total();

	ok(early_ram_frames() < BIG / 1000, "%lu pages, of which RAM could hold %lu", (u64)BIG_ODD,
	   early_ram_frames());
	ok(took <= 2 * FAR_COST, "to reserve them takes %lu frames: those of its ends", took);
	ok(map_far(NR_FAR), "a page every 8 GiB is mapped");
	took = before - frame_free_total();
	ok(took && took <= NR_FAR * FAR_COST, "%lu pages take %lu frames", (u64)NR_FAR, took);
	for (u64 i = 0; i < NR_FAR; i++)
		if (!reads_right(i & 1, at(i * FAR), f + i, 1) || !faults(1, at(i * FAR + 1), 1) ||
		    (i && !faults(1, at(i * FAR - 1), 1)))
			ok(false, "page %lu, or one beside it", i * FAR);
	is_u64(mm_check(false), 0, "mm_check() agrees");
	vm_area_free((void *)big);
	go_home();
	ok(aliases_are(NR_FAR, 0), "freed: no frame has an alias left");
	for (u64 i = 0; i < NR_FAR; i++)
		if (entry_value(at(i * FAR)) || area_of(at(i * FAR)))
			ok(false, "page %lu still has an entry or an owner", i * FAR);
	is_u64(mm_check(false), 0, "mm_check() agrees");
	before = frame_free_total();
	is_u64((u64)vm_area_reserve(BIG_ODD, 1, "again"), big, "the same addresses, again");
	is_u64(frame_free_total(), before, "which now take nothing");
	ok(area_of(at(FAR)) && !strcmp(area_of(at(FAR))->name, "again"), "and have a new owner");
	ok(map_far(1) && reads_right(1, at(0), f, 1), "and can be mapped");
	vm_area_free((void *)big);
	go_home();
	is_u64(mm_check(false), 0, "mm_check() agrees");
}

static void test_holes(void)
{
	struct area a;
	char text[200];

	reserve();
	ok(map_far(2), "mapped");
	ok(!area_of(at(FAR / 2)), "an address in a hole has no record");
	ok(find_vm_area((void *)at(FAR / 2), &a) && a.start == big && !strcmp(a.name, "big"),
	   "but its area is found");
	ok(!find_vm_area((void *)at(BIG_ODD), &a), "its guard's is not");
	ok(!vmalloc_to_frame((void *)at(FAR / 2)), "nor any frame");
	mm_describe(at(FAR / 2), text, sizeof(text));
	ok(strstr(text, "hole") && strstr(text, "'big'"), "a fault there is told: %s", text);
	is_u64((u64)vm_area_unmap((void *)big, FAR / 2, 1), (u64)-EINVAL, "nothing to unmap");
	is_u64((u64)vm_area_unmap((void *)big, FAR, 600), (u64)-EINVAL, "nor for a part of it");
	ok(reads_right(0, at(FAR), f + 1, 1), "and the other part stays");
	is_u64((u64)vm_area_map((void *)at(FAR), 0, f, 1, VM_W), (u64)-EINVAL, "not its start");
	EXPECT_PANIC("inside area 'big'", vm_area_free((void *)at(FAR / 2)));
	vm_area_free((void *)big);
	EXPECT_PANIC("double unmap of area 'big'", vm_area_free((void *)at(FAR / 2)));
	go_home();
	EXPECT_PANIC("where nothing is mapped", vm_area_free((void *)at(FAR / 2)));
}

/* The chunks at its ends have pages of others, who may come and use them first, or after. */
static void test_neighbours(void)
{
	void *below, *above, *one;

	sim_boot(&(struct sim_config){.cpus = 2});
	get_frames(4);
	below = vm_area_reserve(700, 1, "below");
	big = (vaddr_t)vm_area_reserve(BIG_ODD, 1, "big");
	above = vm_area_reserve(700, 1, "above");
	KASSERT(below && big && above, "no areas");
	ok((vaddr_t)below + 701 * PAGE_SIZE == big && (vaddr_t)above == at(BIG_ODD + 1),
	   "side by side");
	is_u64(mm_check(false), 0, "mm_check() agrees");
	ok(!vm_area_map(above, 0, f, 1, VM_W) && !vm_area_map(below, 699, f + 1, 1, VM_W),
	   "the neighbours' pages beside it are mapped");
	is_u64(mm_check(false), 0, "mm_check() agrees");
	ok(!vm_area_map((void *)big, 0, f + 2, 1, VM_W) &&
		   !vm_area_map((void *)big, BIG_ODD - 1, f + 3, 1, VM_W),
	   "and its first and last page");
	ok(reads_right(1, (vaddr_t)above, f, 1) && reads_right(1, big, f + 2, 1) &&
		   reads_right(1, big - 2 * PAGE_SIZE, f + 1, 1) &&
		   reads_right(1, at(BIG_ODD - 1), f + 3, 1) && faults(1, big - PAGE_SIZE, 1) &&
		   faults(1, at(BIG_ODD), 1),
	   "all are there, and the guards between them");
	vm_area_free((void *)big);
	go_home();
	ok(reads_right(0, (vaddr_t)above, f, 1) && reads_right(0, big - 2 * PAGE_SIZE, f + 1, 1),
	   "the neighbours stay when it goes");
	one = vmap(f + 2, 1, VM_W);
	ok(one && reads_right(0, (vaddr_t)one, f + 2, 1), "its addresses are of use to others");
	is_u64(mm_check(false), 0, "mm_check() agrees");
	vunmap(one);
	vm_area_free(above);
	vm_area_free(below);
	vm_unmap_aliases();
	ok(aliases_are(4, 0), "and no frame has an alias left");
}

/* Small ones are parked when they are freed: whoever gets them next expects tables. */
static u64 small;

static void test_next_user(void)
{
	void *was, *va;

	sim_boot(&(struct sim_config){.cpus = 1});
	get_frames((unsigned)small);
	was = vm_area_reserve(small, 1, "small");
	KASSERT(was, "no area");
	vm_area_free(was);
	if (small > PARK_MAX_PAGES)
		go_home();
	else
		vm_unmap_aliases();
	va = vmap(f, small, VM_W);
	ok(va == was && reads_right(0, (vaddr_t)va, f, (unsigned)small),
	   "%lu pages, never mapped, then freed and used by vmap", small);
	vunmap(va);
	go_home();
}

/* What was taken away is forgotten when its address is used again, by whoever took it away. */
static void test_next_frame(void)
{
	void *area;

	sim_boot(&(struct sim_config){.cpus = 3});
	get_frames(4);
	area = vm_area_reserve(10, 1, "pages");
	KASSERT(area && !vm_area_map(area, 2, f, 2, VM_W), "no area");
	reads_right(1, (vaddr_t)area + 2 * PAGE_SIZE, f, 2);
	KASSERT(!vm_area_unmap(area, 2, 2), "not mapped");
	is_u64(sim_tlb_holders((vaddr_t)area + 2 * PAGE_SIZE, 2).bits, 7, "remembered");
	KASSERT(!vm_area_map(area, 2, f + 2, 2, VM_W), "no memory");
	for (unsigned cpu = 0; cpu < 3; cpu++)
		ok(reads_right(cpu, (vaddr_t)area + 2 * PAGE_SIZE, f + 2, 2),
		   "CPU %u sees the next frames", cpu);
	vm_area_free(area);
	go_home();
}

/* Its first page, and its guard, are the first of tables' that nobody has used. */
static void test_aligned(void)
{
	void *area[3];

	sim_boot(&(struct sim_config){0});
	get_frames(1);
	for (unsigned i = 0; i < ARRAY_SIZE(area); i++) {
		vaddr_t va =
			(vaddr_t)(area[i] = vm_area_reserve(3ul * CHUNK_PAGES, CHUNK_PAGES, "big"));

		ok(va && IS_ALIGNED(va, 1ul << CHUNK_SHIFT) && area_of(va) &&
			   area_of(va)->start == va,
		   "found by its address, with no page mapped");
		is_u64((u64)area_of(va + (3ul << CHUNK_SHIFT)), (u64)area_of(va),
		       "and by its guard's");
	}
	for (unsigned i = 0; i < ARRAY_SIZE(area); i++)
		vm_area_free(area[i]);
	go_home();
}

int main(void)
{
	sim_scenario("what it costs", test_cost);
	sim_scenario("holes", test_holes);
	sim_scenario("neighbours", test_neighbours);
	sim_scenario("aligned", test_aligned);
	sim_scenario("next frame", test_next_frame);
	for (small = PARK_MAX_PAGES - 1; small <= PARK_MAX_PAGES + 1; small++)
		sim_scenario("used by vmap next", test_next_user);
	return done_testing();
}
