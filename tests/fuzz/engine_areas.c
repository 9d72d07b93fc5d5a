// SPDX-License-Identifier: MIT
/* The engine's fuzzer: operations on the vmap area. See fuzz_engine.c. */
#include "tests/fuzz/engine.h"
#include "mm/area.h"
#include "mm/kmap.h"
#include "mm/vmalloc.h"
#include "mm/vmap.h"

#define FRAMES_SPARED 1500 /* what the tester leaves to the machine: other CPUs' caches, tables */
#define MANY	      600

static struct frame *list[NAIVE_PAGES];

/* A list of n frames, each of which may come often. => some may be mapped in no case */
static bool pick_frames(u64 n)
{
	u32 first = below(TESTER_FRAMES), step = below(3), bad = next_byte();

	for (u64 i = 0; i < n; i++) {
		u32 k = (u32)(first + i * step) % TESTER_FRAMES;

		while (!tester[k])
			k = (k + 1) % TESTER_FRAMES;
		list[i] = tester[k];
	}
	if (bad < 240)
		return false;
	list[bad % n] = bad & 1 ? pfn_frame(kernel_root) : frames + 256 + 1; /* of the image */
	return true;
}

static bool tester_has_frames(void)
{
	for (unsigned i = 0; i < TESTER_FRAMES; i++)
		if (tester[i])
			return true;
	return false;
}

static u64 some_pages(void)
{
	u8 b = next_byte();

	return b < 224 ? 1 + b % 9 : b < 248 ? 1 + b % 40 : MANY;
}

static bool list_is_full(void)
{
	return naive_regions() == NAIVE_REGIONS;
}

/* Addresses that were not to be had: was that right? */
static bool no_addresses(u64 pages)
{
	return scarce && !naive_has_room(pages, SCARCE_PAGES);
}

static void not_mapped(const char *what, u64 pages)
{
	if (no_addresses(pages))
		refused(what);
	else
		failed(what);
}

/* --- frames of the tester's --- */

void op_map(void)
{
	static const char *const names[] = {"vmap", "vm_map_ram", "kmap"};
	u32 how = below(3);
	u64 n = how == 2 ? 1 : some_pages();
	unsigned prot = how == 2 ? VM_W : (below(4) ? VM_W : VM_R) | (below(4) ? 0 : VM_LOCAL);
	struct naive_region *r;
	bool bad;
	void *va;

	if (list_is_full() || !tester_has_frames())
		return;
	bad = pick_frames(n);
	expect_no_change();
	va = how == 0   ? vmap(list, n, prot)
	     : how == 1 ? vm_map_ram(list, n, prot)
			: kmap(list[0]);
	if (bad) {
		if (va)
			wrong("%s of a frame that is nobody's memory", names[how]);
		refused(names[how]);
		return;
	}
	if (!va) {
		not_mapped(names[how], n);
		return;
	}
	note("%s of %lu frames from %#lx on, prot %u: %p", names[how], n, pfn_of(list[0]), prot,
	     va);
	r = naive_map((enum naive_kind)(NAIVE_VMAP + how), (u64)va, n, prot & VM_W);
	for (u64 i = 0; i < n; i++)
		naive_fill(r, i, pfn_of(list[i]));
	check_read(op_cpu, r->va + (n - 1) * PAGE_SIZE);
}

void op_local(void)
{
	void *va;

	if (naive_locals(op_cpu) == NAIVE_LOCALS || !tester_has_frames() || pick_frames(1))
		return;
	va = kmap_local(list[0]);
	note("kmap_local of %#lx: %p", pfn_of(list[0]), va);
	naive_local_push(op_cpu, (u64)va, pfn_of(list[0]));
}

/* Not before a look through it. */
void op_local_end(void)
{
	const struct naive_local *l = naive_local_last(op_cpu);
	u64 v, *want;

	if (!l)
		return;
	want = naive_word(l->pfn);
	if (sim_read(op_cpu, l->va, &v) || (*want != NAIVE_NOT_KNOWN && v != *want))
		wrong("kmap_local %#lx reads %#lx, not %#lx", l->va, v, *want);
	if (sim_write(op_cpu, l->va, op_number))
		wrong("kmap_local %#lx is not writable", l->va);
	*want = op_number;
	note("kunmap_local of %#lx", l->va);
	kunmap_local((void *)l->va);
	if (sim_read(op_cpu, l->va, &v) != SIM_NOT_PRESENT)
		wrong("kmap_local %#lx can be read after its end", l->va);
	naive_local_pop(op_cpu);
}

/* --- memory of its own --- */

