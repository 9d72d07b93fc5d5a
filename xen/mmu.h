// SPDX-License-Identifier: MIT
/* The platform "Xen PV" for mm/ (mm/mmu_ops.h); the essay is in mmu.c. */
#ifndef XEN_MMU_H
#define XEN_MMU_H

#include "mm/mmu_ops.h"

struct start_info;
struct kernel_image;

extern struct mmu_ops xen_mmu_ops;

/* The first pfn that the domain builder has not mapped. */
u64 xen_builder_end(const struct start_info *si);

/*
 * xen_mmu_early: phys_to_virt() reaches what the domain builder has mapped, and as much more as
 * page tables will take.
 *   => boot vCPU, builder's page tables; once
 */
void xen_mmu_early(const struct start_info *si);

/* Reserves what the domain builder has put there, until the tables are ours. => 0 or -errno */
int xen_mmu_reserve(struct kernel_image *img);

/* A root as CR3 has it. */
u64 xen_root_cr3(pfn_t root);

/* --- between mmu.c and enter.c --- */

/* The entry that maps `pfn` in the direct map of our own tables. => the frame is there */
pte_t *xen_direct_entry(pfn_t pfn);

/* => is it a table that Xen may look at: read-only in the direct map? */
bool xen_is_sealed(pfn_t table);

/* load_root() for the first time: from the builder's tables to ours. => 0 or -errno */
int xen_enter_own_tables(pfn_t root);

/* One MMUEXT_* operation on a frame. => 0 or -errno */
int xen_frame_op(unsigned cmd, pfn_t pfn);

#endif
