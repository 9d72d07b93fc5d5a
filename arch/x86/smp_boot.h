// SPDX-License-Identifier: MIT
/* Starting the other processors; the essay is in smp_boot.c. */
#ifndef ARCH_X86_SMP_BOOT_H
#define ARCH_X86_SMP_BOOT_H

#include "arch/x86/acpi.h"

/*
 * smp_init: starts every other CPU the MADT lists, and fixes nr_cpus.
 *   => boot CPU in thread context, IRQs on; after threads_init() and timer_init()
 *   => low_page: a page of RAM below 1 MiB that is nobody's, or 0: then no other CPU can start
 *   => a CPU that does not come up is named on the console and left out; never fails
 */
void smp_init(const struct madt_info *madt, paddr_t low_page);

#endif
