// SPDX-License-Identifier: MIT
/*
 * A processor made ready to run this kernel: what it can do (cpu_features), its own GDT and TSS,
 * its stacks for the exceptions that must not trust the current one, its GS base, and the control
 * bits that make page tables mean what they say (NXE, WP, PGE, PCIDE, SMEP, SMAP, UMIP, PAT).
 */
#ifndef ARCH_X86_CPU_H
#define ARCH_X86_CPU_H

#include "kernel/cpu.h"

/* Selectors of every CPU's GDT; boot and trampoline GDTs may differ, cpu_init() reloads them. */
#define SEL_KERNEL_CODE 0x08
#define SEL_KERNEL_DATA 0x10
#define SEL_TSS		0x18

/* Interrupt stack table entries, 1 to 7 (SDM vol. 3A, 6.14.5). */
enum ist {
	IST_DF = 1,
	IST_NMI,
	IST_MC,
	IST_END
};

/* What the boot CPU can do. The others are taken to be like it. */
struct cpu_features {
	char vendor[13];
	char brand[49]; /* "" if the processor has none */
	u8 family, model, stepping;
	u8 phys_bits;			/* physical address width */
	bool nx, mce, smep, smap, umip; /* boot.asm has refused CPUs without PGE, PAT or an APIC */
	bool gb_pages;			/* leaves of 1 GiB */
	bool pcid;			/* and INVLPG drops global entries with PCIDs on: cpu.c */
	bool invpcid;
	bool x2apic;
	bool invariant_tsc; /* the TSC runs at one rate in all power states */
	bool hypervisor;
};

extern struct cpu_features cpu_features;

/*
 * cpu_init_boot: finds cpu_features and readies the boot CPU (id 0).
 *   => the first call in kernel_main(): this_cpu() works from here on
 *   => IRQs off; its exception stacks are one small static one until cpu_alloc_stacks()
 */
void cpu_init_boot(void);

/* Finds cpu_features alone, for a CPU that somebody else has readied. */
void cpu_find_features(void);

/*
 * cpu_init: readies this CPU, which is `c`. => IRQs off; c->id set; cpu_alloc_stacks() done
 */
void cpu_init(struct cpu *c);

/*
 * cpu_alloc_stacks: guarded exception stacks for `c`, in use from now on if c is this CPU.
 *   => thread context after vmap_init(), IRQs on; for CPU 0 once, for others before they start
 *   => 0 or -ENOMEM
 */
int cpu_alloc_stacks(struct cpu *c) __must_check;

/* cpu_features as one line of text: "GenuineIntel 6/58/9, 40-bit physical pge nx ...". => length as snprintf */
int cpu_features_describe(char *buf, size_t size);

#endif