/* The frames behind pages [from, pages) of a region: nobody else has them. */
static void learn_frames(struct naive_region *r, u64 from, u64 word)
{
	for (u64 i = from; i < r->pages; i++) {
		struct frame *f = vmalloc_to_frame((void *)(r->va + i * PAGE_SIZE));

		if (!f)
			wrong("page %lu of %#lx has no frame", i, r->va);
		naive_own(pfn_of(f), NAIVE_AREA, word);
		naive_fill(r, i, pfn_of(f));
	}
}

static void forget_frames(u64 *pfn, u64 pages)
{
	for (u64 i = 0; i < pages; i++)
		naive_disown(pfn[i]);
}

static u64 pages_of(u64 bytes)
{
	return (bytes + PAGE_SIZE - 1) / PAGE_SIZE;
}

/* The last page has room for its word at least. */
static u64 some_bytes(void)
{
	return (some_pages() - 1) * PAGE_SIZE + 8 + next_byte() * 16;
}

static bool memory_is_short(u64 pages)
{
	u64 taken = TESTER_FRAMES;

	for (u64 pfn = 0; pfn < NAIVE_FRAMES; pfn++)
		taken += naive_owner(pfn) != NAIVE_NOBODY;
	return taken + pages + FRAMES_SPARED > NAIVE_FRAMES - 1024;
}

void op_alloc(void)
{
	static const char *const names[] = {"vmalloc", "vzalloc", "vmalloc_aligned", "vmalloc_huge",
					    "vmap_stack_alloc"};
	u32 how = below(5), align = 1u << below(4) * 5; /* up to 32 KiB */
	u64 bytes = some_bytes(), pages = pages_of(bytes);
	struct naive_region *r;
	void *va;

	if (list_is_full() || memory_is_short(pages))
		return;
	expect_no_change();
	va = how == 0	? vmalloc(bytes)
	     : how == 1 ? vzalloc(bytes)
	     : how == 2 ? vmalloc_aligned(bytes, align)
	     : how == 3 ? vmalloc_huge(bytes)
			: vmap_stack_alloc((unsigned)pages, "stack");
	if (!va && how == 2 && scarce) /* there may be room, but not there */
		refused(names[how]);
	else if (!va)
		not_mapped(names[how], pages);
	if (!va)
		return;
	note("%s of %lu bytes: %p", names[how], bytes, va);
	if (how == 2 && (u64)va % align)
		wrong("%p is not aligned to %#x", va, align);
	r = naive_map(how == 4 ? NAIVE_STACK : NAIVE_VMALLOC, (u64)va, pages, true);
	if (how != 4)
		r->bytes = bytes;
	learn_frames(r, 0, how == 1 ? 0 : NAIVE_NOT_KNOWN);
	check_write(op_cpu, r->va + (pages - 1) * PAGE_SIZE);
}

static struct naive_region *some_region(bool (*fit)(const struct naive_region *))
{
	unsigned n = naive_regions(), first = next_byte();

	for (unsigned i = 0; i < n; i++) {
		struct naive_region *r = naive_region((first + i) % n);

		if (fit(r))
			return r;
	}
	return NULL;
}

static bool is_vmalloc(const struct naive_region *r)
{
	return r->kind == NAIVE_VMALLOC && r->writable;
}

/* Its contents move with it; what was not there is zero. */
static void moved(struct naive_region *r, u64 va, u64 bytes)
{
	static u64 old[NAIVE_PAGES], word[NAIVE_PAGES];
	u64 had = r->pages, kept = pages_of(r->bytes);

	for (u64 i = 0; i < had; i++) {
		old[i] = r->pfn[i];
		word[i] = *naive_word(old[i]);
	}
	naive_unmap(r, forgotten_at_once());
	forget_frames(old, had);
	r = naive_map(NAIVE_VMALLOC, va, pages_of(bytes), true);
	r->bytes = bytes;
	learn_frames(r, 0, 0);
	for (u64 i = 0; i < kept; i++)
		*naive_word(r->pfn[i]) = word[i];
}

static void resized(struct naive_region *r, u64 bytes)
{
	for (u64 i = pages_of(r->bytes); i < pages_of(bytes); i++)
		*naive_word(r->pfn[i]) = 0;
	r->bytes = bytes;
	for (u64 i = pages_of(bytes); i < r->pages; i++)
		*naive_word(r->pfn[i]) = NAIVE_NOT_KNOWN; /* the redzone's */
}

void op_realloc(void)
{
	struct naive_region *r = some_region(is_vmalloc);
	u64 bytes = some_bytes();
	void *va;

	if (!r || memory_is_short(pages_of(bytes)))
		return;
	expect_no_change();
	va = vrealloc((void *)r->va, bytes);
	if (!va) {
		not_mapped("vrealloc", pages_of(bytes));
		return;
	}
	note("vrealloc of %#lx from %lu to %lu bytes: %p", r->va, r->bytes, bytes, va);
	if (pages_of(bytes) <= r->pages) {
		if ((u64)va != r->va)
			wrong("vrealloc moves what fits");
		resized(r, bytes);
	} else {
		moved(r, (u64)va, bytes);
	}
	for (u64 i = 0; i < pages_of(bytes); i += 7)
		check_read(op_cpu, (u64)va + i * PAGE_SIZE);
}

