// SPDX-License-Identifier: MIT
/*
 * A treap: a binary tree ordered by address that is also a heap in a pseudo-random priority, so it
 * is balanced by chance whatever the order of requests, and needs two short recursive functions
 * (split and join) instead of a red-black tree's cases. Each node knows the largest free span below
 * it, so the lowest hole that fits is found in O(log n) (Linux's vmap uses the same augmentation).
 *
 * Nodes are also chained in address order, so merging a freed range with its neighbours needs no
 * search, and "everything tiles" is one walk of the chain.
 *
 * Descriptors, tables and records are made before the lock is taken or after it is released:
 * nothing can fail in between.
 *
 * Next: mm/park.c, which keeps carved areas so that this is rarely needed.
 */
#include "mm/area.h"
#include "mm/chunk.h"
#include "mm/park.h"
#include "mm/pool.h"
#include "mm/shootdown.h"

#define GUARD_PAGES 1

static spinlock_t area_lock = SPINLOCK_INIT("area");
static struct area *root; /* guarded by area_lock, with every node's tree fields */
static struct area *first;
static struct pool area_pool = POOL_INIT(area_pool, struct area); /* type-stable: area_init() */
struct area area_none;

static atomic_t freed; /* areas; only grows */

u64 area_freed(void)
{
	return atomic_read(&freed);
}

static bool is_free(const struct area *a)
{
	return a && word_state(atomic_read(&a->word)) == AREA_FREE;
}

/* --- the tree; area_lock is held --- */

static u64 priority_of(vaddr_t start)
{
	u64 x = start + 0x9e3779b97f4a7c15ull; /* splitmix64: any well-mixed function will do */

	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
	return x ^ (x >> 31);
}

static u64 max_free_of(const struct area *t)
{
	u64 m = is_free(t) ? t->span : 0;

	if (t->left && t->left->max_free > m)
		m = t->left->max_free;
	if (t->right && t->right->max_free > m)
		m = t->right->max_free;
	return m;
}

/* Divides `t` into what lies below `start` and what does not. */
static void tree_split(struct area *t, vaddr_t start, struct area **lo, struct area **hi)
{
	if (!t) {
		*lo = *hi = NULL;
		return;
	}
	if (t->start < start) {
		tree_split(t->right, start, &t->right, hi);
		*lo = t;
	} else {
		tree_split(t->left, start, lo, &t->left);
		*hi = t;
	}
	t->max_free = max_free_of(t);
}

/* Joins two trees of which `lo` lies wholly below `hi`. */
static struct area *tree_join(struct area *lo, struct area *hi)
{
	if (!lo || !hi)
		return lo ? lo : hi;
	if (lo->priority > hi->priority) {
		lo->right = tree_join(lo->right, hi);
		lo->max_free = max_free_of(lo);
		return lo;
	}
	hi->left = tree_join(lo, hi->left);
	hi->max_free = max_free_of(hi);
	return hi;
}

static struct area *tree_insert(struct area *t, struct area *n)
{
	if (!t || n->priority > t->priority) {
		tree_split(t, n->start, &n->left, &n->right);
		n->max_free = max_free_of(n);
		return n;
	}
	if (n->start < t->start)
		t->left = tree_insert(t->left, n);
	else
		t->right = tree_insert(t->right, n);
	t->max_free = max_free_of(t);
	return t;
}

static struct area *tree_remove(struct area *t, const struct area *n)
{
	if (t == n)
		return tree_join(t->left, t->right);
	if (n->start < t->start)
		t->left = tree_remove(t->left, n);
	else
		t->right = tree_remove(t->right, n);
	t->max_free = max_free_of(t);
	return t;
}

/* After `n` changed in place: its max_free and those above it. */
static void tree_refresh(struct area *t, const struct area *n)
{
	if (t != n)
		tree_refresh(n->start < t->start ? t->left : t->right, n);
	t->max_free = max_free_of(t);
}

static struct area *tree_find(vaddr_t va)
{
	struct area *t = root;

	while (t && (va < t->start || va >= area_end(t)))
		t = va < t->start ? t->left : t->right;
	return t;
}

/*
 * Where in the free area `t` a run of `span` pages fits. => 0: nowhere
 * What a CPU keeps for reuse (mm/park.h) lies in one level-1 table each, so that the common path
 * has one run of entries to write. That leaves gaps, for smaller areas; at worst half of a table.
 */
static vaddr_t fits(const struct area *t, u64 span, u64 align, struct area_range r)
{
	vaddr_t at = ALIGN_UP(MAX(t->start, r.lo), align);

	if (span <= PARK_MAX_PAGES + GUARD_PAGES && chunk_page(at) + span > CHUNK_PAGES)
		at = ALIGN_UP(at, MAX(align, 1ul << CHUNK_SHIFT));

	return at + (span << PAGE_SHIFT) <= MIN(area_end(t), r.hi) ? at : 0;
}

