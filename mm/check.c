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
 * To compare the alias counts without memory of its own, the walker takes every entry it meets off
 * its frame's count, looks for counts that are not zero, and puts everything back by a second walk;
 * so what it finds wrong it leaves as it was. Nobody may map or unmap between the two.
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
	u64 vmap_pages, direct_pages, image_pages;
};

#define FAULT(w, fmt, ...)                                 \
	do {                                               \
		printk("check: " fmt "\n", ##__VA_ARGS__); \
		(w)->faults++;                             \
	} while (0)

/* => may the link be followed? Both visitors below must agree on it. */
static bool leads_to_table(int level, pte_t e)
{
	pfn_t pfn = paddr_to_pfn(pte_addr(e, level));

	return frame_valid(pfn) && pfn_frame(pfn)->type == FRAME_TABLE &&
	       pfn_frame(pfn)->level == level - 1;
}

static void check_link(struct walk *w, vaddr_t va, int level, pte_t e)
{
	pfn_t pfn = paddr_to_pfn(pte_addr(e, level));

	w->tables++;
	if (!frame_valid(pfn))
		FAULT(w, "%#lx level %d links to %#lx, which is not RAM", va, level, pfn.n);
	else if (!leads_to_table(level, e))
		FAULT(w, "%#lx level %d links to frame %#lx, which is %s, level %u", va, level,
		      pfn.n, frame_type_name(pfn_frame(pfn)->type), pfn_frame(pfn)->level);
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
	if (pfn_frame(pfn)->type != FRAME_USED && pfn_frame(pfn)->type != FRAME_RESERVED)
		FAULT(w, "%#lx maps frame %#lx, which is %s", va, pfn.n,
		      frame_type_name(pfn_frame(pfn)->type));
	atomic_fetch_add(&pfn_frame(pfn)->aliases, -1ull);
}

/* Text and read-only data: nobody may write them, by whatever address. */
static bool in_read_only_image(paddr_t pa, u64 len)
{
	const struct kernel_image *img = space_image();

	return pa < img->rodata_end - IMAGE_BASE && pa + len > img->text - IMAGE_BASE;
}

static void check_direct_leaf(struct walk *w, vaddr_t va, int level, pte_t e)
{
	paddr_t pa = pte_addr(e, level);

	w->direct_pages += pt_entry_size(level) >> PAGE_SHIFT;
	if (pa != va - DIRECT_BASE || pte_executable(e) ||
	    pte_writable(e) == in_read_only_image(pa, pt_entry_size(level)))
		FAULT(w, "direct map %#lx has entry %#lx", va, e.v);
}

/* What no allocator may give away. */
static void check_reserved(struct walk *w, vaddr_t va, paddr_t pa)
{
	pfn_t pfn = paddr_to_pfn(pa);

	if (frame_valid(pfn) && pfn_frame(pfn)->type != FRAME_RESERVED)
		FAULT(w, "%#lx: its frame %#lx is not reserved", va, pfn.n);
}

static void check_image_leaf(struct walk *w, vaddr_t va, int level, pte_t e)
{
	const struct kernel_image *img = space_image();
	bool text = va - img->text < img->text_end - img->text;
	bool data = va - img->data < img->end - img->data;

	w->image_pages += pt_entry_size(level) >> PAGE_SHIFT;
	if (pte_writable(e) != data || pte_executable(e) != text || va == img->stack_guard ||
	    pte_addr(e, level) != va - IMAGE_BASE)
		FAULT(w, "image page %#lx has entry %#lx", va, e.v);
	check_reserved(w, va, pte_addr(e, level));
}

static void check_frame_array_leaf(struct walk *w, vaddr_t va, int level, pte_t e)
{
	if (!pte_writable(e) || pte_executable(e))
		FAULT(w, "frame array %#lx has entry %#lx", va, e.v);
	for (u64 off = 0; off < pt_entry_size(level); off += PAGE_SIZE)
		check_reserved(w, va + off, pte_addr(e, level) + off);
}

static void check_leaf(struct walk *w, vaddr_t va, int level, pte_t e)
{
	w->leaves++;
	if (pte_writable(e) && pte_executable(e))
		FAULT(w, "%#lx is writable and executable (%#lx)", va, e.v);
	if (in_vmap_area(va))
		check_vmap_leaf(w, va, level, e);
	else if (in_direct_map(va))
		check_direct_leaf(w, va, level, e);
	else if (in_image(va))
		check_image_leaf(w, va, level, e);
	else if (in_frame_array(va))
		check_frame_array_leaf(w, va, level, e);
	else
		FAULT(w, "%#lx is mapped (%#lx) outside every region", va, e.v);
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
		check_link(w, va, level, e);
	return leads_to_table(level, e);
}

/* The second visit: gives back what the first has taken off the counts. */
static bool restore_count(void *arg __attribute__((unused)), vaddr_t va, int level,
			  pfn_t table __attribute__((unused)),
			  unsigned slot __attribute__((unused)), pte_t e)
{
	pfn_t pfn = paddr_to_pfn(pte_addr(e, level));

	if (pte_present(e) && pte_leaf(e, level) && in_vmap_area(va) && frame_valid(pfn))
		atomic_fetch_add(&pfn_frame(pfn)->aliases, 1);
	return leads_to_table(level, e);
}

/* Between the two visits: what is left of the counts is what no entry accounts for. */
static void check_aliases(struct walk *w)
{
	for (unsigned r = 0; r < early_nr_ram; r++)
		for (u64 p = early_ram[r].start; p < early_ram[r].end; p++) {
			s64 rest = (s64)atomic_read(&frames[p].aliases);

			if (rest)
				FAULT(w, "frame %#lx counts %ld aliases %s than entries map it", p,
				      rest < 0 ? -rest : rest, rest < 0 ? "fewer" : "more");
		}
}

static void check_table_frame(struct walk *w, u64 pfn)
{
	if (atomic_read(&frames[pfn].aliases))
		FAULT(w, "page-table frame %#lx has %lu aliases", pfn,
		      atomic_read(&frames[pfn].aliases));
}

/* Nothing that should be mapped is missing: the walk has seen as many pages as there should be. */
static void check_complete(struct walk *w)
{
	const struct kernel_image *img = space_image();
	u64 image = (img->text_end - img->text + img->rodata_end - img->rodata + img->end -
		     img->data) >>
		    PAGE_SHIFT;
	u64 limit = space_direct_limit() >> PAGE_SHIFT, direct = 0, typed = 0;
	struct area_stats as;

	for (unsigned r = 0; r < early_nr_ram; r++) {
		direct += MIN(early_ram[r].end, limit) - MIN(early_ram[r].start, limit);
		for (u64 p = early_ram[r].start; p < early_ram[r].end; p++) {
			if (frames[p].type != FRAME_TABLE)
				continue;
			typed++;
			check_table_frame(w, p);
		}
	}
	if (direct != w->direct_pages)
		FAULT(w, "the direct map has %lu pages of %lu", w->direct_pages, direct);
	if (w->image_pages != image - 1) /* the guard of the boot stack */
		FAULT(w, "the image has %lu pages of %lu", w->image_pages, image - 1);
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
	pt_visit(kernel_root, PT_LEVELS, 0, restore_count, NULL);
	check_complete(&w);
	check_lazy(&w);
	w.faults += frame_check() + area_check();
	if (verbose)
		printk("check: %lu tables, %lu leaves, %lu aliases: %u faults\n", w.tables,
		       w.leaves, w.aliases, w.faults);
	return w.faults;
}
