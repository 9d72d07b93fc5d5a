// SPDX-License-Identifier: MIT
/*
 * Two numbers for a frame. The guest counts its frames from 0 (pfn); the machine knows them by
 * another number (mfn), and that is what a page-table entry must hold: Xen does not translate. Two
 * lists turn one into the other: ours, which the domain builder has left us, by pfn; and Xen's, by
 * mfn, which it shows every guest (read-only, at XEN_M2P).
 *
 * To mm/ an entry is always in terms of pfns: entry_encode() and entry_decode() stand between. They
 * also hide two habits of Xen's: it sets U, and a bit of its own (52), in entries of a guest's
 * kernel, and wants them without G (Xen: arch/x86/x86_64/mm.c, adjust_guest_*); so G is remembered
 * in a bit that the processor leaves to software. Another such bit says that the address is the
 * machine's: a device, or a page of Xen's.
 */
#ifndef XEN_P2M_H
#define XEN_P2M_H

#include "boot/xen.h"
#include "mm/mmu_ops.h"

#ifndef XEN_M2P			     /* the host tests have one of their own */
#define XEN_M2P 0xffff800000000000ul /* Xen: arch-x86/xen-x86_64.h, machine_to_phys */
#endif

#define PTE_XEN_KERNEL	 (1ull << 52) /* Xen's _PAGE_GUEST_KERNEL */
#define PTE_SOFT_GLOBAL	 (1ull << 9)  /* ours: mm/ has asked for G */
#define PTE_SOFT_MACHINE (1ull << 10) /* ours: the address is no frame of the guest's */

extern const u64 *xen_p2m; /* entries: the domain's pfns */
extern u64 xen_nr_pfns;

static inline mfn_t pfn_to_mfn(pfn_t pfn)
{
	KASSERT(pfn.n < xen_nr_pfns && !(xen_p2m[pfn.n] & XEN_MFN_INVALID),
		"frame %#lx is none of the domain's", pfn.n);
	return (mfn_t){xen_p2m[pfn.n]};
}

/* => the frame is ours, or was when Xen said so */
static inline pfn_t mfn_to_pfn(mfn_t mfn)
{
	return (pfn_t){((const u64 *)XEN_M2P)[mfn.n]};
}

static inline bool pfn_is_ours(pfn_t pfn)
{
	return pfn.n < xen_nr_pfns && !(xen_p2m[pfn.n] & XEN_MFN_INVALID);
}

/* => what mm/ wants an entry to be, as Xen wants it */
static inline u64 entry_encode(u64 v)
{
	pfn_t pfn = paddr_to_pfn(v & PTE_ADDR);

	if (!(v & PTE_P))
		return 0;
	if (v & PTE_G)
		v = (v & ~PTE_G) | PTE_SOFT_GLOBAL;
	if (!pfn_is_ours(pfn))
		return v | PTE_SOFT_MACHINE;
	return (v & ~PTE_ADDR) | pfn_to_mfn(pfn).n << PAGE_SHIFT;
}

/* => what the entry in memory means to mm/ */
static inline u64 entry_decode(u64 v)
{
	if (!(v & PTE_P))
		return v;
	if (v & PTE_SOFT_GLOBAL)
		v |= PTE_G;
	if (!(v & PTE_SOFT_MACHINE))
		v = (v & ~PTE_ADDR) | mfn_to_pfn((mfn_t){(v & PTE_ADDR) >> PAGE_SHIFT}).n
					      << PAGE_SHIFT;
	return v & ~(PTE_U | PTE_XEN_KERNEL | PTE_SOFT_GLOBAL | PTE_SOFT_MACHINE);
}

#endif
