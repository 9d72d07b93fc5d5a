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
 * The per-CPU cache is touched with interrupts off and by its own CPU only: no lock, no atomic.
 * A refill or drain moves CACHE_BATCH frames under one taking of the zone's lock.
 *
 * Next: mm/area.c does for addresses what this does for memory.
 */
#include "mm/frame.h"
#include "mm/early.h"

#define CACHE_MAX   64
#define CACHE_BATCH 32

struct zone {
	spinlock_t lock;
	u32 head[FRAME_MAX_ORDER + 1]; /* guarded by lock, as is all that follows */
	u64 free;		       /* frames */
};

struct frame_cache {
	u32 nr;
	u32 pfn[CACHE_MAX];
} __aligned_to(CACHE_LINE);

static struct zone zones[NR_ZONES] = {
	[ZONE_DIRECT] = {.lock = SPINLOCK_INIT("zone direct")},
	[ZONE_HIGH] = {.lock = SPINLOCK_INIT("zone high")},
};
static struct frame_cache caches[MAX_CPUS];
static atomic_t inject; /* allocations until one fails; 0: none will */
static u64 direct_limit_pfn;

static u32 owner_of(u64 text)
{
	return (u32)(text - IMAGE_BASE);
}

static void *owner_text(const struct frame *f)
{
	return (void *)(IMAGE_BASE + f->owner);
}

const char *frame_type_name(unsigned type)
{
	static const char *const names[FRAME_TYPES] = {"reserved", "free", "cached", "in use",
						       "a page table"};

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

	f->order = (u8)order;
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
	f->order = FRAME_NO_ORDER;
}

static bool is_free_head(u32 pfn, unsigned order, u8 zone)
{
	return frame_valid(pfn_make(pfn)) && frames[pfn].type == FRAME_FREE &&
	       frames[pfn].order == order && frames[pfn].zone == zone;
}

/* => pfn of a block, its frames still typed FREE; FRAME_NIL if there is none */
static u32 take_locked(struct zone *z, unsigned order)
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
static void give_locked(struct zone *z, u32 pfn, unsigned order)
{
	u8 zone = (u8)(z - zones);

	KASSERT(spin_held(&z->lock), "%s", z->lock.name);
	z->free += 1ull << order;
	for (; order < FRAME_MAX_ORDER; order++) {
		u32 buddy = pfn ^ (1u << order);

		if (!is_free_head(buddy, order, zone))
			break;
		list_remove_locked(z, buddy, order);
		frames[pfn].order = FRAME_NO_ORDER; /* one of the two is a tail from now on */
		pfn &= ~(1u << order);
	}
	list_push_locked(z, pfn, order);
}

static void set_type(u32 pfn, unsigned order, enum frame_type type, u32 owner)
{
	for (u32 i = 0; i < 1u << order; i++) {
		struct frame *f = &frames[pfn + i];

		f->type = (u8)type;
		f->owner = owner;
		f->order = i ? FRAME_NO_ORDER : (u8)order;
		f->next = f->prev = 0;
	}
}

/* --- the per-CPU cache of single frames; interrupts are off --- */

static void cache_refill(struct frame_cache *c)
{
	struct zone *z = &zones[ZONE_DIRECT];

	count(frame_refill);
	spin_lock(&z->lock);
	while (c->nr < CACHE_BATCH) {
		u32 pfn = take_locked(z, 0);

		if (pfn == FRAME_NIL)
			break;
		frames[pfn].type = FRAME_CACHED;
		c->pfn[c->nr++] = pfn;
	}
	spin_unlock(&z->lock);
}

static void cache_drain(struct frame_cache *c, u32 keep)
{
	struct zone *z = &zones[ZONE_DIRECT];

	spin_lock(&z->lock);
	while (c->nr > keep) {
		u32 pfn = c->pfn[--c->nr];

		set_type(pfn, 0, FRAME_FREE, frames[pfn].owner);
		give_locked(z, pfn, 0);
	}
	spin_unlock(&z->lock);
}

void frame_drain_cache(void)
{
	irqflags_t flags = irq_save();

	cache_drain(&caches[cpu_id()], 0);
	irq_restore(flags);
}

