// SPDX-License-Identifier: MIT
/*
 * mmu_ops->set_run and clear_run for a platform whose entries cannot be written but must be asked
 * for (a hypervisor): the run becomes one batch of set_leaf. Contracts: mm/mmu_ops.h.
 */
#ifndef MM_RUN_QUEUED_H
#define MM_RUN_QUEUED_H

#include "mm/run.h"

int run_set_queued(pte_t *e, struct frame *const *f, unsigned n, u64 bits, u64 alias);
struct run_stop run_clear_queued(pte_t *e, unsigned n, u64 alias);

#endif
