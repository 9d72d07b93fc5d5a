// SPDX-License-Identifier: MIT
/*
 * What the life of an address space costs, step by step: create, map some pages, load it, leave it,
 * destroy it. Loading for the first time makes a top-level table, loading again only writes CR3.
 */
#include "kernel/errno.h"
#include "kernel/printk.h"
#include "kernel/test.h"
#include "mm/aspace.h"
#include "tests/kernel/bench.h"

#define LIVES	   64
#define MANY_PAGES 2048

enum step {
	STEP_CREATE,
	STEP_MAP,
	STEP_LOAD,
	STEP_LEAVE,
	STEP_AGAIN, /* load and leave once more */
	STEP_COPY,  /* and destroy the copy */
	STEP_UNMAP, /* half of the pages, not loaded */
	STEP_DESTROY,
	STEPS
};

static const char *const names[STEPS] = {"create", "map",  "load",  "leave",
					 "again",  "copy", "unmap", "destroy"};

struct life {
	u64 ticks[STEPS];
	u64 from;
};

static void begin(struct life *l)
{
	l->from = tsc_now();
}

/* The least of all lives: a tick in the middle is no part of it. */
static void end(struct life *l, enum step s)
{
	l->ticks[s] = MIN(l->ticks[s], tsc_now() - l->from);
	begin(l);
}

/* => 0 or -errno; then the space is gone all the same */
static int use(struct life *l, struct aspace *as, u64 pages)
{
	struct aspace *copy;
	int err = aspace_map(as, 1 * GiB, pages, VM_W);

	end(l, STEP_MAP);
	err = err ? err : aspace_load(as);
	end(l, STEP_LOAD);
	aspace_leave();
	end(l, STEP_LEAVE);
	err = err ? err : aspace_load(as);
	aspace_leave();
	end(l, STEP_AGAIN);
	copy = aspace_copy(as, "copy");
	err = err ? err : copy ? aspace_destroy(copy) : -ENOMEM;
	end(l, STEP_COPY);
	err = err ? err : aspace_unmap(as, 1 * GiB, pages / 2);
	end(l, STEP_UNMAP);
	return err;
}

static int live(struct life *l, u64 pages)
{
	struct aspace *as;
	int err, gone;

	begin(l);
	as = aspace_create("bench");
	if (!as)
		return -ENOMEM;
	end(l, STEP_CREATE);
	err = use(l, as, pages);
	begin(l);
	gone = aspace_destroy(as);
	end(l, STEP_DESTROY);
	return err ? err : gone;
}

static int bench_lives(u64 pages)
{
	struct life l;
	u64 sum;
	int err = 0;

	for (unsigned s = 0; s < STEPS; s++)
		l.ticks[s] = ~0ul;
	for (unsigned i = 0; i < LIVES && !err; i++)
		err = live(&l, pages);
	if (err)
		return err;
	sum = l.ticks[STEP_CREATE] + l.ticks[STEP_MAP] + l.ticks[STEP_LOAD] + l.ticks[STEP_LEAVE] +
	      l.ticks[STEP_DESTROY];
	for (unsigned s = 0; s < STEPS; s++)
		printk("%5lu pages: %-8s %8lu ticks\n", pages, names[s], l.ticks[s]);
	printk("%5lu pages: create, map, load, leave and destroy: %lu ticks, %lu a page\n", pages,
	       sum, per(sum, pages));
	printk("BENCH {\"bench\":\"aspace\",\"pages\":%lu,\"insns\":%lu", pages, sum);
	for (unsigned s = 0; s < STEPS; s++)
		printk(",\"%s\":%lu", names[s], l.ticks[s]);
	printk("}\n");
	return 0;
}

KBENCH(aspace, "the life of an address space: create, map 8 or 2048 pages, load, copy, destroy")
{
	int err = bench_lives(8);

	err = err ? err : bench_lives(MANY_PAGES);
	if (err)
		printk("bench aspace: error %d\n", err);
	return err;
}
