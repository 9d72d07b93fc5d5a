// SPDX-License-Identifier: MIT
/*
 * Operations of the endurance test (soak.h): address spaces, whose tables are made of the frames
 * that others free. Under Xen each is pinned when it is loaded; none may be refused.
 */
#include "kernel/errno.h"
#include "kernel/panic.h"
#include "mm/aspace.h"
#include "mm/frame.h"
#include "mm/vmap.h"
#include "tests/kernel/soak.h"

#define PROGRAM ((void *)0x40000000ul)

/* => 0, or refused: what the space holds was not touched */
static int with_space(struct soak_worker *w, struct soak_thing *t,
		      void (*fn)(const struct soak_thing *t))
{
	int err = aspace_load(t->as);

	KASSERT(!err || err == -ENOMEM || w->injecting, "a space is refused: %d", err);
	if (!err)
		fn(t);
	aspace_leave();
	return err;
}

static void fill(const struct soak_thing *t)
{
	soak_write(t, PROGRAM);
}

static void look(const struct soak_thing *t)
{
	soak_read(t, PROGRAM);
}

static void destroy(struct aspace *as)
{
	KASSERT(!aspace_destroy(as), "somebody else runs on a space of ours");
}

static void end_space(struct soak_worker *w, struct soak_thing *t)
{
	with_space(w, t, look);
	destroy(t->as);
}

SOAK(space)
{
	struct soak_thing *t = soak_take(w);
	int err;

	t->as = aspace_create("soak");
	if (!t->as)
		return -ENOMEM;
	t->pages = 1 + soak_random(w, SOAK_PAGES);
	err = aspace_map(t->as, (vaddr_t)PROGRAM, t->pages, VM_W);
	if (!err)
		err = with_space(w, t, fill);
	if (err)
		destroy(t->as);
	else
		t->end = end_space;
	return err;
}

SOAK(space_copy)
{
	struct soak_thing *from = soak_find(w, end_space), *to;

	if (!from)
		return soak_space(w);
	do
		to = w->slot[soak_random(w, SOAK_SLOTS)];
	while (to == from);
	if (to->end)
		to->end(w, to);
	to->end = NULL;
	to->as = aspace_copy(from->as, "soak copy");
	if (!to->as)
		return -ENOMEM;
	to->pages = from->pages;
	to->tag = from->tag;
	to->end = end_space;
	return 0;
}

/* The last page of a space goes, or one more comes. */
SOAK(space_resize)
{
	struct soak_thing *t = soak_find(w, end_space);
	vaddr_t last;
	int err;

	if (!t)
		return soak_space(w);
	last = (vaddr_t)PROGRAM + (t->pages - 1) * PAGE_SIZE;
	if (t->pages > 1 && soak_random(w, 2)) {
		err = aspace_unmap(t->as, last, 1);
		t->pages -= !err;
		return err;
	}
	err = aspace_map(t->as, last + PAGE_SIZE, 1, VM_W);
	if (err)
		return err;
	t->pages++;
	if (with_space(w, t, fill)) { /* its contents are not known: it goes again */
		t->pages--;
		return aspace_unmap(t->as, last + PAGE_SIZE, 1);
	}
	return 0;
}
