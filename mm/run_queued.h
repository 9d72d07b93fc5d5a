// SPDX-License-Identifier: MIT
/*
 * mmu_ops->set_run, clear_run and its kin for a platform whose entries cannot be written but must
 * be asked for (a hypervisor): runs become batches of set_leaf. Contracts: mm/mmu_ops.h.
 */
#ifndef MM_RUN_QUEUED_H
#define MM_RUN_QUEUED_H

#include "mm/run.h"

int run_set_queued(pte_t *e, struct frame *const *f, unsigned n, u64 bits, u64 alias);
struct run_stop run_clear_queued(pte_t *e, unsigned n, u64 alias);
irqflags_t run_clear_begin_queued(void);
void run_clear_end_queued(irqflags_t flags);

#endif
