// SPDX-License-Identifier: MIT
/*
 * Mapping frames at kernel addresses, and taking the mapping away again: the subject of this
 * kernel. An area is a run of pages in the vmap area with a guard page after it.
 *
 *   free -> live -> cleared -> (every CPU has flushed) -> free
 *
 * Under policy `off` vunmap walks the whole way at once. Under `tlb` it stops at cleared: the
 * entries are gone, but CPUs may remember them, so neither the addresses are reissued nor may a
 * frame be given to an owner who must not be read or written through them.
 */
#ifndef MM_VMAP_H
#define MM_VMAP_H

#include "mm/area.h"
#include "mm/mmu_ops.h"

/*
 * vmap: the n frames at consecutive addresses, in array order. The array is not kept.
 *   => prot: VM_R or VM_W, with or without VM_LOCAL; the frames are in use, none is a page table
 *   => thread context, no spinlock held; when addresses run out it purges and tries again; with
 *      IRQs off it cannot wait for that and fails
 *   => NULL: n is 0 or larger than the vmap area, no memory for tables, or no addresses; nothing
 *      changed
 */
void *vmap(struct frame *const *f, unsigned n, unsigned prot) __must_check;

/*
 * vmap_pfn: n consecutive frame numbers that are not RAM of ours (device registers, framebuffers).
 *   => prot: VM_UC or VM_WC, with or without VM_W; otherwise as vmap
 *   => NULL also, with a message, if the addresses are RAM or beyond what the processor can name
 */
void *vmap_pfn(pfn_t first, unsigned n, unsigned prot, const char *name) __must_check;

/*
 * vunmap: the end of a mapping; va is what vmap gave. The frames are the caller's again at once.
 *   => thread context, IRQs on, no spinlock held; va NULL is nothing; anything else panics by name
 */
void vunmap(void *va);

/*
 * vmap_stack_alloc: `pages` fresh frames mapped with guards on both sides, for a stack. => the
 * lowest address, or NULL
 */
void *vmap_stack_alloc(unsigned pages, const char *name) __must_check;
void vmap_stack_free(void *va);

/*
 * vm_unmap_aliases: everything unmapped so far is gone from every CPU, and its addresses are free,
 * when this returns. => thread context, IRQs on, no spinlock held
 */
void vm_unmap_aliases(void);

void vmap_init(enum lazy_policy policy, u64 lazy_max_pages);

#endif
