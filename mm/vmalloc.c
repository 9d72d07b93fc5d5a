// SPDX-License-Identifier: MIT
/*
 * Frames and an area for them, in pieces: so many frames are taken, mapped, and forgotten by us,
 * for the entries remember them; freeing reads them back from there. So no array of frames is ever
 * as long as the allocation.
 *
 * Large pages lie in the upper half of the vmap area, whose tables are made only for what is left
 * over at an area's end. So an entry of level 2 is there still free for a large page, which no page
 * table may be in the way of: tables of the kernel half are never taken away.
 *
 * Next: mm/engine.c.
 */
#include "mm/vmalloc.h"
#include "mm/fast.h"
#include "mm/frame_cache.h"
#include "mm/pagetable.h"
#include "mm/shootdown.h"
#include "mm/space.h"

#define PIECE	     ((u64)PARK_MAX_PAGES) /* frames at a time; bounds the stack */
#define LARGE_ORDER  9
#define REDZONE_BYTE 0xbb

static u64 pages_of(u64 bytes)
{
	return (bytes >> PAGE_SHIFT) + !!(bytes & (PAGE_SIZE - 1));
}

/* --- its memory, by the page: mapped_page() is how C reaches what is mapped at an address --- */

/* fn on each page's part of [va, va + bytes) */
static void for_each_part(vaddr_t va, u64 bytes, void (*fn)(vaddr_t va, u8 *p, u64 n, void *arg),
			  void *arg)
{
	while (bytes) {
		u64 offset = va & (PAGE_SIZE - 1), n = MIN(bytes, PAGE_SIZE - offset);

		fn(va, (u8 *)mapped_page(va - offset) + offset, n, arg);
		va += n;
		bytes -= n;
	}
}

static void fill_part(vaddr_t va __attribute__((unused)), u8 *p, u64 n, void *arg)
{
	memset(p, *(u8 *)arg, n);
}

static void fill_bytes(vaddr_t va, u64 bytes, u8 byte)
{
	for_each_part(va, bytes, fill_part, &byte);
}

/* Both are page aligned. */
static void copy_bytes(vaddr_t to, vaddr_t from, u64 bytes)
{
	for (u64 at = 0; at < bytes; at += PAGE_SIZE)
		memcpy(mapped_page(to + at), mapped_page(from + at), MIN(bytes - at, PAGE_SIZE));
}

/* --- the redzone --- */

static vaddr_t redzone(const struct area *a)
{
	return a->start + ((u64)a->pages << PAGE_SHIFT) - a->redzone;
}

static void set_redzone(struct area *a, u64 bytes)
{
	a->redzone = ((u64)a->pages << PAGE_SHIFT) - bytes;
	fill_bytes(redzone(a), a->redzone, REDZONE_BYTE);
}

static void check_part(vaddr_t va, u8 *p, u64 n, void *arg)
{
	const struct area *a = arg;

	for (u64 i = 0; i < n; i++)
		KASSERT(p[i] == REDZONE_BYTE,
			"byte %lu of %#lx was overwritten: it is behind the %lu bytes asked for by %pS",
			va + i - a->start, a->start, redzone(a) - a->start, (void *)a->mapper);
}

static void check_redzone(struct area *a)
{
	if (unlikely(a->redzone))
		for_each_part(redzone(a), a->redzone, check_part, a);
}

/* --- frames behind it --- */

static void read_frames(const struct area *a, u64 page, struct frame **f, u64 n)
{
	while (n) {
		struct run r = run_at(a->start + (page << PAGE_SHIFT), n);

		for (unsigned i = 0; i < r.n; i++)
			f[i] = pfn_frame(paddr_to_pfn(entry_read(r.e + i) & PTE_ADDR));
		f += r.n;
		page += r.n;
		n -= r.n;
	}
}

