// SPDX-License-Identifier: MIT
/*
 * Who maps a frame. An alias is a kernel mapping of a frame besides the direct map, live or lazy,
 * in short: a present entry. Each frame answers for its aliases in one word, frame->alias:
 *
 *   bit 63 BUSY    not simply free to be mapped: one of the following holds
 *   bit 62 NOMAP   it may not be mapped: it is free, reserved, held or a page table
 *   bit 60 HEAD    it has an alias; the low bits are its index, else they are a stamp
 *   bit 61 CHAIN   it has several, or had since it last had none: chained through their records
 *                  from the one in the word
 *   low bits       HEAD: index of an alias (1 + its page in the vmap area, or a kmap_local slot)
 *                  else: stamp of the last alias that was cleared; 0: it never had one
 *
 * So the common cases are one compare-and-exchange each: stamp -> BUSY|HEAD|index when a frame is
 * mapped, and back when its entry is cleared; and "was this frame ever mapped, and may anyone
 * remember?" is one look. Only a frame with several aliases at once needs more: a lock, and links
 * in the records of its aliases (mm/chunk.h, 16 bytes for each page of the vmap area in use).
 *
 * The stamp of an alias that ended before the present one began has no place in the word. Where the
 * present one may become lazy its area keeps it (area->older); for a frame that a live area maps
 * "some time until now" is assumed, which costs a flush too many, never one too few.
 *
 * Who writes what: an entry is written after its alias is in the word, and the alias leaves the
 * word after the entry is cleared; so what the word does not name is not mapped.
 */
#ifndef MM_ALIAS_H
#define MM_ALIAS_H

#include "mm/frame.h"

#define ALIAS_BUSY  (1ull << 63)
#define ALIAS_NOMAP (1ull << 62)
#define ALIAS_CHAIN (1ull << 61)
#define ALIAS_HEAD  (1ull << 60)
#define ALIAS_LOW   (ALIAS_HEAD - 1)

#define VMAP_PAGES  (VMAP_SIZE >> PAGE_SHIFT)

struct area;

/* What each page of the vmap area that is in use has. */
struct alias_record {
	struct area *area; /* that owns the page, its guard included; NULL: the page is free */
	u32 next, prev;	   /* the chain of a frame with several aliases; 0 ends it. alias_lock */
};

_Static_assert(sizeof(struct alias_record) == 16, "16 bytes a mapped page, no more");

/* The word of a frame whose only alias is the page at `va`. => in the vmap area */
static inline u64 alias_of(vaddr_t va)
{
	return ALIAS_BUSY | ALIAS_HEAD | (((va - VMAP_BASE) >> PAGE_SHIFT) + 1);
}

static inline u64 alias_index(u64 word)
{
	return word & ALIAS_LOW;
}

/* => the address an alias stands for */
vaddr_t alias_va(u64 index);

/* => is its entry in the table of a kmap_local slot? */
static inline bool alias_is_local(u64 index)
{
	return index > VMAP_PAGES;
}

/*
 * alias_add_slow: `f` gets one more alias, when the word does not say that it has none.
 *   => any context; false, and nothing changed, if it may not be mapped
 */
bool alias_add_slow(struct frame *f, u64 alias);

/*
 * alias_drop_slow: the alias's entry has been cleared, and the frame's word is not just that alias.
 *   => any context; stamp was read after the entry was cleared
 */
void alias_drop_slow(struct frame *f, u64 alias, u64 stamp);

/* The same for one page, whatever the word says. */
static inline bool alias_add(struct frame *f, u64 alias)
{
	u64 old = atomic_read(&f->alias);

	return (!(old & ALIAS_BUSY) && atomic_cmpxchg(&f->alias, old, alias)) ||
	       alias_add_slow(f, alias);
}

/* The same for one page, whatever the word says. */
static inline void alias_drop(struct frame *f, u64 alias, u64 stamp)
{
	if (!atomic_cmpxchg(&f->alias, alias, stamp))
		alias_drop_slow(f, alias, stamp);
}

/*
 * alias_snapshot: the indices of the aliases `f` has now, at most `max` of them.
 *   => any context; how many it has, which may be more than max
 */
unsigned alias_snapshot(struct frame *f, u64 *index, unsigned max);

/* How many aliases it has; is `index` one of them? => any context */
unsigned frame_aliases(struct frame *f);
bool frame_has_alias(struct frame *f, u64 index);

/* => is any of its aliases not lazy, that is: in use? Any context. */
bool frame_mapped_live(struct frame *f);

/* Lists every contradiction of frame words and chains with the entries. => number of faults */
unsigned alias_check(void);

#endif
