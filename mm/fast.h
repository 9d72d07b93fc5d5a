// SPDX-License-Identifier: MIT
/*
 * The engine's common path, to be made part of vmap, vm_map_ram, vmalloc and kmap, each of which
 * leaves out what it does not need because what tells it so is a constant. What makes it short:
 *
 *   - addresses come from this CPU's list of areas of that size (park.h), with tables, records and
 *     the pointer to its entries ready from the last use: nothing is searched, no lock is taken
 *   - entries and alias words are set in one loop (run.h)
 *   - the area mapped last on this CPU is tried first when something is unmapped, for what is
 *     short-lived is unmapped in reverse; else its page's record knows the area (chunk.h)
 *   - one word of global state tells that nothing unusual is wanted (lazy_slow)
 *
 * Everything else is in engine.c, behind calls that are not made here.
 *
 * Interrupts: a handler that maps or unmaps in the middle of any of this finds the lists and words
 * in a state it can work with, because each step is one atomic operation. park.h has the argument
 * for the lists; `last` is only a hint, checked against the area itself.
 */
#ifndef MM_FAST_H
#define MM_FAST_H

#include "mm/engine.h"

/* => is a longer path needed than those below? */
static __always_inline bool fast_unusual(void)
{
	return unlikely(GLANCE(lazy_slow)); /* READ_ONCE would cost an instruction more */
}

/*
 * Every way off the path is the last thing it does, a jump to what finishes the work, so that
 * nothing has to survive a call (mm/run.h says what that is worth).
 *   => name, mapper: constants; mapper 0: neither who nor when is recorded
 */
static __always_inline void *fast_map(struct frame *const *f, u64 n, unsigned prot,
				      enum area_kind kind, const char *name, u64 mapper, bool when)
{
	struct area *a;
	unsigned done;

	if (unlikely(n - 1 >= PARK_MAX_PAGES || (prot & ~RAM_PROT)) || fast_unusual())
		return engine_map(f, n, prot, kind, name, mapper);
	a = park_pop(this_park(), n);
	if (unlikely(!a))
		return engine_map(f, n, prot, kind, name, mapper);
	atomic_set(&a->word, area_word(AREA_CLEARED, kind, prot, NULL));
	a->name = name;
	a->mapper = mapper;
	a->mapped_at = when ? tsc_coarse() : 0;
	count_add(vmap_pages, n);
	done = run_set_plain(a->pte, f, (unsigned)n, ram_entry_bits[prot], a->alias);
	if (unlikely(done != n))
		return engine_fill(a, f, done);
	atomic_xor(&a->word, AREA_CLEARED ^ AREA_LIVE);
	this_park()->last = a;
	count(vmap);
	return (void *)a->start;
}

/*
 * The live area of `kind` that starts at `va` ends.
 *   => pages: how many it must have, or ANY_NUMBER
 */
static __always_inline void fast_unmap(vaddr_t va, u64 pages, enum area_kind kind, u64 unmapper,
				       bool when)
{
	struct area *a = this_park()->last;
	struct run_stop stop;
	struct park *p;
	u64 w, n;

	if (fast_unusual())
		goto slow;
	if (unlikely(GLANCE(a->start) != va)) {
		a = area_of(va);
		if (unlikely(!a) || unlikely(a->start != va))
			goto slow;
	}
	w = atomic_read(&a->word);
	n = pages == ANY_NUMBER ? a->pages : pages;
	if (unlikely((w & (AREA_KIND_MASK | 0xff)) != area_word(AREA_LIVE, kind, 0, NULL)) ||
	    unlikely(a->pages != n) || unlikely(n > PARK_MAX_PAGES) ||
	    unlikely(!atomic_cmpxchg(&a->word, w, w ^ (AREA_LIVE ^ AREA_CLEARED))))
		goto slow;
	a->unmapper = unmapper;
	a->unmapped_at = when ? tsc_coarse() : 0;
	stop = run_clear_plain(a->pte, (unsigned)n, a->alias);
	if (unlikely(stop.left)) {
		engine_unmap_rest(a, stop);
		return;
	}
	a->stamp = shootdown_stamp();
	p = this_park();
	n = pages == ANY_NUMBER ? a->pages : pages;
	park_push(&p->class[n - 1].cleared, a);
	count(vunmap);
	p->room -= (s64)n;
	if (unlikely(p->room < 0))
		park_overflow();
	return;
slow:
	engine_unmap(va, pages, kind, unmapper);
}

#endif
