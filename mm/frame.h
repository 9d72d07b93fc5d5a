// SPDX-License-Identifier: MIT
/*
 * Physical frames. Every frame of RAM has one struct frame; from it one knows what the frame is,
 * who has it, and how many kernel mappings besides the direct map it has (its aliases).
 *
 * Allocation is a binary buddy system in two zones (frames in the direct map, and `high` ones above
 * directmap=SIZE) behind a small cache of single frames per CPU, which is the common path and
 * takes no shared lock. Why a buddy: large pages and page-aligned blocks come for free, and
 * coalescing is exact, so "no leak" can be checked to the frame.
 */
#ifndef MM_FRAME_H
#define MM_FRAME_H

#include "mm/mm_internal.h"

enum frame_type {
	FRAME_RESERVED, /* zero: not ours to give (firmware, image, frame array, holes) */
	FRAME_FREE,	/* in a buddy list, as head or tail of a block */
	FRAME_CACHED,	/* in a CPU's cache */
	FRAME_USED,	/* allocated */
	FRAME_HELD,	/* freed, but kept from reuse until every CPU has forgotten it (hold=on) */
	FRAME_TABLE,	/* in use as a page table */
	FRAME_SPACE,	/* a page of an address space, which alone may free it (mm/aspace.h) */
	FRAME_TYPES
};

#define FRAME_MAX_ORDER 10 /* blocks of 1 to 1024 frames: 4 KiB to 4 MiB */
#define FRAME_NO_ORDER	0xff

struct frame {
	atomic_t alias;	 /* who maps it, or when that ended: see mm/alias.h */
	atomic_t revive; /* struct area * that last mapped it first and lazily, or area_none */
	union {
		struct {
			u8 type;   /* enum frame_type */
			u8 order;  /* of the block this frame heads, FRAME_NO_ORDER in its tail */
			u8 zone;   /* ZONE_DIRECT or ZONE_HIGH */
			u8 level;  /* FRAME_TABLE: 1 to 4 */
			u32 owner; /* who allocated or freed it last: text - IMAGE_BASE */
		};
		u32 what;     /* type, order, zone and level in one look: see FRAME_SINGLE() */
		u64 what_who; /* and owner */
	};
	union {
		struct {
			u32 next; /* the neighbours, as pfn, on the list it is on if it is free */
			u32 prev; /*   or held; FRAME_NIL ends it. The list's owner's */
		};
		struct {
			u32 space; /* FRAME_SPACE: the id of the space whose page it is, */
			u32 page;  /*   and which: address >> PAGE_SHIFT */
		};
	};
};

_Static_assert(sizeof(struct frame) == 32, "the frame array must stay 32 bytes a frame");

/* `what` of a single frame of the direct zone: all but the type is 0. */
#define FRAME_SINGLE(type)	((u32)(type))
#define FRAME_SINGLE_OF(t, who) (FRAME_SINGLE(t) | (u64)(who) << 32)

#define FRAME_NIL		0xffffffffu

enum frame_zone {
	ZONE_DIRECT,
	ZONE_HIGH,
	NR_ZONES
};

/*
 * A run of entries is computed from frame pointers by one shift and one addition (mm/run.h), which
 * is why the size above is a power of two.
 */
#define FRAME_TO_PADDR_SHIFT 7
_Static_assert(sizeof(struct frame) << FRAME_TO_PADDR_SHIFT == PAGE_SIZE, "as the shift says");

/* Flags of frame_alloc(). */
#define FRAME_ZERO (1u << 0) /* filled with zero bytes (implies the direct map) */
#define FRAME_HIGH \
	(1u << 1) /* the caller maps it before use: a high frame will do, and is preferred */

static inline pfn_t frame_pfn(const struct frame *f)
{
	return (pfn_t){(u64)(f - frames)};
}

static inline paddr_t frame_paddr(const struct frame *f)
{
	return pfn_to_paddr(frame_pfn(f));
}

/* => pfn is valid (frame_valid) */
static inline struct frame *pfn_frame(pfn_t pfn)
{
	return &frames[pfn.n];
}

/* => f is not a high frame */
static inline void *frame_virt(const struct frame *f)
{
	return phys_to_virt(frame_paddr(f));
}

/* => somebody's memory, which the kernel may map as well */
static inline bool frame_is_memory(const struct frame *f)
{
	return f->type == FRAME_USED || f->type == FRAME_SPACE;
}

/* "free", "a page table": fits after "which is". => any value of a type */
const char *frame_type_name(unsigned type);

/* Is there a struct frame for it, that is: is it RAM the loader told us of? => any context */
bool frame_valid(pfn_t pfn);

/*
 * frame_alloc: 2^order consecutive frames, aligned to their size.
 *   => any context; NULL if there are none, or order > FRAME_MAX_ORDER; what other CPUs hold in
 *      their caches (at most 511 frames each) is not looked for; what is held back (hold=on) is,
 *      and where one may wait, all CPUs are made to forget it
 */
struct frame *frame_alloc(unsigned order, unsigned flags) __must_check;

/*
 * frame_free: gives back what frame_alloc gave, with the same order.
 *   => any context; panics by name on a double free, a reserved frame, a wrong order, a frame that
 *      is a page table, a page of an address space, or mapped by a live area. A lazy alias may
 *      remain: that is the stray alias of the story, and its purge (mm/vmap.h) works on free
 *      frames too
 */
void frame_free(struct frame *f, unsigned order);

/*
 * frame_alloc_many: n single frames into out[], not necessarily neighbours; all or none.
 *   => 0 or -ENOMEM
 */
int frame_alloc_many(struct frame **out, unsigned n, unsigned flags) __must_check;
void frame_free_many(struct frame *const *f, unsigned n);

/* Gives the frames cached on this CPU back to their zones. => any context */
void frame_drain_cache(void);

/*
 * frame_set_hold: from now on freed frames that some CPU may still remember, or that a lazy alias
 * still maps, are held back until that is over (the thread's "hold on to the pages until the
 * flush"); off: those held are released as they are.
 * frame_release_held: those whose time has come are free. => any context; frames released
 */
void frame_set_hold(bool on);
extern u32 frame_hold_on;
static inline bool frame_hold(void)
{
	return READ_ONCE(frame_hold_on);
}
u64 frame_release_held(void);
u64 frame_held_total(void); /* frames held now */

/*
 * frame_refuse_aliases: from now on nobody can map `f` (it is to become a page table); _allow ends
 * it. => the frame is in use and the caller's
 */
void frame_refuse_aliases(struct frame *f);
void frame_allow_aliases(struct frame *f);

struct frame_stats {
	u64 total;				 /* frames the loader told us of as RAM */
	u64 reserved, tables, used, held, space; /* by type */
	u64 free, cached;
	u64 free_high; /* of `free`, those in the high zone */
};

/* Counts by walking the frame array. => exact when nobody allocates meanwhile */
void frame_stats(struct frame_stats *st);

/* frame_free_total: free frames, buddy and caches, in O(CPUs). => exact when quiet */
u64 frame_free_total(void);

/*
 * frame_inject_failure: makes the nth next allocation on any CPU fail (1: the next), as if memory
 * were out; 0 turns it off. For tests of error paths. => the countdown's rest is returned
 */
u64 frame_inject_failure(u64 nth);

/*
 * frames_init: takes over the RAM that early_* (mm/early.h) has left, once the frame array is
 * mapped and zero.
 *   => boot, one CPU; frames at or above direct_limit (bytes) go to the high zone
 */
void frames_init(paddr_t direct_limit);

/* Checks lists, types, orders and counts against each other; => number of faults, each printed */
unsigned frame_check(void);

#endif
