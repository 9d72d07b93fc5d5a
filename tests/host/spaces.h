// SPDX-License-Identifier: MIT
/* What the tests of address spaces share. */
#ifndef TESTS_HOST_SPACES_H
#define TESTS_HOST_SPACES_H

#include "mm/aspace.h"
#include "mm/check.h"
#include "mm/pagetable.h"
#include "mm/pool.h"
#include "tests/host/mapping.h"

#define BASE 0x40000000ul /* the start of a level-2 table's part */

static inline struct aspace *new_space(const char *name)
{
	struct aspace *as = aspace_create(name);

	KASSERT(as, "no space");
	return as;
}

static inline void destroy(struct aspace *as)
{
	KASSERT(!aspace_destroy(as), "'%s' is not destroyed: %s", as->name, sim_printed());
}

/* As CPU `cpu`. */
static inline void load(unsigned cpu, struct aspace *as)
{
	unsigned was = sim.cpu;

	sim_on(cpu);
	if (as)
		KASSERT(!aspace_load(as), "not loaded");
	else
		aspace_leave();
	sim_on(was);
}

static inline bool reads(unsigned cpu, vaddr_t va, u64 want)
{
	u64 v;

	return !sim_read(cpu, va, &v) && v == want;
}

struct rest {
	u64 at_hand, free, tables;
};

static inline struct rest rest(void)
{
	return (struct rest){mm_frames_at_hand(), frame_free_total() + pool_frames(),
			     pt_tables_held()};
}

static inline bool at_rest(const struct rest *was)
{
	struct rest is = rest();

	return !memcmp(&is, was, sizeof(is)) && !mm_check(false);
}

#endif
