// SPDX-License-Identifier: MIT
/*
 * Building the kernel's address space (mm/layout.h has the map of it):
 *
 *   image        page by page, so that text, rodata and data each get their own rights (W^X), and
 *                the page below the boot stack none
 *   direct map   RAM and nothing else, with the largest pages that fit; the image's text and
 *                rodata are read-only here too, or W^X could be had around by the back door
 *   frame array  32 bytes a frame, backed by memory only where there is RAM
 *   vmap area    its level-3 table, empty
 *   everything else, page 0 first of all, is not mapped
 *
 * It is built over early memory while the boot tables are loaded, then loaded in one step.
 *
 * Next: mm/frame.c takes over what memory is left.
 */
#include "mm/space.h"
#include "mm/early.h"
#include "mm/alias.h"
#include "mm/area.h"
#include "mm/pagetable.h"

#define MIN_DIRECT_LIMIT (16 * MiB)

pfn_t kernel_root;
static pfn_t trampoline_root;
static u64 direct_limit = ~0ull;
static struct kernel_image image;

u64 space_direct_limit(void)
{
	return direct_limit;
}

const struct kernel_image *space_image(void)
{
	return &image;
}

static int map_image(void)
{
	const struct {
		vaddr_t start, end;
		unsigned prot;
	} part[] = {
		{image.text, image.text_end, VM_X},
		{image.rodata, image.rodata_end, VM_R},
		{image.data, image.stack_guard, VM_W},
		{image.stack_guard + PAGE_SIZE, image.end, VM_W},
	};

	for (unsigned i = 0; i < ARRAY_SIZE(part); i++) {
		int err = pt_map_span(kernel_root, part[i].start, part[i].start - IMAGE_BASE,
				      part[i].end - part[i].start, part[i].prot, 1);

		if (err)
			return err;
	}
	return 0;
}

static int map_direct_part(paddr_t start, paddr_t end, unsigned prot)
{
	end = MIN(end, direct_limit);
	if (start >= end)
		return 0;
	return pt_map_span(kernel_root, DIRECT_BASE + start, start, end - start, prot,
			   mmu->max_leaf_level);
}

static int map_direct(void)
{
	paddr_t ro = image.text - IMAGE_BASE, ro_end = image.rodata_end - IMAGE_BASE;

	for (unsigned i = 0; i < early_nr_ram; i++) {
		paddr_t s = early_ram[i].start << PAGE_SHIFT, e = early_ram[i].end << PAGE_SHIFT;
		int err = map_direct_part(s, MIN(e, ro), VM_W);

		if (!err)
			err = map_direct_part(MAX(s, ro), MIN(e, ro_end), VM_R);
		if (!err)
			err = map_direct_part(MAX(s, ro_end), e, VM_W);
		if (err)
			return err;
	}
	return 0;
}

/* Backs [va, end) with early memory, in large pages where a whole one fits. */
static int back_frame_array(vaddr_t va, vaddr_t end)
{
	while (va < end) {
		bool large = mmu->max_leaf_level >= 2 && IS_ALIGNED(va, pt_entry_size(2)) &&
			     end - va >= pt_entry_size(2);
		u64 pages = large ? PT_ENTRIES : 1;
		paddr_t pa;
		pfn_t pfn;
		int err;

		if (pt_translate(kernel_root, va, &pa)) { /* shared with the range before */
			va += PAGE_SIZE;
			continue;
		}
		err = early_alloc(pages, pages, ~0ull, &pfn);
		if (!err)
			err = pt_map_span(kernel_root, va, pfn_to_paddr(pfn), pages << PAGE_SHIFT,
					  VM_W, large ? 2 : 1);
		if (err)
			return err;
		va += pages << PAGE_SHIFT;
	}
	return 0;
}

#define FRAMES_PER_PAGE (PAGE_SIZE / sizeof(struct frame))

