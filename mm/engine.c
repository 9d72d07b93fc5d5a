// SPDX-License-Identifier: MIT
/*
 * The engine's long ways: areas in several tables, revival, policies other than tlb, errors, and
 * what a wrong address is told. The order is validate, allocate, commit: once the first entry is
 * written only a frame that may not be mapped, or a platform whose writes can be refused (Xen), can
 * end it, and then what was written is taken back.
 *
 * Reviving: under policy pte the frame mapped first remembers, as a hint, the area that did.
 * Whether the hint is true is asked of the area's word, which has kind, rights and first frame in
 * it: one compare-exchange of "LAZY, and all as wanted" both asks and takes. The struct may have
 * gone another way since, or back to its pool; so the pool is type-stable, and no other area's word
 * looks like that. The other frames are compared after the area is taken. Until then it is BUSY and
 * not LIVE: if it is not the right one, its frames may be anybody's, who would find them in use,
 * and a purge would pass it over.
 *
 * Next: mm/lazy.c.
 */
#include "mm/engine.h"
#include "mm/early.h"
#include "mm/pagetable.h"
#include "mm/shootdown.h"
#include "mm/space.h"
#include "mm/unhook.h"

/* --- entries --- */

/*
 * Clearings begun so far by anything but the fastest path, which is not taken under policy pte: see
 * set_noting(). Counted before the first frame's word changes: who replaces the stamp that a
 * clearing has left there either saw the alias before or sees the count.
 */
static atomic_t clearings;

void engine_count_clearing(void)
{
	atomic_fetch_add(&clearings, 1);
}

const u64 ram_entry_bits[RAM_PROT + 1] = {
	[VM_R] = PTE_P | PTE_A | PTE_D | PTE_NX | PTE_G,
	[VM_W] = PTE_P | PTE_A | PTE_D | PTE_NX | PTE_G | PTE_W,
	[VM_LOCAL] = PTE_P | PTE_A | PTE_D | PTE_NX,
	[VM_LOCAL | VM_W] = PTE_P | PTE_A | PTE_D | PTE_NX | PTE_W,
};

/* One page by the long way: its frame has an alias already, or may not have any. */
static int set_page(vaddr_t va, struct frame *f, u64 bits, u64 alias)
{
	int err;

	if (!alias_add(f, alias))
		return -EINVAL;
	err = engine_set_leaf(va, 1, (pte_t){frame_paddr(f) | bits});
	if (err)
		alias_drop_slow(f, alias, shootdown_stamp());
	return err;
}

/* => 0 or -errno; *done pages are set either way, those that were before included */
static int set_runs(struct area *a, u64 page, struct frame *const *f, u64 n, u64 bits, u64 *done)
{
	while (*done < n) {
		vaddr_t va = a->start + ((page + *done) << PAGE_SHIFT);
		u64 alias = a->alias + page + *done;
		struct run r = run_at(va, n - *done);
		int err = 0, set = set_run(r.e, f + *done, r.n, bits, alias);

		if (set < 0)
			return set;
		*done += (unsigned)set;
		if ((unsigned)set < r.n)
			err = set_page(va + ((vaddr_t)set << PAGE_SHIFT), f[*done], bits,
				       alias + (unsigned)set);
		if (err)
			return err;
		*done += (unsigned)set < r.n;
	}
	return 0;
}

int engine_set(struct area *a, u64 page, struct frame *const *f, u64 n, unsigned prot)
{
	u64 done = 0;
	int err = set_runs(a, page, f, n, ram_bits(prot), &done);

	if (err)
		engine_clear(a, page, done);
	return err;
}

int engine_set_rest(struct area *a, struct frame *const *f, unsigned prot, int set)
{
	u64 done = set > 0 ? (u64)set : 0;
	int err = set < 0 ? set : set_runs(a, 0, f, a->pages, ram_bits(prot), &done);

	if (err)
		engine_clear(a, 0, done);
	return err;
}

void engine_clear_rest(pte_t *e, unsigned n, u64 alias, struct run_stop stop)
{
	while (stop.left) {
		unsigned done = n - (unsigned)stop.left;

		alias_drop_slow(stop.frame, alias + done, shootdown_stamp());
		done++;
		stop = clear_run(e + done, n - done, alias + done);
	}
}

