// SPDX-License-Identifier: MIT
/*
 * The nouns of mm/. A frame number, a machine frame number and a page-table entry are each a
 * struct of their own, so that handing one where another is meant does not compile.
 *
 *   pfn  the kernel's own numbering of physical frames: paddr >> 12
 *   mfn  the machine's, which differs under Xen; natively pfn and mfn are equal in value
 */
#ifndef MM_TYPES_H
#define MM_TYPES_H

#include "kernel/types.h"

#define PAGE_SHIFT 12
#define PAGE_SIZE  (1ul << PAGE_SHIFT)

typedef struct {
	u64 n;
} pfn_t;

typedef struct {
	u64 n;
} mfn_t;

static inline pfn_t pfn_make(u64 n)
{
	return (pfn_t){n};
}

static inline pfn_t paddr_to_pfn(paddr_t pa)
{
	return (pfn_t){pa >> PAGE_SHIFT};
}

static inline paddr_t pfn_to_paddr(pfn_t pfn)
{
	return pfn.n << PAGE_SHIFT;
}

/*
 * What a mapping allows, in portable words; arch/x86/pte.h turns them into bits. Reading is always
 * allowed. VM_W and VM_X exclude each other: W^X holds for every mapping there is.
 */
#define VM_R	 0u
#define VM_W	 (1u << 0)
#define VM_X	 (1u << 1)
#define VM_UC	 (1u << 2) /* uncached, for device registers */
#define VM_WC	 (1u << 3) /* write-combining, for framebuffers */
#define VM_LOCAL (1u << 4) /* not global: a CR3 load drops it */

#endif
