// SPDX-License-Identifier: MIT
/* Demonstrations: the machine shows what the comments claim. Run by `demo NAME`. */
#ifndef KERNEL_DEMO_H
#define KERNEL_DEMO_H

/*
 * The few lines of every boot: map, read on all CPUs, unmap lazily, purge. => thread context, IRQs
 * on
 */
void demo_boot_story(void);

#endif
