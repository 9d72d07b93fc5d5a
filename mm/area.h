// SPDX-License-Identifier: MIT
/*
 * The vmap area's addresses. Every page of it belongs to exactly one struct area: a free range, or
 * a run of pages in use (or still remembered by some TLB) with its guard page. One tree, ordered by
 * address and knowing the largest free range below each node, answers all questions: who owns
 * this address, where is the lowest hole that fits, does everything tile.
 */
#ifndef MM_AREA_H
#define MM_AREA_H

#include "mm/mm_internal.h"

enum area_state {
	AREA_FREE,
	AREA_LIVE,    /* mapped, or about to be */
	AREA_CLEARED, /* entries gone, TLBs may remember: neither free nor usable */
};

struct area {
	/* guarded by the area lock */
	vaddr_t start;
	u64 span; /* pages owned, the guard included */
	enum area_state state;
	struct area *left, *right; /* subtrees of lower and higher addresses */
	struct area *prev, *next;  /* neighbours in address order: [prev][this][next] touch */
	u64 priority;		   /* the tree is a heap in this, so it is balanced by chance */
	u64 max_free;		   /* largest span of a free area in this subtree */

	/* written by the owner while the area is LIVE, stable afterwards */
	u64 pages;		    /* mapped: span less the guard */
	unsigned prot;		    /* VM_* */
	const char *name;	    /* what it is for: "vmap", "stack", "lapic" */
	u64 mapper, unmapper;	    /* text addresses of who called vmap and vunmap */
	u64 mapped_at, unmapped_at; /* TSC */

	/* guarded by the lazy list's lock while CLEARED */
	struct list lazy;
	u64 stamp; /* shootdown stamp after the entries were cleared */
};

/*
 * area_alloc: `pages` pages and a guard at the lowest address that is a multiple of `align` pages
 * (a power of two).
 *   => any context; NULL with no addresses or no memory
 *   => the area is LIVE; prot, name and mapper are the caller's to fill
 */
struct area *area_alloc(u64 pages, u64 align) __must_check;

/*
 * => LIVE or CLEARED, no entry present, no TLB remembers; the addresses may be reissued from here
 *    on
 */
void area_free(struct area *a);

/*
 * area_unmap_begin: LIVE -> CLEARED of the area that starts at `va`, so that only one caller can
 * unmap it.
 *   => panics by name if there is none: double vunmap, never mapped, middle of an area
 */
struct area *area_unmap_begin(vaddr_t va, u64 unmapper);

/*
 * area_find: a copy of the area that holds `va`, free ones included.
 *   => any context; false if va is not in the vmap area
 */
bool area_find(vaddr_t va, struct area *copy);

/*
 * As area_find, without the lock and so without a promise: for a panic, which may interrupt
 * anything.
 */
bool area_peek(vaddr_t va, struct area *copy);

struct area_stats {
	u64 nr[3], pages[3]; /* by state; pages with guards */
	u64 largest_free;    /* pages */
};

void area_stats(struct area_stats *st);

/* Tiling, order, heap and augmentation. => number of faults, each printed */
unsigned area_check(void);

const char *area_state_name(enum area_state s);

void area_init(void);

#endif
