// SPDX-License-Identifier: MIT
/*
 * The order in which a machine becomes a kernel. Read this file first: each call below is a
 * chapter, and its header says what it needs from those before it.
 *
 *   who booted us            boot/boot_info.h, multiboot2.c, pvh.c
 *   the processor            arch/x86/cpu.c, idt.c, trap.c
 *   what the firmware says   arch/x86/acpi.c
 *   our own address space    mm/space.c, mm/frame.c, mm/vmap.c
 *   interrupts and time      arch/x86/apic.c, ioapic.c, timer.c
 *   threads and other CPUs   kernel/thread.c, arch/x86/smp_boot.c
 *   the prompt               kernel/monitor.c
 */
#include "kernel/main.h"
#include "arch/x86/acpi.h"
#include "arch/x86/apic.h"
#include "arch/x86/cpu.h"
#include "arch/x86/fb.h"
#include "arch/x86/idt.h"
#include "arch/x86/ioapic.h"
#include "arch/x86/mmu_native.h"
#include "arch/x86/smp_boot.h"
#include "arch/x86/timer.h"
#include "arch/x86/uart.h"
#include "arch/x86/vga.h"
#include "kernel/console.h"
#include "kernel/demo.h"
#include "kernel/errno.h"
#include "kernel/monitor.h"
#include "kernel/panic.h"
#include "kernel/printk.h"
#include "kernel/string.h"
#include "kernel/thread.h"
#include "kernel/time.h"
#include "mm/check.h"
#include "mm/early.h"
#include "mm/frame.h"
#include "mm/kmap.h"
#include "mm/lazy.h"
#include "mm/shootdown.h"
#include "mm/space.h"
#include "mm/vmap.h"

#define BOOT_MAP_END (4 * GiB) /* what boot.asm's tables reach */
#define LOW_MEMORY   (1 * MiB) /* left to the firmware, but for the trampoline's page */

/* Linux's threshold: 32 MiB of lazily held addresses, times 1 + log2 of the number of CPUs. */
#define LAZY_PAGES_PER_STEP (32 * MiB >> PAGE_SHIFT)

struct boot_info boot_info;
u64 tsc_at_prompt;
const struct mmu_ops *mmu = &native_mmu_ops;

static struct madt_info madt;
static u16 pm_timer_port;
static u64 lazy_max;	      /* pages */
static paddr_t trampoline_pa; /* 0: there is no page for it */

/* linker.ld */
extern char image_start[], text_start[], text_end[], rodata_start[], rodata_end[], data_start[],
	image_end[], boot_stack_guard[];

/*
 * Something from outside makes it impossible to go on: say so and leave, without a panic's noise.
 */
static void refuse(const char *what, const char *why)
{
	printk("Lazymap cannot start: %s: %s\n", what, why);
	machine_exit(1);
}

static const void *read_boot_map(paddr_t pa, u64 len)
{
	return pa < BOOT_MAP_END && len <= BOOT_MAP_END - pa ? phys_to_virt(pa) : NULL;
}

static void take_hand_over(u32 door, u64 handover)
{
	const char *why = "unknown boot protocol";
	int err = -EINVAL;

	if (door == DOOR_MULTIBOOT2)
		err = boot_info_from_multiboot2(&boot_info, handover, read_boot_map, &why);
	else if (door == DOOR_PVH)
		err = boot_info_from_pvh(&boot_info, handover, read_boot_map, &why);
	if (!err)
		err = boot_info_normalise(&boot_info, &why);
	if (err)
		refuse("what the boot loader handed over is not usable", why);
	printk("boot: by %s (%s), command line \"%s\"\n", boot_info.door,
	       boot_info.loader[0] ? boot_info.loader : "unnamed loader", boot_info.cmdline);
}

/* While the boot tables are loaded: firmware's tables are not in our direct map. */
static void ask_firmware(void)
{
	const u8 *copy = boot_info.rsdp_copied ? boot_info.rsdp_copy : NULL;
	const char *why;

	if (acpi_parse_madt(boot_info.rsdp, copy, read_boot_map, &madt, &why))
		printk("acpi: %s; going on with one CPU\n", why);
	else
		printk("acpi: %u CPUs, %u IO-APICs\n", madt.nr_cpus, madt.nr_ioapics);
	pm_timer_port = acpi_pm_timer_port(boot_info.rsdp, copy, read_boot_map);
}

/* The highest page below 1 MiB that is RAM and holds no module; the rest down there is nobody's. */
static int reserve_low_memory(void)
{
	pfn_t page = {0};

	if (early_alloc(1, 1, LOW_MEMORY, &page))
		printk("mm: no RAM below 1 MiB\n");
	trampoline_pa = pfn_to_paddr(page);
	return early_reserve(0, LOW_MEMORY);
}

static int collect_memory(void)
{
	int err = 0;

	for (unsigned i = 0; i < boot_info.nr_ranges && !err; i++)
		if (boot_info.ranges[i].type == MEM_USABLE)
			err = early_add_ram(boot_info.ranges[i].start, boot_info.ranges[i].end);
	if (!err)
		err = early_reserve((vaddr_t)image_start - IMAGE_BASE,
				    (vaddr_t)image_end - IMAGE_BASE);
	for (unsigned i = 0; i < boot_info.nr_modules && !err; i++)
		err = early_reserve(boot_info.modules[i].start, boot_info.modules[i].end);
	return err ? err : reserve_low_memory();
}

