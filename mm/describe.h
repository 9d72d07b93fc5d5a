// SPDX-License-Identifier: MIT
/* What an address means: for panics, the monitor and anyone with a number in hand. */
#ifndef MM_DESCRIBE_H
#define MM_DESCRIBE_H

#include "mm/area.h"

/*
 * mm_describe: one line such as "guard page after area 'vmap' 0xffff900000003000+4 pages, mapped
 * by f".
 *   => any context, a panic included: takes no lock; length as snprintf
 */
int mm_describe(vaddr_t va, char *buf, size_t size);

/*
 * describe_area_at: a copy of the area that holds `va`, for people: what its present use did not
 * record (vm_map_ram) is blank, not what the use before has left there.
 *   => any context; false if va is not in the vmap area
 */
bool describe_area_at(vaddr_t va, struct area *copy);

#endif