/* --- unmapping any of them --- */

static void unmap(struct naive_region *r)
{
	void *va = (void *)r->va;
	bool own = r->kind == NAIVE_VMALLOC || r->kind == NAIVE_STACK;
	/* Addresses of a sparse area's that went before are flushed when it goes, or later. */
	bool forgotten = forgotten_at_once() && r->kind != NAIVE_SPARSE;
	u64 pages = r->pages, start = r->va;

	switch (r->kind) {
	case NAIVE_VMAP:
		vunmap(va);
		break;
	case NAIVE_RAM:
		vm_unmap_ram(va, pages);
		break;
	case NAIVE_KMAP:
		kunmap(va);
		break;
	case NAIVE_VMALLOC:
		vfree(va);
		break;
	case NAIVE_STACK:
		vmap_stack_free(va);
		break;
	case NAIVE_SPARSE:
		vm_area_free(va);
		break;
	case NAIVE_IO:
		iounmap(va);
	}
	note("kind %d at %#lx, %lu pages, is unmapped", r->kind, start, pages);
	naive_unmap(r, forgotten);
	if (own)
		forget_frames(r->pfn, pages);
	check_read(op_cpu, start + (pages - 1) * PAGE_SIZE);
}

void op_unmap(void)
{
	if (naive_regions())
		unmap(naive_region(below(naive_regions())));
}

void end_areas(void)
{
	while (naive_regions())
		unmap(naive_region(0));
	for (op_cpu = 0; op_cpu < nr_cpus; op_cpu++) {
		sim_on(op_cpu);
		while (naive_locals(op_cpu))
			op_local_end();
	}
}

/* --- sparse areas --- */

static bool is_sparse(const struct naive_region *r)
{
	return r->kind == NAIVE_SPARSE;
}

void op_reserve(void)
{
	u64 pages = below(4) ? some_pages() : NAIVE_PAGES, align = 1ull << below(5);
	void *va;

	if (list_is_full())
		return;
	expect_no_change();
	va = vm_area_reserve(pages, align, "sparse");
	if (!va) {
		not_mapped("vm_area_reserve", pages + align);
		return;
	}
	note("vm_area_reserve of %lu pages: %p", pages, va);
	if ((u64)va % (align << PAGE_SHIFT))
		wrong("%p is not aligned to %lu pages", va, align);
	naive_map(NAIVE_SPARSE, (u64)va, pages, true);
}

/* => how many of the pages are mapped; -1: outside */
static int count_mapped(const struct naive_region *r, u64 page, u64 n)
{
	int mapped = 0;

	for (u64 i = page; i < page + n; i++) {
		if (i >= r->pages)
			return -1;
		mapped += r->pfn[i] != NAIVE_NO_FRAME;
	}
	return mapped;
}

void op_sparse_map(void)
{
	struct naive_region *r = some_region(is_sparse);
	u64 page = next_byte() * 4u, n = 1 + below(12);
	int mapped, err;
	bool bad;

	if (!r || !tester_has_frames())
		return;
	page %= r->pages;
	mapped = count_mapped(r, page, n);
	bad = pick_frames(n) || mapped;
	expect_no_change();
	err = vm_area_map((void *)r->va, page, list, n, VM_W);
	note("vm_area_map of pages %lu+%lu of %#lx: %d", page, n, r->va, err);
	if (bad && err == -EINVAL) {
		refused("vm_area_map");
		return;
	}
	if (err) {
		failed("vm_area_map");
		return;
	}
	if (bad)
		wrong("vm_area_map of what must be refused");
	for (u64 i = 0; i < n; i++)
		naive_fill(r, page + i, pfn_of(list[i]));
	for (u64 i = 0; i < n; i++)
		check_read(op_cpu, r->va + (page + i) * PAGE_SIZE);
}

void op_sparse_unmap(void)
{
	struct naive_region *r = some_region(is_sparse);
	u64 page = next_byte() * 4u, n = 1 + below(12);
	int err;

	if (!r)
		return;
	page %= r->pages;
	expect_no_change();
	err = vm_area_unmap((void *)r->va, page, n);
	note("vm_area_unmap of pages %lu+%lu of %#lx: %d", page, n, r->va, err);
	if (count_mapped(r, page, n) != (int)n) {
		if (err != -EINVAL)
			wrong("vm_area_unmap of what is not mapped: %d", err);
		refused("vm_area_unmap");
		return;
	}
	if (err)
		wrong("vm_area_unmap: %d", err);
	naive_punch(r, page, n);
}

