// SPDX-License-Identifier: MIT
/*
 * What calls are told that ask for something impossible: a message and NULL, and nothing has
 * changed afterwards (every test ends with the invariant walker and a count of the frames). What
 * panics by name instead, because going on would corrupt memory, is tried by `crash` and read by
 * the harness: a wrong, interior, foreign or already unmapped address, an unbalanced kunmap,
 * another count.
 */
#include "kernel/errno.h"
#include "mm/check.h"
#include "mm/early.h"
#include "mm/kmap.h"
#include "mm/vmalloc.h"
#include "tests/kernel/device.h"
#include "tests/kernel/laziness.h"
#include "tests/kernel/support.h"

#define MANY	  700	    /* tables and records for more than one chunk */
#define FAR_APART (4 * GiB) /* nobody else asks for it: tables and records of its own */

static struct frame *pages[MANY];
static const u8 byte_of_the_image[1];

KTEST(bad_input, impossible_sizes_give_null)
{
	if (!take_frames(pages, 1))
		return;
	EXPECT(!vmap(pages, 0, VM_W), "no pages");
	EXPECT(!vmap(pages, ~0ul, VM_W), "more pages than RAM");
	EXPECT(!vmap(pages, VMAP_PAGES + 1, VM_W), "more pages than addresses");
	EXPECT(!vmap(pages, 1ul << 52, VM_W), "a length that overflows in bytes");
	EXPECT(!vm_map_ram(pages, 0, VM_W), "no pages");
	EXPECT(!vm_map_ram(pages, ~0ul, VM_W), "more pages than RAM");
	EXPECT(!vmalloc(0), "no bytes");
	EXPECT(!vzalloc(0), "no bytes");
	EXPECT(!vmalloc_huge(0), "no bytes");
	EXPECT(!vmalloc(~0ul), "more bytes than there are");
	EXPECT(!vmalloc_huge(~0ul), "more bytes than there are");
	EXPECT(!vmalloc(VMAP_SIZE + 1), "more than the area");
	EXPECT(!vmalloc_aligned(PAGE_SIZE, 3 * PAGE_SIZE), "no power of two");
	EXPECT(!vm_area_reserve(0, 1, "none"), "no pages");
	EXPECT(!vm_area_reserve(VMAP_PAGES, 1, "all"), "with its guard, more than there is");
	EXPECT(!vm_area_reserve(~0ul, 1, "all"), "more than there is");
	EXPECT_EQ(frame_aliases(pages[0]), 0);
	frame_free_many(pages, 1);
}

static void none_is_mapped(const char *what)
{
	EXPECT(!vmap(pages, 3, VM_W), "%s: vmap", what);
	EXPECT(!vm_map_ram(pages, 3, VM_W), "%s: vm_map_ram", what);
	EXPECT(!kmap(pages[1]), "%s: kmap", what);
	EXPECT_EQ(frame_aliases(pages[0]), 0);
	EXPECT_EQ(frame_aliases(pages[2]), 0);
}

/* The wrong frame is the second of three, so the first was mapped already when it was found. */
/*
 * A free frame that stays free for a while: what the engine itself takes in between (for addresses
 * not used before) are those freed last.
 */
static struct frame *free_for_long(void)
{
	struct frame *f[64];

	if (frame_alloc_many(f, ARRAY_SIZE(f), 0))
		return NULL;
	frame_free_many(f, ARRAY_SIZE(f));
	return f[0];
}

KTEST(bad_input, frames_that_may_not_be_mapped)
{
	struct frame *good, *wrong[3] = {NULL};
	enum lazy_policy policy;
	struct lazy_stats was;
	pfn_t table;

	if (!take_frames(pages, 3))
		return;
	good = pages[1];
	wrong[0] = free_for_long();
	EXPECT(wrong[0], "memory for a free frame");
	wrong[1] = pfn_frame(kernel_root);
	wrong[2] = pfn_frame(paddr_to_pfn((vaddr_t)byte_of_the_image - IMAGE_BASE));
	for_each_policy(policy)
	{
		was = set_laziness(policy);
		if (wrong[0]) {
			EXPECT(wrong[0]->type != FRAME_USED, "it is not free any more");
			pages[1] = wrong[0];
			none_is_mapped("a free frame");
		}
		pages[1] = wrong[1];
		none_is_mapped("the top page table");
		pages[1] = wrong[2];
		none_is_mapped("a frame of the image, which is reserved");
		if (!pt_alloc_table(1, &table)) {
			pages[1] = pfn_frame(table);
			none_is_mapped("a fresh page table");
			pt_free_table(table);
		}
		restore_laziness(&was);
	}
	pages[1] = good;
	EXPECT_EQ(mm_check(false), 0);
	frame_free_many(pages, 3);
}

