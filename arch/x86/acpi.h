// SPDX-License-Identifier: MIT
/*
 * The few facts we want from ACPI: which processors and interrupt controllers there are (MADT) and
 * where the power-management timer is (FADT). Firmware's tables are input from outside: they are
 * read only through a phys_reader, every length is checked before it is used and every table must
 * sum to zero, so the parser runs on the host under a fuzzer as it does here.
 * References are to the ACPI Specification 6.5.
 */
#ifndef ARCH_X86_ACPI_H
#define ARCH_X86_ACPI_H

#include "boot/boot_info.h"
#include "kernel/cpumask.h"

#define MADT_MAX_IOAPICS   8
#define MADT_MAX_OVERRIDES 16
#define RSDP_COPY_SIZE	   36 /* 5.2.5.3; of an ACPI 1.0 copy the first 20 bytes count */

struct madt_ioapic {
	paddr_t addr;
	u32 gsi_base; /* the first global system interrupt it serves */
};

/* An ISA interrupt that is not wired one to one: 5.2.12.5. */
struct madt_override {
	u8 isa_irq;
	u32 gsi;
	bool active_low, level;
};

struct madt_info {
	paddr_t lapic_addr;
	unsigned nr_cpus; /* enabled ones, in the table's order, no two alike */
	u32 apic_id[MAX_CPUS];
	unsigned nr_left_out; /* enabled ones beyond MAX_CPUS */
	unsigned nr_ioapics;
	struct madt_ioapic ioapic[MADT_MAX_IOAPICS];
	unsigned nr_overrides;
	struct madt_override override[MADT_MAX_OVERRIDES];
};

/*
 * acpi_parse_madt: fills *out.
 *   => rsdp: where the root pointer lies, or 0; then rsdp_copy (RSDP_COPY_SIZE bytes), or
 *      NULL; with neither, the BIOS areas are searched (5.2.5.1)
 *   => 0, -ENOENT (no ACPI, or no MADT), -EBADMSG (a table is damaged), -EFAULT (a table lies where
 *      `read` cannot go); otherwise *why is a sentence for the console and *out describes a machine
 *      with no CPU listed and no IO-APIC: go on with the boot CPU alone
 *   => damaged tables other than the ones on the way are nobody's business and do no harm
 */
int acpi_parse_madt(paddr_t rsdp, const u8 *rsdp_copy, phys_reader read, struct madt_info *out,
		    const char **why);

/* The I/O port of the PM timer (4.8.3.3). => 0: none, or the FADT is damaged; arguments as above */
u16 acpi_pm_timer_port(paddr_t rsdp, const u8 *rsdp_copy, phys_reader read);

#endif
