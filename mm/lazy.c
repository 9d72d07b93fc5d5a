// SPDX-License-Identifier: MIT
/*
 * Policies and purges. Under `tlb` there is nothing to keep: an area's entries are cleared, its
 * stamp tells when, and mm/park.c keeps it until every CPU has flushed since. A purge is one flush
 * of those CPUs that are behind. Under `pte` areas keep their entries and wait on lists, one a CPU;
 * a purge clears them all, and gathers their exact ranges for the flush.
 *
 * An area on such a list is LISTED, whether LAZY, or LIVE again because somebody revived it: taking
 * it off would need more than one word to change. Who takes a list away decides for each area by
 * its word, and its owner sees in the same word whether it is still listed:
 *
 *   LIVE         unmapped: LIVE|LISTED, then pushed, then LAZY|LISTED
 *   LAZY|LISTED  revived: LIVE|LISTED; unmapped again: LAZY|LISTED, with no push
 *   LAZY|LISTED  found by a purge: CLEARED, and the purge's alone
 *   LIVE|LISTED  found by a purge: LIVE; unmapped at once (the policy has changed) or cleared for
 *                its frame's sake (mm/purge.c): CLEARED|LISTED, and parked when a purge finds it
 *
 * It is pushed before it is LAZY, not after: whoever revives and unmaps it again in between relies
 * on its being on the list, or a purge he calls next would miss it. If a purge takes it off between
 * push and LAZY, the exchange to LAZY fails, because LISTED is gone, and it is pushed again.
 *
 * A purge must not return while another, that took the list before it, is still clearing:
 * `purges` counts those. It waits for threads on other CPUs only, and those wait for nobody. But
 * they may be interrupted, by a handler that wants a lock: so a purge is not for who holds one.
 */
#include "mm/engine.h"
#include "mm/gather.h"
#include "mm/shootdown.h"
#include "mm/unhook.h"

#define PURGE_BEGUN (1ull << 32)

u32 lazy_slow;

static enum lazy_policy policy;
static u32 poison;
static u64 max_pages;
static atomic_t purges;	     /* those begun, times PURGE_BEGUN, and how many are still clearing */
static atomic_t quarantine;  /* areas held back by poison, newest first */
static atomic_t quarantined; /* how many */

static const char *const policy_names[NR_LAZY_POLICIES] = {
	[LAZY_OFF] = "off", [LAZY_TLB] = "tlb", [LAZY_PTE] = "pte"};

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

bool lazy_poison(void)
{
	return READ_ONCE(poison);
}

/* --- one area --- */

static void flush_area(const struct area *a)
{
	struct gather g;

	gather_begin(&g);
	gather_add(&g, a->start, a->pages, a->stamp);
	gather_flush(&g);
	gather_end(&g);
}

void lazy_cleared(struct area *a)
{
	bool at_once = lazy_policy() == LAZY_OFF || lazy_poison();

	if (!at_once || !may_wait()) {
		park_cleared(a);
		return;
	}
	flush_area(a);
	if (!lazy_poison()) {
		park_ready(a);
		return;
	}
	atomic_fetch_add(&quarantined, 1);
	park_push(&quarantine, a);
}

bool lazy_stay(struct area *a, u64 live)
{
	if (!(live & AREA_LISTED)) {
		if (!atomic_cmpxchg(&a->word, live, live | AREA_LISTED))
			return false;
		live |= AREA_LISTED;
		park_push(&this_park()->lazy, a);
	}
	return atomic_cmpxchg(&a->word, live, (live & ~AREA_STATE_MASK) | AREA_LAZY);
}

/* --- purging --- */

/*
 * An area from a list that was taken comes off the list. => what it was: LAZY: it is CLEARED now
 * and ours; CLEARED: its entries are gone, it is ours to park; LIVE: it is revived and its user's
 */
static enum area_state claim(struct area *a)
{
	u64 w, new;

	do {
		w = atomic_read(&a->word);
		KASSERT(w & AREA_LISTED, "area %#lx (%s) is on the lazy list, unknown to it",
			a->start, area_state_name(a));
		if (w & AREA_BUSY) { /* until its entries are cleared on another CPU */
			cpu_relax();
			continue;
		}
		new = w & ~AREA_LISTED;
		if (word_state(w) == AREA_LAZY)
			new ^= AREA_LAZY ^ AREA_CLEARED;
	} while ((w & AREA_BUSY) || !atomic_cmpxchg(&a->word, w, new));
	return word_state(w);
}

