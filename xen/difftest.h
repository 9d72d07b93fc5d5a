// SPDX-License-Identifier: MIT
/*
 * The differential test: the same random operations on a machine (Xen, or what imitates it) and on
 * the model of xen/typing.h. Result, progress and contents of all frames must agree after each one.
 *
 * It runs in epochs of DIFFTEST_EPOCH operations. Each begins with all frames zero, untyped and
 * unpinned, and gives every frame a role (level 4 to 1, or data), which most operations follow, so
 * that trees really get built; the rest is mischief. After a refused pin it often clears exactly
 * the entries that typing_blockers() names and pins again: an explanation that was wrong shows
 * there.
 *
 * A disagreement is reported with seed, step and operation, then made small: operations are left
 * out as long as the rest, run again from the beginning, still disagrees. Everything follows from
 * the seed. Pure C, no allocation; struct difftest is some 40 KiB: not for a stack.
 */
#ifndef XEN_DIFFTEST_H
#define XEN_DIFFTEST_H

#include "xen/typing.h"

#define DIFFTEST_EPOCH 400u
#define DIFFTEST_BATCH 4u /* updates in one mmu_update */

/*
 * The machine. Frames are 0 to frames-1, as in the model: the backend has a real frame for each but
 * the window's table, puts its number into entries, and gets it out again in read(); TYPING_FOREIGN
 * becomes a frame of Xen's. Slots are indices into typing_slot_number. `page` is a page of the
 * window, or one of TYPING_VA_..., for which the backend picks such an address. Entries are as the
 * guest writes them. => 0 or a negative errno, as Xen returns it.
 */
struct typing_backend {
	/* => *done: how many were done before the first that failed */
	int (*mmu_update)(void *ctx, const struct typing_update *u, unsigned n, unsigned *done);
	int (*update_va)(void *ctx, unsigned page, pte_t e); /* and this CPU's TLB forgets it */
	/* An 8-byte store to the page, by one mov. => -EFAULT if it faulted */
	int (*store)(void *ctx, unsigned page, unsigned slot, pte_t e);
	int (*pin)(void *ctx, unsigned frame, unsigned level);
	int (*unpin)(void *ctx, unsigned frame);
	int (*clear)(void *ctx, unsigned frame);
	int (*copy)(void *ctx, unsigned to, unsigned from);
	/* What stands in the frame's memory, read through a mapping that is not writable. */
	pte_t (*read)(void *ctx, unsigned frame, unsigned slot);
};

enum difftest_kind {
	OP_MMU_UPDATE,
	OP_UPDATE_VA,
	OP_STORE,
	OP_PIN,
	OP_UNPIN,
	OP_CLEAR,
	OP_COPY,
	OP_KINDS,
};

struct difftest_op {
	u8 kind; /* enum difftest_kind */
	u8 frame;
	u8 other; /* slot (store), level (pin), source (copy) */
	u8 n;	  /* mmu_update: how many */
	u16 page; /* of the window */
	struct typing_update u[DIFFTEST_BATCH];
};

struct difftest_result {
	int rc;
	unsigned done;
};

struct difftest_config {
	const struct typing_backend *backend;
	void *ctx; /* for the backend */
	const struct typing_rules *rules;
	unsigned frames; /* 8 to TYPING_FRAMES, with the window's table */
	bool faults;	 /* also stores that fault */
	typing_say_fn say;
};

struct difftest {
	struct difftest_config on;
	u64 seed, random, step;
	struct typing model;

	u8 role[TYPING_FRAMES]; /* 4 to 1: a table of that level; 0: data */
	unsigned ops;		/* of this epoch */
	struct difftest_op op[DIFFTEST_EPOCH];
	struct difftest_op
		next[2]; /* what comes before anything random: clear blockers, pin again */
	unsigned next_ops;

	u64 count[OP_KINDS][4]; /* by result: 0, -EINVAL, -EBUSY, -EFAULT */
	u64 trees, retried, retry_pinned;
	unsigned deepest; /* longest way to a refused entry */
};

/*
 * difftest_init: touches nothing but *d; the first operation begins with difftest_clean().
 * difftest_run: `steps` more operations; it may be called again and goes on where it was.
 *   => 0, or -EBADMSG: machine and model disagree (reported by say, with a short sequence of
 *      operations that shows it); nothing more can be run after that but difftest_clean
 * difftest_clean: unpins all, unmaps the window, clears all frames, whatever state they are in.
 *   => 0, or -EBUSY (said which frame): some page is still typed, the frames must not be reused
 * difftest_coverage: prints how often each operation had each result.
 */
void difftest_init(struct difftest *d, const struct difftest_config *on, u64 seed);
int difftest_run(struct difftest *d, u64 steps);
int difftest_clean(struct difftest *d);
void difftest_coverage(const struct difftest *d);

/* One operation, random; fills in what xen/difftest.c carries out. (xen/difftest_gen.c) */
void difftest_generate(struct difftest *d, struct difftest_op *op);
/* A new epoch: roles. */
void difftest_new_roles(struct difftest *d);
/* After a refused pin: maybe puts into d->next what should make it succeed. */
void difftest_repair(struct difftest *d, const struct difftest_op *pin);

#endif
