// SPDX-License-Identifier: MIT
/*
 * The local APIC. Where CPUID offers x2APIC we use it: registers are MSRs, ids have 32 bits, and an
 * IPI is one write instead of a poll and two. Else xAPIC, whose registers are one page of memory,
 * mapped uncached; every CPU sees its own at the same address.
 *
 * Two traps lie in the interrupt command register. In xAPIC it is two halves, and writing the low
 * one sends: an interrupt handler that sends in between would use up our destination, so interrupts
 * are off around the pair. In x2APIC it is one MSR, but a WRMSR to the x2APIC range does not wait
 * for earlier stores to be seen by others (10.12.3): without a fence the target may run the
 * handler before it can see the request it is to serve.
 *
 * LINT0, where the legacy PIC (masked in idt.c) is wired to, is masked, so the PIC is cut off. What
 * firmware left in service is ended: it would hold back all interrupts of its class and below.
 *
 * Read next: smp_boot.c for INIT and start-up, mm/shootdown.c for what the IPIs are about.
 * References: SDM vol. 3A, chapter 10.
 */
#include "arch/x86/apic.h"
#include "arch/x86/cpu.h"
#include "arch/x86/io.h"
#include "arch/x86/regs.h"
#include "kernel/cpu.h"
#include "kernel/errno.h"
#include "kernel/irq.h"
#include "kernel/panic.h"
#include "kernel/printk.h"
#include "kernel/watchdog.h"
#include "mm/vmap.h"

/* Registers: offsets in the xAPIC page (table 10-1); the MSR is 0x800 + offset / 16. */
enum apic_reg {
	REG_ID = 0x020,
	REG_VERSION = 0x030,
	REG_TPR = 0x080,
	REG_EOI = 0x0b0,
	REG_SVR = 0x0f0,
	REG_ISR = 0x100, /* 256 bits in eight registers */
	REG_ESR = 0x280,
	REG_ICR_LOW = 0x300, /* x2APIC: all 64 bits */
	REG_ICR_HIGH = 0x310,
	REG_LVT_TIMER = 0x320,
	REG_LVT_THERMAL = 0x330,
	REG_LVT_PERF = 0x340,
	REG_LVT_LINT0 = 0x350,
	REG_LVT_LINT1 = 0x360,
	REG_LVT_ERROR = 0x370,
	REG_TIMER_INITIAL = 0x380,
	REG_TIMER_CURRENT = 0x390,
	REG_TIMER_DIVIDE = 0x3e0,
};

#define APIC_BASE_X2APIC (1ull << 10) /* 10.12.1 */
#define APIC_BASE_ENABLE (1ull << 11) /* 10.4.4 */
#define SVR_ENABLE	 (1u << 8)    /* 10.9 */
#define LVT_MASKED	 (1u << 16)   /* 10.5.1 */
#define LVT_PERIODIC	 (1u << 17)
#define LVT_NMI		 (4u << 8)
#define TIMER_DIVIDE_16	 3u /* figure 10-10 */

/* The interrupt command register: 10.6.1, figure 10-12; physical destination, edge triggered. */
#define ICR_FIXED	 0u
#define ICR_NMI		 (4u << 8)
#define ICR_INIT	 (5u << 8)
#define ICR_STARTUP	 (6u << 8)
#define ICR_ASSERT	 (1u << 14)
#define ICR_BUSY	 (1u << 12)
#define ICR_XAPIC_DEST	 24 /* the id's place in the high half */

#define CPUID_1_EDX_APIC (1u << 9)
#define CPUID_TOPOLOGY	 0xb /* EDX: the x2APIC id */

static u8 *xapic; /* the mapped page; NULL in x2APIC mode */
static bool x2apic, ready;

static u32 reg_read(enum apic_reg reg)
{
	if (x2apic)
		return (u32)rdmsr(MSR_X2APIC_FIRST + reg / 16);
	return mmio_read32(xapic + reg);
}

static void reg_write(enum apic_reg reg, u32 v)
{
	if (x2apic)
		wrmsr(MSR_X2APIC_FIRST + reg / 16, v);
	else
		mmio_write32(xapic + reg, v);
}

u32 apic_id(void)
{
	struct cpuid id;

	if (cpuid(0, 0).eax >= CPUID_TOPOLOGY) {
		id = cpuid(CPUID_TOPOLOGY, 0);
		if (id.ebx) /* else the leaf is there, but empty */
			return id.edx;
	}
	return cpuid(1, 0).ebx >> 24;
}

bool apic_ready(void)
{
	return ready;
}

bool apic_is_x2apic(void)
{
	return x2apic;
}

static void xapic_wait_sent(void)
{
	u64 start = tsc_now();

	while (reg_read(REG_ICR_LOW) & ICR_BUSY) {
		if (watchdog_expired(start))
			panic("the local APIC cannot get rid of an IPI (ICR %#x)",
			      reg_read(REG_ICR_LOW));
		cpu_relax();
	}
}

