// SPDX-License-Identifier: MIT
/* Between the files of the frame allocator: frame.c, frame_cache.*, frame_hold.c, frame_check.c. */
#ifndef MM_FRAME_INTERNAL_H
#define MM_FRAME_INTERNAL_H

#include "mm/alias.h"

struct zone {
	spinlock_t lock;
	u32 head[FRAME_MAX_ORDER + 1]; /* guarded by lock, as is all that follows */
	u64 free;		       /* frames */
};

extern struct zone frame_zones[NR_ZONES];

static inline u32 frame_owner(u64 text)
{
	return (u32)(text - IMAGE_BASE);
}

extern atomic_t frame_inject; /* allocations until one fails; 0: none will */

/* => the zone's lock is held; pfn of a block, still typed FREE, or FRAME_NIL */
u32 frame_take_locked(struct zone *z, unsigned order);
/* => the zone's lock is held; the block's frames are typed FREE by the caller */
void frame_give_locked(struct zone *z, u32 pfn, unsigned order);
void frame_set_type(u32 pfn, unsigned order, enum frame_type type, u32 owner);

/* What a frame is allocated with: it may be mapped. A lazy alias may be left. */
static __always_inline void frame_allow(struct frame *f)
{
	u64 w;

	do
		w = atomic_read(&f->alias);
	while (!atomic_cmpxchg(&f->alias, w, w & ALIAS_HEAD ? w & ~ALIAS_NOMAP : w & ALIAS_LOW));
}

/* One frame through this CPU's cache, whatever it takes. => any context; NULL: memory is out */
struct frame *frame_cache_take_one(u32 owner);
void frame_cache_give_one(struct frame *f, u32 owner);
void frame_cache_init(u64 direct_frames);

/* => pfn heads a free block of `order` in `zone`; the zone's lock is held, or nothing moves */
bool frame_is_free_head(u32 pfn, unsigned order, u8 zone);

/* The end of frame_free(): the block, which nobody can map any more, is free. => any context */
void frame_give_back(u32 pfn, unsigned order, u32 owner);

/*
 * frame_hold_back: with hold=on, keeps the block if anyone may still remember one of its frames.
 *   => true: it is held, and will be given back when that is over
 */
bool frame_hold_back(u32 pfn, unsigned order, u32 owner);

/*
 * frame_flush_held: memory is out: makes all CPUs forget what is held, and frees it.
 *   => any context; where one may not wait, does nothing; frames released
 */
u64 frame_flush_held(void);

#endif
