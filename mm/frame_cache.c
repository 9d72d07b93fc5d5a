// SPDX-License-Identifier: MIT
/*
 * The frames each CPU keeps at hand: single frames of the direct zone, newest first, linked through
 * their own structs. Touched with interrupts off and by its own CPU only: no lock, no atomic. What
 * is taken and given here is most of what vmalloc costs, so the loops do nothing but that: one
 * store says what a frame is and whose, one look that it is a plain case; what is not goes the
 * long way.
 */
#include "mm/frame_internal.h"

#define CACHE_MAX   512 /* frames a CPU's cache holds at most */
#define CACHE_PART  128 /* and no more than this part of all frames, for small machines, */
#define CACHE_MIN   64	/* but these at least */
#define CACHE_PIECE 256 /* frames moved with interrupts off in one go */

struct frame_cache frame_caches[MAX_CPUS];
static u32 cache_max; /* frames */

static void cache_push(struct frame_cache *c, struct frame *f)
{
	f->next = c->head;
	c->head = (u32)frame_pfn(f).n;
	c->nr++;
}

static struct frame *cache_pop(struct frame_cache *c)
{
	struct frame *f = &frames[c->head];

	c->head = f->next;
	c->nr--;
	return f;
}

static void cache_refill(struct frame_cache *c)
{
	struct zone *z = &frame_zones[ZONE_DIRECT];

	count(frame_refill);
	spin_lock(&z->lock);
	while (c->nr < cache_max / 2) {
		u32 pfn = frame_take_locked(z, 0);

		if (pfn == FRAME_NIL)
			break;
		frame_set_type(pfn, 0, FRAME_CACHED, frames[pfn].owner);
		cache_push(c, &frames[pfn]);
	}
	spin_unlock(&z->lock);
}

static void cache_drain(struct frame_cache *c, u32 keep)
{
	struct zone *z = &frame_zones[ZONE_DIRECT];

	spin_lock(&z->lock);
	while (c->nr > keep) {
		u32 pfn = (u32)frame_pfn(cache_pop(c)).n;

		frame_set_type(pfn, 0, FRAME_FREE, frames[pfn].owner);
		frame_give_locked(z, pfn, 0);
	}
	spin_unlock(&z->lock);
}

void frame_drain_cache(void)
{
	irqflags_t flags = irq_save();

	cache_drain(&frame_caches[cpu_id()], 0);
	irq_restore(flags);
}

/*
 * The common case, which calls nothing: up to n frames from the cache. A frame in it is NOMAP, so
 * nobody maps it, and mostly has no lazy alias left, so nobody clears it either: then its alias
 * word can be written without an exchange. => how many: fewer if there are no more such
 */
static __noinline unsigned cache_take(struct frame **out, unsigned n, u32 owner)
{
	irqflags_t flags = irq_save();
	struct frame_cache *c = &frame_caches[cpu_id()];
	u32 head = c->head;
	unsigned i;

	n = MIN(n, c->nr);
#pragma GCC unroll 2
	for (i = 0; i < n; i++) {
		struct frame *f = &frames[head];
		u64 w = atomic_read(&f->alias);

		if (unlikely(w & ALIAS_HEAD))
			break;
		head = f->next;
		f->what_who = FRAME_SINGLE_OF(FRAME_USED, owner);
		atomic_set(&f->alias, w & ALIAS_LOW);
		out[i] = f;
	}
	c->head = head;
	c->nr -= i;
	irq_restore(flags);
	return i;
}

/* One frame, whatever it takes. => NULL: memory is out */
struct frame *frame_cache_take_one(u32 owner)
{
	irqflags_t flags = irq_save();
	struct frame_cache *c = &frame_caches[cpu_id()];
	struct frame *f = NULL;

	if (!c->nr)
		cache_refill(c);
	if (c->nr) {
		f = cache_pop(c);
		f->what_who = FRAME_SINGLE_OF(FRAME_USED, owner);
		frame_allow(f);
	}
	irq_restore(flags);
	return f;
}

