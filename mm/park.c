// SPDX-License-Identifier: MIT
/*
 * See park.h for the lists. Here is when areas move between them.
 *
 * Cleared to ready: when a CPU runs out of ready areas of a size, and the horizon (what every CPU
 * has forgotten) has moved since it last looked, it takes its cleared list of that size. If nothing
 * that was ever stamped is beyond the horizon, the whole list is ready, in one exchange; else it is
 * divided by stamps. So each area is looked at once per round at most, and nobody interrupts
 * anyone.
 *
 * Making the horizon move: each CPU may unmap `share` pages between two looks at what waits. Then
 * it flushes its own TLB if it is behind, once for all of them, and notes a checkpoint: "so many
 * pages had been unmapped here when the newest stamp was s". Checkpoints that the horizon has
 * passed tell how much still waits. CPUs that map and unmap do this by themselves, idle ones are
 * bound to flush before they touch anything, the others flush at their ticks; only if all that has
 * not helped for some rounds (`rounds`) are the late ones interrupted. That bounds what waits to
 * rounds * share pages on a CPU.
 *
 * Back to the tree: a class that nobody touched between two looks goes home, so that a change of
 * habit does not leave addresses behind; and everybody's lists do when addresses run out.
 */
#include "mm/park.h"
#include "mm/early.h"
#include "mm/frame.h"
#include "mm/lazy.h"
#include "mm/shootdown.h"

struct park parks[MAX_CPUS];

static u64 share;	/* pages; written by park_set_share(), as is */
static unsigned rounds; /* checkpoints that may wait to be passed */

static atomic_t draining; /* CPUs that may have areas in hand on their way home */

/*
 * What waits costs memory: areas, records, tables; at worst (areas of one page) about so much for
 * each page. A quarter of the machine's may go into that, as long as two rounds are left.
 */
#define BYTES_PER_WAITING_PAGE 256
#define MEMORY_PART	       4
#define MIN_ROUNDS	       2

/* --- whole lists --- */

static void push_chain(atomic_t *list, struct area *first, struct area *last)
{
	u64 old;

	do {
		old = atomic_read(list);
		last->parked = (struct area *)old;
	} while (!atomic_cmpxchg(list, old, (u64)first));
}

static struct area *take_all(atomic_t *list)
{
	return atomic_read(list) ? (struct area *)atomic_xchg(list, 0) : NULL;
}

/*
 * Divides a list that was taken: those that every CPU has forgotten stay, the others go back to
 * where they came from. => the former
 */
static struct area *sort_out(struct area *taken, atomic_t *from, u64 horizon)
{
	struct area *ready = NULL, **tail = &ready, *back = NULL, *back_last = NULL;

	for (struct area *a = taken, *next; a; a = next) {
		next = a->parked;
		if (a->stamp < horizon) {
			*tail = a;
			tail = &a->parked;
			continue;
		}
		a->parked = back;
		back = a;
		if (!back_last)
			back_last = a;
	}
	*tail = NULL;
	if (back)
		push_chain(from, back, back_last);
	return ready;
}

/*
 * The stamps of what is on the list were given out before it was taken, so if the newest stamp,
 * read afterwards, is behind the horizon, all of them are.
 */
static struct area *take_forgotten(atomic_t *list, u64 horizon)
{
	struct area *taken = take_all(list);

	if (!taken || shootdown_newest() < horizon)
		return taken;
	return sort_out(taken, list, horizon);
}

static u64 send_home(struct area *list)
{
	u64 n = 0;

	for (struct area *a = list, *next; a; a = next, n++) {
		next = a->parked;
		area_free(a);
	}
	return n;
}

/* --- giving --- */

