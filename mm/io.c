// SPDX-License-Identifier: MIT
/*
 * Mappings of what is not RAM, and changes of rights. Neither is on any hot path: each entry is
 * written by itself, through the walk.
 *
 * A device's range in 2 MiB pages: where address and frame number are both aligned for it. Such
 * areas lie in the half of the vmap area that has no level-1 tables in the way (mm/vmalloc.c).
 *
 * Rights: an entry is exchanged for one with the same frame; more rights need no flush to be right,
 * fewer do, and both are flushed, because a fault on a right that is there is harder to explain
 * than a flush.
 */
#include "mm/engine.h"
#include "mm/gather.h"
#include "mm/pagetable.h"
#include "mm/shootdown.h"
#include "mm/space.h"

/* Addresses of devices come from firmware. RAM would get two memory types. */
static bool may_be_device(pfn_t first, u64 n)
{
	u64 end = mmu->phys_end >> PAGE_SHIFT;

	if (!n || n > end || first.n > end - n)
		return false;
	for (u64 i = 0; i < n; i++)
		if (frame_valid(pfn_make(first.n + i)))
			return false;
	return true;
}

/* => 0 or -errno; *done pages are mapped, the first a->large leaves of them large */
static int set_device(struct area *a, pfn_t first, unsigned prot, u64 *done)
{
	bool large = IS_ALIGNED(first.n, LARGE_PAGES) && mmu->max_leaf_level >= 2 &&
		     IS_ALIGNED(a->start, LARGE_PAGES << PAGE_SHIFT);

	for (*done = 0; *done < a->pages;) {
		vaddr_t va = a->start + (*done << PAGE_SHIFT);
		int level = large && a->pages - *done >= LARGE_PAGES && large_fits(va) ? 2 : 1;
		u64 v = (first.n + *done) << PAGE_SHIFT | pte_leaf_bits(prot, level);
		int err = level == 1 ? chunk_ensure(a, va, 1, true) : 0;

		large = level == 2;
		if (!err)
			err = engine_set_leaf(va, level, (pte_t){v});
		if (err)
			return err;
		a->large += level == 2;
		*done += level == 2 ? LARGE_PAGES : 1;
	}
	return 0;
}

static void *map_device(pfn_t first, u64 n, unsigned prot, const char *name, u64 mapper)
{
	bool large = n >= LARGE_PAGES && IS_ALIGNED(first.n, LARGE_PAGES);
	struct area *a;
	u64 done;

	KASSERT(prot & (VM_UC | VM_WC) && !(prot & VM_X), "device %s with prot %#x", name, prot);
	if (!may_be_device(first, n)) {
		printk("mm: %s is said to be at %#lx+%lu pages, which is RAM or nowhere\n", name,
		       pfn_to_paddr(first), n);
		return NULL;
	}
	a = large ? engine_large_area(n) : NULL;
	if (!a)
		a = park_get_aligned(n, 1, AREA_ANYWHERE, AREA_TABLES);
	if (!a)
		return NULL;
	atomic_set(&a->word, area_word(AREA_CLEARED, AREA_IO, prot, NULL));
	if (set_device(a, first, prot, &done)) {
		a->pages = (u32)done;
		engine_clear_all(a);
		a->pages = (u32)n;
		lazy_cleared(a);
		return NULL;
	}
	engine_publish(a, AREA_IO, prot, name, mapper, NULL);
	return (void *)a->start;
}

void *vmap_pfn(pfn_t first, u64 n, unsigned prot, const char *name)
{
	return map_device(first, n, prot, name, CALLER());
}

void *ioremap(paddr_t pa, u64 bytes, unsigned prot, const char *name)
{
	u64 offset = pa & (PAGE_SIZE - 1);
	u64 pages = (offset + MIN(bytes, mmu->phys_end) + PAGE_SIZE - 1) >> PAGE_SHIFT;
	u8 *va;

	if (!bytes)
		pages = 0; /* refused by name, as is what ends beyond phys_end */
	va = map_device(paddr_to_pfn(pa), pages, prot, name, CALLER());
	return va ? va + offset : NULL;
}

void iounmap(void *va)
{
	engine_unmap(ALIGN_DOWN((vaddr_t)va, PAGE_SIZE), ANY_NUMBER, AREA_IO, CALLER());
}

/* --- rights --- */

/* => 0 or -errno; *done pages have the new rights either way */
static int reprotect(struct area *a, u64 pages, unsigned prot, u64 *done)
{
	u64 large = (u64)a->large * LARGE_PAGES;

	for (*done = 0; *done < pages;) {
		vaddr_t va = a->start + (*done << PAGE_SHIFT);
		int level = *done < large ? 2 : 1, err;
		struct pt_walk w;

		KASSERT(pt_walk(kernel_root, va, &w) && w.level == level, "%#lx is not mapped", va);
		err = engine_set_leaf(
			va, level,
			(pte_t){pte_addr(w.step[level].entry, level) | pte_leaf_bits(prot, level)});
		if (err)
			return err;
		*done += level == 2 ? LARGE_PAGES : 1;
	}
	return 0;
}

int vm_protect(void *va, unsigned prot)
{
	struct area *a = area_of((vaddr_t)va);
	u64 w = a ? atomic_read(&a->word) : 0;
	struct gather g;
	u64 done;
	int err;

	KASSERT(!(prot & ~(VM_W | VM_LOCAL)), "RAM is to be mapped with prot %#x", prot);
	if (!a || a->start != (vaddr_t)va || word_state(w) != AREA_LIVE ||
	    word_kind(w) == AREA_IO || word_kind(w) == AREA_SPARSE) {
		printk("mm: vm_protect of %p, which is not the start of a live area of RAM\n", va);
		return -EINVAL;
	}
	err = reprotect(a, a->pages, prot, &done);
	if (err) {
		prot = word_prot(w);
		KASSERT(!reprotect(a, done, prot, &done), "%s refused the rights that %p had",
			mmu->name, va);
	}
	/* not to be revived with the rights it had; nor with these, for that is not worth a case */
	atomic_fetch_and(&a->word, ~(0xffull << AREA_PROT_SHIFT) & ~AREA_FRAME_MASK);
	atomic_fetch_or(&a->word, (u64)prot << AREA_PROT_SHIFT);
	gather_begin(&g);
	gather_add(&g, a->start, a->pages, shootdown_stamp());
	gather_flush(&g);
	gather_end(&g);
	return err;
}