static void icr_send(u32 id, u32 command)
{
	irqflags_t flags;

	if (x2apic) {
		__asm__ volatile("mfence; lfence" ::: "memory");
		wrmsr(MSR_X2APIC_FIRST + REG_ICR_LOW / 16, (u64)id << 32 | command);
		return;
	}
	flags = irq_save();
	xapic_wait_sent();
	reg_write(REG_ICR_HIGH, id << ICR_XAPIC_DEST);
	reg_write(REG_ICR_LOW, command);
	irq_restore(flags);
}

static void send_each(cpumask_t to, u32 command)
{
	unsigned cpu;

	if (!ready)
		return;
	cpumask_for_each (cpu, to)
		icr_send(cpus[cpu].apic_id, command);
}

void apic_send_ipi(cpumask_t to, u8 vector)
{
	send_each(to, ICR_FIXED | ICR_ASSERT | vector);
}

void apic_send_nmi(cpumask_t to)
{
	send_each(to, ICR_NMI | ICR_ASSERT);
}

void apic_send_init(u32 id)
{
	icr_send(id, ICR_INIT | ICR_ASSERT);
}

void apic_send_startup(u32 id, paddr_t start_pa)
{
	icr_send(id, ICR_STARTUP | ICR_ASSERT | (u32)(start_pa >> PAGE_SHIFT));
}

void apic_eoi(void)
{
	if (ready)
		reg_write(REG_EOI, 0);
}

void apic_timer_start_periodic(u32 initial, u8 vector)
{
	reg_write(REG_TIMER_DIVIDE, TIMER_DIVIDE_16);
	reg_write(REG_LVT_TIMER, LVT_PERIODIC | vector);
	reg_write(REG_TIMER_INITIAL, initial);
}

void apic_timer_start_silent(u32 initial)
{
	reg_write(REG_TIMER_DIVIDE, TIMER_DIVIDE_16);
	reg_write(REG_LVT_TIMER, LVT_MASKED | VEC_TIMER);
	reg_write(REG_TIMER_INITIAL, initial);
}

u32 apic_timer_count(void)
{
	return reg_read(REG_TIMER_CURRENT);
}

static void error_interrupt(struct trap_frame *f __attribute__((unused)))
{
	reg_write(REG_ESR, 0); /* a write latches what has gathered since the last one: 10.5.3 */
	printk("cpu %u: local APIC error, ESR %#x (SDM vol. 3A, figure 10-9)\n", cpu_id(),
	       reg_read(REG_ESR));
}

/*
 * Firmware may have left any entry unmasked. Thermal and performance entries exist from LVT 5 on.
 */
static void lvt_init(void)
{
	unsigned max_lvt = reg_read(REG_VERSION) >> 16 & 0xff; /* the number of entries less one */

	apic_timer_start_silent(0); /* stops it */
	if (max_lvt >= 4)
		reg_write(REG_LVT_PERF, LVT_MASKED);
	if (max_lvt >= 5)
		reg_write(REG_LVT_THERMAL, LVT_MASKED);
	reg_write(REG_LVT_LINT0, LVT_MASKED);
	reg_write(REG_LVT_LINT1, LVT_NMI); /* where PCs wire the NMI button, and QEMU its `nmi` */
	reg_write(REG_ESR, 0);
	reg_write(REG_LVT_ERROR, VEC_APIC_ERROR);
}

static bool any_in_service(void)
{
	u32 bits = 0;

	for (unsigned i = 0; i < NR_VECTORS / 32; i++)
		bits |= reg_read(REG_ISR + 16 * i);
	return bits;
}

void apic_init_cpu(void)
{
	u64 base = rdmsr(MSR_APIC_BASE) | APIC_BASE_ENABLE;

	wrmsr(MSR_APIC_BASE, base); /* from disabled to x2APIC leads only through xAPIC: 10.12.5 */
	if (x2apic)
		wrmsr(MSR_APIC_BASE, base | APIC_BASE_X2APIC);
	reg_write(REG_TPR, 0);
	reg_write(REG_SVR,
		  SVR_ENABLE | VEC_SPURIOUS); /* before the LVT: disabled, it masks every entry */
	lvt_init();
	for (unsigned i = 0; i < NR_VECTORS && any_in_service(); i++)
		reg_write(REG_EOI, 0);
}

int apic_init(const struct madt_info *madt)
{
	irqflags_t flags;

	if (!(cpuid(1, 0).edx & CPUID_1_EDX_APIC))
		return -ENODEV;
	x2apic = cpu_features.x2apic;
	if (!x2apic) {
		xapic = vmap_pfn(paddr_to_pfn(madt->lapic_addr), 1, VM_W | VM_UC, "lapic");
		if (!xapic)
			return -ENOMEM;
	}
	irq_register(VEC_APIC_ERROR, error_interrupt);
	flags = irq_save();
	apic_init_cpu();
	ready = true;
	irq_restore(flags);
	return 0;
}