/* Page by page, for some have no entry any more. => pages that had */
static u64 clear_holed(struct area *a)
{
	u64 n = 0;

	for (u64 page = 0; page < a->pages; page++)
		if (entry_read(entry_of(a->start + (page << PAGE_SHIFT)))) {
			engine_clear_entries(a, page, 1);
			n++;
		}
	atomic_fetch_and(&a->word, ~AREA_HOLED);
	return n;
}

/*
 * Pages of areas that are cleared together, at most: a platform that is asked for every entry is
 * asked once for so many, and they are out of reach, neither lazy nor gone, no longer than that
 * takes.
 */
#define TOGETHER PT_ENTRIES

/*
 * Areas of a list, from `a` to before `end`, that are CLEARED and ours, and have their entries
 * still. => pages cleared
 */
static u64 clear_together(struct area *a, const struct area *end, struct gather *g)
{
	u64 pages = 0, stamp;
	irqflags_t flags;
	bool many;

	if (a == end)
		return 0;	    /* and no stamp, for which every CPU would flush */
	many = a->pages > TOGETHER; /* then it is the only one */
	flags = many ? 0 : engine_clear_begin();
	for (struct area *i = a; i != end; i = i->parked) {
		if (unlikely(atomic_read(&i->word) & AREA_HOLED)) {
			pages += clear_holed(i);
		} else {
			engine_clear_entries(i, 0, i->pages);
			pages += i->pages;
		}
	}
	if (!many)
		engine_clear_end(flags);
	stamp = shootdown_stamp();
	for (; a != end; a = a->parked) {
		a->stamp = stamp;
		gather_add(g, a->start, a->pages, stamp);
	}
	return pages;
}

/* A purge under way. */
struct round {
	struct gather *g;
	struct area *done; /* areas, CLEARED and ours, that have no entry any more */
	u64 pages;	   /* cleared */
	u64 before;	   /* the newest stamp before it */
	bool unhook;	   /* tables may be unhooked: unhook_begin() */
};

/* Areas, from `ours` to before r->done, that are CLEARED and ours, and have their entries still. */
static __always_inline void clear_now(struct round *r, struct area *ours)
{
	r->pages += clear_together(ours, r->done, r->g);
	r->done = ours;
}

/* One more of them; `waiting` is how many pages they have. */
static __always_inline void clear_soon(struct round *r, struct area **ours, u64 *waiting,
				       struct area *a)
{
	if (*waiting + a->pages > TOGETHER) {
		clear_now(r, *ours);
		*waiting = 0;
	}
	a->parked = *ours;
	*ours = a;
	*waiting += a->pages;
}

/* A list of such areas. */
static __noinline void unhook(struct round *r, struct area *list)
{
	struct area *emptied = NULL, *ours, *next;
	u64 waiting = 0;

	if (!list)
		return;
	list = unhook_areas(list, &emptied, &r->pages);
	for (struct area *a = emptied; a; a = next) {
		next = a->parked;
		a->parked = r->done; /* and nothing to flush: all CPUs have, since its stamp */
		r->done = a;
	}
	ours = r->done;
	for (struct area *a = list; a; a = next) {
		next = a->parked;
		clear_soon(r, &ours, &waiting, a);
	}
	clear_now(r, ours);
}

/* Clears a list that was taken. */
static __noinline void clear_list(struct round *r, struct area *list)
{
	struct area *ours = r->done, *to_unhook = NULL;
	u64 waiting = 0;
	bool hooked = !r->unhook;

	for (struct area *a = list, *next; a; a = next) {
		enum area_state was;

		next = a->parked; /* before it may be its user's again */
		was = claim(a);
		if (was == AREA_CLEARED) { /* by who may not have flushed it: see above */
			gather_add(r->g, a->start, a->pages, a->stamp);
			park_cleared(a);
		}
		if (was != AREA_LAZY)
			continue;
		if (likely(hooked)) {
			clear_soon(r, &ours, &waiting, a);
			continue;
		}
		a->parked = to_unhook;
		to_unhook = a;
	}
	clear_now(r, ours);
	unhook(r, to_unhook);
}

/*
 * All that were lazy before the call are cleared, by us or by others. => by us alone; if others
 * were at it as well, what they cleared meanwhile is not in r->g
 */
static bool clear_all(struct round *r, bool unhook)
{
	u64 was = atomic_fetch_add(&purges, PURGE_BEGUN + 1), now;

	r->before = shootdown_newest(); /* now: who was clearing is done, or we are not alone */
	if (unlikely(unhook))
		r->unhook = unhook_begin();
	for (unsigned cpu = 0; cpu < nr_cpus; cpu++)
		if (atomic_read(&parks[cpu].lazy))
			clear_list(r, (struct area *)atomic_xchg(&parks[cpu].lazy, 0));
	if (unlikely(r->unhook))
		unhook_end();
	atomic_fetch_add(&purges, -1ull);
	count_add(clear_pages, r->pages);
	while ((u32)(now = atomic_read(&purges)))
		cpu_relax();
	return now == was + PURGE_BEGUN; /* nobody was at it, nobody came */
}

