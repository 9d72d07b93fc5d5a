// SPDX-License-Identifier: MIT
/* Demonstrations: the machine shows what the comments claim. Run by `demo NAME`. */
#ifndef KERNEL_DEMO_H
#define KERNEL_DEMO_H

#include "kernel/types.h"

/*
 * The few lines of every boot: map, read on all CPUs, unmap lazily, purge. => thread context, IRQs
 * on
 */
void demo_boot_story(void);

/* The policies side by side (kernel/demo_lazy.c). => thread context, IRQs on; 0 or -errno */
int demo_lazy(void) __must_check;

/* A page table is forged, and with the exact purge not (kernel/demo_forge.c). => as demo_lazy */
int demo_forge(void) __must_check;

#endif