KTEST(bad_input, null_is_nothing)
{
	vunmap(NULL);
	vfree(NULL);
	EXPECT(!vrealloc(NULL, 0), "vrealloc(NULL, 0)");
}

/* --- every allocation inside fails in its turn --- */

/* => 0 when it succeeded, and then it has undone what it did */
typedef int (*attempt_t)(void);

static int try_vmap(void)
{
	void *va = vmap(pages, MANY, VM_W);

	vunmap(va);
	return va ? 0 : -ENOMEM;
}

static int try_vmalloc(void)
{
	void *va = vmalloc(300 * PAGE_SIZE);

	vfree(va);
	return va ? 0 : -ENOMEM;
}

static int try_vmalloc_huge(void)
{
	void *va = vmalloc_huge(2 * MiB + 3 * PAGE_SIZE);

	vfree(va);
	return va ? 0 : -ENOMEM;
}

static int try_vmalloc_far(void)
{
	void *va = vmalloc_aligned(3 * PAGE_SIZE, FAR_APART);

	vfree(va);
	return va ? 0 : -ENOMEM;
}

static int try_vrealloc(void)
{
	u8 *va = vzalloc(PAGE_SIZE), *grown;

	if (!va)
		return -ENOMEM;
	va[PAGE_SIZE - 1] = 0x33;
	grown = vrealloc(va, 20 * PAGE_SIZE);
	if (!grown) {
		EXPECT_EQ(va[PAGE_SIZE - 1], 0x33);
		vfree(va);
		return -ENOMEM;
	}
	EXPECT_EQ(grown[PAGE_SIZE - 1], 0x33);
	vfree(grown);
	return 0;
}

static int try_sparse(void)
{
	void *area = vm_area_reserve(3000, 1, "sparse");
	int err;

	if (!area)
		return -ENOMEM;
	err = vm_area_map(area, 2000, pages, MANY, VM_W);
	vm_area_free(area);
	return err;
}

static paddr_t device; /* 0: there is none to map */

static int try_ioremap(void)
{
	void *va = ioremap(device, 4, VM_UC, "a device again");

	if (va)
		iounmap(va);
	return va ? 0 : -ENOMEM;
}

static int try_stack(void)
{
	void *va = vmap_stack_alloc(3, "stack");

	if (va)
		vmap_stack_free(va);
	return va ? 0 : -ENOMEM;
}

static int try_kmap(void)
{
	void *va = kmap(pages[0]);

	if (va)
		kunmap(va);
	return va ? 0 : -ENOMEM;
}

#define MOST_ALLOCATIONS 1000

/*
 * What fails where depends on what is there already; the host's test_vmap fails every single one of
 * a fresh machine. Nothing may be lost by any failure, and the next try may not be the worse for
 * it. An attempt may succeed in spite of a failure (by small pages instead of large ones): it is
 * the last when the failure it was promised was not reached.
 */
static void fail_each_in_turn(const char *what, attempt_t attempt)
{
	u64 before, left = 0;

	vm_unmap_aliases();
	before = mm_frames_at_hand();
	for (u64 nth = 1; !left && nth < MOST_ALLOCATIONS && !test_failed(); nth++) {
		int err;

		frame_inject_failure(nth);
		err = attempt();
		left = frame_inject_failure(0);
		vm_unmap_aliases();
		EXPECT(mm_frames_at_hand() == before, "%s: %lu frames, %lu after failure %lu", what,
		       before, mm_frames_at_hand(), nth);
		EXPECT(!left || !err, "%s fails though no allocation did", what);
		if (nth % 16 == 1 || left)
			EXPECT(!mm_check(false), "%s: after failure %lu", what, nth);
	}
	EXPECT(left, "%s never came to an end of its allocations", what);
}

KTEST(bad_input, every_allocation_fails_in_turn)
{
	struct lazy_stats was;

	if (!take_frames(pages, MANY))
		return;
	was = set_laziness(LAZY_TLB);
	fail_each_in_turn("vmap", try_vmap);
	fail_each_in_turn("kmap", try_kmap);
	fail_each_in_turn("vmalloc", try_vmalloc);
	fail_each_in_turn("vmalloc_huge", try_vmalloc_huge);
	fail_each_in_turn("vmalloc_aligned", try_vmalloc_far);
	fail_each_in_turn("vrealloc", try_vrealloc);
	fail_each_in_turn("vm_area_map", try_sparse);
	device = device_find();
	if (device)
		fail_each_in_turn("ioremap", try_ioremap);
	fail_each_in_turn("vmap_stack_alloc", try_stack);
	EXPECT_EQ(frame_aliases(pages[0]), 0);
	restore_laziness(&was);
	frame_free_many(pages, MANY);
}
