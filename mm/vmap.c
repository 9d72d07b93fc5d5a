// SPDX-License-Identifier: MIT
/*
 * vmap, vm_map_ram and what goes with them: the common path of fast.h, with what each
 * remembers.
 *
 * Unmapping, in the order the protocol wants (mm/shootdown.c): the area leaves LIVE, by one
 * compare-exchange, so that of two unmappings one fails; entries are exchanged with zero; the stamp
 * is read; the area is parked until the stamp is covered.
 */
#include "mm/fast.h"
#include "mm/pagetable.h"
#include "mm/shootdown.h"
#include "mm/space.h"

/*
 * What is mapped for a moment is mostly small. For a count that is known to the compiler the common
 * path has no loop and needs no more registers than it may spoil, which makes it a third shorter;
 * so the two commonest, a page and a 16 KiB buffer, are made for themselves.
 */
static __noinline void *map_ram(struct frame *const *f, u64 n, unsigned prot, u64 mapper)
{
	return fast_map(f, n, prot, AREA_RAM, "vm_map_ram", mapper, false);
}

static __noinline void *map_ram_4(struct frame *const *f, unsigned prot, u64 mapper)
{
	return fast_map(f, 4, prot, AREA_RAM, "vm_map_ram", mapper, false);
}

void *vm_map_ram(struct frame *const *f, u64 n, unsigned prot)
{
	if (n == 1)
		return fast_map(f, 1, prot, AREA_RAM, "vm_map_ram", CALLER(), false);
	return n == 4 ? map_ram_4(f, prot, CALLER()) : map_ram(f, n, prot, CALLER());
}

static __noinline void unmap_ram(vaddr_t va, u64 n, u64 unmapper)
{
	fast_unmap(va, n, AREA_RAM, unmapper, false);
}

static __noinline void unmap_ram_4(vaddr_t va, u64 unmapper)
{
	fast_unmap(va, 4, AREA_RAM, unmapper, false);
}

void vm_unmap_ram(void *va, u64 n)
{
	if (n == 1)
		fast_unmap((vaddr_t)va, 1, AREA_RAM, CALLER(), false);
	else if (n == 4)
		unmap_ram_4((vaddr_t)va, CALLER());
	else
		unmap_ram((vaddr_t)va, n, CALLER());
}

void *vmap(struct frame *const *f, u64 n, unsigned prot)
{
	return fast_map(f, n, prot, AREA_VMAP, "vmap", CALLER(), true);
}

void vunmap(void *va)
{
	fast_unmap((vaddr_t)va, ANY_NUMBER, AREA_VMAP, CALLER(), true);
}

bool find_vm_area(const void *va, struct area *copy)
{
	const struct area *a = area_of((vaddr_t)va);

	if (a)
		GLANCE_COPY(copy, a);
	else if (!area_find((vaddr_t)va, copy)) /* a hole of a sparse area has no records */
		return false;
	return word_state(atomic_read(&copy->word)) == AREA_LIVE &&
	       (vaddr_t)va - copy->start < (u64)copy->pages << PAGE_SHIFT;
}

struct frame *vmalloc_to_frame(const void *va)
{
	struct area a;
	paddr_t pa;

	if (!find_vm_area(va, &a) || !pt_translate(kernel_root, (vaddr_t)va, &pa) ||
	    !frame_valid(paddr_to_pfn(pa)))
		return NULL;
	return pfn_frame(paddr_to_pfn(pa));
}

void vm_unmap_aliases(void)
{
	lazy_purge(PURGE_FLUSH);
}

void vmap_init(enum lazy_policy policy, u64 lazy_max_pages)
{
	chunk_init();
	area_init();
	lazy_init(policy, lazy_max_pages);
}
