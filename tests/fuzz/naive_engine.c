// SPDX-License-Identifier: MIT
/* See naive_engine.h. Everything is a plain list that is looked through from end to end. */
#include "tests/fuzz/naive_engine.h"
#include "tests/fuzz/fuzz.h"

#define PAGE	 4096ull
#define GONE_MAX 2048

static u64 area_start, area_end;
static struct naive_region regions[NAIVE_REGIONS];
static enum naive_owner owners[NAIVE_FRAMES];
static u64 words[NAIVE_FRAMES + NAIVE_DEVICE_PAGES];
static unsigned aliases[NAIVE_FRAMES];

static struct gone {
	u64 va, pages;
} gone[GONE_MAX];
static unsigned nr_gone;

static struct naive_local locals[MAX_CPUS][NAIVE_LOCALS];
struct naive_space naive_spaces[NAIVE_SPACES];

void naive_init(u64 start, u64 end)
{
	area_start = start;
	area_end = end;
}

static bool touches(u64 va, u64 pages, u64 other, u64 other_pages)
{
	return va < other + other_pages * PAGE && other < va + pages * PAGE;
}

/* --- frames --- */

u64 *naive_word(u64 pfn)
{
	if (pfn >= NAIVE_DEVICE)
		pfn = pfn - NAIVE_DEVICE + NAIVE_FRAMES;
	CHECK(pfn < NAIVE_FRAMES + NAIVE_DEVICE_PAGES);
	return &words[pfn];
}

enum naive_owner naive_owner(u64 pfn)
{
	CHECK(pfn < NAIVE_FRAMES);
	return owners[pfn];
}

void naive_own(u64 pfn, enum naive_owner owner, u64 word)
{
	CHECK(naive_owner(pfn) == NAIVE_NOBODY);
	CHECK(!naive_aliases(pfn));
	owners[pfn] = owner;
	words[pfn] = word;
}

void naive_disown(u64 pfn)
{
	CHECK(naive_owner(pfn) != NAIVE_NOBODY);
	CHECK(!naive_aliases(pfn));
	owners[pfn] = NAIVE_NOBODY;
}

unsigned naive_aliases(u64 pfn)
{
	CHECK(pfn < NAIVE_FRAMES);
	return aliases[pfn];
}

static void count_alias(u64 pfn, int change)
{
	if (pfn < NAIVE_FRAMES)
		aliases[pfn] += (unsigned)change;
}

/* --- regions --- */

static void drop_gone(unsigned i)
{
	gone[i] = gone[--nr_gone];
}

struct naive_region *naive_map(enum naive_kind kind, u64 va, u64 pages, bool writable)
{
	struct naive_region *r = NULL;

	for (unsigned i = 0; i < NAIVE_REGIONS; i++)
		if (!regions[i].pages)
			r = &regions[i];
	if (!r || pages > NAIVE_PAGES)
		return NULL;
	CHECK(pages && va % PAGE == 0);
	CHECK(va >= area_start && va < area_end && pages < (area_end - va) / PAGE);
	for (unsigned i = 0; i < NAIVE_REGIONS; i++)
		CHECK(!regions[i].pages ||
		      !touches(va, pages + 1, regions[i].va, regions[i].pages + 1));
	/* An address is given out again when everybody has forgotten it, and not before. */
	for (unsigned i = 0; i < nr_gone;) {
		if (touches(va, pages, gone[i].va, gone[i].pages))
			drop_gone(i);
		else
			i++;
	}
	r->kind = kind;
	r->va = va;
	r->pages = pages;
	r->bytes = pages * PAGE;
	r->writable = writable;
	for (u64 i = 0; i < pages; i++)
		r->pfn[i] = NAIVE_NO_FRAME;
	return r;
}

static void add_gone(u64 va, u64 pages)
{
	CHECK(nr_gone < GONE_MAX);
	gone[nr_gone].va = va;
	gone[nr_gone++].pages = pages;
}

void naive_fill(struct naive_region *r, u64 page, u64 pfn)
{
	CHECK(page < r->pages && r->pfn[page] == NAIVE_NO_FRAME);
	r->pfn[page] = pfn;
	count_alias(pfn, 1);
}

