// SPDX-License-Identifier: MIT
/*
 * kmap: the engine with a page count of one. The revival of engine.c is repeated here in its
 * shortest form, because with one page the area's word says everything: which frame, which rights,
 * and that it is lazy; one compare-exchange asks and takes. Ending it is the same exchange back,
 * for an area that was revived is still LISTED (mm/lazy.c) and needs no list operation.
 *
 * Under the other policies a kmap is mapped and unmapped as any area.
 */
#include "mm/kmap.h"
#include "mm/fast.h"

static __always_inline u64 kmap_word(enum area_state s, const struct frame *f)
{
	return area_word(s, AREA_KMAP, VM_W, f) | AREA_LISTED;
}

static __noinline void *map_new(struct frame *f, u64 mapper)
{
	return fast_map(&f, 1, VM_W, AREA_KMAP, "kmap", mapper, true);
}

/*
 * NOMAP is looked at before the exchange: who sets it (a frame becomes a page table) purges
 * afterwards, and takes the area before we do, or finds it live.
 */
void *kmap(struct frame *f)
{
	struct area *a = (struct area *)atomic_read(&f->revive);

	if (unlikely(atomic_read(&f->alias) & ALIAS_NOMAP) ||
	    unlikely(GLANCE(lazy_slow) != LAZY_SLOW_PTE) ||
	    unlikely(!atomic_cmpxchg(&a->word, kmap_word(AREA_LAZY, f), kmap_word(AREA_LIVE, f))))
		return map_new(f, CALLER());
	this_park()->last = a;
	count(revive);
	return (void *)a->start;
}

static __noinline void unmap_new(vaddr_t va, u64 unmapper)
{
	fast_unmap(va, 1, AREA_KMAP, unmapper, true);
}

/* Of the word: what tells a kmap that was revived and is live. */
#define KMAP_MASK (AREA_STATE_MASK | AREA_KIND_MASK | AREA_LISTED)

void kunmap(void *va)
{
	struct area *a = this_park()->last;
	u64 w = atomic_read(&a->word);

	if (unlikely(GLANCE(a->start) != (vaddr_t)va)) {
		a = area_of((vaddr_t)va);
		w = a && a->start == (vaddr_t)va ? atomic_read(&a->word) : 0;
	}
	if (unlikely((w & KMAP_MASK) != (area_word(AREA_LIVE, AREA_KMAP, 0, NULL) | AREA_LISTED)) ||
	    unlikely(GLANCE(lazy_slow) != LAZY_SLOW_PTE) ||
	    unlikely(!atomic_cmpxchg(&a->word, w, w ^ (AREA_LIVE ^ AREA_LAZY))))
		unmap_new((vaddr_t)va, CALLER());
}