/* Small pages [page, end): their entries are cleared and their frames freed. */
static void free_pages(struct area *a, u64 page, u64 end)
{
	struct frame *f[PIECE];

	while (page < end) {
		unsigned n = (unsigned)MIN(end - page, PIECE);

		read_frames(a, page, f, n);
		engine_clear(a, page, n);
		frame_free_many(f, n);
		page += n;
	}
}

/* Fills pages [page, end) of the area with fresh frames. => 0 or -ENOMEM, with none of them */
static int fill(struct area *a, u64 page, u64 end)
{
	struct frame *f[PIECE];

	for (u64 at = page; at < end;) {
		unsigned n = (unsigned)MIN(end - at, PIECE);
		int err = frame_alloc_many(f, n, FRAME_HIGH);

		if (!err && engine_set(a, at, f, n, VM_W)) {
			frame_free_many(f, n);
			err = -ENOMEM;
		}
		if (err) {
			free_pages(a, page, at);
			return err;
		}
		at += n;
	}
	return 0;
}

/* --- allocating --- */

static bool size_ok(const char *call, u64 bytes, u64 align)
{
	if (!align || (align & (align - 1))) {
		printk("mm: %s aligned to %#lx, which is no power of two\n", call, align);
		return false;
	}
	return engine_count_ok(call, pages_of(bytes));
}

/* Live memory gets its redzone. */
static void *finish(void *va, u64 bytes)
{
	if (va && (bytes & (PAGE_SIZE - 1)))
		set_redzone(area_of((vaddr_t)va), bytes);
	return va;
}

/* Small and as usual: frames from this CPU's cache, then the engine's common path. */
static __always_inline void *alloc_pages(unsigned n, const char *name, u64 mapper)
{
	struct frame *f[PIECE];
	void *va;

	if (unlikely(frame_take_many(f, n, FRAME_HIGH, frame_owner(mapper))))
		return NULL;
	va = fast_map(f, n, VM_W, AREA_VMALLOC, name, mapper, true);
	if (unlikely(!va))
		frame_free_many(f, n);
	return va;
}

/* Each made for itself, as in vmap.c. */
static __noinline void *alloc_1(const char *name, u64 mapper)
{
	return alloc_pages(1, name, mapper);
}

static __noinline void *alloc_4(const char *name, u64 mapper)
{
	return alloc_pages(4, name, mapper);
}

static __noinline void *alloc_n(unsigned n, const char *name, u64 mapper)
{
	return alloc_pages(n, name, mapper);
}

static inline void *alloc_small(unsigned n, const char *name, u64 mapper)
{
	if (n == 1)
		return alloc_1(name, mapper);
	return n == 4 ? alloc_4(name, mapper) : alloc_n(n, name, mapper);
}

static void *make_live(struct area *a, u64 bytes, const char *name, u64 mapper)
{
	engine_publish(a, AREA_VMALLOC, VM_W, name, mapper, NULL);
	this_park()->last = a;
	return finish((void *)a->start, bytes);
}

static __noinline void *alloc_any(u64 bytes, u64 align, const char *name, u64 mapper)
{
	u64 pages = pages_of(bytes);
	struct area *a;

	if (!size_ok(name, bytes, align))
		return NULL;
	if (align > PAGE_SIZE)
		a = park_get_aligned(pages, align >> PAGE_SHIFT, SMALL_RANGE, AREA_TABLES);
	else
		a = pages <= PARK_MAX_PAGES && !lazy_poison() ? park_pop(this_park(), pages) : NULL;
	if (!a)
		a = align > PAGE_SIZE ? NULL : park_get(pages);
	if (!a)
		return NULL;
	if (fill(a, 0, pages)) {
		lazy_cleared(a);
		return NULL;
	}
	return make_live(a, bytes, name, mapper);
}

/* The last page is not used to its end. */
static __noinline void *alloc_part(u64 bytes, const char *name, u64 mapper)
{
	return finish(alloc_small((unsigned)pages_of(bytes), name, mapper), bytes);
}

