// SPDX-License-Identifier: MIT
/*
 * The engine's fuzzer: sparse areas, rights, devices, look-ups, and calls that make no sense. See
 * fuzz_engine.c.
 */
#include "mm/area.h"
#include "mm/vmalloc.h"
#include "tests/fuzz/engine.h"

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

/* Few of them, so that they meet; some where one table ends. */
static u64 some_place(void)
{
	return (below(2) ? 0 : PT_ENTRIES - 8) + 4 * below(5);
}

void op_sparse_map(void)
{
	struct naive_region *r = some_region(is_sparse);
	u64 page = some_place(), n = below(4) ? 4 : 1 + below(12);
	int mapped, err;
	bool bad;

	if (!r || !tester_has_frames())
		return;
	page %= r->pages;
	mapped = count_mapped(r, page, n);
	bad = pick_frames(n) || mapped;
	expect_no_change();
	err = vm_area_map((void *)r->va, page, picked, n, VM_W);
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
		naive_fill(r, page + i, pfn_of(picked[i]));
	for (u64 i = 0; i < n; i++)
		check_read(op_cpu, r->va + (page + i) * PAGE_SIZE);
}

void op_sparse_unmap(void)
{
	struct naive_region *r = some_region(is_sparse);
	u64 page = some_place(), n = below(4) ? 4 : 1 + below(12);
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
		check_write(cpu, r->va);
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
	picked[0] = pfn_frame(kernel_root);
	expect_no_change();
	if (what == 0)
		taken = vmap(picked, 0, VM_W);
	else if (what == 1)
		taken = vmap(picked, 1ull << 40, VM_W);
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
		taken = !vm_area_map((void *)VMAP_BASE, 1, picked, 1, VM_W) ||
			frame_alloc(FRAME_MAX_ORDER + 1, 0);
	if (taken)
		wrong("nonsense %u was taken", what);
	refused("nonsense");
}
