// SPDX-License-Identifier: MIT
/*
 * The walker reads the page tables as the processor would and holds them against what the rest of
 * mm/ believes:
 *
 *   every leaf      lies in a region, is not writable and executable at once, and maps what that
 *                   region says: the direct map its own address, the vmap area a page of a live or
 *                   lazy area, with that area's rights
 *   every link      leads to a frame typed as a table of the next level down
 *   no entry        is non-zero without being present
 *   every alias     is known to its frame, and every frame knows of no others
 *   every root      of a CPU is the kernel's, but for the slot of its own kmap_local addresses
 *   every space     maps its own pages and nothing else (check_space.c)
 *   every area      has the entries it says it has (check_area.c)
 *   what is fixed   image, direct map, frame array: is all there (check_static.c)
 *   frames, areas   their own checks (frame_check, alias_check, area_check)
 *
 * Entries and frames are compared without memory for it: alias_check() proves that each alias a
 * frame names is an entry that maps it, and that no frame names one twice; so if there are as
 * many entries as frames name aliases, the two are the same set. Which of them are not, is said
 * where an entry's own record is wrong.
 *
 * Next: mm/describe.c, for a single address.
 */
#include "mm/check.h"
#include "mm/area.h"
#include "mm/check_internal.h"
#include "mm/chunk.h"
#include "mm/early.h"
#include "mm/kmap.h"
#include "mm/pagetable.h"
#include "mm/pool.h"
#include "mm/space.h"

#define LOCAL_BASE (VMAP_PAGES + 1) /* alias indices of kmap_local slots: CPU by CPU */
#define NR_LOCAL   ((u64)MAX_CPUS * KMAP_LOCAL_SLOTS)

/* => may the link be followed? */
static bool leads_to_table(int level, pte_t e)
{
	pfn_t pfn = paddr_to_pfn(pte_addr(e, level));

	return frame_valid(pfn) && pfn_frame(pfn)->type == FRAME_TABLE &&
	       pfn_frame(pfn)->level == level - 1;
}

/* Entries of the vmap area are reached without a walk too (mm/chunk.h): by the same table. */
static void check_chunk(struct walk *w, vaddr_t va, pte_t e)
{
	const struct chunk *c = chunk_of(va);

	if (c && c->pte && virt_to_phys(c->pte) != pte_addr(e, 2))
		FAULT(w->faults, "%#lx links to table %#lx, its chunk has %#lx", va, pte_addr(e, 2),
		      virt_to_phys(c->pte));
}

/*
 * A table that is in use is read-only in the direct map, if the platform wants it so. One of a
 * space that no CPU has loaded yet is not in use.
 */
void check_table_rights(struct walk *w, pfn_t table)
{
	vaddr_t va = (vaddr_t)phys_to_virt(pfn_to_paddr(table));
	struct pt_walk at;

	if (mmu->tables_read_only && pt_walk(kernel_root, va, &at) &&
	    pte_writable(at.step[at.level].entry))
		FAULT(w->faults, "table %#lx can be written by %#lx", table.n, va);
}

static void check_link(struct walk *w, vaddr_t va, int level, pte_t e)
{
	pfn_t pfn = paddr_to_pfn(pte_addr(e, level));

	w->tables++;
	if (!frame_valid(pfn))
		FAULT(w->faults, "%#lx level %d links to %#lx, which is not RAM", va, level, pfn.n);
	else if (!leads_to_table(level, e))
		FAULT(w->faults, "%#lx level %d links to frame %#lx, which is %s, level %u", va,
		      level, pfn.n, frame_type_name(pfn_frame(pfn)->type), pfn_frame(pfn)->level);
	else if (!w->space || w->space_in_use)
		check_table_rights(w, pfn);
	if (level == 2 && in_vmap_area(va))
		check_chunk(w, va, e);
}

/* What a leaf must have besides its address and the bits the processor sets. */
static u64 rights(u64 bits)
{
	return bits & ~(PTE_ADDR | PTE_A | PTE_D);
}

/* => NULL if there can be none */
static const struct alias_record *record_of_alias(u64 index)
{
	if (index - LOCAL_BASE < NR_LOCAL)
		return kmap_local_record(index);
	return index && !alias_is_local(index) ? record_of(alias_va(index)) : NULL;
}