void engine_clear_run(pte_t *e, unsigned n, u64 alias)
{
	struct run_stop stop = clear_run(e, n, alias);

	if (unlikely(stop.left))
		engine_clear_rest(e, n, alias, stop);
}

static __always_inline void clear_entries(const struct area *a, u64 page, u64 n)
{
	atomic_fetch_add(&clearings, 1);
	while (n) {
		struct run r = run_at(a->start + (page << PAGE_SHIFT), n);

		engine_clear_run(r.e, r.n, a->alias + page);
		page += r.n;
		n -= r.n;
	}
}

void engine_clear_entries(const struct area *a, u64 page, u64 n)
{
	clear_entries(a, page, n);
}

void engine_clear(struct area *a, u64 page, u64 n)
{
	clear_entries(a, page, n);
	a->stamp = shootdown_stamp();
}

int engine_set_leaf(vaddr_t va, int level, pte_t e)
{
	irqflags_t flags = hooked_begin();
	struct pt_walk w;
	int err;

	pt_walk(kernel_root, va, &w);
	KASSERT(w.level <= level, "no table at level %d for %#lx", level, va);
	mmu->set_leaf(w.step[level].table, w.step[level].slot, e);
	err = mmu->batch_end(NULL);
	hooked_end(flags);
	return err;
}

void engine_clear_leaf(vaddr_t va, int level)
{
	KASSERT(!engine_set_leaf(va, level, (pte_t){0}), "%s refused to clear %#lx", mmu->name, va);
}

void engine_clear_all(struct area *a)
{
	enum area_kind kind = word_kind(atomic_read(&a->word));
	u64 page = (u64)a->large * LARGE_PAGES;
	vaddr_t va = a->start + (page << PAGE_SHIFT),
		end = a->start + ((u64)a->pages << PAGE_SHIFT);

	for (u64 i = 0; i < a->large; i++)
		engine_clear_large(a, i * LARGE_PAGES);
	if (kind != AREA_IO && kind != AREA_SPARSE) {
		engine_clear(a, page, a->pages - page);
		return;
	}
	for (va = chunk_used_from(va, end); va < end; va = chunk_used_from(va + PAGE_SIZE, end)) {
		if (kind == AREA_IO)
			engine_clear_leaf(va, 1);
		else if (entry_value(va))
			engine_clear(a, (va - a->start) >> PAGE_SHIFT, 1);
	}
	a->stamp = shootdown_stamp();
}

/* --- mapping --- */

bool engine_count_ok(const char *call, u64 n)
{
	u64 ram = early_ram_frames();

	if (n - 1 < ram)
		return true;
	printk("mm: %s of %lu pages: there are %lu frames of RAM\n", call, n, ram);
	return false;
}

static void complain(const char *call, struct frame *const *f, u64 n)
{
	for (u64 i = 0; i < n; i++)
		if (atomic_read(&f[i]->alias) & ALIAS_NOMAP) {
			printk("mm: %s of frame %#lx, which is %s\n", call, frame_pfn(f[i]).n,
			       frame_type_name(f[i]->type));
			return;
		}
}

/* => are these the frames that the area maps, and may they still be mapped? It is ours. */
static bool same_frames(const struct area *a, struct frame *const *f)
{
	for (u64 i = 0; i < a->pages; i++)
		if ((entry_read(entry_of(a->start + (i << PAGE_SHIFT))) & PTE_ADDR) !=
			    frame_paddr(f[i]) ||
		    (atomic_read(&f[i]->alias) & ALIAS_NOMAP))
			return false;
	return true;
}

static struct area *revive(struct frame *const *f, u64 n, enum area_kind kind, unsigned prot)
{
	struct area *a = (struct area *)atomic_read(&f[0]->revive);
	u64 lazy = area_word(AREA_LAZY, kind, prot, f[0]) | AREA_LISTED;

	if (GLANCE(a->pages) != n || (atomic_read(&f[0]->alias) & ALIAS_NOMAP) ||
	    !atomic_cmpxchg(&a->word, lazy, lazy | AREA_BUSY))
		return NULL;
	if (a->pages != n || a->large || !same_frames(a, f)) {
		atomic_set(&a->word, lazy);
		return NULL;
	}
	atomic_set(&a->word, lazy ^ (AREA_LAZY ^ AREA_LIVE));
	count(revive);
	trace_fast(EV_revive, a->start, n);
	return a;
}

