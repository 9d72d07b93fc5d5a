// SPDX-License-Identifier: MIT
/*
 * See chunk.h. Memory is taken before the lock; who comes second gives it back. What is published
 * is complete before.
 */
#include "mm/chunk.h"
#include "mm/area.h"
#include "mm/pagetable.h"
#include "mm/space.h"

#define RECORDS_ORDER 1 /* 512 records of 16 bytes: two frames */
_Static_assert(CHUNK_PAGES * sizeof(struct alias_record) == PAGE_SIZE << RECORDS_ORDER, "order");
_Static_assert(CHUNKS_PER_PAGE * sizeof(struct chunk) == PAGE_SIZE, "a directory page is a frame");

struct chunk *chunk_dir[CHUNK_DIR_PAGES];

static spinlock_t chunk_lock = SPINLOCK_INIT("chunks"); /* publishing */
static atomic_t frames_held;

u64 chunk_frames(void)
{
	return atomic_read(&frames_held);
}

/* => zeroed memory, or NULL */
static void *fresh(unsigned order)
{
	struct frame *f = frame_alloc(order, FRAME_ZERO);

	return f ? frame_virt(f) : NULL;
}

static void give_back(void *p, unsigned order)
{
	frame_free(pfn_frame(paddr_to_pfn(virt_to_phys(p))), order);
}

static int ensure_dir_page(struct chunk **slot)
{
	struct chunk *page;
	bool mine;

	if (READ_PUBLISHED(*slot))
		return 0;
	page = fresh(0);
	if (!page)
		return -ENOMEM;
	spin_lock(&chunk_lock);
	mine = !*slot;
	if (mine)
		PUBLISH(*slot, page);
	spin_unlock(&chunk_lock);
	if (mine)
		atomic_fetch_add(&frames_held, 1);
	else
		give_back(page, 0);
	return 0;
}

/* The chunk at `va` is new: those of its pages that `a` has are its. */
static void name_owner(struct alias_record *rec, vaddr_t va, struct area *a)
{
	for (unsigned i = 0; i < CHUNK_PAGES; i++, va += PAGE_SIZE)
		if (va >= a->start && va < area_end(a))
			rec[i].area = a;
}

static int ensure_records(struct chunk *c, vaddr_t va, struct area *a)
{
	struct alias_record *rec;
	bool mine;

	if (READ_PUBLISHED(c->rec))
		return 0;
	rec = fresh(RECORDS_ORDER);
	if (!rec)
		return -ENOMEM;
	name_owner(rec, va, a);
	spin_lock(&chunk_lock);
	mine = !c->rec;
	if (mine)
		PUBLISH(c->rec, rec);
	spin_unlock(&chunk_lock);
	if (mine)
		atomic_fetch_add(&frames_held, 1 << RECORDS_ORDER);
	else
		give_back(rec, RECORDS_ORDER);
	return 0;
}

static int ensure_table(struct chunk *c, vaddr_t va)
{
	pfn_t table;
	int err;

	if (READ_PUBLISHED(c->pte))
		return 0;
	err = pt_ensure_path(kernel_root, va, 1, &table);
	if (err)
		return err;
	spin_lock(&chunk_lock);
	if (!c->pte) /* written once: who knows it is there reads it plainly */
		PUBLISH(c->pte, pt_entries(table));
	spin_unlock(&chunk_lock);
	return 0;
}

int chunk_ensure(struct area *a, vaddr_t va, u64 pages, bool tables)
{
	vaddr_t end = va + (pages << PAGE_SHIFT);

	for (va = ALIGN_DOWN(va, 1ul << CHUNK_SHIFT); va < end; va += 1ul << CHUNK_SHIFT) {
		int err = ensure_dir_page(&chunk_dir[(va - VMAP_BASE) >> CHUNK_SHIFT >> 8]);

		if (!err)
			err = ensure_records(chunk_of(va), va, a);
		if (!err && tables)
			err = ensure_table(chunk_of(va), va);
		if (err)
			return err;
	}
	return 0;
}

vaddr_t chunk_used_from(vaddr_t va, vaddr_t end)
{
	while (va < end) {
		const struct chunk *c = chunk_of(va);
		u64 step = (c ? 1ul : CHUNKS_PER_PAGE) << CHUNK_SHIFT;

		if (c && READ_PUBLISHED(c->rec))
			return va;
		va = ALIGN_DOWN(va, step) + step;
	}
	return end;
}

void chunk_set_owner(vaddr_t va, u64 pages, struct area *a)
{
	vaddr_t end = va + (pages << PAGE_SHIFT);

	while ((va = chunk_used_from(va, end)) < end) {
		u64 n = MIN(CHUNK_PAGES - chunk_page(va), (end - va) >> PAGE_SHIFT);
		struct alias_record *rec = record_of(va);

		for (u64 i = 0; i < n; i++)
			PUBLISH(rec[i].area, a);
		va += n << PAGE_SHIFT;
	}
}

void chunk_init(void)
{
	memset(chunk_dir, 0, sizeof(chunk_dir));
	atomic_set(&frames_held, 0);
}