static inline void *alloc(u64 bytes, u64 align, const char *name, u64 mapper)
{
	if (unlikely(bytes - 1 >= PIECE << PAGE_SHIFT || align != 1))
		return alloc_any(bytes, align, name, mapper);
	if (bytes & (PAGE_SIZE - 1))
		return alloc_part(bytes, name, mapper);
	return alloc_small((unsigned)(bytes >> PAGE_SHIFT), name, mapper);
}

void *vmalloc(u64 bytes)
{
	return alloc(bytes, 1, "vmalloc", CALLER());
}

void *vmalloc_aligned(u64 bytes, u64 align)
{
	return alloc(bytes, align, "vmalloc_aligned", CALLER());
}

static void *alloc_zeroed(u64 bytes, u64 mapper)
{
	void *va = alloc(bytes, 1, "vzalloc", mapper);

	if (va)
		fill_bytes((vaddr_t)va, bytes, 0);
	return va;
}

void *vzalloc(u64 bytes)
{
	return alloc_zeroed(bytes, CALLER());
}

/* --- large pages --- */

/* One 2 MiB block at page `page`, if there is one. => its entry is set, or nothing has changed */
static bool map_large(struct area *a, u64 page)
{
	vaddr_t va = a->start + (page << PAGE_SHIFT);
	struct frame *f = frame_alloc(LARGE_ORDER, FRAME_HIGH);

	if (!f)
		return false;
	for (u64 i = 0; i < LARGE_PAGES; i++)
		KASSERT(alias_add(f + i, a->alias + page + i), "a fresh frame refuses an alias");
	if (engine_set_leaf(va, 2, (pte_t){frame_paddr(f) | pte_leaf_bits(VM_W, 2)})) {
		for (u64 i = 0; i < LARGE_PAGES; i++)
			alias_drop_slow(f + i, a->alias + page + i, shootdown_stamp());
		frame_free(f, LARGE_ORDER);
		return false;
	}
	a->large++;
	return true;
}

static void free_large(struct area *a)
{
	struct frame *f[PIECE];
	u64 total = a->large;

	for (u64 done = 0; done < total;) {
		u64 n = MIN(total - done, PIECE);
		paddr_t pa = 0;

		for (u64 i = 0; i < n; i++) {
			KASSERT(pt_translate(kernel_root,
					     a->start + ((done + i) << (PAGE_SHIFT + LARGE_ORDER)),
					     &pa),
				"large page %lu of %#lx is gone", done + i, a->start);
			f[i] = pfn_frame(paddr_to_pfn(pa));
			engine_clear_large(a, (done + i) * LARGE_PAGES);
		}
		for (u64 i = 0; i < n; i++)
			frame_free(f[i], LARGE_ORDER);
		done += n;
	}
}

/* Without a single large page there is no reason to put small ones where large ones belong. */
void *vmalloc_huge(u64 bytes)
{
	u64 pages = pages_of(bytes), page = 0;
	struct area *a;

	if (!size_ok("vmalloc_huge", bytes, 1))
		return NULL;
	a = engine_large_area(pages);
	while (a && page + LARGE_PAGES <= pages && map_large(a, page))
		page += LARGE_PAGES;
	if (a && !page)
		area_free(a);
	if (!page)
		return alloc(bytes, 1, "vmalloc_huge", CALLER());
	/* The guard needs no table: one there would be in the way of the next large page. */
	if ((page < pages &&
	     chunk_ensure(a, a->start + (page << PAGE_SHIFT), pages - page, true)) ||
	    fill(a, page, pages)) {
		free_large(a);
		a->large = 0;
		lazy_cleared(a);
		return alloc(bytes, 1, "vmalloc_huge", CALLER());
	}
	return make_live(a, bytes, "vmalloc_huge", CALLER());
}

/* --- resizing and freeing --- */

/*
 * By the engine's common path: the frames are read before the entries go, and freed after. Where
 * entries are ours to write, they are ours to read as they are (fast_unusual() says if not).
 */