void engine_publish(struct area *a, enum area_kind kind, unsigned prot, const char *name,
		    u64 mapper, struct frame *first)
{
	bool may_stay = first && lazy_policy() == LAZY_PTE;

	a->name = name;
	a->mapper = mapper;
	a->mapped_at = mapper ? tsc_coarse() : 0;
	a->unmapper = a->unmapped_at = 0;
	if (may_stay)
		atomic_set(&first->revive, (u64)a);
	atomic_set(&a->word, area_word(AREA_LIVE, kind, prot, may_stay ? first : NULL));
	count(vmap);
	count_add(vmap_pages, a->pages);
	trace_fast(EV_map, a->start, a->pages);
}

/*
 * engine_set() for an area that may become lazy: what its frames' words say before is noted in
 * a->older. A word seen is not the word replaced if an alias ends in between; then, or if there is
 * one that may end at any time, a stamp of now does. (Not the newest given out: whoever clears an
 * entry puts the clock into the frame's word first, and gives out the stamp when all are clear.)
 */
static int set_noting(struct area *a, struct frame *const *f, unsigned prot)
{
	u64 before = atomic_read(&clearings), older = 0;
	bool alias = false;
	int err;

	for (u64 i = 0; i < a->pages; i++) {
		u64 w = atomic_read(&f[i]->alias);

		alias |= !!(w & ALIAS_HEAD);
		older = MAX(older, w & ALIAS_LOW); /* no stamp if an alias's: then unused */
	}
	atomic_set(&a->older, 0);
	err = engine_set(a, 0, f, a->pages, prot);
	if (alias || atomic_read(&clearings) != before)
		older = shootdown_stamp();
	atomic_max(&a->older, older);
	return err;
}

void *engine_fill(struct area *a, struct frame *const *f, unsigned done)
{
	if (engine_set_rest(a, f, word_prot(atomic_read(&a->word)), (int)done)) {
		complain(a->name, f, a->pages);
		count_add(vmap_pages, -(u64)a->pages);
		lazy_cleared(a);
		return NULL;
	}
	atomic_xor(&a->word, AREA_CLEARED ^ AREA_LIVE);
	this_park()->last = a;
	count(vmap);
	return (void *)a->start;
}

void *engine_map(struct frame *const *f, u64 n, unsigned prot, enum area_kind kind,
		 const char *name, u64 mapper)
{
	struct area *a;

	if (!engine_count_ok(name, n))
		return NULL;
	a = lazy_policy() == LAZY_PTE ? revive(f, n, kind, prot) : NULL;
	if (a) {
		a->mapper = mapper;
		a->mapped_at = mapper ? tsc_coarse() : 0;
		return (void *)a->start;
	}
	a = n <= PARK_MAX_PAGES && !lazy_poison() ? park_pop(this_park(), n) : NULL;
	if (!a)
		a = park_get(n);
	if (!a)
		return NULL;
	if (lazy_policy() == LAZY_PTE ? set_noting(a, f, prot) : engine_set(a, 0, f, n, prot)) {
		complain(name, f, n);
		lazy_cleared(a);
		return NULL;
	}
	engine_publish(a, kind, prot, name, mapper, f[0]);
	this_park()->last = a;
	return (void *)a->start;
}

/* --- unmapping --- */

static const char *const unmap_call[AREA_KINDS] = {
	"vunmap", "vm_unmap_ram", "kunmap", "vfree", "vmap_stack_free", "iounmap", "vm_area_free"};

/* What a wrong address is told. */
static __noreturn void refuse(vaddr_t va, enum area_kind kind)
{
	const char *call = unmap_call[kind];
	struct area copy, *a = &copy;
	u64 w = area_find(va, a) ? atomic_read(&a->word) : area_word(AREA_FREE, 0, 0, NULL);

	if (word_state(w) == AREA_FREE || (word_state(w) != AREA_LIVE && !a->unmapper))
		panic("%s of %#lx, where nothing is mapped", call, va);
	if (word_state(w) != AREA_LIVE)
		panic("%s of %#lx: double unmap of area '%s' %#lx+%u pages, unmapped by %pS before",
		      call, va, a->name, a->start, a->pages, (void *)a->unmapper);
	if (a->start != va)
		panic("%s of %#lx inside area '%s' %#lx+%u pages, mapped by %pS", call, va, a->name,
		      a->start, a->pages, (void *)a->mapper);
	panic("%s of area '%s' %#lx+%u pages, which is for %s", call, a->name, va, a->pages,
	      unmap_call[MIN(word_kind(w), AREA_SPARSE)]);
}

