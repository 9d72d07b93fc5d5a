// SPDX-License-Identifier: MIT
/*
 * The wish of 2007: shoot down the lazy mappings of *these* frames, usable on any frame, and
 * costing something only where needed.
 *
 * What each frame's alias word says (mm/alias.h) decides:
 *
 *   0                    it never had an alias: done, after one look
 *   a stamp              its aliases have no entries; if every CPU has flushed past the stamp, that
 *                        is all; else those that have not flush (phase FLUSH)
 *   lazy aliases         exactly their entries are cleared, in whatever areas they are, and exactly
 *                        those pages invalidated. The areas lose a page, their other pages stay; an
 *                        area of one page is cleared altogether, and parked by the next purge
 *   a live alias         is not ours to take: -EBUSY
 *
 * The stamp of what a frame's word said before a lazy area mapped it is kept with the area, as
 * `older`: should some CPU not have flushed past that, exact pages are not enough.
 *
 * An alias whose area is CLEARED is on its way: another CPU is just clearing its entry, or has just
 * written it and is about to make the area live. That ends by itself, so we look again; also where
 * the entry of a lazy area is gone already, by another of us. What that CPU has cleared it may be
 * yet to flush, and we do not know its pages, so whoever has to look again flushes everything.
 *
 * A lazy area is BUSY while pages of it are cleared, so that neither a purge nor another of us nor
 * a revival touches it meanwhile. Where entries are asked for (mmu->clear_begin), that is until the
 * platform has been asked for all of them, of all the frames. Nobody is waited for with anything
 * BUSY: two of us would wait for each other.
 */
#include "mm/engine.h"
#include "mm/shootdown.h"

#define AREAS_AT_ONCE	64
#define ALIASES_AT_ONCE 16
#define PAGES_AT_ONCE	PT_ENTRIES /* interrupts may be off meanwhile */

struct purge {
	struct gather g;
	u64 took; /* pages, in all */

	/* what is taken and not yet settled */
	irqflags_t flags;
	unsigned pages, areas;
	struct {
		struct area *area; /* BUSY, and ours */
		u64 lo, hi;	   /* of the pages taken, the first and the last */
	} area[AREAS_AT_ONCE];
};

/* What is taken is cleared now, and the areas are lazy again, what is left of them. */
static void settle(struct purge *p)
{
	u64 stamp;

	if (!p->areas)
		return;
	engine_clear_end(p->flags);
	stamp = shootdown_stamp();
	gather_stamp(&p->g, stamp);
	p->pages = 0;
	while (p->areas) {
		struct area *a = p->area[--p->areas].area;
		u64 w = atomic_read(&a->word) & ~AREA_BUSY;

		a->stamp = stamp;
		atomic_set(&a->word,
			   a->pages == 1 ? w ^ (AREA_LAZY ^ AREA_CLEARED) : w | AREA_HOLED);
	}
}

static __always_inline void take_page(struct purge *p, struct area *a, u64 page)
{
	u64 older = atomic_read(&a->older);

	engine_clear_entries(a, page, 1);
	gather_add(&p->g, a->start + (page << PAGE_SHIFT), 1, shootdown_clock());
	if (older && !p->g.full && !shootdown_covered(older))
		gather_add_all(&p->g, older); /* older than what is in it already */
	count(purge_hit);
	p->took++;
	p->pages++;
}

/* Makes the area of a lazy page BUSY. => false: it is not LAZY, or BUSY already */
static __always_inline bool make_busy(struct area *a)
{
	u64 w = atomic_read(&a->word);

	return word_state(w) == AREA_LAZY && !(w & AREA_BUSY) &&
	       atomic_cmpxchg(&a->word, w, w | AREA_BUSY);
}

/* => it may have got another frame since we looked for the aliases of `f` */
static __always_inline bool maps(vaddr_t va, const struct frame *f)
{
	u64 e = entry_read(entry_of(va));

	return (e & PTE_P) && (e & PTE_ADDR) == frame_paddr(f);
}

/* The same for another page of an area that is ours. => false: see take() */
static __noinline bool take_another(struct purge *p, struct area *a, vaddr_t va,
				    const struct frame *f)
{
	unsigned i = 0;
	u64 page;

	while (i < p->areas && p->area[i].area != a)
		i++;
	if (i == p->areas || !maps(va, f))
		return false;
	page = (va - a->start) >> PAGE_SHIFT;
	if (page >= p->area[i].lo && page <= p->area[i].hi)
		return false; /* perhaps it is taken: the frame may be given twice */
	p->area[i].lo = MIN(p->area[i].lo, page);
	p->area[i].hi = MAX(p->area[i].hi, page);
	take_page(p, a, page);
	return true;
}

