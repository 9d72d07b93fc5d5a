// SPDX-License-Identifier: MIT
/*
 * The search through all schedules with up to so many events (as CHESS: Musuvathi and Qadeer, PLDI
 * 2007, whose preemptions are among ours). A run with a list of events says what else could have
 * happened after the last of them; each of that makes a longer list. So every list is tried once.
 *
 * To let another CPU run before a step makes a difference only if the step conflicts with
 * something that CPU does: both use a word, and one writes it. Which words those are is learned
 * from the runs themselves. As long as a search has found new ones it is made again, so at its end
 * it has been made with all of them: "complete" means that.
 */
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#include "tests/hostile/hostile.h"

#define WORDS 65536 /* a power of two */

/* In memory that all runs share. */
static struct use {
	u64 word;	     /* 0: none */
	u8 readers, writers; /* a bit per CPU */
} * uses;
static u32 *nr_conflicts;

static time_t ends;
static struct search *search;
static struct plan *failed;

static bool conflicts(const struct use *u)
{
	u32 all = u->readers | u->writers;

	return u->writers && (all & (all - 1));
}

bool conflict_seen(const void *word, bool write)
{
	u64 w = (u64)word >> 3, i = w * 0x9e3779b97f4a7c15ull >> 48;
	bool before;

	while (uses[i].word && uses[i].word != w)
		i = (i + 1) % WORDS;
	before = conflicts(&uses[i]);
	uses[i].word = w;
	if (write)
		uses[i].writers |= (u8)cpu_bit(sim.cpu);
	else
		uses[i].readers |= (u8)cpu_bit(sim.cpu);
	if (!before && conflicts(&uses[i]))
		++*nr_conflicts;
	return conflicts(&uses[i]);
}

u32 conflicts_known(void)
{
	return *nr_conflicts;
}

/* => false: a run failed, or the time is up */
static bool explore(struct plan *p, struct event *list, u32 nr, unsigned depth)
{
	struct event *more;
	u32 n;
	bool good = true;

	p->list = list;
	p->nr = nr;
	if (time(NULL) >= ends)
		return false;
	search->schedules++;
	if (!run_plan(p)) {
		*failed = *p;
		return false;
	}
	KASSERT(!outcome->unused, "a run is not repeated by its events");
	if (nr == depth)
		return true;
	n = outcome->nr_alternatives;
	more = malloc((n + 1) * sizeof(*more));
	memcpy(more, outcome->alternative, n * sizeof(*more));
	for (u32 i = 0; i < n && good; i++) {
		list[nr] = more[i];
		good = explore(p, list, nr + 1, depth);
	}
	free(more);
	return good;
}

bool exhaust(const struct plan *p, unsigned depth, unsigned seconds, struct search *s,
	     struct plan *bad)
{
	struct event *list = calloc(depth + 1, sizeof(*list));
	struct plan plan = *p;
	u32 before;
	bool good;

	uses = zeroed(WORDS * sizeof(*uses), MAP_SHARED);
	nr_conflicts = zeroed(PAGE_SIZE, MAP_SHARED);
	ends = time(NULL) + seconds;
	search = s;
	failed = bad;
	failed->work = NULL;
	plan.strategy = BY_LIST;
	plan.wants_alternatives = true;
	do {
		before = conflicts_known();
		s->schedules = 0;
		good = explore(&plan, list, 0, depth);
	} while (good && conflicts_known() != before);
	s->words = conflicts_known();
	s->complete = good;
	return good || !failed->work;
}
