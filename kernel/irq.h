// SPDX-License-Identifier: MIT
/*
 * This CPU's interrupt flag. Natively it is RFLAGS.IF. In a Xen PV guest it is a byte in memory
 * shared with the hypervisor, for the processor does not let a guest's kernel touch the real one
 * (xen/irq.asm).
 *
 * Every use below is five bytes long, the size of a call, and is noted in the section irq_sites;
 * under Xen each is replaced at boot by a call of what does the same there (irq_patch()). So the
 * bare machine pays nothing: prefixes that mean nothing to an instruction make up the length.
 */
#ifndef KERNEL_IRQ_H
#define KERNEL_IRQ_H

#include "kernel/types.h"

typedef u64 irqflags_t;

#define RFLAGS_IF (1ull << 9) /* SDM vol. 1, 3.4.3 */

/* What a site does; and so the index of its replacement. */
enum irq_site {
	IRQ_SITE_READ,	  /* rax := RFLAGS */
	IRQ_SITE_DISABLE, /* IF := 0 */
	IRQ_SITE_ENABLE,  /* IF := 1, and what was held back comes */
	IRQ_SITE_SAVE,	  /* READ, then DISABLE */
	NR_IRQ_SITES
};

#define IRQ_SITE_BYTES 5

#define IRQ_SITE(kind, insns)               \
	"1:\t" insns "\n"                   \
	"\t.pushsection irq_sites, \"a\"\n" \
	"\t.quad 1b, " kind "\n"            \
	"\t.popsection\n"

/* PUSHFQ, CLI and STI under the prefix DS (3e), which says nothing in 64-bit mode. */
#define IRQ_PUSHFQ_4 ".byte 0x3e, 0x3e, 0x3e, 0x9c\n\t"
#define IRQ_CLI_3    ".byte 0x3e, 0x3e, 0xfa"
#define IRQ_CLI_5    ".byte 0x3e, 0x3e, 0x3e, 0x3e, 0xfa"
#define IRQ_STI_5    ".byte 0x3e, 0x3e, 0x3e, 0x3e, 0xfb"

static inline bool irqs_enabled(void)
{
	u64 f;

	__asm__ volatile(IRQ_SITE("0", IRQ_PUSHFQ_4 "pop %0") : "=a"(f)::"memory");
	return f & RFLAGS_IF;
}

static inline void irq_disable(void)
{
	__asm__ volatile(IRQ_SITE("1", IRQ_CLI_5)::: "memory");
}

static inline void irq_enable(void)
{
	__asm__ volatile(IRQ_SITE("2", IRQ_STI_5)::: "memory");
}

static inline irqflags_t irq_save(void)
{
	u64 f;

	__asm__ volatile(IRQ_SITE("3", "pushfq\n\tpop %0\n\t" IRQ_CLI_3) : "=a"(f)::"memory");
	return f & RFLAGS_IF;
}

static inline void irq_restore(irqflags_t f)
{
	if (f)
		irq_enable();
}

/*
 * irq_patch: from now on each site calls its replacement, which changes nothing but the arithmetic
 * flags and, of READ and SAVE, RAX.
 *   => boot, one CPU, while text is writable
 */
void irq_patch(void (*const replacement[NR_IRQ_SITES])(void));

#endif
