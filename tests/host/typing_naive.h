// SPDX-License-Identifier: MIT
/*
 * A second implementation of Xen's page typing, to test the first against: it never gives a
 * reference back. Every count is made anew from the pins and the tables' contents after each
 * operation, and an attempt that fails is undone by putting back a copy of everything. Slow, and
 * with nothing in common with xen/typing.c but the rules. As a struct typing_backend it is also the
 * machine for the differential test, with faults that can be planted.
 */
#ifndef TESTS_HOST_TYPING_NAIVE_H
#define TESTS_HOST_TYPING_NAIVE_H

#include "xen/difftest.h"

enum naive_bug {
	BUG_NONE,
	BUG_NO_UNDO,	     /* a failed validation keeps what it took */
	BUG_LEAF_EINVAL,     /* a leaf to a table is -EINVAL */
	BUG_READONLY_COUNTS, /* a read-only leaf counts as a writable one */
	BUG_PUT_FIRST,	     /* an update gives the old entry back first */
	BUG_PIN_COUNTS,	     /* a second pin is accepted */
	BUG_UNPIN_ANY,	     /* what is not pinned may be unpinned */
	BUG_UNPIN_LEAKS,     /* unpinning leaves the type */
	BUG_XEN_SLOT,	     /* slots 256 to 271 may be written */
	BUG_XEN_SLOTS_GONE,  /* nothing is written there when an L4 is validated */
	BUG_DONE,	     /* the failed update counts as done */
	BUG_BATCH_ROLLS_BACK,
	BUG_PSE,	  /* large pages are accepted */
	BUG_NO_ADJUST,	  /* entries are left as they are */
	BUG_SELF_MAP,	  /* a table may map itself writable */
	BUG_BACKWARDS,	  /* validation goes from the last slot to the first */
	BUG_LINEAR,	  /* links to the same level are refused */
	BUG_LINEAR_CHAIN, /* and any length of them is allowed */
	BUG_PTWR,	  /* stores to read-only tables fault */
	BUG_FOREIGN,	  /* a page of Xen's may be mapped read-only */
	BUG_HOLE,	  /* update_va_mapping without an L1 does nothing, successfully */
	BUG_CLEAR_TABLE,  /* a table may be cleared by Xen */
	BUG_STRAY_BIT,	  /* an update sets bit 9, which nobody looks at */
	BUGS,
};

struct naive {
	enum naive_bug bug;
	struct typing_rules rules;
	unsigned frames;
	/* What the state is. */
	pte_t mem[TYPING_FRAMES][TYPING_SLOTS];
	bool was_l4[TYPING_FRAMES];
	bool pinned[TYPING_FRAMES];
	/* What follows from it, made anew by naive_recount(); types as far as reached. */
	struct naive_counts {
		u8 type[TYPING_FRAMES];
		unsigned count[TYPING_FRAMES];
		int linear[TYPING_FRAMES];
		bool busy[TYPING_FRAMES]; /* being validated */
	} c;
};

extern const struct typing_backend naive_backend; /* ctx: struct naive */
extern const char *const naive_bug_names[BUGS];

void naive_init(struct naive *n, unsigned frames, const struct typing_rules *rules,
		enum naive_bug bug);
void naive_recount(struct naive *n);

#endif
