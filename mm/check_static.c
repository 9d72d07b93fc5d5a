// SPDX-License-Identifier: MIT
/*
 * The part of the invariant walker about what boot maps once and for all (mm/space.c): each leaf
 * must map what its region's rule says, with that region's rights; and because a rule about leaves
 * cannot miss a leaf that is not there, pages are counted and compared with what there should be.
 */
#include "mm/check_internal.h"
#include "mm/early.h"
#include "mm/frame.h"
#include "mm/pagetable.h"
#include "mm/space.h"

/* Text and read-only data: nobody may write them, by whatever address. */
static bool in_read_only_image(paddr_t pa, u64 len)
{
	const struct kernel_image *img = space_image();

	return pa < img->rodata_end - IMAGE_BASE && pa + len > img->text - IMAGE_BASE;
}

/* Tables: check_table_rights() has to say whether one may be written. => all of it are tables */
static bool may_be_either(paddr_t pa)
{
	return mmu->tables_read_only && pfn_frame(paddr_to_pfn(pa))->type == FRAME_TABLE;
}

static void check_direct_leaf(struct walk *w, vaddr_t va, int level, pte_t e)
{
	paddr_t pa = pte_addr(e, level);

	w->direct_pages += pt_entry_size(level) >> PAGE_SHIFT;
	if (pa != va - DIRECT_BASE || pte_executable(e) ||
	    (pte_writable(e) == in_read_only_image(pa, pt_entry_size(level)) && !may_be_either(pa)))
		FAULT(w->faults, "direct map %#lx has entry %#lx", va, e.v);
}

/* What no allocator may give away. */
static void check_reserved(struct walk *w, vaddr_t va, paddr_t pa)
{
	pfn_t pfn = paddr_to_pfn(pa);

	if (frame_valid(pfn) && pfn_frame(pfn)->type != FRAME_RESERVED)
		FAULT(w->faults, "%#lx: its frame %#lx is not reserved", va, pfn.n);
}

static void check_image_leaf(struct walk *w, vaddr_t va, int level, pte_t e)
{
	const struct kernel_image *img = space_image();
	bool text = va - img->text < img->text_end - img->text;
	bool data = va - img->data < img->end - img->data;

	w->image_pages += pt_entry_size(level) >> PAGE_SHIFT;
	if (pte_writable(e) != data || pte_executable(e) != text || va == img->stack_guard ||
	    (pte_addr(e, level) != va - IMAGE_BASE) != (va == img->platform_page))
		FAULT(w->faults, "image page %#lx has entry %#lx", va, e.v);
	if (va != img->platform_page) /* what that maps is no frame of ours, whatever its number */
		check_reserved(w, va, pte_addr(e, level));
}

static void check_frame_array_leaf(struct walk *w, vaddr_t va, int level, pte_t e)
{
	if (!pte_writable(e) || pte_executable(e))
		FAULT(w->faults, "frame array %#lx has entry %#lx", va, e.v);
	for (u64 off = 0; off < pt_entry_size(level); off += PAGE_SIZE)
		check_reserved(w, va + off, pte_addr(e, level) + off);
}

bool check_static_leaf(struct walk *w, vaddr_t va, int level, pte_t e)
{
	if (in_direct_map(va))
		check_direct_leaf(w, va, level, e);
	else if (in_image(va))
		check_image_leaf(w, va, level, e);
	else if (in_frame_array(va))
		check_frame_array_leaf(w, va, level, e);
	else
		return false;
	return true;
}

void check_static_complete(struct walk *w)
{
	const struct kernel_image *img = space_image();
	u64 image = (img->text_end - img->text + img->rodata_end - img->rodata + img->end -
		     img->data) >>
		    PAGE_SHIFT;
	u64 limit = space_direct_limit() >> PAGE_SHIFT, direct = 0, typed = 0;

	for (unsigned r = 0; r < early_nr_ram; r++) {
		direct += MIN(early_ram[r].end, limit) - MIN(early_ram[r].start, limit);
		for (u64 p = early_ram[r].start; p < early_ram[r].end; p++)
			typed += frames[p].type == FRAME_TABLE;
	}
	if (direct != w->direct_pages)
		FAULT(w->faults, "the direct map has %lu pages of %lu", w->direct_pages, direct);
	if (w->image_pages != image - 1) /* the guard of the boot stack */
		FAULT(w->faults, "the image has %lu pages of %lu", w->image_pages, image - 1);
	if (typed != pt_tables_held() || w->tables > typed)
		FAULT(w->faults, "%lu frames are typed as tables, %lu held, %lu linked", typed,
		      pt_tables_held(), w->tables);
}