static u32 cache_take(u32 owner)
{
	irqflags_t flags = irq_save();
	struct frame_cache *c = &caches[cpu_id()];
	u32 pfn = FRAME_NIL;

	if (!c->nr)
		cache_refill(c);
	if (c->nr) {
		pfn = c->pfn[--c->nr];
		set_type(pfn, 0, FRAME_USED, owner);
	}
	irq_restore(flags);
	return pfn;
}

static void cache_give(u32 pfn)
{
	irqflags_t flags = irq_save();
	struct frame_cache *c = &caches[cpu_id()];

	if (c->nr == CACHE_MAX)
		cache_drain(c, CACHE_MAX - CACHE_BATCH);
	c->pfn[c->nr++] = pfn;
	irq_restore(flags);
}

/* --- the interface --- */

/* Counts down to zero and stays there, whoever else counts. */
static bool injected_failure(void)
{
	u64 n;

	while (unlikely((n = atomic_read(&inject))))
		if (atomic_cmpxchg(&inject, n, n - 1))
			return n == 1;
	return false;
}

u64 frame_inject_failure(u64 nth)
{
	return atomic_xchg(&inject, nth);
}

/*
 * The block is typed before the lock is released. is_free_head() reads a type and then an order:
 * were they written in between and without the lock, a neighbour being freed could take our block,
 * whose type it has read as FREE and whose order it reads as ours, for a free one and merge with
 * it.
 */
static u32 zone_take(enum frame_zone zone, unsigned order, u32 owner)
{
	struct zone *z = &zones[zone];
	u32 pfn;

	spin_lock(&z->lock);
	pfn = take_locked(z, order);
	if (pfn != FRAME_NIL)
		set_type(pfn, order, FRAME_USED, owner);
	spin_unlock(&z->lock);
	return pfn;
}

struct frame *frame_alloc(unsigned order, unsigned flags)
{
	u32 pfn = FRAME_NIL, owner = owner_of(CALLER());

	if (order > FRAME_MAX_ORDER || injected_failure())
		return NULL;
	if ((flags & FRAME_HIGH) && !(flags & FRAME_ZERO))
		pfn = zone_take(ZONE_HIGH, order, owner);
	if (pfn == FRAME_NIL)
		pfn = order ? zone_take(ZONE_DIRECT, order, owner) : cache_take(owner);
	if (pfn == FRAME_NIL && order) {
		frame_drain_cache(); /* a missing half may lie there */
		pfn = zone_take(ZONE_DIRECT, order, owner);
	}
	if (pfn == FRAME_NIL)
		return NULL;
	if (flags & FRAME_ZERO)
		memset(frame_virt(&frames[pfn]), 0, PAGE_SIZE << order);
	count(frame_alloc);
	return &frames[pfn];
}

static void check_free(const struct frame *f, unsigned order)
{
	u64 pfn = frame_pfn(f).n;

	KASSERT(frame_valid(frame_pfn(f)), "frame %#lx is not RAM", pfn);
	KASSERT(f->type != FRAME_FREE && f->type != FRAME_CACHED,
		"double free of frame %#lx, freed before by %pS", pfn, owner_text(f));
	KASSERT(f->type == FRAME_USED, "free of frame %#lx, which is %s (allocated by %pS)", pfn,
		frame_type_name(f->type), owner_text(f));
	KASSERT(f->order == order, "free of frame %#lx with order %u, allocated with %d by %pS",
		pfn, order, f->order == FRAME_NO_ORDER ? -1 : f->order, owner_text(f));
	for (u32 i = 0; i < 1u << order; i++)
		KASSERT(!atomic_read(&f[i].aliases),
			"free of frame %#lx, which is still mapped %lu times", pfn + i,
			atomic_read(&f[i].aliases));
}

void frame_free(struct frame *f, unsigned order)
{
	u32 pfn = (u32)frame_pfn(f).n, owner = owner_of(CALLER());
	struct zone *z;

	check_free(f, order);
	count(frame_free);
	if (order == 0 && f->zone == ZONE_DIRECT) {
		set_type(pfn, 0, FRAME_CACHED, owner);
		cache_give(pfn);
		return;
	}
	z = &zones[f->zone];
	spin_lock(&z->lock);
	set_type(pfn, order, FRAME_FREE, owner);
	give_locked(z, pfn, order);
	spin_unlock(&z->lock);
}

