// SPDX-License-Identifier: MIT
/*
 * Parked areas: each CPU's magazine of carved areas between two uses, by size, so that the common
 * case takes its addresses from this CPU's own list and takes no lock, shared or not.
 *
 *   unmapped -> cleared list -(every CPU has flushed)-> ready list -> mapped again
 *
 * Both are lists of one word, the head. Anybody may push onto a cleared list (compare-exchange) and
 * anybody may take a whole list away (exchange), so a purge or a CPU out of addresses can empty
 * those of others. Only its own CPU takes single areas, from its ready list, and it does that in
 * two steps, neither of which minds what the others do in between: it takes the whole list, and
 * puts the rest back:
 *
 *   a := exchange(ready, NULL);  ready := a->parked
 *
 * In between a thief, or an interrupt on this CPU, finds an empty list and goes elsewhere. Nobody
 * but the own CPU ever stores to a ready list, and an interrupt only to one it has taken from,
 * which is not in between; so nothing can be overwritten.
 */
#ifndef MM_PARK_H
#define MM_PARK_H

#include "mm/area.h"

#define PARK_MAX_PAGES 256 /* larger areas go back to the tree as soon as they may */

struct park_class {
	atomic_t cleared; /* struct area *: unmapped here, newest first */
	atomic_t ready;	  /* struct area *: may be mapped at once */
};

#define PARK_CHECKPOINTS 16

struct park {
	struct park_class class[PARK_MAX_PAGES]; /* of areas with index + 1 pages */

	/* this CPU's alone */
	struct area *last;	   /* mapped last: likely unmapped next; it may be gone, too */
	s64 room;		   /* pages to unmap before the next look at what waits */
	u64 tried[PARK_MAX_PAGES]; /* shootdown_horizon() when a class was sorted last */
	struct {
		u64 stamp, total;
	} checkpoint[PARK_CHECKPOINTS]; /* when `stamp` was the newest, `total` had been unmapped */
	unsigned checkpoints;
	u64 total, covered; /* pages unmapped here; those of them that every CPU has forgotten */
	u64 peak;	    /* the most that ever waited */
	u64 seen[PARK_MAX_PAGES]; /* what a class's lists looked like a round ago */

	/* anybody's, as the lists of the classes */
	atomic_t large; /* cleared areas of more than PARK_MAX_PAGES */
	atomic_t lazy;	/* areas unmapped under policy pte, LISTED (mm/lazy.c) */
} __aligned_to(CACHE_LINE);

extern struct park parks[MAX_CPUS];

/* => an area of `pages` pages that may be mapped at once, or NULL; 1 <= pages <= PARK_MAX_PAGES */
static __always_inline struct area *park_pop(struct park *p, u64 pages)
{
	atomic_t *ready = &p->class[pages - 1].ready;
	struct area *a = (struct area *)atomic_xchg(ready, 0);

	if (likely(a))
		atomic_set(ready, (u64)a->parked);
	return a;
}

/* Pushes onto a list that is only ever pushed to and taken whole. => any context, any CPU */
static __always_inline void park_push(atomic_t *list, struct area *a)
{
	u64 old;

	do {
		old = atomic_read(list);
		a->parked = (struct area *)old;
	} while (unlikely(!atomic_cmpxchg(list, old, (u64)a)));
}

/*
 * park_get: an area of `pages` pages when park_pop() has none: what every CPU has forgotten
 * meanwhile, else fresh addresses, else (a purge) those of everybody.
 *   => any context; NULL: no addresses, or no memory, or (IRQs off) none without waiting
 */
struct area *park_get(u64 pages) __must_check;

/*
 * The same for addresses of a certain kind, always from the tree (mm/area.h).
 *   => backing: AREA_TABLES, unless there are more than PARK_MAX_PAGES
 */
struct area *park_get_aligned(u64 pages, u64 align, struct area_range r,
			      enum area_backing backing) __must_check;

/*
 * park_cleared: area `a` is CLEARED, its entries gone, its stamp set: it waits until every CPU has
 * forgotten it. park_ready: every CPU has.
 *   => any context
 */
void park_cleared(struct area *a);
void park_ready(struct area *a);

/*
 * park_overflow: as many pages were unmapped here as may be between two looks: this CPU flushes its
 * own TLB if it is behind, and if too much still waits for others, they are shot down.
 *   => any context; does nothing that waits with IRQs off or a spinlock held
 */
void park_overflow(void);

/*
 * park_drain: every parked area, on every CPU, that all CPUs have forgotten goes back to the tree.
 *   => any context; areas that went
 */
u64 park_drain(void);

/* Pages that wait on CPU `cpu` to be forgotten, and the most that ever did. */
u64 park_waiting(unsigned cpu);
u64 park_peak(unsigned cpu);

/* => pages each CPU may unmap between two looks at what waits */
void park_set_share(u64 pages);

void park_init(u64 share);

#endif
