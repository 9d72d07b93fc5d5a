// SPDX-License-Identifier: MIT
/*
 * The IO-APICs: how a device's line becomes a vector on a CPU. We use one line, the serial port's,
 * and everything else stays masked. Reference: Intel 82093AA data sheet, section 3.
 */
#ifndef ARCH_X86_IOAPIC_H
#define ARCH_X86_IOAPIC_H

#include "arch/x86/acpi.h"

#define ISA_IRQ_COM1 4

/*
 * ioapic_init: maps every IO-APIC and masks all its lines.
 *   => boot CPU, after apic_init(); 0, -ENODEV (none listed), -ENOMEM
 */
int ioapic_init(const struct madt_info *madt) __must_check;

/*
 * ioapic_route_isa: ISA interrupt `irq` arrives as `vector` on CPU `cpu`, with the polarity, the
 * trigger mode and the line the MADT says (edge, active high, one to one, if it says nothing).
 *   => after irq_register(vector); any context
 *   => 0, or -ENODEV: no IO-APIC serves that line
 */
int ioapic_route_isa(u8 irq, u8 vector, unsigned cpu) __must_check;

#endif
