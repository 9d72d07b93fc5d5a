// SPDX-License-Identifier: MIT
/*
 * Between the files of the mapping engine. Not for its users: they include mm/vmap.h and its kin.
 */
#ifndef MM_ENGINE_H
#define MM_ENGINE_H

#include "mm/chunk.h"
#include "mm/park.h"
#include "mm/run.h"
#include "mm/vmap.h"

#define LARGE_PAGES PT_ENTRIES /* in a 2 MiB leaf */

/* Where areas with large pages lie: level-1 tables are made there only for what is left over. */
#define LARGE_RANGE ((struct area_range){VMAP_BASE + VMAP_SIZE / 2, VMAP_END})
#define SMALL_RANGE ((struct area_range){VMAP_BASE, VMAP_BASE + VMAP_SIZE / 2})

/* The entry bits of RAM mapped with `prot`. => VM_W and VM_LOCAL only, or it panics by name */
#define RAM_PROT (VM_W | VM_LOCAL)
extern const u64 ram_entry_bits[RAM_PROT + 1];

static inline u64 ram_bits(unsigned prot)
{
	KASSERT(!(prot & ~RAM_PROT), "RAM is to be mapped with prot %#x", prot);
	return ram_entry_bits[prot];
}

/* A run of entries within one level-1 table. */
struct run {
	pte_t *e;
	unsigned n;
};

/* => the chunk of va exists */
static inline struct run run_at(vaddr_t va, u64 pages)
{
	return (struct run){entry_of(va), (unsigned)MIN(pages, CHUNK_PAGES - chunk_page(va))};
}

/*
 * => may its mapping stay behind under policy pte? Where frames go with the area nobody will map
 * the same ones again.
 */
static inline bool kind_may_stay(enum area_kind k)
{
	return k == AREA_VMAP || k == AREA_RAM || k == AREA_KMAP;
}

/*
 * engine_set_rest: what a set_run() of all of `a`, which lies in one table, has left to do.
 *   => as engine_set
 */
int engine_set_rest(struct area *a, struct frame *const *f, unsigned prot, int done) __must_check;

/* One run, by the platform's way. => as mmu->set_run, mmu->clear_run */
static inline int set_run(pte_t *e, struct frame *const *f, unsigned n, u64 bits, u64 alias)
{
	return mmu->set_run ? mmu->set_run(e, f, n, bits, alias)
			    : (int)run_set_plain(e, f, n, bits, alias);
}

static inline struct run_stop clear_run(pte_t *e, unsigned n, u64 alias)
{
	return mmu->clear_run ? mmu->clear_run(e, n, alias) : run_clear_plain(e, n, alias);
}

/* engine_clear_run: clears a run, whatever its frames' words say. */
void engine_clear_run(pte_t *e, unsigned n, u64 alias);

/* The same for what a clear_run() has left to do. */
void engine_clear_rest(pte_t *e, unsigned n, u64 alias, struct run_stop stop);

/*
 * engine_set: pages [page, page + n) of `a` map f[0..n-1].
 *   => 0; -EINVAL (a frame may not be mapped) or -errno from the platform: none of the n is mapped,
 *      but some were for a moment, so the area is stamped
 */
int engine_set(struct area *a, u64 page, struct frame *const *f, u64 n, unsigned prot) __must_check;

/* Entries are about to be cleared by other means; not later than the first frame's word changes. */
void engine_count_clearing(void);

/* engine_clear: the entries of pages [page, page + n), all present, are zero; the area stamped. */
void engine_clear(struct area *a, u64 page, u64 n);

/*
 * The same without the stamp, which the caller gives it. What is cleared so between the other two
 * may take effect at the end only, and is to be stamped then. => as mmu->clear_begin, clear_end
 */
void engine_clear_entries(const struct area *a, u64 page, u64 n);
static inline irqflags_t engine_clear_begin(void)
{
	return mmu->clear_begin ? mmu->clear_begin() : 0;
}

static inline void engine_clear_end(irqflags_t flags)
{
	if (mmu->clear_end)
		mmu->clear_end(flags);
}

/* => may a large page be mapped there: the table above exists, and none below it */
bool large_fits(vaddr_t va);

/*
 * engine_large_area: an area of LARGE_RANGE in which every whole 2 MiB may be a large page; it is
 * CLEARED, without tables. => NULL: fewer pages than one has, or no such addresses (any more)
 */
struct area *engine_large_area(u64 pages) __must_check;

/* engine_clear_large: the 2 MiB leaf at page `page` is zero. */
void engine_clear_large(struct area *a, u64 page);

/* engine_clear_all: every entry the area has, whatever its kind. */
void engine_clear_all(struct area *a);

/* The leaf at `va`, of that level, is zero. */
void engine_clear_leaf(vaddr_t va, int level);

/* One leaf at any level, written at once. => 0 or -errno */
int engine_set_leaf(vaddr_t va, int level, pte_t e) __must_check;

/*
 * engine_map: the general way to map, which fast_map() (mm/fast.h) falls back to.
 *   => as vmap
 */
void *engine_map(struct frame *const *f, u64 n, unsigned prot, enum area_kind kind,
		 const char *name, u64 mapper);

/* After all its entries are set: `a` is live. `first`: its first frame, if it may be revived. */
void engine_publish(struct area *a, enum area_kind kind, unsigned prot, const char *name,
		    u64 mapper, struct frame *first);

/*
 * engine_unmap: the general way to unmap, which fast_unmap() falls back to.
 *   => va starts a live area of `kind`, with `pages` pages or ANY_NUMBER of them, or it panics by
 *      name
 */
#define ANY_NUMBER (~0ull)
void engine_unmap(vaddr_t va, u64 pages, enum area_kind kind, u64 unmapper);

/* What fast_map() and fast_unmap() have begun, where they met what is not the plain case. */
void *engine_fill(struct area *a, struct frame *const *f, unsigned done);
void engine_unmap_rest(struct area *a, struct run_stop stop);

/* The live area that starts at `va`. => panics by name if there is none of `kind` */
struct area *engine_live(vaddr_t va, enum area_kind kind);

/*
 * The same in steps, for who has something to do with the entries in between: engine_take: the area
 * is CLEARED and the caller's, its entries still there; engine_cleared: they are gone.
 * Or, if engine_may_stay(), engine_stay: they stay.
 */
struct area *engine_take(vaddr_t va, enum area_kind kind, u64 unmapper);
void engine_cleared(struct area *a);
bool engine_may_stay(const struct area *a);
void engine_stay(vaddr_t va, enum area_kind kind, u64 unmapper);

/* => n is a possible number of pages: or a message, and false */
bool engine_count_ok(const char *call, u64 n);

#endif
