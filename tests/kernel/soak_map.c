// SPDX-License-Identifier: MIT
/* Operations of the endurance test (soak.h): all ways to map something, and to take it away. */
#include "kernel/cpu.h"
#include "kernel/errno.h"
#include "kernel/panic.h"
#include "kernel/string.h"
#include "mm/alias.h"
#include "mm/frame.h"
#include "mm/kmap.h"
#include "mm/vmalloc.h"
#include "mm/vmap.h"
#include "tests/kernel/soak.h"

#define BURST	 20
#define RESERVED 700 /* pages of a sparse area: more than a table's worth */

/* What is read through the mapping must be what the frames hold, as their owner sees it. */
static void read_both(const struct soak_thing *t)
{
	struct soak_thing one = *t;

	soak_read(t, t->va);
	one.pages = 1;
	for (u64 i = 0; i < t->pages; i++, one.tag++)
		soak_read(&one, frame_virt(t->f[i]));
}

/* => 0 with the thing made, or -ENOMEM with its frames freed */
static int mapped(struct soak_thing *t, void *va,
		  void (*end)(struct soak_worker *, struct soak_thing *))
{
	if (!va) {
		frame_free_many(t->f, (unsigned)t->pages);
		return -ENOMEM;
	}
	t->va = va;
	t->end = end;
	soak_write(t, va);
	return 0;
}

static void end_vmap(struct soak_worker *w __attribute__((unused)), struct soak_thing *t)
{
	read_both(t);
	vunmap(t->va);
	frame_free_many(t->f, (unsigned)t->pages);
}

static int make_vmap(struct soak_worker *w, struct soak_thing *t)
{
	int err = soak_frames(t, 1 + soak_random(w, SOAK_PAGES));

	return err ? err : mapped(t, vmap(t->f, t->pages, VM_W), end_vmap);
}

SOAK(vmap)
{
	return make_vmap(w, soak_take(w));
}

static void end_vm_map_ram(struct soak_worker *w __attribute__((unused)), struct soak_thing *t)
{
	read_both(t);
	vm_unmap_ram(t->va, t->pages);
	frame_free_many(t->f, (unsigned)t->pages);
}

static int make_vm_map_ram(struct soak_worker *w, struct soak_thing *t)
{
	int err = soak_frames(t, 1 + soak_random(w, SOAK_PAGES));

	return err ? err : mapped(t, vm_map_ram(t->f, t->pages, VM_W), end_vm_map_ram);
}

SOAK(vm_map_ram)
{
	return make_vm_map_ram(w, soak_take(w));
}

static void end_kmap(struct soak_worker *w __attribute__((unused)), struct soak_thing *t)
{
	read_both(t);
	kunmap(t->va);
	frame_free_many(t->f, 1);
}

static int make_kmap(struct soak_worker *w __attribute__((unused)), struct soak_thing *t)
{
	int err = soak_frames(t, 1);

	return err ? err : mapped(t, kmap(t->f[0]), end_kmap);
}

SOAK(kmap)
{
	return make_kmap(w, soak_take(w));
}

SOAK(kmap_local)
{
	struct soak_thing *t = soak_find(w, end_kmap);
	void *va;

	if (!t)
		return soak_make_any(w, soak_take(w));
	va = kmap_local(t->f[0]);
	soak_read(t, va);
	soak_write(t, va);
	kunmap_local(va);
	return 0;
}

static void end_vmalloc(struct soak_worker *w __attribute__((unused)), struct soak_thing *t)
{
	soak_read(t, t->va);
	vfree(t->va);
}

static int allocated(struct soak_thing *t, void *va, u64 pages)
{
	if (!va)
		return -ENOMEM;
	t->va = va;
	t->pages = pages;
	t->end = end_vmalloc;
	soak_write(t, va);
	return 0;
}

static int make_vmalloc(struct soak_worker *w, struct soak_thing *t)
{
	u64 pages = 1 + soak_random(w, 64);

	return allocated(t, vmalloc(pages * PAGE_SIZE - soak_random(w, 64)), pages);
}

SOAK(vmalloc)
{
	return make_vmalloc(w, soak_take(w));
}

SOAK(vmalloc_huge)
{
	struct soak_thing *t = soak_take(w);
	u64 pages = 512 + soak_random(w, 600);

	return allocated(t, vmalloc_huge(pages * PAGE_SIZE), pages);
}

