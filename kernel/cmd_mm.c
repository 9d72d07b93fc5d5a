// SPDX-License-Identifier: MIT
/*
 * The monitor's windows into mm/: who owns memory and addresses, what the tables say, what waits.
 */
#include "kernel/cpu.h"
#include "kernel/errno.h"
#include "kernel/monitor.h"
#include "kernel/printk.h"
#include "kernel/string.h"
#include "mm/area.h"
#include "mm/check.h"
#include "mm/describe.h"
#include "mm/early.h"
#include "mm/frame.h"
#include "mm/lazy.h"
#include "mm/pagetable.h"
#include "mm/shootdown.h"
#include "mm/space.h"
#include "mm/vmap.h"

static const char *prot_text(unsigned prot)
{
	if (prot & VM_X)
		return "r-x";
	return prot & VM_W ? "rw-" : "r--";
}

/* An address argument. => 0 or a message and -EINVAL */
static int parse_address(const char *s, vaddr_t *va)
{
	int err = parse_u64(s, va);

	if (err)
		printk("'%s' is not an address, such as 0xffff900000001000\n", s);
	return err;
}

COMMAND(mem, "", "physical memory: what the loader gave, who has it")
{
	struct frame_stats st;

	if (argc != 1)
		return CMD_USAGE;
	for (unsigned i = 0; i < early_nr_ram; i++)
		printk("RAM %#14lx - %#14lx  %8lu KiB\n", early_ram[i].start << PAGE_SHIFT,
		       early_ram[i].end << PAGE_SHIFT,
		       (early_ram[i].end - early_ram[i].start) * PAGE_SIZE / KiB);
	frame_stats(&st);
	printk("frames: %lu in all = %lu free + %lu in CPU caches + %lu in use + %lu page tables + %lu reserved\n",
	       st.total, st.free, st.cached, st.used, st.tables, st.reserved);
	if (space_direct_limit() < early_ram[early_nr_ram - 1].end << PAGE_SHIFT)
		printk("direct map ends at %lu MiB: %lu of the free frames lie above it\n",
		       space_direct_limit() / MiB, st.free_high);
	return 0;
}

static void print_area(const struct area *a)
{
	printk("  %#lx  %6lu pages + guard  %-7s %s  %-9s  %pS\n", a->start, a->pages,
	       area_state_name(a->state), prot_text(a->prot), a->name, (void *)a->mapper);
}

#define MAPS_MAX_AREAS 64

static void print_areas(void)
{
	vaddr_t va = VMAP_BASE;
	struct area_stats st;
	struct area a;
	unsigned shown = 0;

	for (; area_find(va, &a); va = a.start + (a.span << PAGE_SHIFT))
		if (a.state != AREA_FREE && shown++ < MAPS_MAX_AREAS)
			print_area(&a);
	if (shown > MAPS_MAX_AREAS)
		printk("  ... and %u more\n", shown - MAPS_MAX_AREAS);
	area_stats(&st);
	printk("  live %lu areas %lu pages, cleared %lu areas %lu pages, free %lu ranges, largest %lu pages\n",
	       st.nr[AREA_LIVE], st.pages[AREA_LIVE], st.nr[AREA_CLEARED], st.pages[AREA_CLEARED],
	       st.nr[AREA_FREE], st.largest_free);
}

COMMAND(maps, "", "the address space, region by region, and every area in the vmap area")
{
	const struct kernel_image *img = space_image();
	u64 top = early_ram[early_nr_ram - 1].end;

	if (argc != 1)
		return CMD_USAGE;
	printk("%#18lx  null page and user half: nothing\n", 0ul);
	printk("%#lx  Xen's hole: nothing\n", 0xffff800000000000ul);
	printk("%#lx  direct map of RAM up to %#lx, rw-\n", DIRECT_BASE,
	       MIN(top << PAGE_SHIFT, space_direct_limit()));
	printk("%#lx  vmap area, %lu GiB:\n", VMAP_BASE, VMAP_SIZE / GiB);
	print_areas();
	printk("%#lx  frame array, %lu bytes a frame, rw-\n", FRAMES_BASE, sizeof(struct frame));
	printk("%#lx  image text, %lu KiB, r-x\n", img->text, (img->text_end - img->text) / KiB);
	printk("%#lx  image read-only data, %lu KiB, r--\n", img->rodata,
	       (img->rodata_end - img->rodata) / KiB);
	printk("%#lx  image data, %lu KiB, rw-; guard below the boot stack at %#lx\n", img->data,
	       (img->end - img->data) / KiB, img->stack_guard);
	return 0;
}