/*
 * => the lowest free area with `span` pages from a multiple of `align` bytes in `r`. With neither
 * alignment nor a range max_free never misleads and one path down is enough; with them, a subtree
 * may turn out too ragged.
 */
static struct area *tree_fit(struct area *t, u64 span, u64 align, struct area_range r)
{
	struct area *f = NULL;

	if (!t || t->max_free < span)
		return NULL;
	if (t->start > r.lo)
		f = tree_fit(t->left, span, align, r);
	if (f)
		return f;
	if (is_free(t) && fits(t, span, align, r))
		return t;
	return t->start < r.hi ? tree_fit(t->right, span, align, r) : NULL;
}

/* --- areas; area_lock is held --- */

/* Its state comes from FREE or goes there: only then does what max_free says change. */
static void set_free(struct area *a, bool free)
{
	atomic_set(&a->word, area_word(free ? AREA_FREE : AREA_CLEARED, 0, 0, NULL));
	tree_refresh(root, a);
}

/* Puts `n` into the chain before `next` and into the tree. */
static void insert_before(struct area *n, vaddr_t start, u64 span, enum area_state s,
			  struct area *next, struct area *prev)
{
	n->start = start;
	n->span = (u32)span;
	atomic_set(&n->word, area_word(s, 0, 0, NULL));
	n->priority = priority_of(start);
	n->prev = prev;
	n->next = next;
	if (prev)
		prev->next = n;
	else
		first = n;
	if (next)
		next->prev = n;
	root = tree_insert(root, n);
}

static void remove_locked(struct area *a)
{
	root = tree_remove(root, a);
	if (a->prev)
		a->prev->next = a->next;
	else
		first = a->next;
	if (a->next)
		a->next->prev = a->prev;
}

/* Changes a free area's extent; its place in the order stays. */
static void resize_free(struct area *a, vaddr_t start, u64 span)
{
	a->start = start;
	a->span = (u32)span;
	tree_refresh(root, a);
}

/*
 * Carves [start, start + span) out of the free area `f`. spare[0] and spare[1] are descriptors to
 * use; those used are set to NULL.
 */
static struct area *carve_locked(struct area *f, vaddr_t start, u64 span, struct area **spare)
{
	u64 lead = (start - f->start) >> PAGE_SHIFT;
	u64 tail = f->span - lead - span;
	struct area *a = f;

	KASSERT(spin_held(&area_lock), "area lock");
	if (!lead && !tail) {
		set_free(f, false);
		return f;
	}
	a = spare[0];
	spare[0] = NULL;
	if (!lead) {
		resize_free(f, start + (span << PAGE_SHIFT), tail);
		insert_before(a, start, span, AREA_CLEARED, f, f->prev);
		return a;
	}
	resize_free(f, f->start, lead);
	insert_before(a, start, span, AREA_CLEARED, f->next, f);
	if (tail) {
		insert_before(spare[1], area_end(a), tail, AREA_FREE, a->next, a);
		spare[1] = NULL;
	}
	return a;
}

/* --- the interface --- */

/* What is fixed while it is carved. */
static void describe(struct area *a, u64 pages, enum area_backing backing)
{
	vaddr_t last = a->start + ((pages - 1) << PAGE_SHIFT);
	bool one_table = a->start >> CHUNK_SHIFT == last >> CHUNK_SHIFT;

	a->pages = (u32)pages;
	a->alias = alias_of(a->start);
	a->pte = backing == AREA_TABLES && one_table ? entry_of(a->start) : NULL;
	a->name = "(being mapped)";
	a->stamp = a->mapper = a->unmapper = a->mapped_at = a->unmapped_at = 0;
	a->redzone = 0;
	a->large = 0;
	a->parked = NULL;
}

static struct area *carve(u64 span, u64 align, struct area_range r)
{
	struct area *spare[2] = {NULL, NULL}, *f, *a = NULL;

	for (unsigned i = 0; i < ARRAY_SIZE(spare); i++)
		spare[i] = pool_alloc(&area_pool);
	if (spare[0] && spare[1]) {
		spin_lock(&area_lock);
		f = tree_fit(root, span, align << PAGE_SHIFT, r);
		if (f)
			a = carve_locked(f, fits(f, span, align << PAGE_SHIFT, r), span, spare);
		spin_unlock(&area_lock);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(spare); i++)
		if (spare[i])
			pool_free(&area_pool, spare[i]);
	return a;
}

static int make_backing(struct area *a, enum area_backing backing)
{
	int err;

	if (backing != AREA_BARE)
		return chunk_ensure(a, a->start, a->span, backing == AREA_TABLES);
	err = chunk_ensure(a, a->start, 1, false);
	return err ? err : chunk_ensure(a, area_end(a) - PAGE_SIZE, 1, false);
}

