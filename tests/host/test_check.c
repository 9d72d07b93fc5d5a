// SPDX-License-Identifier: MIT
/*
 * Who checks the checker: every kind of damage mm_check() is there to find is done by hand, to
 * memory it does not watch, and must be counted and printed; then it is undone, and must be silent
 * again. (DESIGN I1, I2, I5, I6, I8, I9.)
 */
// links: mm/*.c tests/host/sim*.c
#include "mm/area.h"
#include "mm/check.h"
#include "mm/early.h"
#include "mm/frame.h"
#include "mm/lazy.h"
#include "mm/pagetable.h"
#include "mm/vmap.h"
#include "tests/host/sim.h"

static struct frame *f[4], *free_frame, *cached_frame, *block;
static vaddr_t va, dev;
static void *lazy_va;

static u64 *entry_of(vaddr_t at, int want)
{
	struct pt_walk w;

	pt_walk(kernel_root, at, &w);
	KASSERT(w.level <= want, "no entry of %#lx at level %d", at, want);
	return (u64 *)sim_ram(pfn_to_paddr(w.step[want].table)) + w.step[want].slot;
}

/* One of everything: a mapping, a device, a stack, something lazy; frames free, cached, in use. */
static void boot(void)
{
	sim_boot(&(struct sim_config){.direct_limit = 24 * MiB});
	KASSERT(!frame_alloc_many(f, 4, FRAME_ZERO), "frames");
	va = (vaddr_t)vmap(f, 3, VM_W);
	dev = (vaddr_t)vmap_pfn(pfn_make(0xfe000), 2, VM_W | VM_UC, "device");
	lazy_va = vmap(f, 2, VM_R);
	vunmap(lazy_va);
	block = frame_alloc(5, 0);
	cached_frame = frame_alloc(0, 0);
	frame_free(cached_frame, 0);
	free_frame = frame_alloc(3, 0);
	frame_free(free_frame, 3);
	KASSERT(cached_frame->type == FRAME_CACHED && free_frame->type == FRAME_FREE, "types");
}

/* The damage is done to *word; => it was found (and printed), and is not once it is undone. */
static void damage(u64 *word, u64 bad, const char *what)
{
	u64 good = *word;
	unsigned faults;

	sim_printed();
	*word = bad;
	faults = mm_check(false);
	*word = good;
	ok(faults > 0 && strstr(sim_printed(), "check:"), "found: %s (%u faults)", what, faults);
	faults = mm_check(false);
	if (faults)
		ok(false, "%s: undone, and still %u faults: %s", what, faults, sim_printed());
}

static void damage_byte(u8 *byte, u8 bad, const char *what)
{
	u64 *word = (u64 *)ALIGN_DOWN((u64)byte, 8);
	unsigned shift = 8 * (unsigned)((u64)byte & 7);

	damage(word, (*word & ~(0xffull << shift)) | (u64)bad << shift, what);
}

static void damage_u32(u32 *half, u32 bad, const char *what)
{
	u64 *word = (u64 *)ALIGN_DOWN((u64)half, 8);
	unsigned shift = 8 * (unsigned)((u64)half & 7);

	damage(word, (*word & ~(0xffffffffull << shift)) | (u64)bad << shift, what);
}

static void test_silent(void)
{
	boot();
	sim_printed();
	is_u64(mm_check(false), 0, "nothing is wrong");
	is_u64(strlen(sim_printed()), 0, "nothing is printed");
	is_u64(mm_check(true), 0, "nothing is wrong");
	ok(strstr(sim_printed(), "0 faults"), "unless asked");
}

