// SPDX-License-Identifier: MIT
/*
 * The lazy list, in the order of stamps, because a stamp is read under the lock that appends.
 *
 * Freeing for nothing (reclaim): take from the head while every online CPU has flushed past the
 * stamp. CPUs flush at their quiet points (timer tick, idle) when they are behind, so as long as no
 * more than the threshold is unmapped between ticks, everything comes home this way with no IPI.
 * The boot CPU reclaims when it idles, and whoever passes the threshold.
 *
 * Purging: take the whole list, gather its exact ranges, shoot them down, free the areas. One
 * purge at a time (purge_lock): the second would find an empty list yet have to promise that what
 * the first took is flushed, so it waits.
 *
 * The threshold bounds how much address space waits. Linux's, 32 MiB x (1 + log2 CPUs), was chosen
 * as a balance between the cost of an IPI round and the memory for page tables; we keep it.
 */
#include "mm/lazy.h"
#include "mm/shootdown.h"

static spinlock_t lazy_lock = SPINLOCK_INIT("lazy");
static struct list lazy = LIST_INIT(lazy); /* areas, oldest first; guarded by lazy_lock, as are: */
static u64 nr_areas, nr_pages, peak_pages, max_pages;

static mutex_t purge_lock =
	MUTEX_INIT("purge");	/* held across the shootdown; taken before lazy_lock */
static enum lazy_policy policy; /* written with purge_lock held */

static const char *const policy_names[] = {[LAZY_OFF] = "off", [LAZY_TLB] = "tlb"};

static atomic_t freed; /* areas; only grows */

u64 lazy_freed(void)
{
	return atomic_read(&freed);
}

static void come_home(struct area *a)
{
	area_free(a);
	atomic_fetch_add(&freed, 1);
}

const char *lazy_policy_name(enum lazy_policy p)
{
	return policy_names[p];
}

int lazy_policy_parse(const char *s, enum lazy_policy *out)
{
	for (unsigned i = 0; i < ARRAY_SIZE(policy_names); i++)
		if (!strcmp(s, policy_names[i])) {
			*out = (enum lazy_policy)i;
			return 0;
		}
	return -EINVAL;
}

enum lazy_policy lazy_policy(void)
{
	return READ_ONCE(policy);
}

static void remove_locked(struct area *a)
{
	list_del(&a->lazy);
	nr_areas--;
	nr_pages -= a->pages;
}

/*
 * Off the list and free in one step under the lock, so that a purge which finds the list empty
 * knows that all of it is free. Lock order: lazy, area, pool.
 */
static u64 reclaim_first(void)
{
	struct area *a;
	u64 pages = 0;

	spin_lock(&lazy_lock);
	a = list_empty(&lazy) ? NULL : list_first(&lazy, struct area, lazy);
	if (a && shootdown_covered(a->stamp)) {
		pages = a->pages;
		remove_locked(a);
		come_home(a);
		count(reclaim_areas);
	}
	spin_unlock(&lazy_lock);
	return pages;
}

u64 lazy_reclaim(void)
{
	u64 pages = 0, n;

	while ((n = reclaim_first()))
		pages += n;
	return pages;
}

/* Moves the whole list to `out` and names it in `g`. => areas taken */
static u64 take_all(struct list *out, struct gather *g)
{
	struct list *pos;
	u64 n;

	spin_lock(&lazy_lock);
	n = nr_areas;
	list_splice_tail(out, &lazy);
	nr_areas = nr_pages = 0;
	spin_unlock(&lazy_lock);
	list_for_each (pos, out) {
		struct area *a = list_entry(pos, struct area, lazy);

		gather_add(g, a->start, a->pages, a->stamp);
	}
	return n;
}

static u64 purge_locked(void)
{
	struct list taken = LIST_INIT(taken), *pos, *tmp;
	struct gather g;
	u64 pages, areas;

	KASSERT(mutex_held(&purge_lock), "purge without purge_lock");
	gather_begin(&g);
	areas = take_all(&taken, &g);
	pages = g.pages;
	if (!areas)
		return 0;
	count(purge);
	count_add(purge_areas, areas);
	trace(EV_purge, areas, pages);
	gather_flush(&g);
	gather_end(&g);
	list_for_each_safe (pos, tmp, &taken) {
		struct area *a = list_entry(pos, struct area, lazy);

		list_del(&a->lazy);
		come_home(a);
	}
	return pages;
}

static bool over_threshold(void)
{
	return READ_ONCE(nr_pages) > READ_ONCE(max_pages);
}

u64 lazy_purge(void)
{
	u64 pages;

	mutex_lock(&purge_lock);
	pages = purge_locked();
	mutex_unlock(&purge_lock);
	return pages;
}

void lazy_add(struct area *a)
{
	spin_lock(&lazy_lock);
	a->stamp = shootdown_stamp();
	list_add_tail(&lazy, &a->lazy);
	nr_areas++;
	nr_pages += a->pages;
	peak_pages = MAX(peak_pages, nr_pages);
	spin_unlock(&lazy_lock);
	if (likely(!over_threshold()))
		return;
	lazy_reclaim();
	if (over_threshold() && mutex_trylock(&purge_lock)) { /* else somebody is at it */
		purge_locked();
		mutex_unlock(&purge_lock);
	}
}

void lazy_set_policy(enum lazy_policy p)
{
	mutex_lock(&purge_lock);
	WRITE_ONCE(policy, p);
	purge_locked();
	mutex_unlock(&purge_lock);
}

void lazy_init(enum lazy_policy p, u64 pages)
{
	policy = p;
	max_pages = pages;
}

void lazy_set_max(u64 pages)
{
	WRITE_ONCE(max_pages, pages);
	if (over_threshold())
		lazy_purge();
}

void lazy_stats(struct lazy_stats *st)
{
	spin_lock(&lazy_lock);
	*st = (struct lazy_stats){
		.policy = policy,
		.areas = nr_areas,
		.pages = nr_pages,
		.max_pages = max_pages,
		.peak_pages = peak_pages,
		.oldest_stamp = list_empty(&lazy) ? 0 : list_first(&lazy, struct area, lazy)->stamp,
	};
	spin_unlock(&lazy_lock);
}
