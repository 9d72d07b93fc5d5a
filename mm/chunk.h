// SPDX-License-Identifier: MIT
/*
 * The vmap area in chunks of 2 MiB: one level-1 table each, and the records of its 512 pages. A
 * chunk is made when an address in it is first used and stays for good, like its table. From an
 * address it is two loads to its chunk, one more to its entry or to the area that owns it: no walk
 * of page tables and no search of the tree on the common path.
 *
 * A sparse area is not used by being reserved: only the chunks at its ends, which others may share,
 * are made at once. The others can have no owner but it, and are made with its name in them.
 *
 * The records lie in the direct map, two frames a chunk, found through a directory of pointers; not
 * in an array at a fixed address, so no entry of ours is needed to read what entries mean, and an
 * address nobody ever used is answered by a null pointer instead of a fault.
 */
#ifndef MM_CHUNK_H
#define MM_CHUNK_H

#include "mm/alias.h"
#include "mm/mmu_ops.h"

#define CHUNK_SHIFT	21
#define CHUNK_PAGES	512
#define CHUNKS_PER_PAGE 256 /* of the directory */
#define CHUNK_DIR_PAGES (VMAP_SIZE >> CHUNK_SHIFT >> 8)

struct chunk {
	pte_t *pte;		  /* its level-1 table, in the direct map; NULL: it has none */
	struct alias_record *rec; /* NULL: this chunk was never used */
};

extern struct chunk *chunk_dir[CHUNK_DIR_PAGES]; /* pages of 256 chunks, made when needed */

/* => va is in the vmap area; NULL if nothing near was ever used */
static inline struct chunk *chunk_of(vaddr_t va)
{
	u64 n = (va - VMAP_BASE) >> CHUNK_SHIFT;
	struct chunk *page = READ_PUBLISHED(chunk_dir[n / CHUNKS_PER_PAGE]);

	return page ? &page[n % CHUNKS_PER_PAGE] : NULL;
}

static inline unsigned chunk_page(vaddr_t va)
{
	return (va >> PAGE_SHIFT) % CHUNK_PAGES;
}

/* => NULL: va was never used. Any va of the vmap area. */
static inline struct alias_record *record_of(vaddr_t va)
{
	struct chunk *c = chunk_of(va);
	struct alias_record *rec = c ? READ_PUBLISHED(c->rec) : NULL;

	return rec ? &rec[chunk_page(va)] : NULL;
}

/* The area that owns the page `va` is in, NULL if none. => any va at all, any context */
static inline struct area *area_of(vaddr_t va)
{
	struct alias_record *r;

	if (!in_vmap_area(va))
		return NULL;
	r = record_of(va);
	return r ? READ_PUBLISHED(r->area) : NULL;
}

/* The level-1 entry of `va`. => chunk_ensure() has made its table; no large page is mapped there */
static inline pte_t *entry_of(vaddr_t va)
{
	return &chunk_of(va)->pte[chunk_page(va)];
}

/* What the level-1 entry of `va` is; 0 where there is no table. => no large page is mapped there */
static inline u64 entry_value(vaddr_t va)
{
	const struct chunk *c = chunk_of(va);
	const pte_t *table = c ? READ_PUBLISHED(c->pte) : NULL;

	return table ? entry_read(&table[chunk_page(va)]) : 0;
}

/* The first address from `va` on that has a record. => page aligned; `end`: none before it has */
vaddr_t chunk_used_from(vaddr_t va, vaddr_t end);

/*
 * chunk_ensure: records for [va, va + pages) exist afterwards, and if asked for, tables. Records
 * made now name `a` as the owner of its pages.
 *   => any context; 0 or -ENOMEM (what was made stays, and will be used)
 */
int chunk_ensure(struct area *a, vaddr_t va, u64 pages, bool tables) __must_check;

/* The records there are of [va, va + pages) name `a` (or nobody) as the owner. */
void chunk_set_owner(vaddr_t va, u64 pages, struct area *a);

/* Frames that records and the directory take; they are kept for good. */
u64 chunk_frames(void);

void chunk_init(void);

#endif
