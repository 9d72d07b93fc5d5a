// SPDX-License-Identifier: MIT
/*
 * The frame allocator: a buddy system per zone, a cache of single frames per CPU.
 *
 * A free block of order k is 2^k frames, aligned to its size; its buddy is the block with which it
 * makes one of order k+1, found by flipping bit k of the pfn. Lists are linked by pfn through the
 * frames' own structs (4 bytes instead of a pointer), newest first, so hot frames are reused hot.
 *
 * Types do the book-keeping of bugs: a frame is FREE only inside a buddy block, CACHED only in a
 * CPU's cache, so a double free meets the wrong type at once and panics with the name of the one
 * who freed it first.
 *
 * Next: mm/frame_cache.c, the common path; mm/area.c does for addresses what this does for memory.
 */
#include "mm/early.h"
#include "mm/frame_internal.h"

struct zone frame_zones[NR_ZONES] = {
	[ZONE_DIRECT] = {.lock = SPINLOCK_INIT("zone direct")},
	[ZONE_HIGH] = {.lock = SPINLOCK_INIT("zone high")},
};
atomic_t frame_inject; /* allocations until one fails; 0: none will */
static u64 direct_limit_pfn;

static void *owner_text(const struct frame *f)
{
	return (void *)(IMAGE_BASE + f->owner);
}

const char *frame_type_name(unsigned type)
{
	static const char *const names[FRAME_TYPES] = {"reserved",
						       "free",
						       "cached",
						       "in use",
						       "held",
						       "a page table",
						       "a page of an address space"};

	return type < FRAME_TYPES ? names[type] : "of no known type";
}

