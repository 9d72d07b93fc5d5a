// SPDX-License-Identifier: MIT
/*
 * Page tables as a data structure: walking them, growing them, building large static mappings. How
 * an entry is written is the platform's (mmu_ops.h). Tables of the kernel half are never freed: a
 * paging-structure cache of any CPU may still point into them (SDM vol. 3A, 4.10.3). Those of the
 * user half are (mm/aspace.c says when).
 */
#ifndef MM_PAGETABLE_H
#define MM_PAGETABLE_H

#include "mm/mmu_ops.h"

/* The entries of a table. => its frame lies in the direct map */
static inline pte_t *pt_entries(pfn_t table)
{
	return phys_to_virt(pfn_to_paddr(table));
}

static inline pte_t pt_read(pfn_t table, unsigned slot)
{
	return (pte_t){entry_read(&pt_entries(table)[slot])};
}

/* Top-level slots of the kernel half in which nothing is ours to read. */
static inline bool pt_slot_is_hole(unsigned slot)
{
	return mmu->has_hole &&
	       slot - pt_index(HOLE_BASE, PT_LEVELS) < HOLE_SIZE / pt_entry_size(4);
}

/* One step of a walk: the entry at `level` on the way to an address. */
struct pt_step {
	pfn_t table;
	unsigned slot;
	pte_t entry;
};

struct pt_walk {
	int level; /* where it ended: at a leaf, or at an entry that is not present */
	struct pt_step step[PT_LEVELS + 1]; /* [level .. PT_LEVELS] are filled */
};

/* => true if `va` is mapped; the walk tells by what, or where it stops */
bool pt_walk(pfn_t root, vaddr_t va, struct pt_walk *w);

/* => true with *pa if `va` is mapped */
bool pt_translate(pfn_t root, vaddr_t va, paddr_t *pa);

/*
 * pt_ensure_path: the table at `level` on the way to `va` exists afterwards, and is *table.
 *   => 0, -ENOMEM, or -errno from the platform (tables made so far stay: they are empty and will be
 *      used)
 *   => any context: a frame that CPUs may still remember as writable memory is flushed before it
 *      becomes a table, or passed over (-ENOMEM) where nobody may be waited for
 */
int pt_ensure_path(pfn_t root, vaddr_t va, int level, pfn_t *table) __must_check;

/*
 * pt_copy_kernel_half: the empty top-level table `root` leads where `from` does, kernel half only.
 *   => 0 or -errno: the platform refused
 */
int pt_copy_kernel_half(pfn_t root, pfn_t from) __must_check;

/* mmu->pin_root and ->unpin_root, if the platform has them. */
int pt_pin_root(pfn_t root) __must_check;
void pt_unpin_root(pfn_t root);

/* The level-1 table that holds the entry of `va`. => it exists */
pfn_t pt_leaf_table(pfn_t root, vaddr_t va);

/*
 * pt_map_span: [va, va + len) to [pa, pa + len) with the largest pages that fit, up to max_level.
 *   => nothing there was mapped; all page aligned; 0 or -ENOMEM (what was mapped so far stays:
 *      boot fails)
 */
int pt_map_span(pfn_t root, vaddr_t va, paddr_t pa, u64 len, unsigned prot,
		int max_level) __must_check;

/*
 * A zeroed table. => boot: from early memory; later: frame typed FRAME_TABLE, flushed. 0 or -ENOMEM
 */
int pt_alloc_table(int level, pfn_t *table) __must_check;

/*
 * => no entry that anything walks, and no paging-structure cache, leads to them any more; of many
 *    at once a hypervisor need be told once
 */
void pt_free_tables(const pfn_t *tables, unsigned n);
static inline void pt_free_table(pfn_t table)
{
	pt_free_tables(&table, 1);
}

/*
 * What is done about the aliases of a frame that is to become a page table. `exact` is what is
 * right; the others are there to be compared with it. Under `none` a frame with a writable alias
 * becomes a table as it is: Xen will refuse it, and bare metal has no one to refuse.
 */
enum purge_policy {
	PT_PURGE_NONE,
	PT_PURGE_ALL,	 /* vm_unmap_aliases(): everything unmapped lazily by anybody */
	PT_PURGE_EXACT,	 /* vm_unmap_frame_aliases(): those of the frame */
	PT_PURGE_UNHOOK, /* as `all`, whole level-1 tables at once where that pays (mm/unhook.c) */
	NR_PURGE_POLICIES
};

enum purge_policy pt_purge_policy(void);
void pt_set_purge_policy(enum purge_policy p); /* for tables made from now on */

/* "none", "all", "exact", "unhook"; _parse => 0 or -EINVAL */
const char *pt_purge_policy_name(enum purge_policy p);
int pt_purge_policy_parse(const char *s, enum purge_policy *out);

/* A table that was made while there was no frame array: types its frame. => boot */
void pt_adopt_table(pfn_t table, int level);

/*
 * pt_empty_table: mmu->empty_table for the level-1 table of `va` in kernel_root, while nobody makes
 * another there. => there is one; IRQs off
 */
void pt_empty_table(vaddr_t va);

/* Frames in use as tables. */
u64 pt_tables_held(void);

/*
 * pt_visit: calls fn for every entry that is not zero below `table` (at `level`, mapping from
 * `va`): links before what they link to, leaves too. => fn's va is canonical; it says whether to
 * follow the link
 */
typedef bool (*pt_visitor)(void *arg, vaddr_t va, int level, pfn_t table, unsigned slot, pte_t e);
void pt_visit(pfn_t table, int level, vaddr_t va, pt_visitor fn, void *arg);

/* From now on tables come from frame_alloc(). Types the tables made so far. => boot */
void pt_leave_early(pfn_t root);

#endif
