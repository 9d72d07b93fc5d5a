// SPDX-License-Identifier: MIT
/*
 * The frames each CPU keeps at hand: single frames of the direct zone, a stack of pointers to them.
 * Touched with interrupts off and by its own CPU only: no lock, no atomic. What is taken and given
 * here is most of what vmalloc costs, so it becomes part of its callers and does nothing but that:
 * one store says what a frame is and whose, one look that it is a plain case. What is not goes the
 * long way, behind the functions at the end.
 *
 * An array of pointers, not links through the frames: to take a frame or to give one moves the end
 * of the array, and the next frame is known without reading this one.
 */
#ifndef MM_FRAME_CACHE_H
#define MM_FRAME_CACHE_H

#include "mm/frame_internal.h"

#define FRAME_CACHE_SLOTS 511 /* so that a CPU's is found by a shift */

struct frame_cache {
	u64 nr;
	struct frame *slot[FRAME_CACHE_SLOTS]; /* the first nr are in it, newest last */
} __aligned_to(CACHE_LINE);

_Static_assert(sizeof(struct frame_cache) == PAGE_SIZE, "a power of two");

extern struct frame_cache frame_caches[MAX_CPUS];
extern u32 frame_cache_max; /* frames that one holds at most */

static __always_inline struct frame_cache *this_frame_cache(void)
{
	return &frame_caches[cpu_id()];
}

/* => may the caches serve it? Not zeroed, not from the high zone, not to fail for a test. */
static __always_inline bool frame_cache_serves(unsigned flags)
{
	return !(flags & FRAME_ZERO) && !atomic_read(&frame_inject) &&
	       !((flags & FRAME_HIGH) && GLANCE(frame_zones[ZONE_HIGH].free));
}

/*
 * Takes n frames, if there are so many and all are plain cases: a frame in the cache is NOMAP, so
 * nobody maps it, and mostly has no lazy alias left, so nobody clears it either; then its alias
 * word can be written without an exchange. => how many: the first of out[]
 */
static __always_inline unsigned frame_cache_take(struct frame **out, unsigned n, u32 owner)
{
	irqflags_t flags = irq_save();
	struct frame_cache *c = this_frame_cache();
	struct frame **top = c->slot + c->nr;
	unsigned i = 0;

	if (likely(c->nr >= n)) {
#pragma GCC unroll 4
		for (; i < n; i++) {
			struct frame *f = *--top;
			u64 w = atomic_read(&f->alias);

			if (unlikely(w & ALIAS_HEAD))
				break;
			WRITE_ONCE(f->what_who, FRAME_SINGLE_OF(FRAME_USED, owner));
			atomic_set(&f->alias, w & ALIAS_LOW);
			out[i] = f;
		}
		c->nr -= i;
	}
	irq_restore(flags);
	return i;
}

/*
 * Gives n frames, if there is room for so many, as long as they are plain cases.
 *   => nothing is held back (frame_hold()); how many: the first of f[]
 */
static __always_inline unsigned frame_cache_give(struct frame *const *f, unsigned n, u32 owner)
{
	irqflags_t flags = irq_save();
	struct frame_cache *c = this_frame_cache();
	struct frame **top = c->slot + c->nr;
	unsigned i = 0;

	if (likely(c->nr + n <= frame_cache_max)) {
#pragma GCC unroll 4
		for (; i < n; i++) {
			struct frame *frame = f[i];
			u64 w = atomic_read(&frame->alias);

			if (unlikely(frame->what != FRAME_SINGLE(FRAME_USED)) ||
			    unlikely(w & ALIAS_BUSY) ||
			    unlikely(!atomic_cmpxchg(&frame->alias, w,
						     w | ALIAS_BUSY | ALIAS_NOMAP)))
				break;
			WRITE_ONCE(frame->what_who, FRAME_SINGLE_OF(FRAME_CACHED, owner));
			top[i] = frame;
		}
		c->nr += i;
	}
	irq_restore(flags);
	return i;
}

/* What is left to do when out[0..done-1] were taken, or f[0..done-1] given. => as those below */
int frame_take_rest(struct frame **out, unsigned done, unsigned n, unsigned flags,
		    u32 owner) __must_check;
void frame_give_rest(struct frame *const *f, unsigned done, unsigned n, u32 owner);

/*
 * frame_alloc_many() and frame_free_many(), to be made part of the caller; `owner` is frame_owner()
 * of who is to be named in reports.
 */
static __always_inline int frame_take_many(struct frame **out, unsigned n, unsigned flags,
					   u32 owner)
{
	unsigned done = 0;

	if (likely(frame_cache_serves(flags)))
		done = frame_cache_take(out, n, owner);
	count_add(frame_alloc, done);
	return likely(done == n) ? 0 : frame_take_rest(out, done, n, flags, owner);
}

static __always_inline void frame_give_many(struct frame *const *f, unsigned n, u32 owner)
{
	unsigned done = 0;

	if (likely(!frame_hold()))
		done = frame_cache_give(f, n, owner);
	count_add(frame_free, done);
	if (unlikely(done != n))
		frame_give_rest(f, done, n, owner);
}

#endif
