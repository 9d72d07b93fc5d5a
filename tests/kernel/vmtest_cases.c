// SPDX-License-Identifier: MIT
/*
 * The cases of Linux's test_vmalloc, in its order, with its parameters. Not here, and why:
 *
 *   pcpu_alloc     there is no allocator of per-CPU memory: what a CPU has of its own are fields of
 *                  struct cpu, whose number is known when the kernel is built
 *   kvfree_rcu     (two cases) there is no RCU, so nothing is freed after a grace period: a vfree
 *                  that may not wait leaves the flush for later, which is what the engine does
 *                  anyway, and no_block tries it
 *
 * Two cases keep thousands of areas. The module takes 15 000 (and twice its lazy threshold)
 * whatever the machine has; here a case takes as many, but at most its share of half of the free
 * memory.
 */
#include "tests/kernel/vmtest.h"
#include "kernel/cpu.h"
#include "kernel/irq.h"
#include "kernel/string.h"
#include "mm/vmalloc.h"
#include "tests/kernel/support.h"

#define BUSY_AREAS  15000      /* long_busy_list keeps so many */
#define MAX_PAGES   100	       /* of an area of random size */
#define FIXED_ALIGN (32 * KiB) /* the module's: twice a thread's stack */

u64 vmtest_area_limit;

/* Writes both ends of every page, then reads them back. => is it all there? */
static bool usable(u8 *va, u64 bytes)
{
	u8 mark = (u8)((vaddr_t)va >> PAGE_SHIFT) ^ (u8)cpu_id();
	bool ok = va;

	for (u64 at = 0; ok && at < bytes; at += PAGE_SIZE) {
		va[at] = (u8)(mark + (at >> PAGE_SHIFT));
		va[MIN(at + PAGE_SIZE, bytes) - 1] = va[at];
	}
	for (u64 at = 0; ok && at < bytes; at += PAGE_SIZE)
		ok = va[at] == (u8)(mark + (at >> PAGE_SHIFT)) &&
		     va[MIN(at + PAGE_SIZE, bytes) - 1] == va[at];
	return ok;
}

/* One loop of most cases. => it passed */
static bool use_and_free(u8 *va, u64 bytes)
{
	bool ok = usable(va, bytes);

	vfree(va);
	return ok;
}

static u64 fix_size(u64 loops, u64 *seed __attribute__((unused)))
{
	u64 passed = 0;

	for (u64 i = 0; i < loops; i++)
		passed += use_and_free(vmalloc(PAGE_SIZE), PAGE_SIZE);
	return passed;
}

static u64 fix_size_huge(u64 loops, u64 *seed __attribute__((unused)))
{
	u64 passed = 0;

	for (u64 i = 0; i < loops; i++)
		passed += use_and_free(vmalloc_huge(2 * MiB), 2 * MiB);
	return passed;
}

/* --- many areas at once, in a list through their own first words --- */

struct link {
	struct link *next;
};

static void free_areas(struct link *l)
{
	for (struct link *next; l; l = next) {
		next = l->next;
		vfree(l);
	}
}

/*
 * => up to n one-page areas, fewer if memory is short; every second one is freed again if `holes`
 */
static struct link *make_areas(u64 n, bool holes)
{
	struct link *kept = NULL, *junk = NULL, **to;

	n = MIN(n, vmtest_area_limit);
	for (u64 i = 0; i < n; i++) {
		struct link *l = vmalloc(PAGE_SIZE);

		if (!l)
			break;
		to = holes && i % 2 ? &junk : &kept;
		l->next = *to;
		*to = l;
	}
	free_areas(junk);
	return kept;
}

/* The worst case of a search for addresses: thousands of holes, all of which fit. */
static u64 full_fit(u64 loops, u64 *seed __attribute__((unused)))
{
	u64 threshold = 8192 * (64 - (unsigned)__builtin_clzl(nr_cpus)), passed = 0;
	struct link *areas = make_areas(2 * threshold, true);

	for (u64 i = 0; areas && i < loops; i++)
		passed += use_and_free(vmalloc(PAGE_SIZE), PAGE_SIZE);
	free_areas(areas);
	return passed;
}

static u64 long_busy_list(u64 loops, u64 *seed __attribute__((unused)))
{
	struct link *areas = make_areas(BUSY_AREAS, false);
	u64 passed = 0;

	for (u64 i = 0; areas && i < loops; i++) {
		u8 *a = vmalloc(100 * PAGE_SIZE), *b = vmalloc(PAGE_SIZE);
		bool ok = use_and_free(a, 100 * PAGE_SIZE);

		passed += use_and_free(b, PAGE_SIZE) && ok;
	}
	free_areas(areas);
	return passed;
}

/* --- sizes and alignments --- */

static u64 random_size(u64 loops, u64 *seed)
{
	u64 passed = 0;

	for (u64 i = 0; i < loops; i++) {
		u64 bytes = (1 + test_random(seed) % MAX_PAGES) * PAGE_SIZE;

		passed += use_and_free(vmalloc(bytes), bytes);
	}
	return passed;
}

