// SPDX-License-Identifier: MIT
/*
 * The page-table entry: SDM vol. 3A, 4.5 (4-level paging), tables 4-15 to 4-20. The same format
 * serves all three platforms; only the frame number's meaning differs (mfn under Xen). Pure C, no
 * privileged instruction, so the host tests read and write the very same entries.
 */
#ifndef ARCH_X86_PTE_H
#define ARCH_X86_PTE_H

#include "mm/types.h"

typedef struct {
	u64 v;
} pte_t;

#define PTE_P	 (1ull << 0)
#define PTE_W	 (1ull << 1)
#define PTE_U	 (1ull << 2)
#define PTE_PWT	 (1ull << 3)
#define PTE_PCD	 (1ull << 4)
#define PTE_A	 (1ull << 5)
#define PTE_D	 (1ull << 6)
#define PTE_PS	 (1ull << 7) /* levels 2 and 3: maps a large page; level 1: PAT */
#define PTE_PAT	 (1ull << 7) /* level 1 only */
#define PTE_G	 (1ull << 8)
#define PTE_NX	 (1ull << 63)

#define PTE_ADDR 0x000ffffffffff000ull

/*
 * Memory types by PAT index (SDM vol. 3A, 11.12): index = PAT<<2 | PCD<<1 | PWT. We keep the
 * power-on table but for entry 1 (PWT alone), which arch/x86/cpu.c turns from WT into WC.
 */
#define PTE_CACHE_UC (PTE_PCD | PTE_PWT) /* entry 3: UC */
#define PTE_CACHE_WC PTE_PWT		 /* entry 1: WC, ours */

#define PT_LEVELS    4
#define PT_ENTRIES   512

/* Bytes mapped by one entry of `level`: 4 KiB, 2 MiB, 1 GiB, 512 GiB for levels 1 to 4. */
static inline u64 pt_entry_size(int level)
{
	return 1ull << (PAGE_SHIFT + 9 * (level - 1));
}

static inline unsigned pt_index(vaddr_t va, int level)
{
	return (va >> (PAGE_SHIFT + 9 * (level - 1))) & (PT_ENTRIES - 1);
}

/* Bits 63:47 of an address are equal (SDM vol. 1, 3.3.7.1). */
static inline bool va_canonical(vaddr_t va)
{
	return (u64)((s64)(va << 16) >> 16) == va;
}

static inline bool pte_present(pte_t e)
{
	return e.v & PTE_P;
}

static inline bool pte_writable(pte_t e)
{
	return e.v & PTE_W;
}

static inline bool pte_executable(pte_t e)
{
	return !(e.v & PTE_NX);
}

/* => at level 1, or a large page above it */
static inline bool pte_leaf(pte_t e, int level)
{
	return level == 1 || (level <= 3 && (e.v & PTE_PS));
}

/* The address bits; of a large page, those above its size (bit 12 is PAT there). */
static inline paddr_t pte_addr(pte_t e, int level)
{
	u64 size = level > 1 && (e.v & PTE_PS) ? pt_entry_size(level) : PAGE_SIZE;

	return e.v & PTE_ADDR & ~(size - 1);
}

/*
 * The bits of a leaf for `prot` at `level`, without its address. Accessed and dirty are set from
 * the start: no one reads them, and the processor need not write the entry to set them.
 */
static inline u64 pte_leaf_bits(unsigned prot, int level)
{
	u64 v = PTE_P | PTE_A | PTE_D;

	if (prot & VM_W)
		v |= PTE_W;
	if (!(prot & VM_X))
		v |= PTE_NX;
	if (prot & VM_UC)
		v |= PTE_CACHE_UC;
	if (prot & VM_WC)
		v |= PTE_CACHE_WC;
	if (!(prot & VM_LOCAL))
		v |= PTE_G;
	if (level > 1)
		v |= PTE_PS;
	return v;
}

/* Of an entry that links to the next table: all rights, the leaves restrict. */
#define PTE_TABLE_BITS (PTE_P | PTE_W | PTE_A)

#endif
