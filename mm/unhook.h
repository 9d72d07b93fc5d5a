// SPDX-License-Identifier: MIT
/*
 * Whole level-1 tables of lazily unmapped pages emptied by one change, where the platform is asked
 * for entries (mmu->empty_table). The essay is in unhook.c; for mm/lazy.c and who sets entries.
 */
#ifndef MM_UNHOOK_H
#define MM_UNHOOK_H

#include "mm/area.h"

/*
 * unhook_begin: this CPU may unhook tables until unhook_end().
 *   => any context; false: the platform has no way to, or another CPU is at it
 */
bool unhook_begin(void);
void unhook_end(void);

/*
 * unhook_areas: of the areas of a list, which are CLEARED and the caller's and have their entries
 * still, those that lie in tables where nothing else is mapped lose them.
 *   => between unhook_begin() and unhook_end(); any IRQ state
 *   => the others, as they were. *emptied: those that have no entry any more; no CPU remembers
 *      them, and they are stamped accordingly. *pages grows by how many they were
 */
struct area *unhook_areas(struct area *list, struct area **emptied, u64 *pages);

/*
 * hooked_begin: until hooked_end() every table of the vmap area is where it belongs. Who sets an
 * entry there finds its table and has it set in between.
 *   => any context; IRQs are off in between, and nothing is waited for
 *   => what to give to hooked_end
 */
irqflags_t hooked_begin(void);
void hooked_end(irqflags_t flags);

#endif
