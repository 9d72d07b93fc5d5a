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
 * Descriptors are allocated before the lock is taken and freed after it is released: nothing can
 * fail in between.
 *
 * Next: mm/vmap.c, which puts mappings behind these addresses.
 */
#include "mm/area.h"
#include "mm/pool.h"

#define GUARD_PAGES 1

static spinlock_t area_lock = SPINLOCK_INIT("area");
static struct area *root; /* guarded by area_lock, with every node's tree fields */
static struct area *first;
static struct area_stats stats; /* nr and pages by state; guarded by area_lock */
static struct pool area_pool = POOL_INIT(area_pool, struct area);

const char *area_state_name(enum area_state s)
{
	static const char *const names[] = {"free", "live", "cleared"};

	return names[s];
}

static vaddr_t area_end(const struct area *a)
{
	return a->start + (a->span << PAGE_SHIFT);
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
	u64 m = t->state == AREA_FREE ? t->span : 0;

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
 * => the lowest free area with `span` pages from a multiple of `align` bytes. Without alignment
 * max_free never misleads and one path down is enough; with it, a subtree may turn out too ragged.
 */
static struct area *tree_fit(struct area *t, u64 span, u64 align)
{
	struct area *f;

	if (!t || t->max_free < span)
		return NULL;
	f = tree_fit(t->left, span, align);
	if (f)
		return f;
	if (t->state == AREA_FREE &&
	    ALIGN_UP(t->start, align) + (span << PAGE_SHIFT) <= area_end(t))
		return t;
	return tree_fit(t->right, span, align);
}

/* --- areas; area_lock is held --- */

static void account(enum area_state s, s64 nr, s64 pages)
{
	stats.nr[s] += (u64)nr;
	stats.pages[s] += (u64)pages;
}

/* What max_free says changes only when a state comes from or goes to FREE. */
static void set_state(struct area *a, enum area_state s)
{
	bool refresh = a->state == AREA_FREE || s == AREA_FREE;

	account(a->state, -1, -(s64)a->span);
	a->state = s;
	account(s, 1, (s64)a->span);
	if (refresh)
		tree_refresh(root, a);
}

/* Puts `n` into the chain before `next` and into the tree. */
static void insert_before(struct area *n, vaddr_t start, u64 span, enum area_state s,
			  struct area *next, struct area *prev)
{
	n->start = start;
	n->span = span;
	n->state = s;
	n->priority = priority_of(start);
	n->prev = prev;
	n->next = next;
	if (prev)
		prev->next = n;
	else
		first = n;
	if (next)
		next->prev = n;
	account(s, 1, (s64)span);
	root = tree_insert(root, n);
}

static void remove_locked(struct area *a)
{
	account(a->state, -1, -(s64)a->span);
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
	account(AREA_FREE, 0, (s64)span - (s64)a->span);
	a->start = start;
	a->span = span;
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
		set_state(f, AREA_LIVE);
		return f;
	}
	a = spare[0];
	spare[0] = NULL;
	if (!lead) {
		resize_free(f, start + (span << PAGE_SHIFT), tail);
		insert_before(a, start, span, AREA_LIVE, f, f->prev);
		return a;
	}
	resize_free(f, f->start, lead);
	insert_before(a, start, span, AREA_LIVE, f->next, f);
	if (tail) {
		insert_before(spare[1], area_end(a), tail, AREA_FREE, a->next, a);
		spare[1] = NULL;
	}
	return a;
}

/* --- the interface --- */

struct area *area_alloc(u64 pages, u64 align)
{
	u64 span = pages + GUARD_PAGES;
	struct area *spare[2] = {NULL, NULL}, *f, *a = NULL;

	if (pages == 0 || pages > VMAP_SIZE >> PAGE_SHIFT || align > VMAP_SIZE >> PAGE_SHIFT)
		return NULL;
	spare[0] = pool_alloc(&area_pool);
	if (spare[0] && align > 1)
		spare[1] = pool_alloc(&area_pool);
	if (!spare[0] || (align > 1 && !spare[1]))
		goto out;
	spin_lock(&area_lock);
	f = tree_fit(root, span, align << PAGE_SHIFT);
	if (f) {
		a = carve_locked(f, ALIGN_UP(f->start, align << PAGE_SHIFT), span, spare);
		a->pages = pages;
		a->prot = VM_R;
		a->name = "(being mapped)";
		a->mapper = a->unmapper = a->unmapped_at = 0;
		a->mapped_at = tsc_now();
		a->stamp = 0;
		list_init(&a->lazy);
	}
	spin_unlock(&area_lock);
out:
	for (unsigned i = 0; i < ARRAY_SIZE(spare); i++)
		if (spare[i])
			pool_free(&area_pool, spare[i]);
	return a;
}

