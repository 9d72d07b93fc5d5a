// SPDX-License-Identifier: MIT
/*
 * The two loops in which mapping and unmapping spend their time: a run of entries within one
 * level-1 table is set, or cleared, and each frame's alias word kept in step, in one pass. Where
 * the platform lets entries be written by writing them they become part of the engine's own paths
 * (run_set_plain, run_clear_plain): a call would cost as much as a page. Where it does not (Xen),
 * its mmu_ops->set_run and clear_run are made of the same loops around its own way to write.
 *
 * Several pages to a round: the loop's own counting is a fifth of the work otherwise. Not more than
 * registers hold: a function that calls nothing and needs no register of its caller's pays nothing
 * to begin and to end, and for small areas that is as much as the work itself.
 *
 * Order, for each page: the alias is in the word before the entry is written, and leaves it after
 * the entry is cleared by an exchange (a full barrier) and the clock was read, so the stamp that
 * takes its place is not older than the clearing: what mm/shootdown.c asks of a stamp.
 */
#ifndef MM_RUN_H
#define MM_RUN_H

#include "mm/alias.h"
#include "mm/shootdown.h"

#define SET_AT_ONCE   8
#define CLEAR_AT_ONCE 4

/*
 * A run stops where a frame's word is not the plain case; the caller does that page by the long way
 * (mm/engine.c) and goes on behind it. So the loops call nothing and keep all they need in
 * registers.
 */
struct run_stop {
	u64 left;	     /* pages it did not do; 0: it did all */
	struct frame *frame; /* of the first of them: its entry is cleared, but not its word */
};

/*
 * The frame's word becomes `alias`, if it is a plain stamp. Frames that were unmapped together have
 * the same stamp, so the last one's is tried first: mostly nothing needs to be read or compared but
 * by the exchange itself.
 */
static __always_inline bool run_take(struct frame *f, u64 *stamp, u64 alias)
{
	while (unlikely(!atomic_try_cmpxchg(&f->alias, stamp, alias)))
		if (*stamp & ALIAS_BUSY)
			return false;
	return true;
}

/*
 * run_set: entries e[0..n-1] map f[0..n-1] with `bits`; `alias` is the word for the first.
 *   => entries set: n, or fewer if the next frame has an alias already, or may have none
 */
static __always_inline unsigned run_set(pte_t *e, struct frame *const *f, unsigned n, u64 bits,
					u64 alias, void (*write)(pte_t *e, u64 v))
{
	const u64 base = bits - ((u64)frames << FRAME_TO_PADDR_SHIFT);
	unsigned left = n;
	u64 stamp = 0;

	for (; left >= SET_AT_ONCE; left -= SET_AT_ONCE) {
#pragma GCC unroll 8
		for (unsigned i = 0; i < SET_AT_ONCE; i++) {
			struct frame *frame = f[i];

			if (unlikely(!run_take(frame, &stamp, alias + i)))
				return n - left + i;
			write(e + i, ((u64)frame << FRAME_TO_PADDR_SHIFT) + base);
		}
		f += SET_AT_ONCE;
		e += SET_AT_ONCE;
		alias += SET_AT_ONCE;
	}
#pragma GCC unroll 4
	for (; left; left--, f++, e++, alias++) {
		struct frame *frame = *f;

		if (unlikely(!run_take(frame, &stamp, alias)))
			return n - left;
		write(e, ((u64)frame << FRAME_TO_PADDR_SHIFT) + base);
	}
	return n;
}

/*
 * The frame an entry of RAM maps: its address bits, shifted to the size of a struct frame. The bits
 * below them are masked off; of those above only NX is ever set in such an entry, and always is, so
 * it may as well be part of the constant that is added.
 */
static __always_inline struct frame *run_frame(u64 pte)
{
	const u64 flags = (PAGE_SIZE - 1) >> FRAME_TO_PADDR_SHIFT;

	return (void *)(((pte >> FRAME_TO_PADDR_SHIFT) & ~flags) +
			((u64)frames - (PTE_NX >> FRAME_TO_PADDR_SHIFT)));
}

/*
 * run_clear: entries e[0..n-1], all present and mapping RAM, are zero.
 *   => it stops where a frame has other aliases too: then its entry is zero, those behind it are as
 *      they were
 */
static __always_inline struct run_stop
run_clear(pte_t *e, unsigned n, u64 alias, u64 (*clear)(pte_t *e), void (*restore)(pte_t *e, u64 v))
{
	unsigned left = n;

	for (; left >= CLEAR_AT_ONCE; left -= CLEAR_AT_ONCE) {
		u64 old[CLEAR_AT_ONCE], stamp;

#pragma GCC unroll 4
		for (unsigned i = 0; i < CLEAR_AT_ONCE; i++)
			old[i] = clear(e + i);
		stamp = shootdown_clock();
#pragma GCC unroll 4
		for (unsigned i = 0; i < CLEAR_AT_ONCE; i++) {
			struct frame *frame = run_frame(old[i]);

			if (likely(atomic_cmpxchg(&frame->alias, alias + i, stamp)))
				continue;
#pragma GCC unroll 4
			for (unsigned k = i + 1; k < CLEAR_AT_ONCE; k++)
				restore(e + k, old[k]); /* nobody has missed it */
			return (struct run_stop){left - i, frame};
		}
		e += CLEAR_AT_ONCE;
		alias += CLEAR_AT_ONCE;
	}
#pragma GCC unroll 4
	for (; left; left--, e++, alias++) {
		struct frame *frame = run_frame(clear(e));

		if (unlikely(!atomic_cmpxchg(&frame->alias, alias, shootdown_clock())))
			return (struct run_stop){left, frame};
	}
	return (struct run_stop){0, NULL};
}

static __always_inline unsigned run_set_plain(pte_t *e, struct frame *const *f, unsigned n,
					      u64 bits, u64 alias)
{
	return run_set(e, f, n, bits, alias, entry_write);
}

static __always_inline struct run_stop run_clear_plain(pte_t *e, unsigned n, u64 alias)
{
	return run_clear(e, n, alias, entry_clear, entry_restore);
}

#endif
