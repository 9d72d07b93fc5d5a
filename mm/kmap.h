// SPDX-License-Identifier: MIT
/*
 * One frame at a time: how memory above directmap=SIZE is reached. A kmap is a vmap of one page, by
 * the same engine; under policy pte its mapping stays behind when it ends and is revived by the
 * next kmap of the frame: no entry written, nothing flushed. That is all there is of a cache.
 */
#ifndef MM_KMAP_H
#define MM_KMAP_H

#include "mm/vmap.h"

/*
 * kmap: `f` writable, at an address every CPU may use until kunmap. Each kmap has one of its own.
 *   => contexts and failures as vmap; kunmap: va is what kmap gave, and panics by name as vunmap
 */
void *kmap(struct frame *f) __must_check;
void kunmap(void *va);

/*
 * kmap_local: `f` writable at an address of this CPU's alone, in a part of the address space that
 * no other CPU's tables have. Never fails, never waits, sends no IPI: ending it is one INVLPG here.
 *   => any context but NMI; the last taken is the first to be given back, interrupts nest in
 *      between; at most KMAP_LOCAL_SLOTS at once on a CPU, or it panics
 *   => a thread does not yield while it holds one
 */
#define KMAP_LOCAL_SLOTS 16

void *kmap_local(struct frame *f) __must_check;
void kunmap_local(void *va);

/*
 * kmap_local_init_cpu: the slots of CPU `cpu`, and a root that has them, for that CPU to load when
 * it starts. => boot CPU, thread context; 0 or -ENOMEM
 * kmap_local_root: that root; kernel_root before there is one
 */
int kmap_local_init_cpu(unsigned cpu) __must_check;
pfn_t kmap_local_root(unsigned cpu);

/* For alias.c and the walker: a slot by its alias index (mm/alias.h). => alias_is_local(index) */
struct alias_record *kmap_local_record(u64 index);
vaddr_t kmap_local_va(u64 index);
pte_t *kmap_local_entry(u64 index);
unsigned kmap_local_cpu(u64 index);

#endif