static __always_inline void free_pages_of(struct area *a, unsigned n, enum area_kind kind,
					  u64 unmapper)
{
	struct frame *f[PIECE];

	if (fast_unusual()) {
		read_frames(a, 0, f, n);
	} else {
#pragma GCC unroll 4
		for (unsigned i = 0; i < n; i++)
			f[i] = run_frame(a->pte[i].v);
	}
	fast_unmap(a->start, n, kind, unmapper, true);
	frame_give_many(f, n, frame_owner(unmapper));
}

static __noinline void free_1(struct area *a, enum area_kind kind, u64 unmapper)
{
	free_pages_of(a, 1, kind, unmapper);
}

static __noinline void free_4(struct area *a, enum area_kind kind, u64 unmapper)
{
	free_pages_of(a, 4, kind, unmapper);
}

static __noinline void free_n(struct area *a, enum area_kind kind, u64 unmapper)
{
	free_pages_of(a, a->pages, kind, unmapper);
}

static inline void free_small(struct area *a, enum area_kind kind, u64 unmapper)
{
	if (a->pages == 1)
		free_1(a, kind, unmapper);
	else if (a->pages == 4)
		free_4(a, kind, unmapper);
	else
		free_n(a, kind, unmapper);
}

static __noinline void free_area(struct area *a, enum area_kind kind, u64 unmapper)
{
	check_redzone(a);
	a->redzone = 0;
	if (a->pages <= PIECE) {
		free_small(a, kind, unmapper);
		return;
	}
	a = engine_take(a->start, kind, unmapper);
	if (unlikely(a->large))
		free_large(a);
	free_pages(a, (u64)a->large * LARGE_PAGES, a->pages);
	engine_cleared(a);
}

/* What is not a live area of vmalloc's is refused behind this, by name, before a frame is freed. */
void vfree(void *va)
{
	struct area *a = this_park()->last;

	if (unlikely(!va))
		return;
	if (GLANCE(a->start) != (vaddr_t)va)
		a = area_of((vaddr_t)va);
	if (likely(a) && likely(a->start == (vaddr_t)va) && likely(a->pages <= PIECE) &&
	    likely(!a->redzone) && likely(a->pte))
		free_small(a, AREA_VMALLOC, CALLER());
	else
		free_area(engine_live((vaddr_t)va, AREA_VMALLOC), AREA_VMALLOC, CALLER());
}

void *vrealloc(void *va, u64 bytes)
{
	struct area *a;
	u64 old;
	void *new;

	if (!va)
		return alloc_zeroed(bytes, CALLER());
	a = engine_live((vaddr_t)va, AREA_VMALLOC);
	if (!bytes) {
		free_area(a, AREA_VMALLOC, CALLER());
		return NULL;
	}
	old = ((u64)a->pages << PAGE_SHIFT) - a->redzone;
	if (pages_of(bytes) <= a->pages) {
		check_redzone(a);
		if (bytes > old)
			fill_bytes(a->start + old, bytes - old, 0);
		set_redzone(a, bytes);
		return va;
	}
	new = alloc(bytes, 1, "vrealloc", CALLER());
	if (!new)
		return NULL;
	copy_bytes((vaddr_t) new, (vaddr_t)va, old);
	fill_bytes((vaddr_t) new + old, bytes - old, 0);
	free_area(a, AREA_VMALLOC, CALLER());
	return new;
}

/* --- stacks: the same without a size in bytes --- */

void *vmap_stack_alloc(unsigned pages, const char *name)
{
	struct area *a = park_get(pages);

	if (!a)
		return NULL;
	if (fill(a, 0, pages)) {
		lazy_cleared(a);
		return NULL;
	}
	a->redzone = 0; /* of who had the addresses before */
	engine_publish(a, AREA_STACK, VM_W, name, CALLER(), NULL);
	return (void *)a->start;
}

void vmap_stack_free(void *va)
{
	free_area(engine_live((vaddr_t)va, AREA_STACK), AREA_STACK, CALLER());
}