/* --- the rest --- */

void op_protect(void)
{
	struct naive_region *r;
	unsigned prot = below(2) ? VM_W : VM_R;
	int err;

	if (!naive_regions())
		return;
	r = naive_region(below(naive_regions()));
	expect_no_change();
	err = vm_protect((void *)r->va, prot);
	note("vm_protect of %#lx to %u: %d", r->va, prot, err);
	if (r->kind == NAIVE_SPARSE || r->kind == NAIVE_IO) {
		if (err != -EINVAL)
			wrong("vm_protect of kind %d: %d", r->kind, err);
		refused("vm_protect");
		return;
	}
	if (err)
		failed("vm_protect");
	else
		r->writable = prot & VM_W;
	for (unsigned cpu = 0; cpu < nr_cpus; cpu++) {
		op_cpu = cpu;
		sim_on(cpu);
		check_write(cpu, r->va + (r->bytes - 8) / PAGE_SIZE * PAGE_SIZE);
	}
}

void op_device(void)
{
	u64 first = NAIVE_DEVICE + (below(2) ? 0 : 1 + below(20)), pages = some_pages();
	unsigned prot = VM_UC | (below(2) ? VM_W : VM_R);
	struct naive_region *r;
	u64 offset = next_byte();
	u8 *va;

	if (list_is_full())
		return;
	expect_no_change();
	va = ioremap((first << PAGE_SHIFT) + offset, pages * PAGE_SIZE - offset, prot, "device");
	if (!va) {
		not_mapped("ioremap", pages);
		return;
	}
	note("ioremap of %#lx, %lu pages: %p", first, pages, (void *)va);
	r = naive_map(NAIVE_IO, (u64)va - offset, pages, prot & VM_W);
	for (u64 i = 0; i < pages; i++)
		naive_fill(r, i, first + i);
	check_read(op_cpu, r->va + (pages - 1) * PAGE_SIZE);
}

void op_find(void)
{
	vaddr_t va = VMAP_BASE + (below(2) ? 0 : VMAP_SIZE / 2) + next_byte() * PAGE_SIZE + 8;
	struct naive_region *r = naive_region_at(ALIGN_DOWN(va, PAGE_SIZE));
	u64 pfn = r ? r->pfn[(va - r->va) / PAGE_SIZE] : NAIVE_NO_FRAME;
	struct frame *f = vmalloc_to_frame((void *)va);
	struct area a;
	bool found = find_vm_area((void *)va, &a);

	note("find_vm_area of %#lx: %d", va, found);
	if (found && a.word.v && r && (a.start != r->va || a.pages != r->pages))
		wrong("%#lx is in %#lx+%u, not in %#lx+%lu", va, a.start, a.pages, r->va, r->pages);
	if (found != !!r && !(scarce && !r))
		wrong("%#lx is %sin a live area", va, r ? "" : "not ");
	if (f ? pfn != pfn_of(f) : pfn < NAIVE_FRAMES)
		wrong("%#lx maps frame %#lx, not %#lx", va, f ? pfn_of(f) : 0, pfn);
}

/* Calls that must be refused in any case. */
void op_nonsense(void)
{
	struct naive_region *r = naive_regions() ? naive_region(0) : NULL;
	u32 what = below(8);
	bool taken = false;

	if (!tester_has_frames())
		return;
	list[0] = pfn_frame(kernel_root);
	expect_no_change();
	if (what == 0)
		taken = vmap(list, 0, VM_W);
	else if (what == 1)
		taken = vmap(list, 1ull << 40, VM_W);
	else if (what == 2)
		taken = vmalloc(0) || vmalloc_huge(~0ull) || vmalloc_aligned(8, 3);
	else if (what == 3)
		taken = vm_area_reserve(0, 1, "none") || vm_area_reserve(4, 3, "odd");
	else if (what == 4)
		taken = ioremap(4 * MiB, PAGE_SIZE, VM_UC, "RAM") ||
			ioremap(~0ull << 12, PAGE_SIZE, VM_UC, "beyond") ||
			ioremap(1 * GiB, 0, VM_UC, "nothing");
	else if (what == 5)
		taken = !vm_protect((void *)(VMAP_BASE + VMAP_SIZE - PAGE_SIZE), VM_R);
	else if (what == 6 && r)
		taken = !vm_protect((void *)(r->va + r->pages * PAGE_SIZE), VM_R) ||
			!vm_area_unmap((void *)(r->va + PAGE_SIZE / 2), 0, 1);
	else
		taken = !vm_area_map((void *)VMAP_BASE, 1, list, 1, VM_W) ||
			frame_alloc(FRAME_MAX_ORDER + 1, 0);
	if (taken)
		wrong("nonsense %u was taken", what);
	refused("nonsense");
}