/*
 * The entry at `va`, in the area `a`, is to be cleared if it maps `f`. Until it is BUSY the area
 * may end, and its struct be another's, at other addresses: so only then is asked where it is.
 *   => false: not now; to be asked again when all is settled
 */
static __always_inline bool take(struct purge *p, struct area *a, vaddr_t va, const struct frame *f)
{
	u64 page;

	if (p->areas == AREAS_AT_ONCE || p->pages == PAGES_AT_ONCE)
		return false;
	if (unlikely(!make_busy(a)))
		return take_another(p, a, va, f);
	if (unlikely(area_of(va) != a) || unlikely(!maps(va, f))) {
		atomic_fetch_and(&a->word, ~AREA_BUSY);
		return false;
	}
	if (!p->areas)
		p->flags = engine_clear_begin();
	page = (va - a->start) >> PAGE_SHIFT;
	p->area[p->areas].area = a;
	p->area[p->areas].lo = p->area[p->areas].hi = page;
	p->areas++;
	take_page(p, a, page);
	return true;
}

/* One look at the aliases. => 0: all are taken; -EBUSY: all but live ones; -EAGAIN: look again */
static int purge_some(struct purge *p, struct frame *f)
{
	u64 index[ALIASES_AT_ONCE];
	unsigned n = alias_snapshot(f, index, ALIASES_AT_ONCE), live = 0;
	bool again = n > ALIASES_AT_ONCE;

	for (unsigned i = 0; i < MIN(n, ALIASES_AT_ONCE); i++) {
		vaddr_t va = alias_va(index[i]);
		struct area *a = alias_is_local(index[i]) ? NULL : area_of(va);

		if (a && word_state(atomic_read(&a->word)) != AREA_LIVE)
			again |= !take(p, a, va, f);
		else if (frame_has_alias(f, index[i]))
			live++;
		else
			again = true; /* the area has gone home, or maps another frame */
	}
	if (live == ALIASES_AT_ONCE)
		return -EBUSY;
	return again ? -EAGAIN : live ? -EBUSY : 0;
}

/* => 0 or -EBUSY; what must be flushed is added to p->g, at the latest when all is settled */
static int purge_frame(struct purge *p, struct frame *f)
{
	u64 w = atomic_read(&f->alias), stamp = w & ALIAS_LOW, took = p->took;
	bool again = false;
	int err;

	if (!(w & ALIAS_HEAD)) {
		bool in_it = p->g.full && stamp <= p->g.stamp;

		if (stamp && !in_it && !shootdown_covered(stamp))
			gather_add_all(&p->g, stamp);
		return 0;
	}
	while ((err = purge_some(p, f)) == -EAGAIN) {
		again = true;
		settle(p);
		cpu_relax();
	}
	/*
	 * What ended before a live one began is not known, nor what others may have cleared between
	 * two looks; nor have they given out a stamp for it already: so it is as of now.
	 */
	if (err || again || p->took == took)
		gather_add_all(&p->g, shootdown_stamp());
	return err;
}

static __noinline int purge_frames(struct frame *const *f, unsigned n, enum purge_phase phase)
{
	struct purge p;
	int err = 0;

	KASSERT(!in_interrupt() && !cpu_spinlocks_held(),
		"vm_unmap_frame_aliases in an interrupt handler, or with a spinlock held");
	gather_begin(&p.g);
	p.took = p.pages = p.areas = 0;
	for (unsigned i = 0; i < n; i++)
		if (purge_frame(&p, f[i]))
			err = -EBUSY;
	settle(&p);
	if (phase == PURGE_PTES)
		return err;
	gather_flush(&p.g);
	gather_end(&p.g);
	return err;
}

int vm_unmap_frame_aliases(struct frame *const *f, unsigned n, enum purge_phase phase)
{
	count_add(purge_frames, n);
	for (unsigned i = 0; i < n; i++)
		if (unlikely(atomic_read(&f[i]->alias) & ~(ALIAS_BUSY | ALIAS_NOMAP)))
			return purge_frames(f + i, n - i, phase);
	return 0;
}

bool frame_remembered(struct frame *f)
{
	u64 w = atomic_read(&f->alias);

	return (w & ALIAS_HEAD) || ((w & ALIAS_LOW) && !shootdown_covered(w & ALIAS_LOW));
}
