// SPDX-License-Identifier: MIT
/*
 * The walker reads the page tables as the processor would and holds them against what the rest of
 * mm/ believes:
 *
 *   every leaf      lies in a region, is not writable and executable at once, and maps what that
 *                   region says: the direct map its own address, the vmap area a live area's page
 *   every link      leads to a frame typed as a table of the next level down
 *   no entry        is non-zero without being present
 *   every frame     has as many aliases as there are leaves that map it
 *   every table     has no alias but the direct map's
 *   every area      that is live is mapped in full, and so is RAM in the direct map
 *   frames, areas   their own checks (frame_check, area_check)
 *
 * The alias count found by the walk is kept in the frame's list links, which are unused while a
 * frame is not free; that makes it exact with no memory of its own.
 */
#include "mm/check.h"
#include "mm/area.h"
#include "mm/early.h"
#include "mm/frame.h"
#include "mm/lazy.h"
#include "mm/pagetable.h"
#include "mm/pool.h"
#include "mm/space.h"

struct walk {
	unsigned faults;
	u64 leaves, tables;
	u64 aliases;
	u64 vmap_pages, direct_pages;
};

#define FAULT(w, fmt, ...)                                 \
	do {                                               \
		printk("check: " fmt "\n", ##__VA_ARGS__); \
		(w)->faults++;                             \
	} while (0)

/* => does it lead to a table, so that it may be followed? */
static bool check_link(struct walk *w, vaddr_t va, int level, pte_t e)
{
	pfn_t pfn = paddr_to_pfn(pte_addr(e, level));
	const struct frame *f;

	w->tables++;
	if (!frame_valid(pfn)) {
		FAULT(w, "%#lx level %d links to %#lx, which is not RAM", va, level, pfn.n);
		return false;
	}
	f = pfn_frame(pfn);
	if (f->type != FRAME_TABLE || f->level != level - 1)
		FAULT(w, "%#lx level %d links to frame %#lx: type %u, level %u", va, level, pfn.n,
		      f->type, f->level);
	if (atomic_read(&f->aliases))
		FAULT(w, "page-table frame %#lx has %lu aliases", pfn.n, atomic_read(&f->aliases));
	return f->type == FRAME_TABLE && f->level == level - 1;
}

static void check_vmap_leaf(struct walk *w, vaddr_t va, int level, pte_t e)
{
	pfn_t pfn = paddr_to_pfn(pte_addr(e, level));
	struct area a = {0};

	w->vmap_pages += pt_entry_size(level) >> PAGE_SHIFT;
	if (!area_find(va, &a) || a.state != AREA_LIVE || va >= a.start + (a.pages << PAGE_SHIFT))
		FAULT(w, "%#lx is mapped (%#lx) but lies in a %s area", va, e.v,
		      area_state_name(a.state));
	else if (pte_writable(e) != !!(a.prot & VM_W))
		FAULT(w, "%#lx has entry %#lx, its area '%s' has prot %#x", va, e.v, a.name,
		      a.prot);
	if (!frame_valid(pfn))
		return;
	w->aliases++;
	if (pfn_frame(pfn)->type == FRAME_FREE || pfn_frame(pfn)->type == FRAME_CACHED)
		FAULT(w, "%#lx maps frame %#lx, which is free", va, pfn.n);
	else
		pfn_frame(pfn)->next++;
}

/* The image's frames that nobody may write, by whatever address. */
static bool overlaps_text(paddr_t pa, u64 len)
{
	const struct kernel_image *img = space_image();

	return pa < img->rodata_end - IMAGE_BASE && pa + len > img->text - IMAGE_BASE;
}

static void check_leaf(struct walk *w, vaddr_t va, int level, pte_t e)
{
	paddr_t pa = pte_addr(e, level);

	w->leaves++;
	if (pte_writable(e) && pte_executable(e))
		FAULT(w, "%#lx is writable and executable (%#lx)", va, e.v);
	if (in_vmap_area(va)) {
		check_vmap_leaf(w, va, level, e);
	} else if (in_direct_map(va)) {
		w->direct_pages += pt_entry_size(level) >> PAGE_SHIFT;
		if (pa != va - DIRECT_BASE || pte_executable(e) ||
		    (pte_writable(e) && overlaps_text(pa, pt_entry_size(level))))
			FAULT(w, "direct map %#lx has entry %#lx", va, e.v);
	} else if (in_image(va)) {
		const struct kernel_image *img = space_image();
		bool text = va - img->text < img->text_end - img->text;
		bool data = va - img->data < img->end - img->data;

		if (pte_writable(e) != data || pte_executable(e) != text || va == img->stack_guard)
			FAULT(w, "image page %#lx has entry %#lx", va, e.v);
		if (frame_valid(paddr_to_pfn(pa)) &&
		    pfn_frame(paddr_to_pfn(pa))->type != FRAME_RESERVED)
			FAULT(w, "image page %#lx: its frame is not reserved", va);
	} else if (!in_frame_array(va) || pte_executable(e)) {
		FAULT(w, "%#lx is mapped (%#lx) outside every region", va, e.v);
	}
}

static bool check_entry(void *arg, vaddr_t va, int level, pfn_t table, unsigned slot, pte_t e)
{
	struct walk *w = arg;

	if (!pte_present(e))
		FAULT(w, "table %#lx entry %u (%#lx) is %#lx: not present, yet not zero", table.n,
		      slot, va, e.v);
	else if (pte_leaf(e, level))
		check_leaf(w, va, level, e);
	else
		return check_link(w, va, level, e);
	return false;
}

/* Second pass: counts against what the walk found; the scratch goes back to zero. */
static void check_aliases(struct walk *w)
{
	for (unsigned r = 0; r < early_nr_ram; r++)
		for (u64 p = early_ram[r].start; p < early_ram[r].end; p++) {
			struct frame *f = &frames[p];
			u64 found = 0;

			if (f->type != FRAME_FREE && f->type != FRAME_CACHED) {
				found = f->next;
				f->next = 0;
			}
			if (found != atomic_read(&f->aliases))
				FAULT(w, "frame %#lx counts %lu aliases, %lu entries map it", p,
				      atomic_read(&f->aliases), found);
		}
}

/* Nothing that should be mapped is missing: the walk has seen as many pages as there should be. */
static void check_complete(struct walk *w)
{
	u64 limit = space_direct_limit() >> PAGE_SHIFT, direct = 0, typed = 0;
	struct area_stats as;

	for (unsigned r = 0; r < early_nr_ram; r++) {
		direct += MIN(early_ram[r].end, limit) - MIN(early_ram[r].start, limit);
		for (u64 p = early_ram[r].start; p < early_ram[r].end; p++)
			typed += frames[p].type == FRAME_TABLE;
	}
	if (direct != w->direct_pages)
		FAULT(w, "the direct map has %lu pages of %lu", w->direct_pages, direct);
	area_stats(&as);
	if (w->vmap_pages != as.pages[AREA_LIVE] - as.nr[AREA_LIVE]) /* one guard each */
		FAULT(w, "live areas have %lu pages, %lu are mapped",
		      as.pages[AREA_LIVE] - as.nr[AREA_LIVE], w->vmap_pages);
	if (typed != pt_tables_held() || w->tables > typed)
		FAULT(w, "%lu frames are typed as tables, %lu held, %lu linked", typed,
		      pt_tables_held(), w->tables);
}

/* Cleared areas are those on the lazy list, no more and no fewer. */
static void check_lazy(struct walk *w)
{
	struct lazy_stats lz;
	struct area_stats as;

	lazy_stats(&lz);
	area_stats(&as);
	if (lz.areas != as.nr[AREA_CLEARED])
		FAULT(w, "%lu areas are cleared, the lazy list has %lu", as.nr[AREA_CLEARED],
		      lz.areas);
}

u64 mm_frames_at_hand(void)
{
	return frame_free_total() + pt_tables_held() + pool_frames();
}

unsigned mm_check(bool verbose)
{
	struct walk w = {.tables = 1};

	pt_visit(kernel_root, PT_LEVELS, 0, check_entry, &w);
	check_aliases(&w);
	check_complete(&w);
	check_lazy(&w);
	w.faults += frame_check() + area_check();
	if (verbose)
		printk("check: %lu tables, %lu leaves, %lu aliases: %u faults\n", w.tables,
		       w.leaves, w.aliases, w.faults);
	return w.faults;
}