struct area *area_alloc(u64 pages, u64 align, struct area_range r, enum area_backing backing)
{
	u64 span = pages + GUARD_PAGES;
	struct area *a;

	if (pages == 0 || pages >= VMAP_PAGES || align > VMAP_PAGES)
		return NULL;
	a = carve(span, align, r);
	if (!a)
		return NULL;
	if (make_backing(a, backing)) {
		area_free(a);
		return NULL;
	}
	describe(a, pages, backing);
	chunk_set_owner(a->start, span, a);
	count(park_carve);
	return a;
}

/* Joins `a` with its free neighbours: the lowest of them stays. dead[]: those that do not. */
static void merge_locked(struct area *a, struct area **dead)
{
	struct area *next = a->next, *prev = a->prev;
	u64 span = a->span;

	if (is_free(next)) {
		span += next->span;
		remove_locked(next);
		dead[0] = next;
	}
	if (is_free(prev)) {
		remove_locked(a);
		dead[1] = a;
		resize_free(prev, prev->start, prev->span + span);
	} else {
		set_free(a, true);
		if (span != a->span)
			resize_free(a, a->start, span);
	}
}

void area_free(struct area *a)
{
	struct area *dead[2] = {NULL, NULL};

	KASSERT(word_state(atomic_read(&a->word)) == AREA_CLEARED, "area %#lx is freed, but is %s",
		a->start, area_state_name(a));
	chunk_set_owner(a->start, a->span, NULL);
	spin_lock(&area_lock);
	merge_locked(a, dead);
	spin_unlock(&area_lock);
	atomic_fetch_add(&freed, 1);
	count(park_home);
	for (unsigned i = 0; i < ARRAY_SIZE(dead); i++)
		if (dead[i])
			pool_free(&area_pool, dead[i]);
}

bool area_find(vaddr_t va, struct area *copy)
{
	const struct area *a;

	spin_lock(&area_lock);
	a = tree_find(va);
	if (a)
		GLANCE_COPY(copy, a);
	spin_unlock(&area_lock);
	return a;
}

/* The tree may be in the middle of a change on a CPU that was stopped: every step is counted. */
bool area_peek(vaddr_t va, struct area *copy)
{
	const struct area *t = GLANCE(root);

	for (int depth = 0; t && depth < 256; depth++) {
		GLANCE_COPY(copy, t);
		if (va >= copy->start && va < area_end(copy))
			return true;
		t = va < copy->start ? copy->left : copy->right;
	}
	return false;
}

static unsigned check_tree_locked(const struct area *t, const struct area **last)
{
	unsigned faults = 0;

	if (!t)
		return 0;
	faults += check_tree_locked(t->left, last);
	if (t->prev != *last) {
		printk("check: area %#lx follows another in the tree than in the chain\n",
		       t->start);
		faults++;
	}
	*last = t;
	faults += check_tree_locked(t->right, last);
	if (t->max_free != max_free_of(t) || (t->left && t->left->priority > t->priority) ||
	    (t->right && t->right->priority > t->priority)) {
		printk("check: area %#lx: max_free or priority is out of order\n", t->start);
		faults++;
	}
	return faults;
}

/* Every page of a carved area, where it has a record, names the area; of a free one, nobody. */
static unsigned check_records_locked(const struct area *a)
{
	vaddr_t va = a->start, end = area_end(a);

	for (va = chunk_used_from(va, end); va < end; va = chunk_used_from(va + PAGE_SIZE, end))
		if (record_of(va)->area != (is_free(a) ? NULL : a)) {
			printk("check: page %#lx has another owner than its area %#lx\n", va,
			       a->start);
			return 1;
		}
	return 0;
}

unsigned area_check(void)
{
	const struct area *last = NULL;
	vaddr_t expect = VMAP_BASE;
	unsigned faults;

	spin_lock(&area_lock);
	faults = check_tree_locked(root, &last);
	for (const struct area *a = first; a; a = a->next) {
		if (a->start != expect || (is_free(a) && is_free(a->next))) {
			printk("check: area %#lx (%s) does not tile: expected %#lx\n", a->start,
			       area_state_name(a), expect);
			faults++;
		}
		faults += check_records_locked(a);
		expect = area_end(a);
	}
	if (expect != VMAP_END) {
		printk("check: areas end at %#lx, not %#lx\n", expect, VMAP_END);
		faults++;
	}
	spin_unlock(&area_lock);
	return faults;
}

void area_init(void)
{
	struct area *all;

	/* frame->revive and park->last may point to one that is gone (mm/engine.c, mm/fast.h) */
	area_pool.type_stable = true;
	all = pool_alloc(&area_pool);
	KASSERT(all, "no memory for the first area");
	root = first = NULL;
	spin_lock(&area_lock);
	insert_before(all, VMAP_BASE, VMAP_PAGES, AREA_FREE, NULL, NULL);
	spin_unlock(&area_lock);
}
