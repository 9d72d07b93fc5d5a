// SPDX-License-Identifier: MIT
/*
 * The interrupt descriptor table: one for all CPUs, all 256 entries filled from the start, so that
 * there is no vector which would end in a double fault. Every gate is an interrupt gate: handlers
 * run with interrupts off and do not nest. Stacks by IST where the current one cannot be trusted;
 * the IST is per CPU because the TSS is.
 *
 * The legacy PIC, which has its first lines on the vectors of exceptions until someone moves
 * them, is masked here and stays so: interrupts may be enabled from then on, long before the local
 * APIC is mapped, and nothing comes.
 *
 * Read next: entry.asm (the stubs), trap.c (what happens then).
 */
#include "arch/x86/cpu.h"
#include "arch/x86/idt.h"
#include "arch/x86/io.h"

/* SDM vol. 3A, figure 6-8. */
struct gate {
	u16 offset_low;
	u16 selector;
	u8 ist;
	u8 type;
	u16 offset_mid;
	u32 offset_high;
	u32 reserved;
};

#define GATE_INTERRUPT 0x8e /* present, ring 0, 64-bit interrupt gate */

/* The two 8259A: each has its mask register at its second port. */
#define PIC1_MASK_PORT 0x21
#define PIC2_MASK_PORT 0xa1
#define PIC_MASK_ALL   0xff

static struct gate idt[NR_VECTORS] __aligned_to(16);

/* entry.asm: the stubs, one after the other. */
#define TRAP_STUB_SIZE 16
extern const u8 trap_stubs[NR_VECTORS][TRAP_STUB_SIZE];

static u8 ist_of(unsigned vector)
{
	switch (vector) {
	case EXC_DF:
		return IST_DF;
	case EXC_NMI:
		return IST_NMI;
	case EXC_MC:
		return IST_MC;
	default:
		return 0;
	}
}

void idt_init(void)
{
	for (unsigned v = 0; v < NR_VECTORS; v++) {
		u64 offset = (u64)trap_stubs[v];

		idt[v] = (struct gate){
			.offset_low = (u16)offset,
			.selector = SEL_KERNEL_CODE,
			.ist = ist_of(v),
			.type = GATE_INTERRUPT,
			.offset_mid = (u16)(offset >> 16),
			.offset_high = (u32)(offset >> 32),
		};
	}
	idt_load();
	outb(PIC1_MASK_PORT, PIC_MASK_ALL);
	outb(PIC2_MASK_PORT, PIC_MASK_ALL);
}

void idt_load(void)
{
	const struct {
		u16 limit;
		u64 base;
	} __packed p = {sizeof(idt) - 1, (u64)idt};

	__asm__ volatile("lidt %0" ::"m"(p) : "memory");
}