/* => thread context: interrupts only take from a ready list, this stores to it */
static bool refill(struct park *p, u64 pages)
{
	struct park_class *c = &p->class[pages - 1];
	u64 horizon = shootdown_horizon();
	struct area *ready;

	if (atomic_read(&c->ready))
		return true; /* asked for without having looked, as stacks are */
	if (p->tried[pages - 1] == horizon || !atomic_read(&c->cleared))
		return false;
	p->tried[pages - 1] = horizon;
	ready = take_forgotten(&c->cleared, horizon);
	if (!ready)
		return false;
	count(park_refill);
	atomic_set(&c->ready, (u64)ready);
	return true;
}

/* Out of addresses or memory: everything that can come home does. */
static void make_room(void)
{
	if (may_wait())
		lazy_purge(PURGE_FLUSH);
	lazy_release_quarantine();
	park_drain();
}

/* What another CPU has just taken off the lists will come home in a moment. */
static void wait_for_drains(void)
{
	while (atomic_read(&draining) && may_wait())
		cpu_relax();
}

/*
 * Other CPUs may take what came home before we do, but then it did come home, and it is worth
 * another try; so many that losing them all is no accident.
 */
#define GET_TRIES 64

struct area *park_get_aligned(u64 pages, u64 align, struct area_range r, enum area_backing backing)
{
	u64 room = (r.hi - r.lo) >> PAGE_SHIFT; /* more than that no purge can find */
	struct area *a = area_alloc(pages, align, r, backing);

	for (unsigned tries = 0; !a && MAX(pages, align) <= room && tries < GET_TRIES; tries++) {
		u64 before = area_freed();
		bool came;

		make_room();
		wait_for_drains();
		came = area_freed() != before; /* not what the next line gives back, failing */
		a = area_alloc(pages, align, r, backing);
		if (!came)
			break;
	}
	return a;
}

/*
 * Areas are carved several at a time, so that what one CPU uses lies together: else CPUs that carve
 * in turn would have every other entry of a table, and pass its cache lines to and fro for good.
 */
#define BATCH_PAGES 128

static void carve_more(struct park *p, u64 pages)
{
	for (u64 n = pages; n + pages <= BATCH_PAGES; n += pages) {
		struct area *a = area_alloc(pages, 1, AREA_ANYWHERE, AREA_TABLES);

		if (!a)
			return;
		a->parked = (struct area *)atomic_xchg(&p->class[pages - 1].ready, 0);
		atomic_set(&p->class[pages - 1].ready, (u64)a);
	}
}

struct area *park_get(u64 pages)
{
	struct park *p = this_park();
	/* under poison nothing is taken from a ready list: what is carved for it would be lost */
	bool ready = pages <= PARK_MAX_PAGES && !in_interrupt() && !lazy_poison();
	struct area *a;

	count(park_miss);
	if (ready && refill(p, pages)) {
		a = park_pop(p, pages);
		if (a)
			return a;
	}
	a = park_get_aligned(pages, 1, AREA_ANYWHERE, AREA_TABLES);
	if (a && ready && pages <= BATCH_PAGES / 2)
		carve_more(p, pages);
	return a;
}

/* --- taking --- */

void park_cleared(struct area *a)
{
	struct park *p = this_park();

	park_push(a->pages > PARK_MAX_PAGES ? &p->large : &p->class[a->pages - 1].cleared, a);
}

void park_ready(struct area *a)
{
	atomic_t *ready;

	a->stamp = 0;
	if (a->pages > PARK_MAX_PAGES) {
		area_free(a);
		return;
	}
	if (in_interrupt()) {
		park_cleared(a);
		return;
	}
	ready = &this_park()->class[a->pages - 1].ready;
	a->parked = (struct area *)atomic_xchg(ready, 0);
	atomic_set(ready, (u64)a);
}

/* --- looking after it all --- */

static void pass_checkpoints(struct park *p, u64 horizon)
{
	unsigned n = 0;

	while (n < p->checkpoints && p->checkpoint[n].stamp < horizon)
		p->covered = p->checkpoint[n++].total;
	p->checkpoints -= n;
	memmove(p->checkpoint, p->checkpoint + n, p->checkpoints * sizeof(p->checkpoint[0]));
}