static void test_vmap_entries(void)
{
	u64 *e, *guard, *lazy;

	boot();
	e = entry_of(va, 1);
	guard = e + 3;
	lazy = entry_of((vaddr_t)lazy_va, 1);
	damage(e, 0, "an entry of a live area is missing");
	damage(e, *e & ~PTE_P, "an entry is not present, yet not zero");
	damage(guard, 0x1ull << 62, "a software bit is left in an entry that is not present");
	damage(e, *e & ~PTE_NX, "a mapping is writable and executable");
	damage(e, *e & ~PTE_W, "a writable area has a read-only page");
	damage(e, (*e & ~PTE_ADDR) | frame_paddr(f[3]), "an entry maps another frame");
	damage(e, (*e & ~PTE_ADDR) | frame_paddr(free_frame), "an entry maps a free frame");
	damage(e, (*e & ~PTE_ADDR) | frame_paddr(cached_frame), "an entry maps a cached frame");
	damage(e, (*e & ~PTE_ADDR) | pfn_to_paddr(kernel_root),
	       "an entry maps the root page table");
	damage(guard, frame_paddr(f[0]) | pte_leaf_bits(VM_W, 1), "a guard page is mapped");
	damage(lazy, frame_paddr(f[0]) | pte_leaf_bits(VM_R, 1), "a cleared area has an entry");
	damage(lazy + 20, frame_paddr(f[0]) | pte_leaf_bits(VM_R, 1), "a free area has an entry");
	e = entry_of(dev, 1);
	damage(e, 0, "an entry of a device's area is missing");
	damage(e, (*e & ~PTE_ADDR) | frame_paddr(f[3]), "a device's area maps RAM");
}

static void test_aliases(void)
{
	boot();
	damage(&f[0]->aliases.v, 0, "a frame forgets its alias");
	damage(&f[0]->aliases.v, 2, "a frame counts an alias that is not there");
	damage(&f[3]->aliases.v, 1, "an unmapped frame counts an alias");
	damage(&free_frame->aliases.v, 1, "a free frame counts an alias");
	damage(&frames[kernel_root.n].aliases.v, 1, "a page table has an alias");
	damage(&pfn_frame(pt_leaf_table(kernel_root, va))->aliases.v, ~0ull,
	       "a table's count is below zero");
}

static void test_static_map(void)
{
	vaddr_t text = sim_image.text, data = sim_image.data;
	u64 *e;

	boot();
	e = entry_of(text, 1);
	damage(e, *e | PTE_W, "text is writable");
	damage(e, *e | PTE_NX, "text is not executable");
	damage(e, 0, "a page of text is missing");
	damage(e, *e + PAGE_SIZE, "a page of text maps the next one's frame");
	e = entry_of(data, 1);
	damage(e, *e & ~PTE_NX, "data is executable");
	damage(e, *e & ~PTE_W, "data is read-only");
	damage(e + 1, (*e & ~PTE_ADDR) | (sim_image.stack_guard - IMAGE_BASE),
	       "the stack guard is mapped");
	e = entry_of(sim_image.end - PAGE_SIZE, 1);
	damage(e + 1, *e + PAGE_SIZE, "the image goes on after its end");
	e = entry_of(DIRECT_BASE + text - IMAGE_BASE, 1);
	damage(e, *e | PTE_W, "text is writable through the direct map");
	e = entry_of(DIRECT_BASE + 16 * MiB, 2);
	damage(e, *e & ~PTE_NX, "the direct map is executable");
	damage(e, *e + 2 * MiB, "the direct map maps another address");
	damage(e, 0, "a part of the direct map is missing");
	damage(e, *e & ~PTE_W, "a part of the direct map is read-only");
	e = entry_of(DIRECT_BASE + 23 * MiB, 2);
	damage(e + 1, *e + 2 * MiB, "the direct map goes on beyond its limit");
	e = entry_of(FRAMES_BASE + 0x100 * sizeof(struct frame), 1);
	damage(e, *e & ~PTE_NX, "the frame array is executable");
	damage(e, (*e & ~PTE_ADDR) | frame_paddr(f[3]), "the frame array lies in a frame in use");
}

static void test_links(void)
{
	pfn_t leaf_table;
	u64 *link, *top;

	boot();
	link = entry_of(va, 2);
	top = entry_of(va, 4);
	leaf_table = paddr_to_pfn(*link & PTE_ADDR);
	damage(link, (*link & ~PTE_ADDR) | SIM_PHYS_MAX >> 1, "a link leads to what is not RAM");
	damage(link, (*link & ~PTE_ADDR) | frame_paddr(f[3]), "a link leads to a frame in use");
	damage(link, (*link & ~PTE_ADDR) | pfn_to_paddr(kernel_root),
	       "a link leads to a table of another level");
	damage(link + 1, *link, "a table is linked twice");
	damage(link, 0, "a link is missing");
	damage(top - 1, *top, "a region is mapped where none is");
	damage((u64 *)sim_ram(pfn_to_paddr(kernel_root)), *top, "something is mapped at address 0");
	damage((u64 *)sim_ram(pfn_to_paddr(kernel_root)) + 256, *top,
	       "something is mapped in Xen's hole");
	damage_byte(&frames[leaf_table.n].type, FRAME_USED, "a table's frame is not typed as one");
	damage_byte(&frames[leaf_table.n].level, 2, "a table's level is wrong");
	damage_byte(&f[3]->type, FRAME_TABLE, "a frame is typed as a table that nothing links to");
}