SOAK(vrealloc)
{
	struct soak_thing *t = soak_find(w, end_vmalloc);
	u64 pages = 1 + soak_random(w, 64);
	void *va;

	if (!t)
		return soak_make_any(w, soak_take(w));
	va = vrealloc(t->va, pages * PAGE_SIZE);
	if (!va)
		return -ENOMEM;
	t->va = va;
	t->pages = MIN(t->pages, pages);
	soak_read(t, va);
	t->pages = pages;
	soak_write(t, va);
	return 0;
}

/* Read-only for everybody, and back. */
SOAK(vm_protect)
{
	struct soak_thing *t = soak_find(w, end_vmap);
	int err;

	if (!t)
		return soak_make_any(w, soak_take(w));
	err = vm_protect(t->va, VM_R);
	soak_read(t, t->va);
	if (err)
		return err;
	do
		err = vm_protect(t->va, VM_W);
	while (err && w->injecting);
	KASSERT(!err, "rights cannot be given back: %d", err);
	soak_write(t, t->va);
	return 0;
}

static int use_sparse(struct soak_worker *w, struct soak_thing *t, void *area)
{
	u64 page = soak_random(w, RESERVED - SOAK_PAGES);
	char *va = (char *)area + page * PAGE_SIZE;
	int err = vm_area_map(area, page, t->f, t->pages, VM_W);

	if (err)
		return err;
	soak_write(t, va);
	soak_read(t, va);
	if (soak_random(w, 2))
		KASSERT(!vm_area_unmap(area, page, t->pages), "pages cannot be unmapped");
	return 0;
}

SOAK(sparse)
{
	struct soak_thing *t = soak_take(w);
	int err = soak_frames(t, 1 + soak_random(w, SOAK_PAGES));
	void *area;

	if (err)
		return err;
	area = vm_area_reserve(RESERVED, 1, "soak");
	err = area ? use_sparse(w, t, area) : -ENOMEM;
	vm_area_free(area);
	frame_free_many(t->f, (unsigned)t->pages);
	return err;
}

int soak_make_any(struct soak_worker *w, struct soak_thing *t)
{
	static int (*const ways[])(struct soak_worker *, struct soak_thing *) = {
		make_vmap, make_vm_map_ram, make_kmap, make_vmalloc};

	return ways[soak_random(w, ARRAY_SIZE(ways))](w, t);
}

/*
 * The same address, most likely, with one frame and the other by turns, faster than any tick comes
 * by: whoever remembers the last mapping writes to the wrong one.
 */
SOAK(burst)
{
	struct frame *f[2];
	u64 *va = NULL;

	if (frame_alloc_many(f, 2, 0))
		return -ENOMEM;
	for (u64 i = 0; i < BURST; i++) {
		va = vm_map_ram(&f[i % 2], 1, VM_W);
		if (!va)
			break;
		WRITE_ONCE(*va, i);
		KASSERT(READ_ONCE(*(u64 *)frame_virt(f[i % 2])) == i,
			"%p maps another frame than %#lx", va, frame_pfn(f[i % 2]).n);
		vm_unmap_ram(va, 1);
	}
	frame_free_many(f, 2);
	return va ? 0 : -ENOMEM;
}

/* --- taking laziness back --- */

SOAK(purge_all)
{
	vm_unmap_aliases();
	return 0;
}

SOAK(purge_entries)
{
	lazy_purge(PURGE_PTES);
	return 0;
}

SOAK(purge_frames)
{
	struct soak_thing *t = soak_find(w, end_vm_map_ram);
	struct frame *f[SOAK_PAGES];
	u64 n;

	if (t) {
		int err = vm_unmap_frame_aliases(t->f, (unsigned)t->pages, PURGE_FLUSH);

		KASSERT(err == -EBUSY, "live pages: %d", err);
		return 0;
	}
	n = 1 + soak_random(w, SOAK_PAGES);
	if (frame_alloc_many(f, (unsigned)n, 0))
		return -ENOMEM;
	KASSERT(!vm_unmap_frame_aliases(f, (unsigned)n, PURGE_FLUSH), "fresh frames are live");
	for (u64 i = 0; i < n; i++)
		KASSERT(!frame_aliases(f[i]), "frame %#lx is mapped", frame_pfn(f[i]).n);
	frame_free_many(f, (unsigned)n);
	return 0;
}
