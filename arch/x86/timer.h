// SPDX-License-Identifier: MIT
/*
 * Measuring time once and ticking from then on; the essay is in timer.c, the clock itself in
 * kernel/time.h.
 */
#ifndef ARCH_X86_TIMER_H
#define ARCH_X86_TIMER_H

#include "kernel/types.h"

#define TICK_HZ 100

/*
 * timer_init: measures tsc_hz and the local APIC timer's rate (<= 20 ms) and starts the boot
 * CPU's tick.
 *   => boot CPU, after apic_init() (without an APIC: only tsc_hz), IRQs on or off
 *   => pm_timer_port: acpi_pm_timer_port(), or 0
 *   => says on the console what it measured against
 */
void timer_init(u16 pm_timer_port);

/* Whoever runs this machine has measured the TSC already. => before timer_init() */
void timer_told(u64 hz, const char *by);

/* This CPU's tick. => after timer_init() */
void timer_start_cpu(void);

/* "PIT", "ACPI PM timer", "CPUID", "guess", or who has told it: what tsc_hz was measured against. */
const char *timer_reference(void);

#endif
