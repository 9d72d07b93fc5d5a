// SPDX-License-Identifier: MIT
/*
 * The monitor's windows into mm/: who owns memory and addresses, what the tables say. What is
 * mapped by whom is in kernel/cmd_vmap.c, being lazy and purging in kernel/cmd_lazy.c.
 */
#include "kernel/cmd_mm.h"
#include "kernel/console.h"
#include "kernel/errno.h"
#include "kernel/monitor.h"
#include "kernel/printk.h"
#include "kernel/string.h"
#include "kernel/time.h"
#include "mm/check.h"
#include "mm/chunk.h"
#include "mm/early.h"
#include "mm/frame.h"
#include "mm/kmap.h"
#include "mm/pagetable.h"
#include "mm/pool.h"
#include "mm/shootdown.h"
#include "mm/space.h"

const char *prot_text(unsigned prot)
{
	static const char *const device[] = {"r-- uc", "rw- uc", "r-- wc", "rw- wc"};

	if (prot & VM_X)
		return "r-x";
	if (prot & (VM_UC | VM_WC))
		return device[!!(prot & VM_WC) * 2 + !!(prot & VM_W)];
	return prot & VM_W ? "rw-" : "r--";
}

int parse_address(const char *s, vaddr_t *va)
{
	int err = parse_u64(s, va);

	if (err)
		printk("'%s' is not an address, such as 0xffff900000001000\n", s);
	return err;
}

/* A frame number has far fewer bits than a kernel address: one cannot be taken for the other. */
int parse_frame(const char *s, struct frame **f)
{
	paddr_t pa;
	u64 n;

	if (parse_u64(s, &n)) {
		printk("'%s' is neither a frame number, such as 0xfdcd, nor an address\n", s);
		return -EINVAL;
	}
	if (n >> 63) {
		if (!pt_translate(kernel_root, n, &pa)) {
			printk("%#lx is not mapped, so it has no frame\n", n);
			return -EINVAL;
		}
		n = pa >> PAGE_SHIFT;
	}
	if (!frame_valid(pfn_make(n))) {
		printk("frame %#lx is not RAM; 'mem' lists what is\n", n);
		return -EINVAL;
	}
	*f = pfn_frame(pfn_make(n));
	return 0;
}

const char *age_text(u64 tsc, char *buf)
{
	u64 now = tsc_now(), us = now > tsc ? tsc_to_us(now - tsc) : 0;

	if (tsc)
		snprintf(buf, AGE_TEXT, "%lu.%02lu s", us / 1000000, us / 10000 % 100);
	else
		strlcpy(buf, "-", AGE_TEXT);
	return buf;
}

const char *who_text(u64 text, char *buf)
{
	if (text)
		snprintf(buf, WHO_TEXT, "%pS", (void *)text);
	else
		strlcpy(buf, "(not recorded)", WHO_TEXT);
	return buf;
}

void print_area_heading(void)
{
	printk("  %-18s  %8s  %-7s  %-7s  %-6s  %12s  %-10s  %s\n", "address", "pages", "kind",
	       "state", "rights", "age", "name", "mapped by");
}

void print_area(const struct area *a, vaddr_t at)
{
	char age[AGE_TEXT], who[WHO_TEXT];
	u64 word = atomic_read(&a->word);

	printk("  %#lx  %8u  %-7s  %-7s  %-6s  %12s  %-10s  %s\n", at, a->pages,
	       area_kind_name(word_kind(word)), area_state_name(a),
	       word_kind(word) == AREA_SPARSE ? "" : prot_text(word_prot(word)),
	       age_text(a->mapped_at, age), a->name, who_text(a->mapper, who));
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
	printk("frames: %lu in all = %lu free + %lu in CPU caches + %lu in use + %lu in address spaces + %lu held + %lu page tables + %lu reserved\n",
	       st.total, st.free, st.cached, st.used, st.space, st.held, st.tables, st.reserved);
	printk("of those in use, mm/ has %lu for records of mapped pages and %lu for its objects\n",
	       chunk_frames(), pool_frames());
	if (space_direct_limit() < early_ram[early_nr_ram - 1].end << PAGE_SHIFT)
		printk("direct map ends at %lu MiB: %lu of the free frames lie above it\n",
		       space_direct_limit() / MiB, st.free_high);
	return 0;
}

