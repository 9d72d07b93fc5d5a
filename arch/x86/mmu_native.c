// SPDX-License-Identifier: MIT
/*
 * Bare metal's mmu_ops. A page-table entry is written by writing it; there is no batch and nothing
 * can fail. What deserves thought is forgetting.
 *
 * One page: INVLPG drops the page's translations, global ones included, and all paging-structure
 * caches. Everything: not by writing CR3. Kernel mappings are global (PTE_G), so that a root
 * switch keeps them, and MOV to CR3 is defined to keep them: SDM vol. 3A, 4.10.4.1. What drops
 * global entries too is INVPCID of type 2, or any change of CR4.PGE: we use the first where there
 * is one, for it is one instruction and leaves no moment without global pages, else we change PGE
 * and change it back.
 *
 * Where there are PCIDs they are on, and every root has PCID 0. What that does to the primitives:
 *
 *   INVLPG            the current PCID's entries, which are all there are, and global ones; not on
 *                     some processors, where therefore PCIDs stay off (cpu.c)
 *   INVPCID type 2    all PCIDs, global ones, paging-structure caches: everything
 *   CR4.PGE changed   the same
 *   MOV to CR3        with bit 63 clear: the current PCID's entries but the global ones; never
 *                     counted as a flush (Xen did count one that had bit 63 set: XSA-292)
 *
 * Entries are cleared by an atomic exchange: it is a full barrier, so the stamp that the caller
 * takes next is read after the entry is gone from memory (mm/shootdown.c: why it is right).
 *
 * Read next: mm/shootdown.c, which decides who forgets what.
 */
#include "arch/x86/mmu_native.h"
#include "arch/x86/apic.h"
#include "arch/x86/cpu.h"
#include "arch/x86/idt.h"
#include "arch/x86/regs.h"
#include "mm/shootdown.h"

static pte_t *entries(pfn_t table, unsigned slot)
{
	return (pte_t *)phys_to_virt(pfn_to_paddr(table)) + slot;
}

static void native_set_leaf(pfn_t table, unsigned slot, pte_t e)
{
	WRITE_ONCE(entries(table, slot)->v, e.v);
}

static int native_batch_end(unsigned *done __attribute__((unused)))
{
	return 0;
}

static int native_attach_table(pfn_t parent, unsigned slot, int level __attribute__((unused)),
			       pfn_t table)
{
	PUBLISH(entries(parent, slot)->v, pfn_to_paddr(table) | PTE_TABLE_BITS);
	return 0;
}

static int native_load_root(pfn_t root)
{
	write_cr3(pfn_to_paddr(root)); /* PCID 0, bit 63 clear */
	return 0;
}

static void invalidate_all_invpcid(void)
{
	invpcid(INVPCID_ALL_WITH_GLOBALS, 0, 0);
}

/* Two changes, also if an NMI comes between those of the code it interrupts and finds PGE clear. */
static void invalidate_all_pge(void)
{
	u64 cr4 = read_cr4();

	write_cr4(cr4 ^ CR4_PGE);
	write_cr4(cr4);
}

static void native_kick(cpumask_t to)
{
	apic_send_ipi(to, VEC_SHOOTDOWN);
}

static void kicked(struct trap_frame *f __attribute__((unused)))
{
	count(ipi_received);
	shootdown_serve();
}

struct mmu_ops native_mmu_ops = {
	.name = "native",
	.max_leaf_level = 2,  /* 3 if CPUID says so: mmu_native_init() */
	.early_end = 4 * GiB, /* boot/boot.asm */
	.default_policy = LAZY_TLB,
	.set_leaf = native_set_leaf,
	.batch_end = native_batch_end,
	.attach_table = native_attach_table,
	.load_root = native_load_root,
	.flush = shootdown,
	.invalidate_page = invlpg,
	.invalidate_all = invalidate_all_pge,
	.kick = native_kick,
};

void mmu_native_init(void)
{
	native_mmu_ops.phys_end = 1ul << cpu_features.phys_bits;
	if (cpu_features.gb_pages)
		native_mmu_ops.max_leaf_level = 3;
	if (cpu_features.invpcid)
		native_mmu_ops.invalidate_all = invalidate_all_invpcid;
	irq_register(VEC_SHOOTDOWN, kicked);
}
