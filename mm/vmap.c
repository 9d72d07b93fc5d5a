// SPDX-License-Identifier: MIT
/*
 * vmap and vunmap: addresses (area.c), tables (pagetable.c), entries (mmu_ops) and laziness
 * (lazy.c) brought together. The order is validate, allocate, commit: once the first entry is
 * written nothing can fail natively; on a platform whose batch can (Xen), what was written is
 * taken back.
 *
 * Unmapping, in the order the protocol wants (mm/shootdown.c): the area leaves LIVE, so that it can
 * be unmapped once only; entries are exchanged with zero; the stamp is read; then either the flush
 * (policy off) or the lazy list.
 *
 * Alias counts embrace the entries: a frame's count goes up before its entry is written and down
 * after it is cleared, so a count of zero means that no entry is left.
 */
#include "mm/vmap.h"
#include "mm/frame.h"
#include "mm/lazy.h"
#include "mm/pagetable.h"
#include "mm/shootdown.h"
#include "mm/space.h"

/* Entries cleared between two looks at the clock; bounds the stack that remembers their frames. */
#define CLEAR_CHUNK 64

/* A run of entries within one level-1 table. */
struct run {
	pfn_t table;
	unsigned slot, n;
};

static struct run run_at(vaddr_t va, u64 pages)
{
	unsigned slot = pt_index(va, 1);

	return (struct run){pt_leaf_table(kernel_root, va), slot,
			    (unsigned)MIN(pages, PT_ENTRIES - slot)};
}

/*
 * An area with its tables, ready to be written. Out of addresses, a purge may bring some home;
 * other CPUs may take those before us, but then they have brought some too, so it is tried again.
 */
#define PREPARE_TRIES 64

static struct area *prepare(u64 pages, unsigned prot, const char *name, u64 mapper)
{
	struct area *a = NULL;
	u64 freed;

	if (pages == 0 || pages >= VMAP_SIZE >> PAGE_SHIFT)
		return NULL;
	KASSERT(!cpu_spinlocks_held(), "vmap while holding %u spinlocks", cpu_spinlocks_held());
	for (unsigned tries = 0; tries < PREPARE_TRIES; tries++) {
		freed = lazy_freed();
		a = area_alloc(pages, 1);
		if (a)
			break;
		if (irqs_enabled())
			lazy_purge();
		else
			lazy_reclaim();
		if (lazy_freed() == freed)
			break;
	}
	if (!a)
		return NULL;
	if (pt_ensure(kernel_root, a->start, pages)) {
		area_free(a);
		return NULL;
	}
	a->prot = prot;
	a->name = name;
	a->mapper = mapper;
	a->mapped_at = tsc_now();
	return a;
}

/*
 * Takes the frames' counts down and tells them when their alias went. The stamp first: who finds
 * the count zero must find the stamp.
 */
static void unaccount(const u32 *pfns, unsigned n, u64 stamp)
{
	for (unsigned i = 0; i < n; i++) {
		struct frame *f = &frames[pfns[i]];

		atomic_max(&f->stamp, stamp);
		atomic_fetch_add(&f->aliases, -1ull);
	}
}

/* => the frames may be mapped: ours, and not in use as page tables */
static void account(struct frame *const *f, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		KASSERT(f[i]->type == FRAME_USED || f[i]->type == FRAME_RESERVED,
			"vmap of frame %#lx, which is free or a page table", frame_pfn(f[i]).n);
		atomic_fetch_add(&f[i]->aliases, 1);
	}
}

/* Clears the entries of an area; those of RAM are unaccounted. */
static void clear_entries(const struct area *a, u64 pages)
{
	u32 pfns[CLEAR_CHUNK];
	vaddr_t va = a->start;
	bool ram = !(a->prot & (VM_UC | VM_WC));

	while (pages) {
		struct run r = run_at(va, MIN(pages, CLEAR_CHUNK));

		for (unsigned i = 0; ram && i < r.n; i++)
			pfns[i] = (u32)(pte_addr(pt_read(r.table, r.slot + i), 1) >> PAGE_SHIFT);
		mmu->clear_run(r.table, r.slot, r.n);
		KASSERT(!mmu->batch_end(NULL), "%s refused to clear entries of %#lx", mmu->name,
			va);
		if (ram)
			unaccount(pfns, r.n, shootdown_stamp());
		va += (u64)r.n << PAGE_SHIFT;
		pages -= r.n;
	}
}

/* What the caller has prepared does not come to be: `done` of its entries were written. */
static void abandon(struct area *a, u64 done)
{
	struct gather g;

	for (vaddr_t va = a->start; done;) {
		struct run r = run_at(va, done);

		mmu->clear_run(r.table, r.slot, r.n);
		KASSERT(!mmu->batch_end(NULL), "%s refused to clear entries of %#lx", mmu->name,
			va);
		va += (u64)r.n << PAGE_SHIFT;
		done -= r.n;
	}
	gather_begin(&g);
	gather_add(&g, a->start, a->pages, shootdown_stamp());
	gather_flush(&g);
	gather_end(&g);
	area_free(a);
}