static void make_address_space(void)
{
	const struct kernel_image img = {
		.text = (vaddr_t)text_start,
		.text_end = ALIGN_UP((vaddr_t)text_end, PAGE_SIZE),
		.rodata = (vaddr_t)rodata_start,
		.rodata_end = ALIGN_UP((vaddr_t)rodata_end, PAGE_SIZE),
		.data = (vaddr_t)data_start,
		.end = ALIGN_UP((vaddr_t)image_end, PAGE_SIZE),
		.stack_guard = (vaddr_t)boot_stack_guard,
	};
	const char *why = "the memory map is too long";
	u64 limit = ~0ul;
	int err = cmdline_get_u64(boot_info.cmdline, "directmap", &limit);

	if (err && err != -ENOENT)
		refuse("directmap=SIZE", "not a size such as 64M or 2G");
	if (collect_memory() || space_init(&img, limit, &why))
		refuse("no address space", why);
	printk("mm: own page tables at %#lx, %lu MiB free, largest page %s\n",
	       pfn_to_paddr(kernel_root), frame_free_total() * PAGE_SIZE / MiB,
	       mmu->max_leaf_level == 3 ? "1 GiB" : "2 MiB");
}

/* => `value` was given, and not "off", the default, which any word that is not known means too */
static bool wants(const char *key, const char *value)
{
	char word[16] = "";
	int err = cmdline_get(boot_info.cmdline, key, word, sizeof(word));

	if (err >= 0 && !strcmp(word, value))
		return true;
	if (err != -ENOENT && strcmp(word, "off"))
		printk("mm: %s= takes %s or off; staying with off\n", key, value);
	return false;
}

static void init_laziness(void)
{
	enum lazy_policy policy = mmu->default_policy;
	char word[16];
	int err = cmdline_get(boot_info.cmdline, "lazy", word, sizeof(word));

	if (err != -ENOENT && (err < 0 || lazy_policy_parse(word, &policy)))
		printk("mm: lazy= takes off, tlb or pte; staying with %s\n",
		       lazy_policy_name(policy));
	lazy_max = LAZY_PAGES_PER_STEP * (64u - (unsigned)__builtin_clzl(MAX(madt.nr_cpus, 1u)));
	err = cmdline_get_u64(boot_info.cmdline, "lazy_max", &lazy_max);
	if (err && err != -ENOENT)
		printk("mm: lazy_max= takes a number of pages; staying with %lu\n", lazy_max);
	vmap_init(policy, lazy_max);
	if (kmap_local_init_cpu(0) || mmu->load_root(kmap_local_root(0)))
		refuse("no kmap_local slots", "out of memory");
	frame_set_hold(wants("hold", "on"));
	if (wants("debug", "poison"))
		lazy_set_poison(true);
	lazy_set_trace(wants("trace", "on"));
	printk("mm: vmap area ready, lazy policy %s, threshold %lu pages%s%s\n",
	       lazy_policy_name(policy), lazy_max,
	       frame_hold() ? ", frames held until flushed" : "",
	       lazy_poison() ? ", unmapped addresses poisoned" : "");
}

static void init_shootdown(void)
{
	enum shootdown_strategy s = shootdown_strategy();
	char word[16];
	int err = cmdline_get(boot_info.cmdline, "shootdown", word, sizeof(word));

	if (err != -ENOENT && (err < 0 || shootdown_strategy_parse(word, &s)))
		printk("mm: shootdown= takes broadcast or filtered; staying with %s\n",
		       shootdown_strategy_name(s));
	shootdown_set_strategy(s);
}

static void serial_interrupt(struct trap_frame *f __attribute__((unused)))
{
	uart_interrupt();
}

static void start_interrupts(void)
{
	if (apic_init(&madt))
		refuse("no interrupts", "the local APIC is missing or cannot be mapped");
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

void kernel_main(u32 door, u64 handover)
{
	cpu_init_boot();
	uart_init_early();
	idt_init();
	mmu_native_init();
	printk("Lazymap: what does it cost to take a kernel mapping away?\n");
	take_hand_over(door, handover);
	ask_firmware();

	make_address_space();
	init_laziness();
	init_shootdown();
	vga_init(&boot_info);
	fb_init(&boot_info);

	start_interrupts();
	threads_init();
	if (cpu_alloc_stacks(&cpus[0]))
		refuse("no exception stacks", "out of memory");
	smp_init(&madt, trampoline_pa);
	lazy_set_max(lazy_max); /* each CPU's part of it, now that they are all there */

	KASSERT(!mm_check(true), "the memory map of a fresh boot is not sound");
	demo_boot_story();
	tsc_at_prompt = tsc_now();
	printk("boot: done in %lu us. Type 'help'.\n", tsc_to_us(tsc_at_prompt - tsc_at_entry));
	monitor_main();
}
