// SPDX-License-Identifier: MIT
/*
 * Who checks the checker: every kind of damage mm_check() is there to find is done by hand, to
 * memory it does not watch, and must be counted and printed; then it is undone, and must be silent
 * again. (I1, I2, I5, I6, I8, I9 of docs/verification.md.)
 */
// links: mm/*.c tests/host/sim*.c
#include "mm/area.h"
#include "mm/check.h"
#include "mm/chunk.h"
#include "mm/early.h"
#include "mm/frame_cache.h"
#include "mm/lazy.h"
#include "mm/pagetable.h"
#include "mm/park.h"
#include "mm/space.h"
#include "mm/vmap.h"
#include "tests/host/sim.h"

#define FAULTS_MAX 100 /* of one damage: more is no count */

static struct frame *f[4], *free_frame, *cached_frame, *block;
static vaddr_t va, dev;
static void *lazy_va, *other; /* other: the third frame once more */

static u64 *entry_at(vaddr_t at, int want)
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
	other = vmap(&f[2], 1, VM_W);
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
	ok(faults > 0 && faults < FAULTS_MAX && strstr(sim_printed(), "check:"),
	   "found: %s (%u faults)", what, faults);
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
	e = entry_at(va, 1);
	guard = e + 3;
	lazy = entry_at((vaddr_t)lazy_va, 1);
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
	e = entry_at(dev, 1);
	damage(e, 0, "an entry of a device's area is missing");
	damage(e, (*e & ~PTE_ADDR) | frame_paddr(f[3]), "a device's area maps RAM");
}

static void test_aliases(void)
{
	struct frame *table;
	u64 head, second, one, two;

	boot();
	one = alias_of(va);
	two = alias_of((vaddr_t)other);
	table = pfn_frame(pt_leaf_table(kernel_root, va));
	damage(&f[0]->alias.v, 0, "a frame forgets its alias");
	damage(&f[0]->alias.v, one + 1, "a frame names its neighbour's page");
	damage(&f[0]->alias.v, one | ALIAS_NOMAP, "a frame in use says it may not be mapped");
	damage(&f[0]->alias.v, one & ~ALIAS_BUSY, "a frame with an alias is not busy");
	damage(&f[3]->alias.v, alias_of(va + 9 * PAGE_SIZE), "an unmapped frame has an alias");
	f[3]->alias.v = alias_of(va + PAGE_SIZE);
	is_u64(alias_check(), 1, "an alias that maps another frame is one fault");
	f[3]->alias.v = 0;
	damage(&f[3]->alias.v, ALIAS_BUSY, "a frame is busy with nothing");
	damage(&f[3]->alias.v, ALIAS_BUSY | ALIAS_NOMAP, "a frame in use may not be mapped");
	damage(&free_frame->alias.v, 0, "a free frame may be mapped");
	damage(&cached_frame->alias.v, 0, "a cached frame may be mapped");
	damage(&free_frame->alias.v, ALIAS_NOMAP | two, "a free frame has an alias");
	damage(&table->alias.v, 0, "a page table may be mapped");
	damage(&table->alias.v, ALIAS_NOMAP | two, "a page table has an alias");
	head = f[2]->alias.v;
	second = alias_index(head) == alias_index(two) ? alias_index(one) + 2 : alias_index(two);
	KASSERT(head & ALIAS_CHAIN, "no chain");
	damage(&f[2]->alias.v, head & ~ALIAS_CHAIN, "a chain is cut behind its head");
	damage(&f[2]->alias.v, (head & ~ALIAS_LOW) | second, "a chain begins in its middle");
	damage_u32(&record_of(alias_va(second))->prev, 0, "a chain's back link is missing");
	damage_u32(&record_of(alias_va(second))->next, (u32)alias_index(head),
		   "a chain is a circle");
	damage_u32(&record_of(alias_va(alias_index(head)))->next, (u32)alias_index(head) + 50,
		   "a chain leads elsewhere");
}