struct listing {
	unsigned shown, more;
	struct area kept; /* first of a run of areas of one size that wait for reuse, in a line */
	u64 run;	  /* so many */
};

static bool room_for_line(struct listing *l)
{
	bool room = l->shown < LIST_MAX;

	l->shown += room;
	l->more += !room;
	return room;
}

static void end_run(struct listing *l)
{
	if (l->run && room_for_line(l))
		printk("  %#lx  %8u  %lu of this size kept for reuse\n", l->kept.start,
		       l->kept.pages, l->run);
	l->run = 0;
}

static void list_area(struct listing *l, const struct area *a)
{
	enum area_state s = word_state(atomic_read(&a->word));
	bool kept = s == AREA_CLEARED && shootdown_covered(a->stamp);

	if (!kept || a->pages != l->kept.pages)
		end_run(l);
	if (kept && !l->run++)
		l->kept = *a;
	if (!kept && s != AREA_FREE && room_for_line(l))
		print_area(a, a->start);
}

/* => -EINTR if Ctrl-C was typed */
static int print_areas(void)
{
	struct listing l = {0};
	struct area_stats st;
	struct area a;

	print_area_heading();
	area_for_each (a) {
		if (console_interrupted())
			return -EINTR;
		list_area(&l, &a);
	}
	end_run(&l);
	if (l.more)
		printk("  ... and %u more\n", l.more);
	area_stats(&st);
	printk("  live %lu areas %lu pages, lazy %lu areas %lu pages, cleared %lu areas %lu pages, kept %lu areas %lu pages\n",
	       st.nr[AREA_LIVE], st.pages[AREA_LIVE], st.nr[AREA_LAZY], st.pages[AREA_LAZY],
	       st.nr[AREA_CLEARED] - st.kept, st.pages[AREA_CLEARED] - st.kept_pages, st.kept,
	       st.kept_pages);
	printk("  free %lu ranges, largest %lu pages; a guard page counts with its area\n",
	       st.nr[AREA_FREE], st.largest_free);
	return 0;
}

COMMAND(maps, "", "the address space, region by region, and every area in the vmap area")
{
	const struct kernel_image *img = space_image();
	u64 top = early_ram[early_nr_ram - 1].end;
	int err;

	if (argc != 1)
		return CMD_USAGE;
	printk("%#18lx  null page and user half: nothing\n", 0ul);
	printk("%#lx  Xen's hole: nothing\n", 0xffff800000000000ul);
	printk("%#lx  direct map of RAM up to %#lx, rw-\n", DIRECT_BASE,
	       MIN(top << PAGE_SHIFT, space_direct_limit()));
	printk("%#lx  vmap area, %lu GiB:\n", VMAP_BASE, VMAP_SIZE / GiB);
	err = print_areas();
	if (err)
		return err;
	printk("%#lx  kmap_local, %u slots in each CPU's own tables, rw-\n", KMAP_LOCAL_BASE,
	       KMAP_LOCAL_SLOTS);
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
	char text[256];
	struct area a;
	vaddr_t va;

	if (argc != 2)
		return CMD_USAGE;
	if (parse_address(argv[1], &va))
		return -EINVAL;
	mm_describe(va, text, sizeof(text));
	printk("%#lx: %s\n", va, text);
	if (in_vmap_area(va) && describe_area_at(va, &a) &&
	    word_state(atomic_read(&a.word)) != AREA_FREE) {
		print_area_heading();
		print_area(&a, a.start);
	}
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

COMMAND(check, "", "walk all page tables, frames and areas, and report every contradiction")
{
	if (argc != 1)
		return CMD_USAGE;
	return mm_check(true) ? -EIO : 0;
}
