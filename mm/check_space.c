// SPDX-License-Identifier: MIT
/*
 * The part of the invariant walker about address spaces. Each leaf of a space's user half must map
 * a frame that says "I am this page of this space"; and there must be as many leaves, in all spaces
 * together, as frames that say so of any. Then the two are the same set: nothing but its own page
 * can be reached by an address of a space, and no page was lost. An entry that somebody forged, by
 * whatever way he came to write to a table, names a frame that says something else.
 */
#include "mm/check_internal.h"
#include "mm/frame.h"
#include "mm/kmap.h"
#include "mm/pagetable.h"

void check_space_leaf(struct walk *w, vaddr_t va, int level, pte_t e)
{
	const char *name = w->space->name;
	pfn_t pfn = paddr_to_pfn(pte_addr(e, level));
	const struct frame *f;

	w->space_pages++;
	if (level > 1 || va < PAGE_SIZE || (e.v & (PTE_U | PTE_G)))
		FAULT(w->faults, "space '%s': %#lx has entry %#lx at level %d", name, va, e.v,
		      level);
	if (!frame_valid(pfn)) {
		FAULT(w->faults, "space '%s': %#lx maps frame %#lx, which is not RAM", name, va,
		      pfn.n);
		return;
	}
	f = pfn_frame(pfn);
	if (f->type != FRAME_SPACE)
		FAULT(w->faults, "space '%s': %#lx maps frame %#lx, which is %s", name, va, pfn.n,
		      frame_type_name(f->type));
	else if (f->space != w->space->id || f->page != va >> PAGE_SHIFT)
		FAULT(w->faults, "space '%s': %#lx maps frame %#lx, the page %#lx of space %u",
		      name, va, pfn.n, (u64)f->page << PAGE_SHIFT, f->space);
}

/* Slot 0 leads to the user half; the kernel half is as in that CPU's own root. */
static void check_root(struct walk *w, unsigned cpu, pfn_t root)
{
	pfn_t own = kmap_local_root(cpu);

	w->tables++;
	check_table_rights(w, root);
	for (unsigned slot = 0; slot < PT_ENTRIES; slot++) {
		u64 e = pt_read(root, slot).v, want = pt_read(own, slot).v;

		if (pt_slot_is_hole(slot))
			continue;
		if (slot == 0)
			want = pfn_to_paddr(w->space->user) | PTE_TABLE_BITS;
		if (e != want)
			FAULT(w->faults, "space '%s': CPU %u's root has %#lx in slot %u, not %#lx",
			      w->space->name, cpu, e, slot, want);
	}
}

static void check_space(struct walk *w, const struct aspace *as)
{
	u64 tables = ++w->tables;

	w->space = as;
	w->space_in_use = false;
	for (unsigned cpu = 0; cpu < nr_cpus; cpu++)
		w->space_in_use |= !!as->root[cpu].n;
	w->space_pages = 0;
	if (pfn_frame(as->user)->type != FRAME_TABLE || pfn_frame(as->user)->level != PT_LEVELS - 1)
		FAULT(w->faults, "space '%s': frame %#lx, its level-3 table, is %s", as->name,
		      as->user.n, frame_type_name(pfn_frame(as->user)->type));
	else
		pt_visit(as->user, PT_LEVELS - 1, 0, check_entry, w);
	if (w->space_pages != as->pages || w->tables - tables + 1 != as->tables)
		FAULT(w->faults, "space '%s' has %lu pages and %lu tables, and counts %lu and %lu",
		      as->name, w->space_pages, w->tables - tables + 1, as->pages, as->tables);
	for (unsigned cpu = 0; cpu < nr_cpus; cpu++)
		if (as->root[cpu].n)
			check_root(w, cpu, as->root[cpu]);
	w->space = NULL;
}

void check_spaces(struct walk *w)
{
	struct frame_stats st;
	struct list *l;
	u64 pages = 0;

	list_for_each (l, &aspaces) {
		check_space(w, list_entry(l, struct aspace, link));
		pages += w->space_pages;
	}
	frame_stats(&st);
	if (st.space != pages)
		FAULT(w->faults, "address spaces map %lu pages, %lu frames are typed as such",
		      pages, st.space);
}