static void test_static_map(void)
{
	vaddr_t text = sim_image.text, data = sim_image.data;
	u64 *e;

	boot();
	e = entry_at(text, 1);
	damage(e, *e | PTE_W, "text is writable");
	damage(e, *e | PTE_NX, "text is not executable");
	damage(e, 0, "a page of text is missing");
	damage(e, *e + PAGE_SIZE, "a page of text maps the next one's frame");
	e = entry_at(data, 1);
	damage(e, *e & ~PTE_NX, "data is executable");
	damage(e, *e & ~PTE_W, "data is read-only");
	damage(e + 1, (*e & ~PTE_ADDR) | (sim_image.stack_guard - IMAGE_BASE),
	       "the stack guard is mapped");
	e = entry_at(sim_image.end - PAGE_SIZE, 1);
	damage(e + 1, *e + PAGE_SIZE, "the image goes on after its end");
	e = entry_at(DIRECT_BASE + text - IMAGE_BASE, 1);
	damage(e, *e | PTE_W, "text is writable through the direct map");
	e = entry_at(DIRECT_BASE + 16 * MiB, 2);
	damage(e, *e & ~PTE_NX, "the direct map is executable");
	damage(e, *e + 2 * MiB, "the direct map maps another address");
	damage(e, 0, "a part of the direct map is missing");
	damage(e, *e & ~PTE_W, "a part of the direct map is read-only");
	e = entry_at(DIRECT_BASE + 23 * MiB, 2);
	damage(e + 1, *e + 2 * MiB, "the direct map goes on beyond its limit");
	e = entry_at(FRAMES_BASE + 0x100 * sizeof(struct frame), 1);
	damage(e, *e & ~PTE_NX, "the frame array is executable");
	damage(e, (*e & ~PTE_ADDR) | frame_paddr(f[3]), "the frame array lies in a frame in use");
}

/* A hypervisor's page over one of the image's: what its entry names is no frame of ours. */
static void test_platform_page(void)
{
	struct kernel_image *img = (struct kernel_image *)space_image();
	u64 *e;

	boot();
	img->platform_page = sim_image.end - PAGE_SIZE;
	e = entry_at(img->platform_page, 1);
	ok(mm_check(false), "found: the image's own page is still there");
	*e = (*e & ~PTE_ADDR) | frame_paddr(free_frame);
	is_u64(mm_check(false), 0, "its number may be that of a free frame");
	damage(e, *e & ~PTE_NX, "such a page is executable");
}

