// SPDX-License-Identifier: MIT
/* The platform "bare metal" for mm/ (mm/mmu_ops.h); the essay is in mmu_native.c. */
#ifndef ARCH_X86_MMU_NATIVE_H
#define ARCH_X86_MMU_NATIVE_H

#include "mm/mmu_ops.h"

extern struct mmu_ops native_mmu_ops;

/*
 * mmu_native_init: fills in what CPUID decides (1 GiB leaves, how to forget everything) and
 * registers the shootdown's vector. => after cpu_init_boot() and idt_init(), before mmu is used
 */
void mmu_native_init(void);

#endif
