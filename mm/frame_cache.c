// SPDX-License-Identifier: MIT
/*
 * The long ways of the frame caches: filling and draining them, single frames, and what is no
 * plain case. The common path is in mm/frame_cache.h.
 */
#include "mm/frame_cache.h"

#define CACHE_PART  128 /* a cache holds at most this part of all frames, for small machines, */
#define CACHE_MIN   64	/* or this many */
#define CACHE_PIECE 256 /* frames moved with interrupts off in one go, at most */

struct frame_cache frame_caches[MAX_CPUS];
u32 frame_cache_max;

static void cache_refill(struct frame_cache *c, u32 upto)
{
	struct zone *z = &frame_zones[ZONE_DIRECT];

	count(frame_refill);
	spin_lock(&z->lock);
	while (c->nr < upto) {
		u32 pfn = frame_take_locked(z, 0);

		if (pfn == FRAME_NIL)
			break;
		frame_set_type(pfn, 0, FRAME_CACHED, frames[pfn].owner);
		c->slot[c->nr++] = &frames[pfn];
	}
	spin_unlock(&z->lock);
}

static void cache_drain(struct frame_cache *c, u32 keep)
{
	struct zone *z = &frame_zones[ZONE_DIRECT];

	spin_lock(&z->lock);
	while (c->nr > keep) {
		u32 pfn = (u32)frame_pfn(c->slot[--c->nr]).n;

		frame_set_type(pfn, 0, FRAME_FREE, frames[pfn].owner);
		frame_give_locked(z, pfn, 0);
	}
	spin_unlock(&z->lock);
}

void frame_drain_cache(void)
{
	irqflags_t flags = irq_save();

	cache_drain(this_frame_cache(), 0);
	irq_restore(flags);
}

/* One frame, whatever it takes. => NULL: memory is out */
struct frame *frame_cache_take_one(u32 owner)
{
	irqflags_t flags = irq_save();
	struct frame_cache *c = this_frame_cache();
	struct frame *f = NULL;

	if (!c->nr)
		cache_refill(c, frame_cache_max / 2);
	if (c->nr) {
		f = c->slot[--c->nr];
		WRITE_ONCE(f->what_who, FRAME_SINGLE_OF(FRAME_USED, owner));
		frame_allow(f);
	}
	irq_restore(flags);
	return f;
}

void frame_cache_give_one(struct frame *f, u32 owner)
{
	irqflags_t flags = irq_save();
	struct frame_cache *c = this_frame_cache();

	if (unlikely(c->nr >= frame_cache_max))
		cache_drain(c, frame_cache_max / 2);
	WRITE_ONCE(f->type, FRAME_CACHED);
	f->owner = owner;
	c->slot[c->nr++] = f;
	irq_restore(flags);
}

/*
 * Who takes many gives as many back, and takes them again. So that both find what they need, a
 * cache that is empty is filled, not half; and where there is no room, no more is given back to
 * the zone than it takes to have it. => false: it was not empty, or memory is out
 */
static bool fill_if_empty(void)
{
	irqflags_t flags = irq_save();
	struct frame_cache *c = this_frame_cache();
	bool empty = !c->nr;

	if (empty)
		cache_refill(c, frame_cache_max);
	empty &= !!c->nr;
	irq_restore(flags);
	return empty;
}

static void make_room(u32 n)
{
	irqflags_t flags = irq_save();
	struct frame_cache *c = this_frame_cache();

	if (c->nr + n > frame_cache_max)
		cache_drain(c, frame_cache_max - n);
	irq_restore(flags);
}

/* What is there is taken in one go, then others are fetched, for now and for the next time. */
int frame_take_rest(struct frame **out, unsigned done, unsigned n, unsigned flags, u32 owner)
{
	while (done < n) {
		if (frame_cache_serves(flags)) {
			u64 there = MIN(READ_ONCE(this_frame_cache()->nr), CACHE_PIECE);
			unsigned got =
				frame_cache_take(out + done, MIN(n - done, (unsigned)there), owner);

			done += got;
			count_add(frame_alloc, got);
			if (got || fill_if_empty())
				continue;
		}
		out[done] = frame_alloc(0, flags);
		if (!out[done]) {
			frame_free_many(out, done);
			return -ENOMEM;
		}
		out[done++]->owner = owner;
	}
	return 0;
}

int frame_alloc_many(struct frame **out, unsigned n, unsigned flags)
{
	u32 owner = frame_owner(CALLER());

	return n <= CACHE_PIECE ? frame_take_many(out, n, flags, owner)
				: frame_take_rest(out, 0, n, flags, owner);
}

void frame_give_rest(struct frame *const *f, unsigned done, unsigned n, u32 owner)
{
	while (done < n) {
		unsigned piece = MIN(n - done, MIN(CACHE_PIECE, frame_cache_max)), given = 0;

		if (!frame_hold()) {
			make_room(piece);
			given = frame_cache_give(f + done, piece, owner);
		}
		done += given;
		count_add(frame_free, given);
		if (!given)
			frame_free(f[done++], 0);
	}
}

void frame_free_many(struct frame *const *f, unsigned n)
{
	u32 owner = frame_owner(CALLER());

	if (n <= CACHE_PIECE)
		frame_give_many(f, n, owner);
	else
		frame_give_rest(f, 0, n, owner);
}

void frame_cache_init(u64 direct_frames)
{
	for (unsigned cpu = 0; cpu < MAX_CPUS; cpu++)
		frame_caches[cpu].nr = 0;
	frame_cache_max = (u32)MIN(direct_frames / CACHE_PART, FRAME_CACHE_SLOTS);
	frame_cache_max = MAX(frame_cache_max, CACHE_MIN);
}
