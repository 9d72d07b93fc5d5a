// SPDX-License-Identifier: MIT
/* Running a function where an interrupt would: in a handler, on any CPU, amid whatever it does. */
#ifndef TESTS_KERNEL_INTERRUPT_H
#define TESTS_KERNEL_INTERRUPT_H

#include "kernel/types.h"

/*
 * interrupt_cpu: fn(arg) runs in an interrupt handler on `cpu`, and has ended when this returns.
 *   => thread context, IRQs on; `cpu` is online and its interrupts are on
 */
void interrupt_cpu(unsigned cpu, void (*fn)(void *), void *arg);

#endif
