// SPDX-License-Identifier: MIT
/*
 * The wish of 2007: shoot down the lazy mappings of *these* frames, usable on any frame, and
 * costing something only where needed.
 *
 * What each frame's alias word says (mm/alias.h) decides:
 *
 *   0                    it never had an alias: done, after one look
 *   a stamp              its aliases have no entries; if every CPU has flushed past the stamp,
 *   done;
 *                        else those that have not flush (phase FLUSH)
 *   lazy aliases         exactly their entries are cleared, in whatever areas they are, and exactly
 *                        those pages invalidated. The areas lose a page, their other pages stay; an
 *                        area of one page is cleared altogether, and parked by the next purge
 *   a live alias         is not ours to take: -EBUSY
 *
 * The stamp of what a frame's word said before a lazy area mapped it is kept with the area, as
 * `older`: should some CPU not have flushed past that, exact pages are not enough.
 *
 * An alias whose area is CLEARED is on its way: another CPU is just clearing its entry, or has just
 * written it and is about to make the area live. That ends by itself, so we look again.
 *
 * The lazy area is BUSY while one of its pages is cleared, so that neither a purge nor another of
 * us nor a revival touches it meanwhile.
 */
#include "mm/engine.h"
#include "mm/shootdown.h"

/* Makes the area of a lazy page BUSY. => false: it is not LAZY, or BUSY already */
static bool make_busy(struct area *a)
{
	u64 w = atomic_read(&a->word);

	return word_state(w) == AREA_LAZY && !(w & AREA_BUSY) &&
	       atomic_cmpxchg(&a->word, w, w | AREA_BUSY);
}

static void clear_page(struct area *a, vaddr_t va, struct gather *g)
{
	u64 w = atomic_read(&a->word);
	u64 older = atomic_read(&a->older);

	engine_clear(a, (va - a->start) >> PAGE_SHIFT, 1);
	gather_add(g, va, 1, a->stamp);
	if (older && !shootdown_covered(older))
		gather_add_all(g, older);
	count(purge_hit);
	w &= ~AREA_BUSY;
	atomic_set(&a->word, a->pages == 1 ? w ^ (AREA_LAZY ^ AREA_CLEARED) : w | AREA_HOLED);
}

#define ALIASES_AT_ONCE 16

/* One look at the aliases. => 0: none is left; -EBUSY: only live ones are; -EAGAIN: look again */
static int purge_some(struct frame *f, struct gather *g)
{
	u64 index[ALIASES_AT_ONCE];
	unsigned n = alias_snapshot(f, index, ALIASES_AT_ONCE), live = 0;

	if (!n)
		return 0;
	for (unsigned i = 0; i < MIN(n, ALIASES_AT_ONCE); i++) {
		vaddr_t va = alias_va(index[i]);
		struct area *a = alias_is_local(index[i]) ? NULL : area_of(va);

		if (!a || word_state(atomic_read(&a->word)) == AREA_LIVE)
			live++;
		else if (make_busy(a)) {
			u64 e = entry_read(
				entry_of(va)); /* it may have got another frame meanwhile */

			if ((e & PTE_P) && (e & PTE_ADDR) == frame_paddr(f))
				clear_page(a, va, g);
			else
				atomic_fetch_and(&a->word, ~AREA_BUSY);
		}
	}
	cpu_relax();
	return live == MIN(n, ALIASES_AT_ONCE) ? -EBUSY : -EAGAIN;
}

/* => 0 or -EBUSY; what must be flushed is added to `g` */
static int purge_frame(struct frame *f, struct gather *g)
{
	u64 w = atomic_read(&f->alias), stamp = w & ALIAS_LOW;
	int err;

	if (!(w & ALIAS_HEAD)) {
		if (stamp && !shootdown_covered(stamp))
			gather_add_all(g, stamp);
		return 0;
	}
	do
		err = purge_some(f, g);
	while (err == -EAGAIN);
	if (err) /* what ended before the live one began is not known */
		gather_add_all(g, shootdown_newest());
	return err;
}

static __noinline int purge_frames(struct frame *const *f, unsigned n, enum purge_phase phase)
{
	struct gather g;
	int err = 0;

	KASSERT(!in_interrupt(), "vm_unmap_frame_aliases in an interrupt handler");
	gather_begin(&g);
	for (unsigned i = 0; i < n; i++)
		if (purge_frame(f[i], &g))
			err = -EBUSY;
	if (phase == PURGE_PTES)
		return err;
	gather_flush(&g);
	gather_end(&g);
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
