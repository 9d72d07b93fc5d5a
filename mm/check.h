// SPDX-License-Identifier: MIT
/* The invariant walker: reads everything mm/ keeps and says what contradicts what. */
#ifndef MM_CHECK_H
#define MM_CHECK_H

#include "mm/mm_internal.h"

/*
 * mm_check: the invariants (docs/verification.md) that can be read off a machine at rest.
 *   => thread context; nobody maps, unmaps or allocates meanwhile
 *   => number of faults, each printed; verbose prints a line for what was checked as well
 */
unsigned mm_check(bool verbose);

/*
 * mm_frames_at_hand: frames that are free, plus those mm/ holds for itself and will use again (page
 * tables, pools). Nothing leaks if it is the same before and after.
 */
u64 mm_frames_at_hand(void);

#endif
