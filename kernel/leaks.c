// SPDX-License-Identifier: MIT
/*
 * The leak report: see kernel/leaks.h. A table of fixed size and a linear search in it are enough:
 * there are a few dozen places in a kernel that map something for longer than a moment.
 */
#include "kernel/leaks.h"
#include "kernel/cmd_mm.h"
#include "kernel/string.h"

static struct leak_group *find(struct leaks *l, u64 mapper)
{
	for (unsigned i = 0; i < l->nr; i++)
		if (l->group[i].mapper == mapper)
			return &l->group[i];
	return NULL;
}

const struct leak_group *leaks_find(const struct leaks *l, u64 mapper)
{
	return find((struct leaks *)l, mapper);
}

static struct leak_group *find_or_add(struct leaks *l, u64 mapper)
{
	struct leak_group *g = find(l, mapper);

	if (!g && l->nr >= LEAK_GROUPS) {
		mapper = LEAK_THE_REST;
		g = find(l, mapper);
	}
	if (!g) {
		g = &l->group[l->nr++];
		*g = (struct leak_group){.mapper = mapper, .oldest = ~0ul};
	}
	return g;
}

void leaks_collect(struct leaks *l, u64 until)
{
	struct area a;

	l->nr = 0;
	area_for_each (a) {
		struct leak_group *g;

		if (word_state(atomic_read(&a.word)) != AREA_LIVE || a.mapped_at > until)
			continue;
		g = find_or_add(l, a.mapper);
		g->areas++;
		g->pages += a.pages;
		g->oldest = MIN(g->oldest, a.mapped_at);
	}
}

const char *leaks_who(const struct leak_group *g, char *buf)
{
	if (g->mapper != LEAK_THE_REST)
		return who_text(g->mapper, buf);
	strlcpy(buf, "(others)", WHO_TEXT);
	return buf;
}
