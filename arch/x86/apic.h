// SPDX-License-Identifier: MIT
/*
 * The local APIC: how a CPU is interrupted by its timer and by other CPUs. Two programming models
 * of one device, xAPIC (registers in memory) and x2APIC (MSRs), hidden behind one pair of
 * accessors in apic.c. References: SDM vol. 3A, chapter 10.
 */
#ifndef ARCH_X86_APIC_H
#define ARCH_X86_APIC_H

#include "arch/x86/acpi.h"
#include "arch/x86/idt.h"
#include "kernel/cpumask.h"

/*
 * apic_init: maps the local APIC or turns x2APIC on, and readies the boot CPU's.
 *   => boot CPU, after vmap_init(), idt_init(); IRQs off or on
 *   => 0, or -ENOMEM / -ENODEV (the CPU has none): no interrupts then, hence no tick and no
 *      other CPU
 */
int apic_init(const struct madt_info *madt) __must_check;

/* This CPU's local APIC as apic_init() did for the boot CPU's. => in cpu_init() order, IRQs off */
void apic_init_cpu(void);

/* => has apic_init() succeeded? Before it (or without an APIC) sending does nothing. */
bool apic_ready(void);
bool apic_is_x2apic(void);

/* This CPU's id in hardware. => any context, any time; needs no APIC mapped (CPUID 0xb or 1) */
u32 apic_id(void);

/*
 * apic_send_ipi / apic_send_nmi: to each CPU of the mask, by our ids (this CPU too, if named).
 *   => any context; returns when sent, not when received
 *   => everything stored before the call is visible to the handler, in x2APIC mode too
 */
void apic_send_ipi(cpumask_t cpus, u8 vector);
void apic_send_nmi(cpumask_t cpus);

/*
 * INIT and start-up IPIs to a CPU that is not up yet, by hardware id (8.4.4.1); start_pa < 1 MiB,
 * page aligned.
 */
void apic_send_init(u32 id);
void apic_send_startup(u32 id, paddr_t start_pa);

/* End of interrupt; nothing before apic_init(). trap.c does it for all handlers. */
void apic_eoi(void);

/*
 * The timer counts down from `count` at its own rate divided by 16, once or periodically
 * (10.5.4).
 */
void apic_timer_start_periodic(u32 count, u8 vector);
void apic_timer_start_silent(u32 count); /* once, no interrupt: for measuring its rate */
u32 apic_timer_count(void);

#endif