int frame_alloc_many(struct frame **out, unsigned n, unsigned flags)
{
	for (unsigned i = 0; i < n; i++) {
		out[i] = frame_alloc(0, flags);
		if (!out[i]) {
			frame_free_many(out, i);
			return -ENOMEM;
		}
		out[i]->owner = owner_of(CALLER());
	}
	return 0;
}

void frame_free_many(struct frame *const *f, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		frame_free(f[i], 0);
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
		spin_lock(&zones[zone].lock);
		give_locked(&zones[zone], (u32)start, order);
		spin_unlock(&zones[zone].lock);
		start += 1ull << order;
	}
}

void frames_init(paddr_t direct_limit)
{
	direct_limit_pfn = direct_limit >> PAGE_SHIFT;
	for (unsigned z = 0; z < NR_ZONES; z++) {
		zones[z].free = 0;
		for (unsigned k = 0; k <= FRAME_MAX_ORDER; k++)
			zones[z].head[k] = FRAME_NIL;
	}
	for (unsigned cpu = 0; cpu < MAX_CPUS; cpu++)
		caches[cpu].nr = 0;
	early_for_each_free(init_range);
}

/* --- counting and checking --- */

u64 frame_free_total(void)
{
	u64 n = zones[ZONE_DIRECT].free + zones[ZONE_HIGH].free;

	for (unsigned cpu = 0; cpu < MAX_CPUS; cpu++)
		n += caches[cpu].nr;
	return n;
}

void frame_stats(struct frame_stats *st)
{
	u64 by_type[FRAME_TYPES + 1] = {0}; /* the last: what is no type at all */

	*st = (struct frame_stats){.free_high = zones[ZONE_HIGH].free};
	for (unsigned r = 0; r < early_nr_ram; r++) {
		st->total += early_ram[r].end - early_ram[r].start;
		for (u64 p = early_ram[r].start; p < early_ram[r].end; p++)
			by_type[MIN(frames[p].type, FRAME_TYPES)]++;
	}
	st->reserved = by_type[FRAME_RESERVED];
	st->free = by_type[FRAME_FREE];
	st->cached = by_type[FRAME_CACHED];
	st->used = by_type[FRAME_USED];
	st->tables = by_type[FRAME_TABLE];
}

/* Walks the lists of a zone. => frames on them; faults are added to *faults */
static u64 check_zone_lists(unsigned zone, unsigned *faults)
{
	struct zone *z = &zones[zone];
	u64 total = 0;

	for (unsigned k = 0; k <= FRAME_MAX_ORDER; k++) {
		u32 prev = FRAME_NIL;

		for (u32 pfn = z->head[k]; pfn != FRAME_NIL; prev = pfn, pfn = frames[pfn].next) {
			if (!is_free_head(pfn, k, (u8)zone) || frames[pfn].prev != prev ||
			    !IS_ALIGNED(pfn, 1u << k)) {
				printk("check: frame %#x on list %u of zone %u does not belong there\n",
				       pfn, k, zone);
				++*faults;
				break; /* its links may lead anywhere */
			}
			total += 1ull << k;
		}
	}
	return total;
}

unsigned frame_check(void)
{
	struct frame_stats st;
	unsigned faults = 0;
	u64 cached = 0;

	for (unsigned zone = 0; zone < NR_ZONES; zone++) {
		u64 listed = check_zone_lists(zone, &faults);

		if (listed != zones[zone].free) {
			printk("check: zone %u lists %lu free frames, counts %lu\n", zone, listed,
			       zones[zone].free);
			faults++;
		}
	}
	for (unsigned cpu = 0; cpu < MAX_CPUS; cpu++)
		cached += caches[cpu].nr;
	frame_stats(&st);
	if (st.total != st.reserved + st.free + st.cached + st.used + st.tables) {
		printk("check: some frames have no known type\n");
		faults++;
	}
	if (st.cached != cached || st.free != zones[ZONE_DIRECT].free + zones[ZONE_HIGH].free) {
		printk("check: frames typed free %lu and cached %lu, counted %lu and %lu\n",
		       st.free, st.cached, zones[ZONE_DIRECT].free + zones[ZONE_HIGH].free, cached);
		faults++;
	}
	return faults;
}
