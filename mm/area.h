// SPDX-License-Identifier: MIT
/*
 * The vmap area's addresses. Every page of it belongs to exactly one struct area: a free range, or
 * a run of pages that was carved out of one, with its guard page. One tree, ordered by address and
 * knowing the largest free range below each node, answers the general questions: where is the
 * lowest hole that fits, does everything tile. The common path never comes here: carved areas are
 * kept for reuse by the CPUs (mm/park.h) and found through the records of their pages
 * (mm/chunk.h).
 *
 * What a carved area is at the moment is one word, so that taking it from one state to another is
 * one compare-and-exchange and only one of two callers can succeed:
 *
 *   bits 2:0    state
 *   bit 3       LISTED: on the list of areas unmapped under policy pte
 *   bit 4       HOLED: lazy, but some of its entries are gone: not to be revived
 *   bit 5       BUSY: not to be touched: somebody clears its entries, or compares them to revive it
 *   bit 6       UNHOOK: cleared, by a purge that may have its table emptied (mm/unhook.c)
 *   bits 15:8   kind: by which call it was mapped, and so by which it is unmapped
 *   bits 23:16  VM_* rights
 *   bits 63:24  its first frame, where the area may be revived (its struct's address, shifted: no
 *               two are equal); else 0
 */
#ifndef MM_AREA_H
#define MM_AREA_H

#include "mm/mm_internal.h"

enum area_state {
	AREA_FREE,    /* in the tree, nobody's */
	AREA_LIVE,    /* mapped */
	AREA_LAZY,    /* unmapped, entries still there (policy pte): may be revived */
	AREA_CLEARED, /* entries gone, some TLB may remember; or being mapped */
	AREA_STATES
};

enum area_kind {
	AREA_VMAP,    /* vmap / vunmap */
	AREA_RAM,     /* vm_map_ram / vm_unmap_ram */
	AREA_KMAP,    /* kmap / kunmap */
	AREA_VMALLOC, /* vmalloc / vfree: it owns its frames */
	AREA_STACK,   /* vmap_stack_alloc / vmap_stack_free: frames as well */
	AREA_IO,      /* vmap_pfn, ioremap / vunmap, iounmap: no frames of ours */
	AREA_SPARSE,  /* vm_area_reserve / vm_area_free */
	AREA_KINDS
};

#define AREA_STATE_MASK	 7ull
#define AREA_LISTED	 (1ull << 3)
#define AREA_HOLED	 (1ull << 4)
#define AREA_BUSY	 (1ull << 5)
#define AREA_UNHOOK	 (1ull << 6)
#define AREA_KIND_SHIFT	 8
#define AREA_KIND_MASK	 0xff00ull
#define AREA_PROT_SHIFT	 16
#define AREA_FRAME_SHIFT 19 /* a struct frame is 32 bytes: 5 bits of its address are zero */
#define AREA_FRAME_MASK	 (~0ull << 24)

/* => first: NULL if it may not be revived */
static inline u64 area_word(enum area_state s, enum area_kind k, unsigned prot,
			    const struct frame *first)
{
	return s | (u64)k << AREA_KIND_SHIFT | (u64)prot << AREA_PROT_SHIFT |
	       (u64)first << AREA_FRAME_SHIFT;
}

static inline enum area_state word_state(u64 w)
{
	return (enum area_state)(w & AREA_STATE_MASK);
}

static inline enum area_kind word_kind(u64 w)
{
	return (enum area_kind)((w & AREA_KIND_MASK) >> AREA_KIND_SHIFT);
}

static inline unsigned word_prot(u64 w)
{
	return (w >> AREA_PROT_SHIFT) & 0xff;
}

struct area {
	atomic_t word; /* see above */

	/* fixed while carved */
	vaddr_t start;
	pte_t *pte; /* of the first page, if all lie in one level-1 table; else NULL */
	u64 alias;  /* alias word of the first page (mm/alias.h) */
	u32 pages;  /* mapped: span less the guard */
	u32 span;   /* owned, the guard included */

	atomic_t older; /* where it may be lazy: stamp of what its frames' aliases before it left */

	/* the owner's: who carved it from its state for the moment */
	struct area *parked;	    /* next on a list of areas (mm/park.h, mm/lazy.c) */
	u64 stamp;		    /* shootdown stamp after its entries were cleared */
	const char *name;	    /* what it is for: "vmap", "stack", "lapic" */
	u64 mapper, unmapper;	    /* text addresses of who mapped and unmapped it */
	u64 mapped_at, unmapped_at; /* tsc_coarse(); 0: not recorded (vm_map_ram) */
	u64 redzone; /* vmalloc: bytes at its end that are not its; pages, where it has shrunk */
	u32 large;   /* so many 2 MiB leaves map it from its start on */

	/* guarded by the area lock */
	struct area *left, *right; /* subtrees of lower and higher addresses */
	struct area *prev, *next;  /* neighbours in address order: [prev][this][next] touch */
	u64 priority;		   /* the tree is a heap in this, so it is balanced by chance */
	u64 max_free;		   /* largest span of a free area in this subtree */
};

/* An area that is none: at no address, in no state anybody looks for. Saves asking for NULL. */
extern struct area area_none;

/* Where an area may lie: [lo, hi), page aligned, in the vmap area. */
struct area_range {
	vaddr_t lo, hi;
};

#define AREA_ANYWHERE ((struct area_range){VMAP_BASE, VMAP_END})

/* What is made for an area when it is carved. */
enum area_backing {
	AREA_BARE, /* records of the chunks at its ends, which it may share; the rest when used */
	AREA_RECORDS, /* all records */
	AREA_TABLES,  /* and level-1 tables */
};

/*
 * area_alloc: carves `pages` pages and a guard at the lowest address in `r` that is a multiple of
 * `align` pages (a power of two).
 *   => any context; NULL with no addresses or no memory
 *   => the area is CLEARED and the caller's alone
 */
struct area *area_alloc(u64 pages, u64 align, struct area_range r,
			enum area_backing backing) __must_check;

/*
 * area_free: back to the tree. => CLEARED, no entry present, no TLB remembers, on no list; the
 * addresses may be reissued from here on, and the struct is gone. Any context.
 */
void area_free(struct area *a);

/*
 * area_find: a copy of the area that holds `va`, free ones included.
 *   => any context; false if va is not in the vmap area; the copy's word may be older than its rest
 */
bool area_find(vaddr_t va, struct area *copy);

/*
 * As area_find, without the lock and so without a promise: for a panic, which may interrupt
 * anything.
 */
bool area_peek(vaddr_t va, struct area *copy);

static inline vaddr_t area_end(const struct area *a)
{
	return a->start + ((u64)a->span << PAGE_SHIFT);
}

/*
 * What to call it in a report: "free", "live", "lazy", "cleared" (some TLB may remember it), "kept"
 * (cleared, forgotten, waiting for reuse by a CPU).
 */
const char *area_state_name(const struct area *a);
const char *area_kind_name(enum area_kind k);

/*
 * Counted by a walk, in steps: exact when nobody maps meanwhile. => any context; pages with guards
 */
struct area_stats {
	u64 nr[AREA_STATES], pages[AREA_STATES]; /* by state */
	u64 kept, kept_pages;			 /* of the cleared: those no TLB remembers */
	u64 largest_free;			 /* pages */
};

void area_stats(struct area_stats *st);

/* Areas returned to the tree since boot: a failed search is worth repeating if it grew. */
u64 area_freed(void);

/* Tiling, order, heap and augmentation, records. => number of faults, each printed */
unsigned area_check(void);

void area_init(void);

#endif
