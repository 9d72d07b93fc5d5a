// SPDX-License-Identifier: MIT
/*
 * What the mapping engine does, told without an engine: a list of what is mapped where, who has
 * which frame, and one word for what each frame contains. No page tables, no TLBs, no laziness, no
 * code of mm/. fuzz_engine.c asks it what must come out of everything it does, and tells it what it
 * did.
 *
 *   live   the page reads and writes its frame's word, as its rights say, on every CPU
 *   gone   it was unmapped lazily and nobody has purged since: whatever is read there is allowed
 *   else   it faults: never mapped, purged since, or a guard
 *
 * That addresses given out do not touch what is live, that nobody is given a frame somebody else
 * has, and that a page is not unmapped twice, it sees to itself, and dies of it by name.
 */
#ifndef TESTS_FUZZ_NAIVE_ENGINE_H
#define TESTS_FUZZ_NAIVE_ENGINE_H

#include "kernel/cpumask.h"
#include "kernel/types.h"

#define NAIVE_FRAMES	   5120	   /* of RAM: pfns below this */
#define NAIVE_DEVICE	   0x10000 /* the first pfn of a device, which has */
#define NAIVE_DEVICE_PAGES 1040	   /*   so many */
#define NAIVE_REGIONS	   24
#define NAIVE_PAGES	   1040 /* of a region */
#define NAIVE_NO_FRAME	   (~0ull)
#define NAIVE_NOT_KNOWN	   0xdead0000dead0000ull /* a word that may be any */

enum naive_kind {
	NAIVE_VMAP,
	NAIVE_RAM,
	NAIVE_KMAP,
	NAIVE_VMALLOC,
	NAIVE_STACK,
	NAIVE_SPARSE,
	NAIVE_IO
};

enum naive_owner {
	NAIVE_NOBODY, /* free, or the engine's own */
	NAIVE_TESTER,
	NAIVE_AREA, /* behind a vmalloc or a stack */
	NAIVE_SPACE
};

struct naive_region {
	u64 va, pages; /* a guard page follows; pages 0: none */
	u64 bytes;     /* of a vmalloc */
	enum naive_kind kind;
	bool writable;
	u64 pfn[NAIVE_PAGES]; /* to be read; NAIVE_NO_FRAME: a hole */
};

enum naive_answer {
	NAIVE_READS,
	NAIVE_FAULTS,
	NAIVE_WHATEVER
};

/* => the vmap area; nothing is mapped, nobody has a frame */
void naive_init(u64 start, u64 end);

/* Somebody has the frame from now on, whom nobody had; or nobody has it. */
void naive_own(u64 pfn, enum naive_owner owner, u64 word);
void naive_disown(u64 pfn);

/* What the frame contains. => for reading and writing */
u64 *naive_word(u64 pfn);

/*
 * A region is live; its pages are holes. => its address must not be anybody's; NULL: the list is
 * full, and nothing was looked at
 */
struct naive_region *naive_map(enum naive_kind kind, u64 va, u64 pages, bool writable);

/* Page `page` of a region, a hole so far, maps a frame. */
void naive_fill(struct naive_region *r, u64 page, u64 pfn);

/* It is no more. => forgotten: no CPU may remember it even now */
void naive_unmap(struct naive_region *r, bool forgotten);

/* Some pages of it become holes again. */
void naive_punch(struct naive_region *r, u64 page, u64 n);

/* All that is gone has been purged. */
void naive_purged(void);

/* => what a look at `va` must find; NAIVE_READS: *pfn, *writable */
enum naive_answer naive_look(u64 va, u64 *pfn, bool *writable);

/* => the nth live region (there are naive_regions() of them), in no special order */
unsigned naive_regions(void);
struct naive_region *naive_region(unsigned nth);

/* => a live region has `va`, its guard apart; else NULL */
struct naive_region *naive_region_at(u64 va);

/* How many pages of live regions, and slots, map the frame. */
unsigned naive_aliases(u64 pfn);
enum naive_owner naive_owner(u64 pfn);

/* => are `pages` pages and a guard left somewhere in the area's first `limit` pages? */
bool naive_has_room(u64 pages, u64 limit);

/* One CPU's own slots: the last that was taken is the first that goes. => NULL: none is left */
#define NAIVE_LOCALS 4
struct naive_local {
	u64 va, pfn; /* va 0: none */
};
void naive_local_push(unsigned cpu, u64 va, u64 pfn);
const struct naive_local *naive_local_last(unsigned cpu);
void naive_local_pop(unsigned cpu);
unsigned naive_locals(unsigned cpu);

/* Address spaces. The page at `page` * 4 KiB; NULL: none. */
#define NAIVE_SPACES	  4
#define NAIVE_SPACE_PAGES 64
struct naive_space {
	bool exists;
	u64 on; /* bit i: CPU i runs on it */
	struct naive_space_page {
		u64 page; /* 0: unused */
		u64 pfn;
		unsigned prot;
	} pages[NAIVE_SPACE_PAGES];
};
extern struct naive_space naive_spaces[NAIVE_SPACES];
struct naive_space_page *naive_space_page(struct naive_space *s, u64 page);
unsigned naive_space_pages(const struct naive_space *s);

/* fn for each page that is gone and is nobody's now. */
void naive_for_each_gone(void (*fn)(u64 va));

#endif