COMMAND(area, "ADDR", "what an address means, and the area that owns it")
{
	char text[160];
	struct area a;
	vaddr_t va;

	if (argc != 2)
		return CMD_USAGE;
	if (parse_address(argv[1], &va))
		return -EINVAL;
	mm_describe(va, text, sizeof(text));
	printk("%#lx: %s\n", va, text);
	if (in_vmap_area(va) && area_find(va, &a) && a.state != AREA_FREE)
		print_area(&a);
	return 0;
}

static void print_entry(int level, const struct pt_step *s)
{
	pte_t e = s->entry;

	printk("level %d  table %#9lx  entry %3u  ", level, s->table.n, s->slot);
	if (!pte_present(e)) {
		printk("%#lx: not present\n", e.v);
		return;
	}
	printk("%#018lx -> %#lx %s%s%s%s%s%s%s%s\n", e.v, pte_addr(e, level),
	       pte_leaf(e, level) ? "leaf" : "table", pte_writable(e) ? " w" : "",
	       pte_executable(e) ? " x" : "", e.v & PTE_U ? " user" : "",
	       pte_leaf(e, level) && e.v & PTE_G ? " global" : "", e.v & PTE_PCD ? " pcd" : "",
	       e.v & PTE_PWT ? " pwt" : "", pte_leaf(e, level) && e.v & PTE_D ? " dirty" : "");
}

COMMAND(pt, "ADDR", "walk the page tables to an address")
{
	struct pt_walk w;
	vaddr_t va;
	bool mapped;

	if (argc != 2)
		return CMD_USAGE;
	if (parse_address(argv[1], &va))
		return -EINVAL;
	if (!va_canonical(va)) {
		printk("%#lx is not canonical: bits 63 to 47 must be equal\n", va);
		return -EINVAL;
	}
	mapped = pt_walk(kernel_root, va, &w);
	for (int level = PT_LEVELS; level >= w.level; level--)
		print_entry(level, &w.step[level]);
	if (mapped)
		printk("%#lx is physical %#lx\n", va,
		       pte_addr(w.step[w.level].entry, w.level) +
			       (va & (pt_entry_size(w.level) - 1)));
	else
		printk("%#lx is not mapped\n", va);
	return 0;
}

COMMAND(lazy, "[off|tlb | max PAGES]", "the lazy list, its policy and its threshold")
{
	enum lazy_policy policy;
	struct lazy_stats st;
	u64 max;

	if (argc == 3 && !strcmp(argv[1], "max") && !parse_u64(argv[2], &max))
		lazy_set_max(max);
	else if (argc == 2 && !lazy_policy_parse(argv[1], &policy))
		lazy_set_policy(policy);
	else if (argc != 1)
		return CMD_USAGE;
	lazy_stats(&st);
	printk("policy %s: %lu areas, %lu pages wait (peak %lu), purge above %lu pages\n",
	       lazy_policy_name(st.policy), st.areas, st.pages, st.peak_pages, st.max_pages);
	if (st.areas)
		printk("oldest stamp %lu, clock %lu: %s\n", st.oldest_stamp, shootdown_clock(),
		       shootdown_covered(st.oldest_stamp)
			       ? "every CPU has flushed since, it can come home"
			       : "some CPU may still remember it");
	return 0;
}

COMMAND(purge, "", "shoot down everything that was unmapped lazily")
{
	u64 ipis = counter_sum(CNT_ipi_sent), pages;

	if (argc != 1)
		return CMD_USAGE;
	pages = lazy_purge();
	printk("%lu pages came home, %lu IPIs\n", pages, counter_sum(CNT_ipi_sent) - ipis);
	return 0;
}

COMMAND(check, "", "walk all page tables, frames and areas, and report every contradiction")
{
	if (argc != 1)
		return CMD_USAGE;
	return mm_check(true) ? -EIO : 0;
}