bool frame_valid(pfn_t pfn)
{
	unsigned lo = 0, hi = early_nr_ram;

	while (lo < hi) { /* the first range that ends after pfn */
		unsigned mid = (lo + hi) / 2;

		if (early_ram[mid].end <= pfn.n)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < early_nr_ram && early_ram[lo].start <= pfn.n;
}

/* --- the buddy lists; the zone's lock is held --- */

static void list_push_locked(struct zone *z, u32 pfn, unsigned order)
{
	struct frame *f = &frames[pfn];

	WRITE_ONCE(f->order, (u8)order);
	f->prev = FRAME_NIL;
	f->next = z->head[order];
	if (f->next != FRAME_NIL)
		frames[f->next].prev = pfn;
	z->head[order] = pfn;
}

static void list_remove_locked(struct zone *z, u32 pfn, unsigned order)
{
	struct frame *f = &frames[pfn];

	if (f->next != FRAME_NIL)
		frames[f->next].prev = f->prev;
	if (f->prev != FRAME_NIL)
		frames[f->prev].next = f->next;
	else
		z->head[order] = f->next;
	WRITE_ONCE(f->order, FRAME_NO_ORDER);
}

/*
 * Types and orders are read of neighbours, whose owners write them without our lock where no FREE
 * is involved: READ_ONCE and WRITE_ONCE say so, to the compiler and to the simulator of the tests.
 */
bool frame_is_free_head(u32 pfn, unsigned order, u8 zone)
{
	return frame_valid(pfn_make(pfn)) && READ_ONCE(frames[pfn].type) == FRAME_FREE &&
	       READ_ONCE(frames[pfn].order) == order && READ_ONCE(frames[pfn].zone) == zone;
}

/* => pfn of a block, its frames still typed FREE; FRAME_NIL if there is none */
u32 frame_take_locked(struct zone *z, unsigned order)
{
	unsigned k = order;
	u32 pfn;

	KASSERT(spin_held(&z->lock), "%s", z->lock.name);
	while (k <= FRAME_MAX_ORDER && z->head[k] == FRAME_NIL)
		k++;
	if (k > FRAME_MAX_ORDER)
		return FRAME_NIL;
	pfn = z->head[k];
	list_remove_locked(z, pfn, k);
	while (k > order) { /* the upper half goes back, down to the size wanted */
		k--;
		list_push_locked(z, pfn + (1u << k), k);
	}
	z->free -= 1ull << order;
	return pfn;
}

/* => the block's frames are typed FREE by the caller */
void frame_give_locked(struct zone *z, u32 pfn, unsigned order)
{
	u8 zone = (u8)(z - frame_zones);

	KASSERT(spin_held(&z->lock), "%s", z->lock.name);
	z->free += 1ull << order;
	for (; order < FRAME_MAX_ORDER; order++) {
		u32 buddy = pfn ^ (1u << order);

		if (!frame_is_free_head(buddy, order, zone))
			break;
		list_remove_locked(z, buddy, order);
		WRITE_ONCE(frames[pfn].order,
			   FRAME_NO_ORDER); /* one of the two is a tail from now on */
		pfn &= ~(1u << order);
	}
	list_push_locked(z, pfn, order);
}

void frame_set_type(u32 pfn, unsigned order, enum frame_type type, u32 owner)
{
	for (u32 i = 0; i < 1u << order; i++) {
		struct frame *f = &frames[pfn + i];

		WRITE_ONCE(f->type, (u8)type);
		WRITE_ONCE(f->order, i ? FRAME_NO_ORDER : (u8)order);
		f->owner = owner;
	}
}

/* --- who may map it: NOMAP while it is free, held or a table --- */

/* => false: a live area maps it */
static __always_inline bool refuse(struct frame *f)
{
	u64 w;

	do {
		w = atomic_read(&f->alias);
		if (unlikely(w & ALIAS_BUSY) && frame_mapped_live(f))
			return false;
	} while (!atomic_cmpxchg(&f->alias, w, w | ALIAS_BUSY | ALIAS_NOMAP));
	return true;
}

void frame_refuse_aliases(struct frame *f)
{
	KASSERT(refuse(f), "frame %#lx is to lose its aliases, but is mapped", frame_pfn(f).n);
}

void frame_allow_aliases(struct frame *f)
{
	frame_allow(f);
}

/* --- the interface --- */

/* Counts down to zero and stays there, whoever else counts. */
static bool injected_failure(void)
{
	u64 n;

	while (unlikely((n = atomic_read(&frame_inject))))
		if (atomic_cmpxchg(&frame_inject, n, n - 1))
			return n == 1;
	return false;
}

u64 frame_inject_failure(u64 nth)
{
	return atomic_xchg(&frame_inject, nth);
}

/*
 * The block is typed before the lock is released. frame_is_free_head() reads a type and then an
 * order: were they written in between and without the lock, a neighbour being freed could take our
 * block, whose type it has read as FREE and whose order it reads as ours, for a free one and merge
 * with it.
 */
static u32 zone_take(enum frame_zone zone, unsigned order, u32 owner)
{
	struct zone *z = &frame_zones[zone];
	u32 pfn;

	spin_lock(&z->lock);
	pfn = frame_take_locked(z, order);
	if (pfn != FRAME_NIL)
		frame_set_type(pfn, order, FRAME_USED, owner);
	spin_unlock(&z->lock);
	return pfn;
}

static struct frame *alloc_block(enum frame_zone zone, unsigned order, u32 owner)
{
	u32 pfn = zone_take(zone, order, owner);

	if (pfn == FRAME_NIL)
		return NULL;
	for (u32 i = 0; i < 1u << order; i++)
		frame_allow(&frames[pfn + i]);
	return &frames[pfn];
}

static struct frame *alloc_any(unsigned order, unsigned flags, u32 owner)
{
	struct frame *f = NULL;

	if ((flags & FRAME_HIGH) && !(flags & FRAME_ZERO) && GLANCE(frame_zones[ZONE_HIGH].free))
		f = alloc_block(ZONE_HIGH, order, owner);
	if (!f)
		f = order ? alloc_block(ZONE_DIRECT, order, owner) : frame_cache_take_one(owner);
	if (!f && order) {
		frame_drain_cache(); /* a missing half may lie there */
		f = alloc_block(ZONE_DIRECT, order, owner);
	}
	return f;
}

struct frame *frame_alloc(unsigned order, unsigned flags)
{
	u32 owner = frame_owner(CALLER());
	struct frame *f;

	if (order > FRAME_MAX_ORDER || injected_failure())
		return NULL;
	f = alloc_any(order, flags, owner);
	if (!f && frame_release_held())
		f = alloc_any(order, flags, owner);
	if (!f && frame_flush_held())
		f = alloc_any(order, flags, owner);
	if (!f)
		return NULL;
	if (flags & FRAME_ZERO)
		memset(frame_virt(f), 0, PAGE_SIZE << order);
	count(frame_alloc);
	return f;
}

static __noinline void bad_free(const struct frame *f, unsigned order)
{
	u64 pfn = frame_pfn(f).n;

	KASSERT(frame_valid(frame_pfn(f)), "frame %#lx is not RAM", pfn);
	KASSERT(f->type != FRAME_FREE && f->type != FRAME_CACHED && f->type != FRAME_HELD,
		"double free of frame %#lx, freed before by %pS", pfn, owner_text(f));
	KASSERT(f->type == FRAME_USED, "free of frame %#lx, which is %s (allocated by %pS)", pfn,
		frame_type_name(f->type), owner_text(f));
	KASSERT(f->order == order, "free of frame %#lx with order %u, allocated with %d by %pS",
		pfn, order, f->order == FRAME_NO_ORDER ? -1 : f->order, owner_text(f));
	panic("free of frame %#lx, which is still mapped %u times", pfn,
	      frame_aliases((struct frame *)f));
}

void frame_give_back(u32 pfn, unsigned order, u32 owner)
{
	struct frame *f = &frames[pfn];
	struct zone *z = &frame_zones[f->zone];

	if (order == 0 && f->zone == ZONE_DIRECT) {
		frame_cache_give_one(f, owner);
		return;
	}
	spin_lock(&z->lock);
	frame_set_type(pfn, order, FRAME_FREE, owner);
	frame_give_locked(z, pfn, order);
	spin_unlock(&z->lock);
}

void frame_free(struct frame *f, unsigned order)
{
	u32 pfn = (u32)frame_pfn(f).n, owner = frame_owner(CALLER());

	if (!frame_valid(frame_pfn(f)) || f->type != FRAME_USED || f->order != order)
		bad_free(f, order);
	for (u32 i = 0; i < 1u << order; i++)
		if (!refuse(&f[i]))
			bad_free(&f[i], f[i].order);
	count(frame_free);
	if (!frame_hold_back(pfn, order, owner))
		frame_give_back(pfn, order, owner);
}

/* --- boot --- */

/* Largest aligned blocks first come out by themselves: each step takes the largest that fits. */
static void init_range(u64 start, u64 end)
{
	while (start < end) {
		unsigned order = start ? MIN((unsigned)__builtin_ctzll(start), FRAME_MAX_ORDER)
				       : FRAME_MAX_ORDER;
		enum frame_zone zone = start < direct_limit_pfn ? ZONE_DIRECT : ZONE_HIGH;
		u64 stop = zone == ZONE_DIRECT ? MIN(end, direct_limit_pfn) : end;

		while (start + (1ull << order) > stop)
			order--;
		for (u64 i = 0; i < 1ull << order; i++) {
			frames[start + i].type = FRAME_FREE;
			frames[start + i].zone = (u8)zone;
			frames[start + i].order = FRAME_NO_ORDER;
		}
		spin_lock(&frame_zones[zone].lock);
		frame_give_locked(&frame_zones[zone], (u32)start, order);
		spin_unlock(&frame_zones[zone].lock);
		start += 1ull << order;
	}
}

void frames_init(paddr_t direct_limit)
{
	direct_limit_pfn = direct_limit >> PAGE_SHIFT;
	for (unsigned z = 0; z < NR_ZONES; z++) {
		frame_zones[z].free = 0;
		for (unsigned k = 0; k <= FRAME_MAX_ORDER; k++)
			frame_zones[z].head[k] = FRAME_NIL;
	}
	early_for_each_free(init_range);
	frame_cache_init(frame_zones[ZONE_DIRECT].free);
}
