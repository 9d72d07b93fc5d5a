// SPDX-License-Identifier: MIT
/*
 * Who has what mapped. The live areas are grouped by the function that mapped them, which is what
 * one looks for when addresses or frames dwindle: the same place, again and again. The monitor's
 * `leaks` prints the groups; the test runner compares those before a test with those after it.
 */
#ifndef KERNEL_LEAKS_H
#define KERNEL_LEAKS_H

#include "kernel/types.h"

#define LEAK_GROUPS   128    /* functions; the areas of further ones are one group more */
#define LEAK_THE_REST (~0ul) /* the mapper of that group */

struct leak_group {
	u64 mapper; /* text address; 0: not recorded (vm_map_ram) */
	u64 areas, pages;
	u64 oldest; /* TSC of the first that is still live; 0: not recorded */
};

struct leaks {
	unsigned nr;
	struct leak_group group[LEAK_GROUPS + 1];
};

/*
 * leaks_collect: the live areas mapped at TSC `until` or before, those whose time is not recorded
 * among them. => thread context; exact if nobody maps or unmaps meanwhile
 */
void leaks_collect(struct leaks *l, u64 until);

/* => the group of `mapper`, or NULL if it has none */
const struct leak_group *leaks_find(const struct leaks *l, u64 mapper);

/* => its mapper's name, in buf[WHO_TEXT] (kernel/cmd_mm.h) */
const char *leaks_who(const struct leak_group *g, char *buf);

#endif