void frame_cache_give_one(struct frame *f, u32 owner)
{
	irqflags_t flags = irq_save();
	struct frame_cache *c = &frame_caches[cpu_id()];

	if (unlikely(c->nr >= cache_max))
		cache_drain(c, cache_max / 2);
	f->type = FRAME_CACHED;
	f->owner = owner;
	cache_push(c, f);
	irq_restore(flags);
}

/* => may the caches serve it? Not zeroed, not from the high zone, not to fail for a test. */
static __always_inline bool from_cache(unsigned flags)
{
	return !(flags & FRAME_ZERO) && !atomic_read(&frame_inject) &&
	       !((flags & FRAME_HIGH) && READ_ONCE(frame_zones[ZONE_HIGH].free));
}

/* out[0..done-1] are there already. */
static __noinline int alloc_many(struct frame **out, unsigned done, unsigned n, unsigned flags,
				 u32 owner)
{
	while (done < n) {
		if (from_cache(flags)) {
			unsigned got = cache_take(out + done, MIN(n - done, CACHE_PIECE), owner);

			done += got;
			count_add(frame_alloc, got);
			if (got)
				continue;
		}
		out[done] = frame_alloc(0, flags);
		if (!out[done]) {
			frame_free_many(out, done);
			return -ENOMEM;
		}
		out[done++]->owner = owner;
	}
	return 0;
}

int frame_alloc_many(struct frame **out, unsigned n, unsigned flags)
{
	u32 owner = frame_owner(CALLER());
	unsigned got = 0;

	if (likely(n <= CACHE_PIECE) && likely(from_cache(flags)))
		got = cache_take(out, n, owner);
	count_add(frame_alloc, got);
	return likely(got == n) ? 0 : alloc_many(out, got, n, flags, owner);
}

/*
 * Gives frames to this CPU's cache, from f[0] on, as long as they are plain cases and there is room
 * for all. => how many
 */
static __noinline unsigned cache_give(struct frame *const *f, unsigned n, u32 owner)
{
	irqflags_t flags = irq_save();
	struct frame_cache *c = &frame_caches[cpu_id()];
	u32 head = c->head;
	unsigned i;

	if (unlikely(c->nr + n > cache_max))
		n = 0; /* the long way drains it */
#pragma GCC unroll 2
	for (i = 0; i < n; i++) {
		struct frame *frame = f[i];
		u64 w = atomic_read(&frame->alias);

		if (unlikely(frame->what != FRAME_SINGLE(FRAME_USED)) || unlikely(w & ALIAS_BUSY) ||
		    unlikely(!atomic_cmpxchg(&frame->alias, w, w | ALIAS_BUSY | ALIAS_NOMAP)))
			break;
		frame->what_who = FRAME_SINGLE_OF(FRAME_CACHED, owner);
		frame->next = head;
		head = (u32)frame_pfn(frame).n;
	}
	c->head = head;
	c->nr += i;
	irq_restore(flags);
	return i;
}

static __noinline void free_many(struct frame *const *f, unsigned n, u32 owner)
{
	for (unsigned i = 0; i < n;) {
		unsigned given =
			frame_hold() ? 0 : cache_give(f + i, MIN(n - i, CACHE_PIECE), owner);

		i += given;
		count_add(frame_free, given);
		if (!given)
			frame_free(f[i++], 0);
	}
}

void frame_free_many(struct frame *const *f, unsigned n)
{
	u32 owner = frame_owner(CALLER());
	unsigned given = 0;

	if (likely(n <= CACHE_PIECE) && likely(!frame_hold()))
		given = cache_give(f, n, owner);
	count_add(frame_free, given);
	if (unlikely(given != n))
		free_many(f + given, n - given, owner);
}

void frame_cache_init(u64 direct_frames)
{
	for (unsigned cpu = 0; cpu < MAX_CPUS; cpu++)
		frame_caches[cpu] = (struct frame_cache){0, FRAME_NIL};
	cache_max = (u32)MIN(direct_frames / CACHE_PART, CACHE_MAX);
	cache_max = MAX(cache_max, CACHE_MIN);
}