static void test_links(void)
{
	pfn_t leaf_table;
	u64 *link, *top;

	boot();
	link = entry_at(va, 2);
	top = entry_at(va, 4);
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
	damage((u64 *)&frame_caches[0].slot[0], (u64)f[3], "a frame in a cache is in use");
	damage((u64 *)&frame_caches[0].slot[0], (u64)free_frame, "a frame in a cache is free");
	damage((u64 *)&frame_caches[0].slot[0], (u64)f[3] + 8, "half a frame is in a cache");
	damage((u64 *)&frame_caches[0].slot[0], 0, "a cache has nothing where a frame should be");
	damage(&frame_caches[0].nr, frame_caches[0].nr - 1, "a cache has lost a frame");
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

static void test_areas(void)
{
	struct area *a, *lazy, *all_free;
	u64 w, w_lazy;

	boot();
	a = area_of(va);
	lazy = area_of((vaddr_t)lazy_va);
	for (all_free = lazy; word_state(all_free->word.v) != AREA_FREE;)
		all_free = all_free->next;
	w = a->word.v;
	w_lazy = lazy->word.v;
	KASSERT(word_state(w) == AREA_LIVE && word_state(w_lazy) == AREA_CLEARED, "states");
	damage_u32(&a->span, a->span + 1, "areas overlap");
	damage_u32(&a->span, a->span - 1, "a page belongs to no area");
	damage(&a->start, a->start + PAGE_SIZE, "an area starts elsewhere");
	damage_u32(&a->pages, a->pages - 1, "an area maps more than it says");
	damage_u32(&a->pages, a->pages + 1, "an area has no guard");
	damage(&a->word.v, w ^ (AREA_LIVE ^ AREA_FREE), "a live area is free");
	damage(&a->word.v, w ^ (AREA_LIVE ^ AREA_CLEARED), "a live area is cleared");
	damage(&a->word.v, w ^ (AREA_LIVE ^ AREA_LAZY), "a live area is lazy, though not listed");
	damage(&a->word.v, w | AREA_LISTED, "a live area is listed on no list");
	damage(&a->word.v, w | AREA_BUSY, "an area is busy while all is at rest");
	damage(&a->word.v, w | AREA_KIND_MASK, "an area is of no known kind");
	damage(&lazy->word.v, w_lazy ^ (AREA_CLEARED ^ AREA_FREE), "a cleared area is free");
	damage(&lazy->word.v, w_lazy ^ (AREA_CLEARED ^ AREA_LIVE), "a cleared area is live");
	damage(&a->word.v, w ^ (VM_R ^ VM_W) << AREA_PROT_SHIFT,
	       "a writable area says it is read-only");
	damage(&all_free->max_free, all_free->max_free + 1,
	       "the largest hole below a node is wrong");
	damage(&a->priority, a->priority ^ ~0ull >> 1, "the tree is no heap");
	damage((u64 *)&lazy->prev, (u64)all_free, "the chain's back link is wrong");
	damage_u32(&all_free->span, all_free->span - 1, "the areas end early");
	damage((u64 *)&record_of(va)->area, (u64)lazy, "a page names another area");
	damage((u64 *)&record_of(va + 3 * PAGE_SIZE)->area, 0, "a guard names none");
	damage((u64 *)&record_of(area_end(lazy) + 100 * PAGE_SIZE)->area, (u64)lazy,
	       "a free page names an area");
}

/* Lists of areas: one lost, one twice, one where it does not belong, a circle. */
static void test_lists(void)
{
	struct area *lazy, *a;
	u64 *head;

	boot();
	lazy = area_of((vaddr_t)lazy_va);
	a = area_of(va);
	head = &parks[0].class[1].cleared.v;
	KASSERT(*head == (u64)lazy, "where is it?");
	damage(head, 0, "a cleared area is on no list");
	damage(head, (u64)a, "a live area is on the list of cleared ones");
	damage(head, 0x1234, "a list leads nowhere");
	damage((u64 *)&lazy->parked, (u64)lazy, "a list is a circle");
	damage(&parks[1].class[1].ready.v, (u64)lazy, "a cleared area is on two lists");
	damage(&parks[0].class[2].cleared.v, (u64)lazy, "an area is in another size's class");
	damage(&parks[0].lazy.v, (u64)lazy, "an area that is not listed is on the lazy list");
	a = area_alloc(1, 1, AREA_ANYWHERE, AREA_RECORDS);
	ok(mm_check(false), "found: a cleared area that nobody will free");
	area_free(a);
	lazy_set_policy(LAZY_PTE);
	vunmap(other);
	other = vmap(&f[3], 1, VM_W); /* lazy is what was mapped under that policy */
	vunmap(other);
	a = area_of((vaddr_t)other);
	KASSERT(word_state(a->word.v) == AREA_LAZY, "it is %s", area_state_name(a));
	damage(&parks[0].lazy.v, 0, "a lazy area is on no list");
	damage((u64 *)&a->parked, (u64)a, "the lazy list is a circle");
	damage(&parks[3].lazy.v, (u64)a, "a lazy area is on two lists");
	damage(&a->word.v, a->word.v & ~AREA_LISTED, "a lazy area says it is not listed");
	damage(entry_at((vaddr_t)other, 1), 0, "a lazy area has lost its entry");
	damage(&a->word.v, a->word.v ^ (AREA_LAZY ^ AREA_CLEARED), "a cleared area has entries");
}

int main(void)
{
	sim_scenario("silent", test_silent);
	sim_scenario("vmap entries", test_vmap_entries);
	sim_scenario("aliases", test_aliases);
	sim_scenario("static map", test_static_map);
	sim_scenario("platform page", test_platform_page);
	sim_scenario("links", test_links);
	sim_scenario("frames", test_frames);
	sim_scenario("areas", test_areas);
	sim_scenario("lists", test_lists);
	return done_testing();
}