/* The classes nobody has used since the last look. */
static void send_idle_home(struct park *p, u64 horizon)
{
	for (unsigned i = 0; i < PARK_MAX_PAGES; i++) {
		struct park_class *c = &p->class[i];
		u64 looks = atomic_read(&c->ready) + atomic_read(&c->cleared);

		if (looks && looks == p->seen[i]) {
			send_home(take_all(&c->ready));
			send_home(take_forgotten(&c->cleared, horizon));
			looks = 0;
		}
		p->seen[i] = looks;
	}
	send_home(take_forgotten(&p->large, horizon));
}

static void note_peak(struct park *p)
{
	p->peak = MAX(p->peak, p->total - p->covered);
}

void park_overflow(void)
{
	struct park *p = this_park();

	if (in_interrupt() || (lazy_policy() == LAZY_PTE && !may_wait()))
		return; /* the next unmapping does it: of the thread, and where a purge may be */
	p->total += share - (u64)p->room;
	p->room = (s64)share;
	if (lazy_policy() == LAZY_PTE)
		lazy_purge(PURGE_PTES);
	p->checkpoint[p->checkpoints].stamp = shootdown_newest();
	p->checkpoint[p->checkpoints++].total = p->total;
	note_peak(p);
	shootdown_quiet_point();
	pass_checkpoints(p, shootdown_horizon());
	if (p->checkpoints >= rounds) {
		p->checkpoints--; /* the next takes this one's place, if we may not wait now */
		if (may_wait()) {
			count(park_forced);
			lazy_purge(PURGE_FLUSH);
			pass_checkpoints(p, shootdown_horizon());
		}
	}
	send_idle_home(p, shootdown_horizon());
	frame_release_held();
}

u64 park_drain(void)
{
	u64 n = 0, horizon = shootdown_horizon();

	atomic_fetch_add(&draining, 1);
	for (unsigned cpu = 0; cpu < nr_cpus; cpu++) {
		struct park *p = &parks[cpu];

		for (unsigned i = 0; i < PARK_MAX_PAGES; i++) {
			n += send_home(take_all(&p->class[i].ready));
			n += send_home(take_forgotten(&p->class[i].cleared, horizon));
		}
		n += send_home(take_forgotten(&p->large, horizon));
	}
	atomic_fetch_add(&draining, -1ull);
	return n;
}

u64 park_waiting(unsigned cpu)
{
	const struct park *p = &parks[cpu];

	return GLANCE(p->total) + share - (u64)GLANCE(p->room) - GLANCE(p->covered);
}

u64 park_peak(unsigned cpu)
{
	u64 waiting = park_waiting(cpu), peak = GLANCE(parks[cpu].peak);

	return MAX(peak, waiting);
}

static void set_rounds(void)
{
	u64 round = share * MAX(cpumask_count(cpus_online()), 1u) * BYTES_PER_WAITING_PAGE;
	u64 n = (early_ram_frames() << PAGE_SHIFT) / MEMORY_PART / MAX(round, 1ul);

	rounds = (unsigned)MIN(MAX(n, MIN_ROUNDS), PARK_CHECKPOINTS);
}

/* More than can be counted is as good as none. */
#define SHARE_MAX (1ul << 40)

/* Each CPU begins a round. What one unmaps while its share is changed may not be counted. */
void park_set_share(u64 pages)
{
	u64 was = share;

	share = MIN(pages, SHARE_MAX);
	for (unsigned cpu = 0; cpu < MAX_CPUS; cpu++) {
		parks[cpu].total += was - (u64)parks[cpu].room;
		parks[cpu].room = (s64)share;
	}
	set_rounds();
}

void park_init(u64 pages)
{
	memset(parks, 0, sizeof(parks));
	share = MIN(pages, SHARE_MAX);
	set_rounds();
	for (unsigned cpu = 0; cpu < MAX_CPUS; cpu++) {
		cpus[cpu].park = &parks[cpu];
		parks[cpu].last = &area_none;
		parks[cpu].room = (s64)share;
	}
}
