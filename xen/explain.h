// SPDX-License-Identifier: MIT
/*
 * Why Xen refuses: which entries of ours stand in the way of a frame that is to be a page table, or
 * to stay one. The essay is in explain.c.
 */
#ifndef XEN_EXPLAIN_H
#define XEN_EXPLAIN_H

#include "mm/pagetable.h"

/* An entry that maps a page table writable. */
struct xen_blocker {
	pfn_t table; /* the frame that it maps */
	vaddr_t va;  /* at which address, */
	pfn_t root;  /*   by which tables: each CPU has slots of its own, and each space its half */
};

#define XEN_BLOCKERS 32 /* as many are named; there may be more */

struct xen_refusal {
	pfn_t root;	/* of the tree that was to be pinned */
	int err;	/* what Xen said */
	int expected;	/* what we knew before */
	unsigned nr;	/* blockers found, all of them */
	unsigned named; /* of which these: */
	struct xen_blocker blocker[XEN_BLOCKERS];
};

/*
 * xen_find_blockers: the writable entries of ours that map tables of the tree, which nobody has
 * pinned yet.
 *   => any context; r->nr, named, blocker and expected are filled: 0, or the errno that Xen will
 *      answer
 */
void xen_find_blockers(pfn_t root, struct xen_refusal *r);

/*
 * xen_tell_refusal: prints it: for each blocker the way to its entry, what the address is and what
 * would clear it; if there is none, what else it can be.
 */
void xen_tell_refusal(const struct xen_refusal *r);

/*
 * xen_note_refusal: keeps it for the monitor (`explain`), counts it, and prints the first few; the
 * others are counted only.
 */
void xen_note_refusal(const struct xen_refusal *r);

/* The last one. => err is 0: there was none */
const struct xen_refusal *xen_last_refusal(void);

/* An entry that Xen would not write, of a table that is in use: prints why, as the above. */
void xen_explain_entry(pfn_t table, unsigned slot, u64 entry, int err);

#endif
