// SPDX-License-Identifier: MIT
/*
 * The processor's own registers, one inline function each: control registers, MSRs, CPUID and the
 * two instructions that forget translations. Nothing here decides anything; who sets which bit
 * and why is in cpu.c (features), mmu_native.c (TLB) and apic.c. Names of bits and registers are
 * the SDM's; section numbers are of volume 3A unless said otherwise, and as in the editions up to
 * 2022, in which the APIC is chapter 10; later ones have moved chapters 7 and up by one.
 */
#ifndef ARCH_X86_REGS_H
#define ARCH_X86_REGS_H

#include "kernel/types.h"

/* Control registers: 2.5. */
#define CR0_WP	  (1ull << 16)
#define CR0_NW	  (1ull << 29)
#define CR0_CD	  (1ull << 30)
#define CR3_PCID  0xfffull /* with CR4.PCIDE; else PWT and PCD are in there: 4.5 */
#define CR4_MCE	  (1ull << 6)
#define CR4_PGE	  (1ull << 7)
#define CR4_UMIP  (1ull << 11)
#define CR4_PCIDE (1ull << 17)
#define CR4_SMEP  (1ull << 20)
#define CR4_SMAP  (1ull << 21)

/* MSRs: vol. 4, table 2-2. */
#define MSR_APIC_BASE	 0x1b
#define MSR_PAT		 0x277
#define MSR_X2APIC_FIRST 0x800 /* register at MMIO offset n is MSR 0x800 + n/16: 10.12.1.2 */
#define MSR_EFER	 0xc0000080
#define MSR_GS_BASE	 0xc0000101

#define EFER_NXE	 (1ull << 11)

static inline u64 rdmsr(u32 msr)
{
	u32 lo, hi;

	__asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr) : "memory");
	return (u64)hi << 32 | lo;
}

static inline void wrmsr(u32 msr, u64 v)
{
	__asm__ volatile("wrmsr" ::"c"(msr), "a"((u32)v), "d"((u32)(v >> 32)) : "memory");
}

#define REG_ACCESSORS(reg)                                                  \
	static inline u64 read_##reg(void)                                  \
	{                                                                   \
		u64 v;                                                      \
                                                                            \
		__asm__ volatile("mov %%" #reg ", %0" : "=r"(v)::"memory"); \
		return v;                                                   \
	}                                                                   \
	static inline void write_##reg(u64 v)                               \
	{                                                                   \
		__asm__ volatile("mov %0, %%" #reg ::"r"(v) : "memory");    \
	}

REG_ACCESSORS(cr0)
REG_ACCESSORS(cr2)
REG_ACCESSORS(cr3)
REG_ACCESSORS(cr4)

struct cpuid {
	u32 eax, ebx, ecx, edx;
};

static inline struct cpuid cpuid(u32 leaf, u32 subleaf)
{
	struct cpuid r;

	__asm__ volatile("cpuid"
			 : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx)
			 : "a"(leaf), "c"(subleaf));
	return r;
}

/*
 * Drops one page's translations, the current PCID's and global ones, and every entry in the
 * current PCID's paging-structure caches: 4.10.4.1.
 */
static inline void invlpg(vaddr_t va)
{
	__asm__ volatile("invlpg (%0)" ::"r"(va) : "memory");
}

/* INVPCID types: vol. 2A, INVPCID. Types 0, 1 and 3 leave global translations. */
#define INVPCID_ALL_WITH_GLOBALS 2

/* => cpu_features.invpcid */
static inline void invpcid(u64 type, u64 pcid, vaddr_t va)
{
	const u64 descriptor[2] = {pcid, va};

	__asm__ volatile("invpcid %0, %1" ::"m"(descriptor), "r"(type) : "memory");
}

/* Writes back and empties this CPU's caches; slow, for changes of memory types only. */
static inline void wbinvd(void)
{
	__asm__ volatile("wbinvd" ::: "memory");
}

/*
 * cpu_halt: sleep until an interrupt, which is taken.
 *   => IRQs off; returns with IRQs on
 *   => an interrupt that is pending already wakes it: sti takes effect only after the next
 *      instruction (vol. 2B, STI), so none can slip in between sti and hlt
 */
static inline void cpu_halt(void)
{
	__asm__ volatile("sti; hlt" ::: "memory");
}

/* The end of this CPU's road: only an NMI, an SMI or a reset gets through, and it halts again. */
static inline void __noreturn cpu_halt_forever(void)
{
	for (;;)
		__asm__ volatile("cli; hlt" ::: "memory");
}

#endif