static bool is_live(const struct area *a, vaddr_t va, enum area_kind kind, u64 *w)
{
	if (!a || a->start != va)
		return false;
	*w = atomic_read(&a->word);
	return word_state(*w) == AREA_LIVE && word_kind(*w) == kind;
}

static void note_unmapping(struct area *a, u64 unmapper)
{
	a->unmapper = unmapper;
	a->unmapped_at = unmapper ? tsc_coarse() : 0;
	count(vunmap);
	trace_fast(EV_unmap, a->start, a->pages);
}

static void make_room_for(u64 pages)
{
	struct park *p = this_park();

	p->room -= (s64)pages;
	if (p->room < 0)
		park_overflow();
}

/*
 * LIVE -> CLEARED. An area that is still LISTED, because it was revived once, is BUSY until its
 * entries are gone; then it is left where it is, for the next purge to find and park.
 */
struct area *engine_take(vaddr_t va, enum area_kind kind, u64 unmapper)
{
	struct area *a = area_of(va);
	u64 w, new;

	do {
		if (!is_live(a, va, kind, &w))
			refuse(va, kind);
		new = w ^ (AREA_LIVE ^ AREA_CLEARED);
		if (w & AREA_LISTED)
			new |= AREA_BUSY;
	} while (!atomic_cmpxchg(&a->word, w, new));
	note_unmapping(a, unmapper);
	return a;
}

void engine_cleared(struct area *a)
{
	u64 w = atomic_read(&a->word), pages = a->pages;

	if (w & AREA_BUSY)
		atomic_set(&a->word, w & ~AREA_BUSY);
	else
		lazy_cleared(a);
	make_room_for(pages);
}

bool engine_may_stay(const struct area *a)
{
	u64 w = atomic_read(&a->word);

	return lazy_policy() == LAZY_PTE && !lazy_poison() && kind_may_stay(word_kind(w)) &&
	       !a->large && (w & AREA_FRAME_MASK);
}

void engine_stay(vaddr_t va, enum area_kind kind, u64 unmapper)
{
	struct area *a = area_of(va);
	u64 w, pages;

	do {
		if (!is_live(a, va, kind, &w))
			refuse(va, kind);
		pages = a->pages;
		a->unmapper = unmapper; /* before it is lazy: then it may be cleared at once */
		a->unmapped_at = unmapper ? tsc_coarse() : 0;
	} while (!lazy_stay(a, w));
	count(vunmap);
	trace_fast(EV_unmap, va, pages);
	make_room_for(pages);
}

struct area *engine_live(vaddr_t va, enum area_kind kind)
{
	struct area *a = area_of(va);
	u64 w;

	if (!is_live(a, va, kind, &w))
		refuse(va, kind);
	return a;
}

void engine_unmap(vaddr_t va, u64 pages, enum area_kind kind, u64 unmapper)
{
	struct area *a = area_of(va);

	if (kind == AREA_VMAP && !va)
		return;
	if (kind == AREA_VMAP && a && word_kind(atomic_read(&a->word)) == AREA_IO)
		kind = AREA_IO; /* vunmap ends a vmap_pfn as well */
	a = engine_live(va, kind);
	KASSERT(pages == ANY_NUMBER || pages == a->pages,
		"%s of %lu pages at %#lx, where %u are mapped", unmap_call[kind], pages, va,
		a->pages);
	if (engine_may_stay(a)) {
		engine_stay(va, kind, unmapper);
		return;
	}
	a = engine_take(va, kind, unmapper);
	engine_clear_all(a);
	engine_cleared(a);
}

void engine_unmap_rest(struct area *a, struct run_stop stop)
{
	engine_clear_rest(a->pte, a->pages, a->alias, stop);
	a->stamp = shootdown_stamp();
	count(vunmap);
	make_room_for(a->pages);
	lazy_cleared(a);
}