static bool is_free(const struct area *a)
{
	return a && a->state == AREA_FREE;
}

/* Joins `a` with its free neighbours: the lowest of them stays, the others leave tree and chain. */
void area_free(struct area *a)
{
	struct area *dead[2] = {NULL, NULL}, *next, *prev;
	u64 span;

	spin_lock(&area_lock);
	KASSERT(a->state != AREA_FREE, "area %#lx freed twice", a->start);
	span = a->span;
	next = a->next;
	prev = a->prev;
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
		set_state(a, AREA_FREE);
		if (span != a->span)
			resize_free(a, a->start, span);
	}
	spin_unlock(&area_lock);
	for (unsigned i = 0; i < ARRAY_SIZE(dead); i++)
		if (dead[i])
			pool_free(&area_pool, dead[i]);
}

struct area *area_unmap_begin(vaddr_t va, u64 unmapper)
{
	struct area *a;

	spin_lock(&area_lock);
	a = tree_find(va);
	KASSERT(a && a->state != AREA_FREE, "unmap of %#lx, where nothing is mapped", va);
	KASSERT(a->state == AREA_LIVE,
		"double unmap of area '%s' %#lx+%lu pages, unmapped by %pS before", a->name,
		a->start, a->pages, (void *)a->unmapper);
	KASSERT(a->start == va, "unmap of %#lx inside area '%s' %#lx+%lu pages, mapped by %pS", va,
		a->name, a->start, a->pages, (void *)a->mapper);
	a->unmapper = unmapper;
	a->unmapped_at = tsc_now();
	set_state(a, AREA_CLEARED);
	spin_unlock(&area_lock);
	return a;
}

bool area_find(vaddr_t va, struct area *copy)
{
	const struct area *a;

	spin_lock(&area_lock);
	a = tree_find(va);
	if (a)
		*copy = *a;
	spin_unlock(&area_lock);
	return a;
}

/* The tree may be in the middle of a change on a CPU that was stopped: every step is counted. */
bool area_peek(vaddr_t va, struct area *copy)
{
	const struct area *t = READ_ONCE(root);

	for (int depth = 0; t && depth < 256; depth++) {
		if (va >= t->start && va < area_end(t)) {
			*copy = *t;
			return true;
		}
		t = va < t->start ? READ_ONCE(t->left) : READ_ONCE(t->right);
	}
	return false;
}

void area_stats(struct area_stats *st)
{
	spin_lock(&area_lock);
	*st = stats;
	st->largest_free = root ? root->max_free : 0;
	spin_unlock(&area_lock);
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

unsigned area_check(void)
{
	const struct area *last = NULL;
	vaddr_t expect = VMAP_BASE;
	unsigned faults;
	u64 pages[3] = {0};

	spin_lock(&area_lock);
	faults = check_tree_locked(root, &last);
	for (const struct area *a = first; a; a = a->next) {
		if (a->start != expect ||
		    (a->state == AREA_FREE && a->next && a->next->state == AREA_FREE)) {
			printk("check: area %#lx (%s) does not tile: expected %#lx\n", a->start,
			       area_state_name(a->state), expect);
			faults++;
		}
		expect = area_end(a);
		pages[a->state] += a->span;
	}
	if (expect != VMAP_END || memcmp(pages, stats.pages, sizeof(pages))) {
		printk("check: areas end at %#lx, not %#lx, or their page counts are wrong\n",
		       expect, VMAP_END);
		faults++;
	}
	spin_unlock(&area_lock);
	return faults;
}

void area_init(void)
{
	struct area *all = pool_alloc(&area_pool);

	KASSERT(all, "no memory for the first area");
	root = first = NULL;
	memset(&stats, 0, sizeof(stats));
	spin_lock(&area_lock);
	insert_before(all, VMAP_BASE, VMAP_SIZE >> PAGE_SHIFT, AREA_FREE, NULL, NULL);
	spin_unlock(&area_lock);
}