static bool aligned(u64 pages, u64 align)
{
	u8 *va = vmalloc_aligned(pages * PAGE_SIZE, align);
	bool ok = IS_ALIGNED((vaddr_t)va, align);

	return use_and_free(va, pages * PAGE_SIZE) && ok;
}

static u64 fix_align(u64 loops, u64 *seed __attribute__((unused)))
{
	u64 passed = 0;

	for (u64 i = 0; i < loops; i++)
		passed += aligned(5, FIXED_ALIGN);
	return passed;
}

static u64 random_size_align(u64 loops, u64 *seed)
{
	u64 passed = 0;

	for (u64 i = 0; i < loops; i++)
		passed += aligned(1 + test_random(seed) % 10, 1ul << test_random(seed) % 23);
	return passed;
}

/*
 * Every power of two there is. The module expects this case to fail, and so does this one, where it
 * must: beyond EVERY_TIME there are so few addresses that others may have them all, and from
 * NEVER on there is none.
 */
#define EVERY_TIME (1 * GiB)
#define NEVER	   (VMAP_SIZE / 2)

static u64 align_shift(u64 loops, u64 *seed __attribute__((unused)))
{
	u64 passed = 0;

	for (u64 i = 0; i < loops; i++) {
		bool ok = true;

		for (unsigned shift = 0; shift < 64; shift++) {
			u64 align = 1ul << shift;
			u8 *va = vmalloc_aligned(PAGE_SIZE, align);

			ok &= va ? align < NEVER : align > EVERY_TIME;
			ok &= IS_ALIGNED((vaddr_t)va, align);
			if (va)
				ok &= use_and_free(va, PAGE_SIZE);
		}
		passed += ok;
	}
	return passed;
}

/* --- other calls --- */

static u64 vm_map_ram_case(u64 loops, u64 *seed __attribute__((unused)))
{
	struct frame *f = frame_alloc(0, 0);
	u64 passed = 0;

	for (u64 i = 0; f && i < loops; i++) {
		u8 *va = vm_map_ram(&f, 1, VM_W);

		passed += usable(va, PAGE_SIZE) && *byte_of(f) == va[0];
		if (va)
			vm_unmap_ram(va, 1);
	}
	if (f)
		frame_free(f, 0);
	return passed;
}

/*
 * Where nobody may be waited for. The module expects failures: an allocation may find no table that
 * could be used without a flush, and is refused; it must not hang, and what it gives must be
 * usable.
 */
static u64 no_block(u64 loops, u64 *seed)
{
	u64 passed = 0, got = 0;

	for (u64 i = 0; i < loops; i++) {
		u64 bytes = (1 + test_random(seed) % MAX_PAGES) * PAGE_SIZE;
		irqflags_t flags = irq_save();
		u8 *va = vmalloc(bytes);

		got += va != NULL;
		passed += !va || use_and_free(va, bytes);
		irq_restore(flags);
	}
	return got ? passed : 0;
}

/* 1 page, 4, 1, half of one, and back: the contents stay, what is new is zero. */
static u64 vrealloc_case(u64 loops, u64 *seed __attribute__((unused)))
{
	static const u64 sizes[] = {4 * PAGE_SIZE, PAGE_SIZE, PAGE_SIZE / 2, PAGE_SIZE};
	u64 passed = 0;

	for (u64 i = 0; i < loops; i++) {
		u64 size = PAGE_SIZE, known = size;
		u8 *va = vzalloc(size);
		bool ok = va;

		for (unsigned s = 0; ok && s < ARRAY_SIZE(sizes); s++) {
			u8 *to;

			memset(va, 0x40 + (int)s, size);
			to = vrealloc(va, sizes[s]);
			ok = to;
			va = ok ? to : va;
			known = MIN(size, sizes[s]);
			size = sizes[s];
			for (u64 at = 0; ok && at < size; at++)
				ok = va[at] == (at < known ? 0x40 + s : 0);
		}
		vfree(va);
		passed += ok;
	}
	return passed;
}

const struct vmtest_case vmtest_cases[] = {
	{"fix_size", "one page", 200, fix_size, false},
	{"fix_size_huge", "2 MiB, in large pages if there are any", 3, fix_size_huge, false},
	{"full_fit", "one page, amid thousands of holes of one page", 100, full_fit, true},
	{"long_busy_list", "100 pages and one, beside 15000 areas", 10, long_busy_list, true},
	{"random_size", "1 to 100 pages", 50, random_size, false},
	{"fix_align", "5 pages at a multiple of 32 KiB", 100, fix_align, false},
	{"random_size_align", "1 to 10 pages, aligned to 1 byte to 4 MiB", 100, random_size_align,
	 false},
	{"align_shift", "one page at every power of two", 1, align_shift, false},
	{"vm_map_ram", "one frame by vm_map_ram", 200, vm_map_ram_case, false},
	{"no_block", "1 to 100 pages with interrupts off", 50, no_block, false},
	{"vrealloc", "1 page, 4, 1, a half, 1: contents kept", 50, vrealloc_case, false},
};

const unsigned nr_vmtest_cases = ARRAY_SIZE(vmtest_cases);