/* Does the record of alias `index` stand where the frame's word or another record leads to it? */
static bool is_linked(u64 word, u64 index)
{
	const struct alias_record *r;

	if (!(word & ALIAS_HEAD))
		return false;
	if (!(word & ALIAS_CHAIN) || alias_index(word) == index)
		return alias_index(word) == index;
	r = record_of_alias(index);
	r = r ? record_of_alias(r->prev) : NULL;
	return r && r->next == index;
}

/*
 * One page of RAM that the leaf at `va` maps. `live`: by an area, or a slot, that is in use.
 *   => false: something is wrong with it
 */
static bool check_alias(struct walk *w, vaddr_t va, u64 index, struct frame *f, bool live)
{
	u64 word = atomic_read(&f->alias);
	unsigned before = w->faults;

	w->aliases++;
	if (f->type == FRAME_TABLE || f->type == FRAME_RESERVED || (live && !frame_is_memory(f)))
		FAULT(w->faults, "%#lx maps frame %#lx, which is %s", va, frame_pfn(f).n,
		      frame_type_name(f->type));
	if (!is_linked(word, index))
		FAULT(w->faults, "%#lx maps frame %#lx, whose alias word %#lx does not lead there",
		      va, frame_pfn(f).n, word);
	return w->faults == before;
}

/* Of a large page that is wrong as a whole, the first page is enough. */
static void check_area_leaf(struct walk *w, vaddr_t va, int level, pte_t e)
{
	u64 word = atomic_read(&w->area.word), pages = pt_entry_size(level) >> PAGE_SHIFT;
	bool io = word_kind(word) == AREA_IO, live = word_state(word) == AREA_LIVE;
	pfn_t pfn = paddr_to_pfn(pte_addr(e, level));

	if (word_kind(word) != AREA_SPARSE &&
	    rights(e.v) != rights(pte_leaf_bits(word_prot(word), level)))
		FAULT(w->faults, "%#lx has entry %#lx, its area '%s' has rights %#x", va, e.v,
		      w->area.name, word_prot(word));
	for (u64 i = 0; i < pages; i++, pfn.n++, va += PAGE_SIZE) {
		if (frame_valid(pfn) == io) {
			FAULT(w->faults, "%#lx maps frame %#lx, which is %s, in %s area '%s'", va,
			      pfn.n, io ? "RAM" : "not RAM", area_kind_name(word_kind(word)),
			      w->area.name);
			return;
		}
		if (!io && !check_alias(w, va, alias_index(alias_of(va)), pfn_frame(pfn), live))
			return;
	}
}

static void check_vmap_leaf(struct walk *w, vaddr_t va, int level, pte_t e)
{
	struct area *a = &w->area;
	enum area_state s;

	if (va < a->start || va >= area_end(a))
		if (!area_find(va, a))
			memset(a, 0, sizeof(*a)); /* addresses that do not tile: area_check() */
	s = word_state(atomic_read(&a->word));
	if ((s == AREA_LIVE || s == AREA_LAZY) &&
	    va + pt_entry_size(level) <= a->start + ((u64)a->pages << PAGE_SHIFT))
		check_area_leaf(w, va, level, e);
	else
		FAULT(w->faults, "%#lx is mapped (%#lx) but lies in a %s area%s", va, e.v,
		      area_state_name(a),
		      s == AREA_LIVE || s == AREA_LAZY ? ", beyond its last page" : "");
}

/* A page in the tables of one CPU alone: one of its slots, in use. */
static void check_local_leaf(struct walk *w, vaddr_t va, int level, pte_t e)
{
	pfn_t pfn = paddr_to_pfn(pte_addr(e, level));
	u64 index = LOCAL_BASE + ((va - KMAP_LOCAL_BASE) >> PAGE_SHIFT);

	if (!in_local_slots(va) || index - LOCAL_BASE >= NR_LOCAL || level > 1 ||
	    kmap_local_cpu(index) != w->cpu || entry_read(kmap_local_entry(index)) != e.v ||
	    !frame_valid(pfn))
		FAULT(w->faults, "CPU %u alone has %#lx mapped (%#lx), which is no slot of its own",
		      w->cpu, va, e.v);
	else
		check_alias(w, va, index, pfn_frame(pfn), true);
}

