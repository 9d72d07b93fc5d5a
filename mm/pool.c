// SPDX-License-Identifier: MIT
/*
 * One frame is one slab: a header, then objects. The header is found from an object by rounding its
 * address down, so freeing needs no lookup. Free objects are chained through their first word,
 * which also carries a mark, so that a second pool_free() of the same object is noticed.
 */
#include "mm/pool.h"
#include "mm/frame.h"

#define SLAB_MAGIC  0x62616c73706d7aull
#define FREE_OBJECT 0xf4eef4eef4eef4eeull

struct slab {
	u64 magic;
	struct pool *pool;
	struct list link; /* in pool->partial while an object is free */
	u32 used, total;
	struct free_object {
		struct free_object *next;
		u64 mark; /* FREE_OBJECT while free */
	} * free;
};

static atomic_t frames_held; /* by all pools */

u64 pool_frames(void)
{
	return atomic_read(&frames_held);
}

static char *first_object(struct slab *s)
{
	return (char *)s + ALIGN_UP(sizeof(*s), 16);
}

static bool is_object(struct slab *s, const void *obj)
{
	u64 offset = (u64)((const char *)obj - first_object(s));

	return offset % s->pool->size == 0 && offset / s->pool->size < s->total;
}

static struct slab *slab_create(struct pool *p)
{
	struct frame *f;
	struct slab *s;

	KASSERT(p->size >= sizeof(struct free_object) && p->size <= 1024 && p->size % 8 == 0,
		"pool %s of %u-byte objects", p->name, p->size);
	f = frame_alloc(0, FRAME_ZERO);

	if (!f)
		return NULL;
	s = frame_virt(f);
	atomic_fetch_add(&frames_held, 1);
	s->magic = SLAB_MAGIC;
	s->pool = p;
	s->total = (u32)((PAGE_SIZE - ALIGN_UP(sizeof(*s), 16)) / p->size);
	for (u32 i = s->total; i-- > 0;) {
		struct free_object *o = (void *)(first_object(s) + (u64)i * p->size);

		o->next = s->free;
		o->mark = FREE_OBJECT;
		s->free = o;
	}
	return s;
}

/* Whole words: of a type-stable object others may read one at any time (pool.h). */
static void clear_words(void *obj, u32 size)
{
	u64 *word = obj;

	for (u32 i = 0; i < size / sizeof(*word); i++)
		WRITE_ONCE(word[i], 0);
}

static struct free_object *take_locked(struct pool *p)
{
	struct slab *s = list_first(&p->partial, struct slab, link);
	struct free_object *o = s->free;

	KASSERT(spin_held(&p->lock), "pool %s", p->name);
	s->free = READ_ONCE(o->next);
	if (++s->used == s->total)
		list_del(&s->link);
	p->objects++;
	return o;
}

void *pool_alloc(struct pool *p)
{
	struct free_object *o = NULL;
	struct slab *s;

	spin_lock(&p->lock);
	if (!list_empty(&p->partial))
		o = take_locked(p);
	spin_unlock(&p->lock);
	if (!o) {
		s = slab_create(p);
		if (!s)
			return NULL;
		spin_lock(&p->lock);
		p->slabs++;
		list_add_head(&p->partial, &s->link);
		o = take_locked(p);
		spin_unlock(&p->lock);
	}
	clear_words(o, p->size);
	return o;
}

void pool_free(struct pool *p, void *obj)
{
	struct slab *s = (void *)ALIGN_DOWN((u64)obj, PAGE_SIZE);
	struct free_object *o = obj;
	bool empty;

	KASSERT(s && s->magic == SLAB_MAGIC && s->pool == p && is_object(s, obj),
		"%p is not an object of pool %s", obj, p->name);
	spin_lock(&p->lock);
	KASSERT(o->mark != FREE_OBJECT, "double free of %p in pool %s", obj, p->name);
	WRITE_ONCE(o->mark, FREE_OBJECT);
	WRITE_ONCE(o->next, s->free);
	s->free = o;
	if (s->used == s->total)
		list_add_head(&p->partial, &s->link);
	p->objects--;
	empty = --s->used == 0 && !p->type_stable;
	if (empty) {
		list_del(&s->link);
		p->slabs--;
		s->magic = 0;
	}
	spin_unlock(&p->lock);
	if (!empty)
		return;
	atomic_fetch_add(&frames_held, -1ull);
	frame_free(pfn_frame(paddr_to_pfn(virt_to_phys(s))), 0);
}
