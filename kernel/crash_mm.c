// SPDX-License-Identifier: MIT
/*
 * Misuses of the mapping engine. A wrong argument that the caller could not know is answered by an
 * error; these are bugs, after which to go on would corrupt somebody's memory: so each ends in a
 * panic that names the area, who mapped or unmapped it, and when. tests/harness/scenarios.py has
 * the words that must be in each report.
 */
#include "kernel/crash.h"
#include "kernel/irq.h"
#include "mm/kmap.h"
#include "mm/vmalloc.h"

#define BYTES 100 /* not a whole page: the rest of it is redzone */

/* A frame, or the crash is not the one that was asked for. */
static struct frame *a_frame(void)
{
	struct frame *f = frame_alloc(0, FRAME_ZERO);

	KASSERT(f, "no memory to crash with");
	return f;
}

static u8 *mapping(void)
{
	struct frame *f[2] = {a_frame(), a_frame()};
	u8 *va = vmap(f, 2, VM_W);

	KASSERT(va, "no memory to crash with");
	return va;
}

/* --- use --- */

/* Unmapped before it was ever used, so no TLB can know it. */
static void use_after_unmap(void)
{
	volatile u8 *va = mapping();

	vunmap((void *)va);
	va[0] = 1;
}

/* Used before and after, and much was mapped in between: without poison it might be somebody's. */
static void use_long_after_unmap(void)
{
	volatile u8 *va;

	lazy_set_poison(true);
	va = mapping();
	va[0] = 1;
	vunmap((void *)va);
	for (unsigned i = 0; i < 100; i++)
		vunmap(mapping());
	va[0] = 1;
}

static void overrun_into_guard(void)
{
	volatile u8 *va = mapping();

	va[2 * PAGE_SIZE] = 1;
}

static void overrun_into_redzone(void)
{
	u8 *va = vmalloc(BYTES);

	*(volatile u8 *)(va + BYTES) = 1;
	vfree(va);
}

static void write_to_read_only(void)
{
	struct frame *f = a_frame();
	volatile u8 *va = vmap(&f, 1, VM_R);

	va[0] = 1;
}

/* --- unmapping --- */

static void unmap_twice(void)
{
	void *va = mapping();

	vunmap(va);
	vunmap(va);
}

static void unmap_interior(void)
{
	vunmap(mapping() + PAGE_SIZE);
}

static void unmap_nothing(void)
{
	vunmap((void *)(VMAP_END - 2 * PAGE_SIZE));
}

static void unmap_elsewhere(void)
{
	vunmap(frame_virt(a_frame()));
}

static void unmap_foreign(void)
{
	vfree(mapping());
}

static void unmap_wrong_count(void)
{
	struct frame *f[2] = {a_frame(), a_frame()};
	void *va = vm_map_ram(f, 2, VM_W);

	vm_unmap_ram(va, 1);
}

static void kunmap_twice(void)
{
	void *va = kmap(a_frame());

	kunmap(va);
	kunmap(va);
}

static void kunmap_local_unordered(void)
{
	void *older = kmap_local(a_frame()), *newer = kmap_local(a_frame());

	kunmap_local(older);
	kunmap_local(newer);
}

/* --- frames --- */

static void free_twice(void)
{
	struct frame *f = a_frame();

	frame_free(f, 0);
	frame_free(f, 0);
}

static void free_mapped(void)
{
	frame_free(vmalloc_to_frame(mapping()), 0);
}

/* --- contexts --- */

static void purge_with_interrupts_off(void)
{
	vunmap(mapping());
	irq_disable();
	vm_unmap_aliases();
}

const struct crash_way crash_mm_ways[] = {
	{"unmapped", "use an address after vunmap", use_after_unmap},
	{"poison", "the same much later, with debug=poison", use_long_after_unmap},
	{"guard", "write beyond an area", overrun_into_guard},
	{"redzone", "write beyond a vmalloc, within its page", overrun_into_redzone},
	{"readonly", "write through a read-only mapping", write_to_read_only},
	{"twice", "vunmap twice", unmap_twice},
	{"interior", "vunmap the middle of an area", unmap_interior},
	{"nothing", "vunmap where nothing was ever mapped", unmap_nothing},
	{"elsewhere", "vunmap an address of the direct map", unmap_elsewhere},
	{"foreign", "vfree what vmap gave", unmap_foreign},
	{"count", "vm_unmap_ram with another count", unmap_wrong_count},
	{"kunmap", "kunmap twice", kunmap_twice},
	{"unordered", "kunmap_local the older of two", kunmap_local_unordered},
	{"doublefree", "free a frame twice", free_twice},
	{"freemapped", "free a frame that is mapped", free_mapped},
	{"irqsoff", "purge with interrupts off", purge_with_interrupts_off},
};

const unsigned nr_crash_mm_ways = ARRAY_SIZE(crash_mm_ways);