static void check_leaf(struct walk *w, vaddr_t va, int level, pte_t e)
{
	w->leaves++;
	if (pte_writable(e) && pte_executable(e))
		FAULT(w->faults, "%#lx is writable and executable (%#lx)", va, e.v);
	if (w->space)
		check_space_leaf(w, va, level, e);
	else if (w->cpu != KERNEL_TABLES)
		check_local_leaf(w, va, level, e);
	else if (in_vmap_area(va))
		check_vmap_leaf(w, va, level, e);
	else if (!check_static_leaf(w, va, level, e))
		FAULT(w->faults, "%#lx is mapped (%#lx) outside every region", va, e.v);
}

bool check_entry(void *arg, vaddr_t va, int level, pfn_t table, unsigned slot, pte_t e)
{
	struct walk *w = arg;

	if (!pte_present(e))
		FAULT(w->faults, "table %#lx entry %u (%#lx) is %#lx: not present, yet not zero",
		      table.n, slot, va, e.v);
	else if (pte_leaf(e, level))
		check_leaf(w, va, level, e);
	else
		check_link(w, va, level, e);
	return leads_to_table(level, e);
}

/* What the CPU's root has and the kernel's has not: its kmap_local slots, at most. */
static void check_cpu_root(struct walk *w, unsigned cpu, pfn_t root)
{
	unsigned own = pt_index(KMAP_LOCAL_BASE, PT_LEVELS);
	pte_t e = pt_read(root, own);

	w->tables++;
	check_table_rights(w, root);
	for (unsigned slot = 0; slot < PT_ENTRIES; slot++)
		if (slot != own && !pt_slot_is_hole(slot) &&
		    pt_read(root, slot).v != pt_read(kernel_root, slot).v)
			FAULT(w->faults, "CPU %u's root has %#lx in slot %u, the kernel's has %#lx",
			      cpu, pt_read(root, slot).v, slot, pt_read(kernel_root, slot).v);
	w->cpu = cpu;
	if (e.v && check_entry(w, KMAP_LOCAL_BASE, PT_LEVELS, root, own, e))
		pt_visit(paddr_to_pfn(pte_addr(e, PT_LEVELS)), PT_LEVELS - 1, KMAP_LOCAL_BASE,
			 check_entry, w);
	w->cpu = KERNEL_TABLES;
}

static void check_cpu_roots(struct walk *w)
{
	for (unsigned cpu = 0; cpu < nr_cpus; cpu++) {
		pfn_t root = kmap_local_root(cpu);

		if (root.n != kernel_root.n)
			check_cpu_root(w, cpu, root);
	}
}

/* => aliases that all frames name */
static u64 aliases_named(void)
{
	u64 n = 0;

	for (unsigned r = 0; r < early_nr_ram; r++)
		for (u64 p = early_ram[r].start; p < early_ram[r].end; p++)
			n += frame_aliases(&frames[p]);
	return n;
}

static void check_aliases(struct walk *w)
{
	unsigned faults = alias_check();
	u64 named;

	w->faults += faults;
	if (faults) /* a chain that is broken may have no end: it is not to be counted */
		return;
	named = aliases_named();
	if (named != w->aliases)
		FAULT(w->faults, "frames name %lu aliases, %lu entries map one", named, w->aliases);
}

u64 mm_frames_at_hand(void)
{
	return frame_free_total() + frame_held_total() + pt_tables_held() + pool_frames() +
	       chunk_frames();
}

unsigned mm_check(bool verbose)
{
	struct walk w = {.tables = 1, .cpu = KERNEL_TABLES};

	pt_visit(kernel_root, PT_LEVELS, 0, check_entry, &w);
	check_table_rights(&w, kernel_root);
	check_cpu_roots(&w);
	check_spaces(&w);
	check_static_complete(&w);
	if (!w.faults) { /* both walk the tables, and a table that is wrong may lead anywhere */
		check_aliases(&w);
		w.faults += check_areas();
	}
	w.faults += frame_check() + area_check();
	if (verbose)
		printk("check: %lu tables, %lu leaves, %lu aliases: %u faults\n", w.tables,
		       w.leaves, w.aliases, w.faults);
	return w.faults;
}