void naive_unmap(struct naive_region *r, bool forgotten)
{
	CHECK(r->pages);
	if (!forgotten)
		add_gone(r->va, r->pages);
	for (u64 page = 0; page < r->pages; page++)
		count_alias(r->pfn[page], -1);
	r->pages = 0;
}

void naive_punch(struct naive_region *r, u64 page, u64 n)
{
	add_gone(r->va + page * PAGE, n);
	for (; n; n--, page++) {
		CHECK(page < r->pages && r->pfn[page] != NAIVE_NO_FRAME);
		count_alias(r->pfn[page], -1);
		r->pfn[page] = NAIVE_NO_FRAME;
	}
}

void naive_purged(void)
{
	nr_gone = 0;
}

struct naive_region *naive_region_at(u64 va)
{
	for (unsigned i = 0; i < NAIVE_REGIONS; i++)
		if (regions[i].pages && touches(va, 1, regions[i].va, regions[i].pages))
			return &regions[i];
	return NULL;
}

enum naive_answer naive_look(u64 va, u64 *pfn, bool *writable)
{
	const struct naive_region *r = naive_region_at(va);

	if (r) {
		*pfn = r->pfn[(va - r->va) / PAGE];
		*writable = r->writable;
		if (*pfn != NAIVE_NO_FRAME)
			return NAIVE_READS;
	}
	for (unsigned i = 0; i < nr_gone; i++)
		if (touches(va, 1, gone[i].va, gone[i].pages))
			return NAIVE_WHATEVER;
	return NAIVE_FAULTS;
}

unsigned naive_regions(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < NAIVE_REGIONS; i++)
		n += !!regions[i].pages;
	return n;
}

struct naive_region *naive_region(unsigned nth)
{
	unsigned i = 0;

	while (!regions[i].pages || nth--)
		i++;
	return &regions[i];
}

bool naive_has_room(u64 pages, u64 limit)
{
	u64 last = area_start + limit * PAGE;

	for (u64 va = area_start; va + (pages + 1) * PAGE <= last; va += PAGE) {
		unsigned i = 0;

		while (i < NAIVE_REGIONS &&
		       !(regions[i].pages &&
			 touches(va, pages + 1, regions[i].va, regions[i].pages + 1)))
			i++;
		if (i == NAIVE_REGIONS)
			return true;
	}
	return false;
}

void naive_for_each_gone(void (*fn)(u64 va))
{
	u64 pfn;
	bool writable;

	for (unsigned i = 0; i < nr_gone; i++)
		for (u64 page = 0; page < gone[i].pages; page++)
			if (naive_look(gone[i].va + page * PAGE, &pfn, &writable) != NAIVE_READS)
				fn(gone[i].va + page * PAGE);
}

/* --- slots of a CPU's own --- */

unsigned naive_locals(unsigned cpu)
{
	unsigned n = 0;

	while (n < NAIVE_LOCALS && locals[cpu][n].va)
		n++;
	return n;
}

void naive_local_push(unsigned cpu, u64 va, u64 pfn)
{
	unsigned n = naive_locals(cpu);

	CHECK(n < NAIVE_LOCALS && va && va % PAGE == 0);
	CHECK(va < area_start || va >= area_end);
	for (unsigned i = 0; i < n; i++)
		CHECK(locals[cpu][i].va != va);
	locals[cpu][n].va = va;
	locals[cpu][n].pfn = pfn;
	count_alias(pfn, 1);
}

const struct naive_local *naive_local_last(unsigned cpu)
{
	unsigned n = naive_locals(cpu);

	return n ? &locals[cpu][n - 1] : NULL;
}

void naive_local_pop(unsigned cpu)
{
	unsigned n = naive_locals(cpu);

	CHECK(n);
	locals[cpu][n - 1].va = 0;
	count_alias(locals[cpu][n - 1].pfn, -1);
}

/* --- address spaces --- */

struct naive_space_page *naive_space_page(struct naive_space *s, u64 page)
{
	for (unsigned i = 0; page && i < NAIVE_SPACE_PAGES; i++)
		if (s->pages[i].page == page)
			return &s->pages[i];
	return NULL;
}

unsigned naive_space_pages(const struct naive_space *s)
{
	unsigned n = 0;

	for (unsigned i = 0; i < NAIVE_SPACE_PAGES; i++)
		n += !!s->pages[i].page;
	return n;
}
