// SPDX-License-Identifier: MIT
/*
 * Making a failure small (delta debugging: Zeller and Hildebrandt, IEEE TSE 2002). First each CPU
 * does as few operations as will do, then as few events happen: parts of the list are left out, in
 * halves at first, then ever smaller, and what still fails is kept. Events are tied to the steps of
 * their own CPU, so leaving one out leaves most others where they were. The failure must stay the
 * same one, that is: say the same, numbers aside.
 */
#include <stdlib.h>

#include "tests/hostile/hostile.h"

static double deadline;

static bool time_is_up(void)
{
	return seconds_now() > deadline;
}

static void keep_events(struct plan *p, const struct event *list, u32 nr)
{
	memmove((struct event *)(u64)p->list, list, nr * sizeof(*list));
	p->nr = nr;
}

static char wanted[64];

/* What a failure says, without what comes before it and without numbers. */
static void gist(char *to, const char *text)
{
	const char *s = strstr(text, ": ");
	size_t n = 0;

	for (s = s ? s + 2 : text; *s && n < sizeof(wanted) - 1; s++)
		if (*s < '0' || *s > '9')
			to[n++] = *s;
	to[n] = 0;
}

/* => it fails still. Then its events are those that happened. */
static bool still_fails(struct plan *p)
{
	char got[sizeof(wanted)];

	if (run_plan(p))
		return false;
	gist(got, outcome->text);
	if (strcmp(got, wanted))
		return false;
	if (outcome->nr < p->nr)
		keep_events(p, outcome->event, outcome->nr);
	return true;
}

static void shrink_operations(struct plan *p)
{
	for (unsigned size = OPS_MAX; size && !time_is_up(); size /= 2)
		for (unsigned cpu = 0; cpu < CPUS_MAX; cpu++)
			for (unsigned from = 0; from < OPS_MAX && !time_is_up(); from += size) {
				u64 was = p->keep[cpu];
				u64 part = (size < 64 ? (1ull << size) - 1 : ~0ull) << from;

				if (!(was & part))
					continue;
				p->keep[cpu] &= ~part;
				if (!still_fails(p))
					p->keep[cpu] = was;
			}
}

static void shrink_events(struct plan *p)
{
	struct event *was = malloc(EVENTS_MAX * sizeof(*was));
	bool progress;

	do {
		progress = false;
		for (u32 size = MAX(p->nr / 2, 1u); size && !time_is_up(); size /= 2)
			for (u32 from = 0; from < p->nr && !time_is_up();) {
				u32 n = p->nr, part = MIN(size, n - from);

				memcpy(was, p->list, n * sizeof(*was));
				memmove((struct event *)(u64)(p->list + from),
					p->list + from + part, (n - from - part) * sizeof(*was));
				p->nr = n - part;
				if (still_fails(p)) {
					progress = true;
					continue;
				}
				keep_events(p, was, n);
				from += part;
			}
	} while (progress && !time_is_up());
	free(was);
}

void shrink(struct plan *p, unsigned seconds)
{
	struct event *list = malloc(EVENTS_MAX * sizeof(*list));

	deadline = seconds_now() + seconds;
	KASSERT(!run_plan(p), "it does not fail again: the run depends on more than its plan");
	gist(wanted, outcome->text);
	memcpy(list, outcome->event, outcome->nr * sizeof(*list));
	p->list = list;
	p->nr = outcome->nr;
	p->strategy = BY_LIST;
	if (!still_fails(p)) {
		printf("# its list of events alone does not fail: not made smaller\n");
		return;
	}
	shrink_operations(p);
	shrink_events(p);
	shrink_operations(p);
}
