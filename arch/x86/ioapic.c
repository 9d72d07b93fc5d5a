// SPDX-License-Identifier: MIT
/*
 * The IO-APICs. Each has an index register and a window; behind them lies a redirection table with
 * one 64-bit entry for each line, which says vector, destination, polarity, trigger and mask. All
 * entries are masked at boot, whatever firmware has left there, and one is opened later.
 *
 * Lines are known by their global system interrupt (GSI): an IO-APIC serves those from its gsi_base
 * on, and ISA interrupt n is GSI n unless the MADT has an override for it.
 * Reference: Intel 82093AA data sheet, section 3.
 */
#include "arch/x86/ioapic.h"
#include "arch/x86/io.h"
#include "kernel/cpu.h"
#include "kernel/errno.h"
#include "kernel/printk.h"
#include "kernel/spinlock.h"
#include "mm/vmap.h"

#define IOREGSEL	    0x00 /* 3.1.1 */
#define IOWIN		    0x10 /* 3.1.2 */

#define REG_VERSION	    1		     /* 3.2.2: bits 23:16 are the last entry's number */
#define REG_REDIRECTION(n)  (0x10 + 2 * (n)) /* 3.2.4: low half; the high one follows */

#define REDIRECT_ACTIVE_LOW (1u << 13)
#define REDIRECT_LEVEL	    (1u << 15)
#define REDIRECT_MASKED	    (1u << 16)
#define REDIRECT_DEST	    24 /* the id's place in the high half */
#define REDIRECT_DEST_MAX   0xffu

struct ioapic {
	u8 *regs;
	u32 gsi_base, nr_lines;
};

/* The index register is shared state of every access. */
static spinlock_t ioapic_lock = SPINLOCK_INIT("ioapic");
static struct ioapic ioapics[MADT_MAX_IOAPICS];
static unsigned nr_ioapics;
static const struct madt_info *madt_info;

static u32 reg_read(struct ioapic *io, u32 reg)
{
	mmio_write32(io->regs + IOREGSEL, reg);
	return mmio_read32(io->regs + IOWIN);
}

static void reg_write(struct ioapic *io, u32 reg, u32 v)
{
	mmio_write32(io->regs + IOREGSEL, reg);
	mmio_write32(io->regs + IOWIN, v);
}

int ioapic_init(const struct madt_info *madt)
{
	madt_info = madt;
	for (unsigned i = 0; i < madt->nr_ioapics; i++) {
		struct ioapic *io = &ioapics[nr_ioapics];
		paddr_t pa = madt->ioapic[i].addr;
		u8 *page = vmap_pfn(paddr_to_pfn(pa), 1, VM_W | VM_UC, "ioapic");

		if (!page)
			return -ENOMEM;
		io->regs = page + pa % PAGE_SIZE;
		io->gsi_base = madt->ioapic[i].gsi_base;
		io->nr_lines = (reg_read(io, REG_VERSION) >> 16 & 0xff) + 1;
		for (u32 line = 0; line < io->nr_lines; line++)
			reg_write(io, REG_REDIRECTION(line), REDIRECT_MASKED);
		nr_ioapics++;
	}
	return nr_ioapics ? 0 : -ENODEV;
}

int ioapic_route_isa(u8 irq, u8 vector, unsigned cpu)
{
	u32 gsi = irq, low = vector, dest = cpus[cpu].apic_id;

	if (dest > REDIRECT_DEST_MAX)
		return -ENODEV;
	for (unsigned i = 0; madt_info && i < madt_info->nr_overrides; i++) {
		const struct madt_override *o = &madt_info->override[i];

		if (o->isa_irq != irq)
			continue;
		gsi = o->gsi;
		low |= (o->active_low ? REDIRECT_ACTIVE_LOW : 0) | (o->level ? REDIRECT_LEVEL : 0);
	}
	for (unsigned i = 0; i < nr_ioapics; i++) {
		struct ioapic *io = &ioapics[i];

		if (gsi - io->gsi_base >= io->nr_lines)
			continue;
		spin_lock(&ioapic_lock);
		reg_write(io, REG_REDIRECTION(gsi - io->gsi_base) + 1, dest << REDIRECT_DEST);
		reg_write(io, REG_REDIRECTION(gsi - io->gsi_base), low);
		spin_unlock(&ioapic_lock);
		return 0;
	}
	return -ENODEV;
}