/*
 * What others have unmapped under `tlb` is known by its stamp only: if some CPU may remember any of
 * it, that CPU forgets everything. So it is if another purge was at work, whose ranges we do not
 * know and whose flush may be yet to come. Else the ranges just cleared are enough.
 */
static void flush_all(struct gather *g, u64 before, bool alone)
{
	if (!alone || (before && !shootdown_covered(before)))
		gather_add_all(g, shootdown_newest());
	gather_flush(g);
}

static u64 purge(enum purge_phase phase, bool unhook)
{
	struct gather g;
	struct round r = {.g = &g};
	struct area *next;
	bool alone;

	KASSERT(!in_interrupt() && !cpu_spinlocks_held(),
		"a purge in an interrupt handler, or with a spinlock held");
	KASSERT(phase == PURGE_PTES || may_wait(), "a flush with interrupts off");
	count(purge);
	gather_begin(&g);
	alone = clear_all(&r, unhook);
	trace(EV_purge, r.pages, phase);
	if (phase == PURGE_FLUSH)
		flush_all(&g, r.before, alone);
	for (struct area *a = r.done; a; a = next) {
		next = a->parked;
		if (phase == PURGE_FLUSH)
			park_ready(a);
		else
			park_cleared(a);
	}
	frame_release_held();
	trace(EV_purge_end, r.pages, phase);
	return r.pages;
}

u64 lazy_purge(enum purge_phase phase)
{
	return purge(phase, false);
}

u64 lazy_unhook(void)
{
	return purge(PURGE_FLUSH, true);
}

/* --- settings --- */

static void choose_path(void)
{
	WRITE_ONCE(lazy_slow, (policy == LAZY_OFF ? LAZY_SLOW_OFF : 0) |
				      (policy == LAZY_PTE ? LAZY_SLOW_PTE : 0) |
				      (poison ? LAZY_SLOW_POISON : 0) |
				      (mmu->set_run ? LAZY_SLOW_CALLS : 0) |
				      (trace_hot ? LAZY_SLOW_TRACE : 0));
}

void lazy_set_trace(bool on)
{
	WRITE_ONCE(trace_hot, on);
	choose_path();
}

void lazy_set_policy(enum lazy_policy p)
{
	WRITE_ONCE(policy, p);
	choose_path();
	lazy_purge(PURGE_FLUSH);
}

static u64 share_of(u64 pages)
{
	return MAX(pages / MAX(cpumask_count(cpus_online()), 1u), 1ul);
}

void lazy_set_max(u64 pages)
{
	WRITE_ONCE(max_pages, pages);
	park_set_share(share_of(pages));
}

void lazy_set_poison(bool on)
{
	WRITE_ONCE(poison, on);
	choose_path();
	if (!on)
		lazy_release_quarantine();
}

u64 lazy_release_quarantine(void)
{
	u64 n = 0;

	for (struct area *a = (struct area *)atomic_xchg(&quarantine, 0), *next; a; a = next, n++) {
		next = a->parked;
		area_free(a);
	}
	atomic_fetch_add(&quarantined, -n);
	return n;
}

void lazy_stats(struct lazy_stats *st)
{
	u64 horizon = shootdown_horizon();
	struct area a;

	*st = (struct lazy_stats){.policy = lazy_policy(),
				  .max_pages = GLANCE(max_pages),
				  .quarantined = atomic_read(&quarantined)};
	for (vaddr_t va = VMAP_BASE; area_find(va, &a); va = area_end(&a)) {
		enum area_state s = word_state(atomic_read(&a.word));

		if (s == AREA_LAZY)
			st->uncleared_areas++;
		if (s == AREA_LAZY || (s == AREA_CLEARED && a.stamp && a.stamp >= horizon)) {
			st->areas++;
			st->pages += a.pages;
		}
	}
	for (unsigned cpu = 0; cpu < nr_cpus; cpu++)
		st->peak_pages += park_peak(cpu);
}

/*
 * The first CPU's share is all of it until the others come: lazy_set_max() again, when they have.
 */
void lazy_init(enum lazy_policy p, u64 pages)
{
	policy = p;
	max_pages = pages;
	choose_path();
	atomic_set(&quarantine, 0);
	atomic_set(&quarantined, 0);
	park_init(share_of(pages));
}
