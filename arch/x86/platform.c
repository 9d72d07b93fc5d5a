// SPDX-License-Identifier: MIT
/*
 * The bare machine, or one that a hypervisor shows as such: what the firmware's tables say (ACPI),
 * a serial port, the local APICs, a page below 1 MiB for the other CPUs to start in. This file only
 * puts in order what its neighbours do.
 *
 * Next: cpu.c, idt.c, apic.c, timer.c, smp_boot.c; for leaving, below.
 *
 * Leaving: an emulator can be told to end, with a status; each has a port of its own, and a write
 * to a port where nothing listens is lost, so all are told in turn. A real machine then just stops:
 * power-off would need an AML interpreter.
 *
 *   QEMU   -device isa-debug-exit,iobase=0xf4: exits with (value << 1) | 1
 *   Bochs  port 0x8900: the letters of "Shutdown", one by one
 */
#include "arch/x86/acpi.h"
#include "arch/x86/apic.h"
#include "arch/x86/cpu.h"
#include "arch/x86/fb.h"
#include "arch/x86/idt.h"
#include "arch/x86/io.h"
#include "arch/x86/ioapic.h"
#include "arch/x86/mmu_native.h"
#include "arch/x86/regs.h"
#include "arch/x86/smp_boot.h"
#include "arch/x86/timer.h"
#include "arch/x86/uart.h"
#include "arch/x86/vga.h"
#include "kernel/errno.h"
#include "kernel/main.h"
#include "kernel/platform.h"
#include "kernel/printk.h"
#include "kernel/smp.h"
#include "mm/early.h"

#define BOOT_MAP_END (4 * GiB) /* what boot.asm's tables reach */
#define LOW_MEMORY   (1 * MiB) /* left to the firmware, but for the trampoline's page */

static struct madt_info madt;
static u16 pm_timer_port;
static paddr_t trampoline_pa; /* 0: there is no page for it */

static void native_start(u64 handover __attribute__((unused)))
{
	cpu_init_boot();
	uart_init_early();
	idt_init();
	mmu_native_init();
}

static const void *native_read_boot_map(paddr_t pa, u64 len)
{
	return pa < BOOT_MAP_END && len <= BOOT_MAP_END - pa ? phys_to_virt(pa) : NULL;
}

/* While the boot tables are loaded: firmware's tables are not in our direct map. */
static void ask_firmware(void)
{
	const u8 *copy = boot_info.rsdp_copied ? boot_info.rsdp_copy : NULL;
	const char *why;

	if (acpi_parse_madt(boot_info.rsdp, copy, native_read_boot_map, &madt, &why))
		printk("acpi: %s; going on with one CPU\n", why);
	else
		printk("acpi: %u CPUs, %u IO-APICs\n", madt.nr_cpus, madt.nr_ioapics);
	pm_timer_port = acpi_pm_timer_port(boot_info.rsdp, copy, native_read_boot_map);
}

static unsigned native_nr_cpus(void)
{
	return MAX(madt.nr_cpus, 1u);
}

/* The highest page below 1 MiB that is RAM and holds no module; the rest down there is nobody's. */
static int reserve_low_memory(struct kernel_image *img __attribute__((unused)))
{
	pfn_t page = {0};

	if (early_alloc(1, 1, LOW_MEMORY, &page))
		printk("mm: no RAM below 1 MiB\n");
	trampoline_pa = pfn_to_paddr(page);
	return early_reserve(0, LOW_MEMORY);
}

static void init_screens(void)
{
	vga_init(&boot_info);
	fb_init(&boot_info);
}

static void serial_interrupt(struct trap_frame *f __attribute__((unused)))
{
	uart_interrupt();
}

/* The interrupt has done all there is to do: it ended a hlt. */
static void reschedule(struct trap_frame *f __attribute__((unused)))
{
}

static void called(struct trap_frame *f __attribute__((unused)))
{
	smp_interrupt_here();
}

static void start_interrupts(void)
{
	if (apic_init(&madt))
		refuse_to_start("no interrupts", "the local APIC is missing or cannot be mapped");
	irq_register(VEC_RESCHEDULE, reschedule);
	irq_register(VEC_CALL, called);
	timer_init(pm_timer_port);
	irq_enable();
	if (ioapic_init(&madt)) {
		printk("ioapic: none; serial input is polled\n");
		return;
	}
	irq_register(VEC_SERIAL, serial_interrupt);
	if (ioapic_route_isa(UART_ISA_IRQ, VEC_SERIAL, 0))
		printk("ioapic: no line for the serial port; its input is polled\n");
	else
		uart_enable_irq();
}

static void start_cpus(void)
{
	smp_init(&madt, trampoline_pa);
}

static void native_kick(unsigned cpu)
{
	apic_send_ipi((cpumask_t){cpu_bit(cpu)}, VEC_RESCHEDULE);
}

static void native_interrupt(unsigned cpu)
{
	apic_send_ipi((cpumask_t){cpu_bit(cpu)}, VEC_CALL);
}

static bool native_stop_cpus(cpumask_t to)
{
	if (apic_ready())
		apic_send_nmi(to);
	return apic_ready();
}

#define QEMU_EXIT_PORT	0xf4
#define QEMU_EXIT_PASS	0x10 /* QEMU's status 33 */
#define QEMU_EXIT_FAIL	0x11 /* 35 */
#define BOCHS_EXIT_PORT 0x8900

static void native_exit(int status)
{
	outb(QEMU_EXIT_PORT, status ? QEMU_EXIT_FAIL : QEMU_EXIT_PASS);
	for (const char *s = "Shutdown"; *s; s++)
		outb(BOCHS_EXIT_PORT, (u8)*s);
}

const struct platform native_platform = {
	.name = "native",
	.mmu = &native_mmu_ops,
	.start = native_start,
	.read_boot_map = native_read_boot_map,
	.survey = ask_firmware,
	.nr_cpus = native_nr_cpus,
	.reserve = reserve_low_memory,
	.init_screens = init_screens,
	.start_interrupts = start_interrupts,
	.ready_cpu = cpu_alloc_stacks,
	.start_cpus = start_cpus,
	.idle = cpu_halt,
	.kick = native_kick,
	.interrupt = native_interrupt,
	.stop_cpus = native_stop_cpus,
	.halt = cpu_halt_forever,
	.exit = native_exit,
	.time_reference = timer_reference,
};