static void test_frames(void)
{
	struct frame *table;

	boot();
	table = pfn_frame(pt_leaf_table(kernel_root, va));
	damage_byte(&free_frame->type, FRAME_USED, "a frame on a free list is in use");
	damage_byte(&free_frame[3].type, FRAME_USED, "a frame inside a free block is in use");
	damage_byte(&cached_frame->type, FRAME_FREE, "a cached frame is free");
	damage_byte(&cached_frame->type, FRAME_USED, "a cached frame is in use");
	damage_byte(&f[3]->type, FRAME_FREE, "a frame in use is typed free");
	damage_byte(&f[3]->type, FRAME_CACHED, "a frame in use is typed cached");
	damage_byte(&f[3]->type, 77, "a frame has no known type");
	damage_byte(&table->type, FRAME_FREE, "a table is typed free");
	damage_byte(&free_frame->order, 7, "a free block has another order than its list");
	damage_byte(&free_frame->zone, ZONE_HIGH, "a free block is in another zone than its list");
	damage_u32(&free_frame->prev, 0x1234, "a free list's back link is wrong");
	damage_u32(&free_frame->next, FRAME_NIL - 1, "a free list leads out of RAM");
	damage_u32(&free_frame->next, (u32)frame_pfn(free_frame).n, "a free list is a circle");
}

/*
 * Areas are in the direct map: found by walking the frames of their pool is too much; their
 * copies tell.
 */
static struct area *area_at(vaddr_t at)
{
	struct area *a = area_alloc(1, 1), *found;

	for (found = a->prev; found && found->start != at; found = found->prev)
		;
	area_free(a);
	KASSERT(found, "no area at %#lx", at);
	return found;
}

static void test_areas(void)
{
	struct area *a, *lazy, *all_free;

	boot();
	a = area_at(va);
	lazy = area_at((vaddr_t)lazy_va);
	all_free = lazy->next;
	KASSERT(all_free->state == AREA_FREE && lazy->state == AREA_CLEARED, "states");
	damage(&a->span, a->span + 1, "areas overlap");
	damage(&a->span, a->span - 1, "a page belongs to no area");
	damage(&a->start, a->start + PAGE_SIZE, "an area starts elsewhere");
	damage(&a->pages, a->pages - 1, "an area maps more than it says");
	damage_u32((u32 *)&a->state, AREA_FREE, "a live area is free");
	damage_u32((u32 *)&a->state, AREA_CLEARED, "a live area is cleared");
	damage_u32((u32 *)&lazy->state, AREA_FREE, "a lazy area is free");
	damage_u32((u32 *)&lazy->state, AREA_LIVE, "a lazy area is live");
	damage_u32(&a->prot, VM_R, "a writable area says it is read-only");
	damage(&all_free->max_free, all_free->max_free + 1,
	       "the largest hole below a node is wrong");
	damage(&a->priority, a->priority ^ ~0ull >> 1, "the tree is no heap");
	damage((u64 *)&lazy->prev, (u64)all_free, "the chain's back link is wrong");
	damage(&all_free->span, all_free->span - 1, "the areas end early");
	a = area_alloc(1, 1);
	area_unmap_begin(a->start, 1);
	ok(mm_check(false), "found: a cleared area that nobody will free");
	area_free(a);
}

int main(void)
{
	sim_scenario("silent", test_silent);
	sim_scenario("vmap entries", test_vmap_entries);
	sim_scenario("aliases", test_aliases);
	sim_scenario("static map", test_static_map);
	sim_scenario("links", test_links);
	sim_scenario("frames", test_frames);
	sim_scenario("areas", test_areas);
	return done_testing();
}