/* All that has a struct is reserved until somebody says otherwise, what only shares a page too. */
static void reserve_frames(u64 pfn, u64 end)
{
	for (; pfn < end; pfn++)
		frames[pfn] = (struct frame){.alias = {ALIAS_BUSY | ALIAS_NOMAP},
					     .revive = {(u64)&area_none}};
}

static vaddr_t frame_array_va(u64 pfn)
{
	return FRAMES_BASE + pfn * sizeof(struct frame);
}

static int map_frame_array(void)
{
	for (unsigned i = 0; i < early_nr_ram; i++) {
		int err =
			back_frame_array(ALIGN_DOWN(frame_array_va(early_ram[i].start), PAGE_SIZE),
					 ALIGN_UP(frame_array_va(early_ram[i].end), PAGE_SIZE));

		if (err)
			return err;
	}
	return 0;
}

static int make_vmap_top(void)
{
	pfn_t table;
	int err = pt_alloc_table(PT_LEVELS - 1, &table);

	if (err)
		return err;
	return mmu->attach_table(kernel_root, pt_index(VMAP_BASE, PT_LEVELS), PT_LEVELS, table);
}

static const char *validate(void)
{
	u64 top = early_nr_ram ? early_ram[early_nr_ram - 1].end << PAGE_SHIFT : 0;

	if (!top)
		return "there is no memory";
	if (direct_limit < MIN_DIRECT_LIMIT || direct_limit < image.end - IMAGE_BASE ||
	    direct_limit < image.keep_direct)
		return "directmap=SIZE is too small: the kernel itself, and what boot has left behind it, "
		       "needs at least the first 16 MiB mapped";
	if (MIN(top, direct_limit) > DIRECT_SIZE ||
	    top / PAGE_SIZE * sizeof(struct frame) > FRAMES_SIZE || top >> PAGE_SHIFT > FRAME_NIL)
		return "there is memory above 8 TiB, which the address space has no room for";
	return NULL;
}

int space_init(const struct kernel_image *img, u64 limit, const char **why)
{
	int err;

	image = *img;
	direct_limit = ALIGN_DOWN(limit, PAGE_SIZE);
	*why = validate();
	if (*why)
		return -EINVAL;
	*why = "not enough memory for page tables and the frame array";
	err = pt_alloc_table(PT_LEVELS, &kernel_root);
	if (!err)
		err = pt_alloc_table(PT_LEVELS, &trampoline_root);
	if (!err)
		err = map_image();
	if (!err)
		err = map_direct();
	if (!err)
		err = map_frame_array();
	if (!err)
		err = make_vmap_top();
	if (err)
		return err;
	*why = "the platform refused the new page tables";
	err = mmu->load_root(kernel_root);
	if (err)
		return err;
	for (unsigned i = 0; i < early_nr_ram; i++)
		reserve_frames(ALIGN_DOWN(early_ram[i].start, FRAMES_PER_PAGE),
			       ALIGN_UP(early_ram[i].end, FRAMES_PER_PAGE));
	frames_init(direct_limit);
	pt_leave_early(kernel_root);
	pt_adopt_table(trampoline_root, PT_LEVELS);
	return 0;
}

int space_trampoline_root(paddr_t pa, pfn_t *root)
{
	int err = pt_copy_kernel_half(trampoline_root, kernel_root);

	if (err)
		return err;
	*root = trampoline_root;
	/* not global: loading kernel_root drops it */
	return pt_map_span(trampoline_root, pa, pa, PAGE_SIZE, VM_X | VM_LOCAL, 1);
}

void space_trampoline_root_free(void)
{
	pfn_t table = trampoline_root;

	/* The trampoline is below 1 MiB: the one path of the user half begins in slot 0 of each. */
	for (int level = PT_LEVELS; level >= 1; level--) {
		pte_t e = pt_read(table, 0);

		pt_free_table(table);
		if (level == 1 || !pte_present(e)) /* or the path was not made to its end */
			return;
		table = paddr_to_pfn(pte_addr(e, level));
	}
}