static void *finish(struct area *a)
{
	count(vmap);
	count_add(vmap_pages, a->pages);
	trace(EV_map, a->start, a->pages);
	return (void *)a->start;
}

static void *map_frames(struct frame *const *f, unsigned n, unsigned prot, const char *name,
			u64 mapper)
{
	struct area *a;
	unsigned done;

	KASSERT(!(prot & (VM_X | VM_UC | VM_WC)), "vmap of RAM with prot %#x", prot);
	a = prepare(n, prot, name, mapper);
	if (!a)
		return NULL;
	account(f, n);
	for (unsigned i = 0; i < n;) {
		struct run r = run_at(a->start + ((u64)i << PAGE_SHIFT), n - i);

		mmu->set_run(r.table, r.slot, f + i, r.n, pte_leaf_bits(prot, 1));
		if (mmu->batch_end(&done)) {
			abandon(a, i + done);
			for (unsigned k = 0; k < n; k++)
				unaccount(&(u32){(u32)frame_pfn(f[k]).n}, 1, shootdown_stamp());
			return NULL;
		}
		i += r.n;
	}
	return finish(a);
}

void *vmap(struct frame *const *f, unsigned n, unsigned prot)
{
	return map_frames(f, n, prot, "vmap", CALLER());
}

/* Addresses of devices come from firmware. RAM would get two memory types. */
static bool may_be_device(pfn_t first, unsigned n)
{
	u64 end = mmu->phys_end >> PAGE_SHIFT;

	if (n > end || first.n > end - n)
		return false;
	for (unsigned i = 0; i < n; i++)
		if (frame_valid(pfn_make(first.n + i)))
			return false;
	return true;
}

void *vmap_pfn(pfn_t first, unsigned n, unsigned prot, const char *name)
{
	struct area *a;
	unsigned done;

	KASSERT(prot & (VM_UC | VM_WC) && !(prot & VM_X), "vmap_pfn of %s with prot %#x", name,
		prot);
	if (!may_be_device(first, n)) {
		printk("mm: %s is said to be at %#lx+%u pages, which is RAM or nowhere\n", name,
		       pfn_to_paddr(first), n);
		return NULL;
	}
	a = prepare(n, prot, name, CALLER());
	if (!a)
		return NULL;
	for (unsigned i = 0; i < n;) {
		struct run r = run_at(a->start + ((u64)i << PAGE_SHIFT), n - i);

		mmu->set_span(r.table, r.slot, pfn_make(first.n + i), r.n, pte_leaf_bits(prot, 1));
		if (mmu->batch_end(&done)) {
			abandon(a, i + done);
			return NULL;
		}
		i += r.n;
	}
	return finish(a);
}

void vunmap(void *va)
{
	struct gather g;
	struct area *a;

	if (!va)
		return;
	KASSERT(irqs_enabled() && !cpu_spinlocks_held(),
		"vunmap with interrupts off or a spinlock held");
	a = area_unmap_begin((vaddr_t)va, CALLER());
	trace(EV_unmap, a->start, a->pages);
	count(vunmap);
	count_add(vunmap_pages, a->pages);
	clear_entries(a, a->pages);
	if (lazy_policy() != LAZY_OFF) {
		lazy_add(a);
		return;
	}
	gather_begin(&g);
	gather_add(&g, a->start, a->pages, shootdown_stamp());
	gather_flush(&g);
	gather_end(&g);
	area_free(a);
}

void vm_unmap_aliases(void)
{
	lazy_purge();
}

/* --- stacks: frames of their own, owned by the area --- */

#define STACK_MAX_PAGES 16

void *vmap_stack_alloc(unsigned pages, const char *name)
{
	struct frame *f[STACK_MAX_PAGES];
	void *va;

	KASSERT(pages && pages <= STACK_MAX_PAGES, "a stack of %u pages", pages);
	if (frame_alloc_many(f, pages, FRAME_HIGH))
		return NULL;
	va = map_frames(f, pages, VM_W, name, CALLER());
	if (!va)
		frame_free_many(f, pages);
	return va;
}

void vmap_stack_free(void *va)
{
	struct frame *f[STACK_MAX_PAGES];
	struct area a;
	paddr_t pa;

	KASSERT(area_find((vaddr_t)va, &a) && a.state == AREA_LIVE && a.pages <= STACK_MAX_PAGES,
		"%p is not a stack", va);
	for (unsigned i = 0; i < a.pages; i++) {
		KASSERT(pt_translate(kernel_root, a.start + i * PAGE_SIZE, &pa),
			"stack %p has a hole", va);
		f[i] = pfn_frame(paddr_to_pfn(pa));
	}
	vunmap(va);
	frame_free_many(f, (unsigned)a.pages);
}

void vmap_init(enum lazy_policy policy, u64 lazy_max_pages)
{
	area_init();
	lazy_init(policy, lazy_max_pages);
}
