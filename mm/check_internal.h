// SPDX-License-Identifier: MIT
/*
 * Between the files of the invariant walker: check.c (tables, leaves, aliases), check_static.c
 * (what is mapped for good), check_space.c (address spaces) and check_area.c (areas and the lists
 * they wait on).
 */
#ifndef MM_CHECK_INTERNAL_H
#define MM_CHECK_INTERNAL_H

#include "mm/area.h"
#include "mm/aspace.h"

/* One contradiction: counted in the caller's `faults`, and printed. */
#define FAULT(faults, fmt, ...)                            \
	do {                                               \
		printk("check: " fmt "\n", ##__VA_ARGS__); \
		(faults)++;                                \
	} while (0)

#define KERNEL_TABLES MAX_CPUS

struct walk {
	unsigned faults;
	u64 leaves, tables;
	u64 aliases; /* pages of RAM that leaves of the vmap area and of kmap_local map */
	u64 direct_pages, image_pages;
	struct area area;	    /* a copy of the one the last leaf was in */
	unsigned cpu;		    /* whose kmap_local tables are walked; KERNEL_TABLES: none's */
	const struct aspace *space; /* whose user half is walked; NULL: none's */
	u64 space_pages;	    /* of it */
	bool space_in_use;	    /* some CPU has loaded it once */
};

/* A visitor (mm/pagetable.h) for any table: links, and leaves by where they are. */
bool check_entry(void *arg, vaddr_t va, int level, pfn_t table, unsigned slot, pte_t e);

/* A table that is in use: may it be written by the direct map? => faults are counted in w */
void check_table_rights(struct walk *w, pfn_t table);

/* All address spaces (check_space.c). => faults are counted in w */
void check_spaces(struct walk *w);
void check_space_leaf(struct walk *w, vaddr_t va, int level, pte_t e);

/* A leaf outside the vmap area and the CPUs' slots. => false: it is in no region of ours */
bool check_static_leaf(struct walk *w, vaddr_t va, int level, pte_t e);

/* After all leaves: are there as many static pages, and tables, as there should be? */
void check_static_complete(struct walk *w);

/*
 * check_areas: what areas say of themselves against the entries, and the lists they wait on.
 *   => number of faults, each printed
 */
unsigned check_areas(void);

#endif
