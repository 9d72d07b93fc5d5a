// SPDX-License-Identifier: MIT
/*
 * The order in which a machine becomes a kernel. Read this file first: each call below is a
 * chapter, and its header says what it needs from those before it. What differs between a bare
 * machine and a Xen guest is behind one table (kernel/platform.h), chosen in the first line.
 *
 *                            bare machine: arch/x86/     Xen PV guest: xen/
 *   the processor            cpu.c, idt.c, trap.c        platform.c, entry.asm, irq.c
 *   who booted us            boot/boot_info.h: multiboot2.c, pvh.c, xen.c
 *   what the firmware says   acpi.c                      nothing
 *   our own address space    mm/space.c, mm/frame.c, mm/vmap.c
 *   interrupts and time      apic.c, ioapic.c, timer.c   events.c, time.c
 *   threads                  kernel/thread.c
 *   other CPUs               smp_boot.c                  smp.c
 *   the prompt               kernel/monitor.c
 */
#include "kernel/main.h"
#include "kernel/console.h"
#include "kernel/demo.h"
#include "kernel/errno.h"
#include "kernel/monitor.h"
#include "kernel/panic.h"
#include "kernel/platform.h"
#include "kernel/printk.h"
#include "kernel/smp.h"
#include "kernel/stacks.h"
#include "kernel/string.h"
#include "kernel/thread.h"
#include "kernel/time.h"
#include "mm/check.h"
#include "mm/early.h"
#include "mm/frame.h"
#include "mm/kmap.h"
#include "mm/lazy.h"
#include "mm/pagetable.h"
#include "mm/shootdown.h"
#include "mm/space.h"
#include "mm/vmap.h"

/* Linux's threshold: 32 MiB of lazily held addresses, times 1 + log2 of the number of CPUs. */
#define LAZY_PAGES_PER_STEP (32 * MiB >> PAGE_SHIFT)

struct boot_info boot_info;
u64 tsc_at_prompt;
const struct platform *platform = &native_platform;
const struct mmu_ops *mmu;

static u64 lazy_max; /* pages */

/* linker.ld */
extern char image_start[], text_start[], text_end[], rodata_start[], rodata_end[], data_start[],
	image_end[], boot_stack_guard[];

void refuse_to_start(const char *what, const char *why)
{
	printk("Lazymap cannot start: %s: %s\n", what, why);
	machine_exit(1);
}

void machine_exit(int status)
{
	if (status)
		printk("LAZYMAP: FAIL %d\n", status);
	else
		printk("LAZYMAP: PASS\n");
	console_flush();
	irq_disable();
	platform->exit(status);
	printk("machine halted\n");
	platform->halt();
}

static void take_hand_over(u32 door, u64 handover)
{
	const char *why = "unknown boot protocol";
	int err = -EINVAL;

	if (door == DOOR_MULTIBOOT2)
		err = boot_info_from_multiboot2(&boot_info, handover, platform->read_boot_map,
						&why);
	else if (door == DOOR_PVH)
		err = boot_info_from_pvh(&boot_info, handover, platform->read_boot_map, &why);
	else if (door == DOOR_XEN_PV)
		err = boot_info_from_xen(&boot_info, handover - IMAGE_BASE, platform->read_boot_map,
					 &why);
	if (!err)
		err = boot_info_normalise(&boot_info, &why);
	if (err)
		refuse_to_start("what the boot loader handed over is not usable", why);
	printk("boot: by %s (%s), command line \"%s\"\n", boot_info.door,
	       boot_info.loader[0] ? boot_info.loader : "unnamed loader", boot_info.cmdline);
}

static int collect_memory(struct kernel_image *img)
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
	return err ? err : platform->reserve(img);
}

static void make_address_space(void)
{
	struct kernel_image img = {
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
		refuse_to_start("directmap=SIZE", "not a size such as 64M or 2G");
	if (collect_memory(&img) || space_init(&img, limit, &why))
		refuse_to_start("no address space", why);
	printk("mm: own page tables at %#lx, %lu MiB free, largest page %s\n",
	       pfn_to_paddr(kernel_root), frame_free_total() * PAGE_SIZE / MiB,
	       mmu->max_leaf_level == 3	  ? "1 GiB"
	       : mmu->max_leaf_level == 2 ? "2 MiB"
					  : "4 KiB");
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
	lazy_max = LAZY_PAGES_PER_STEP * (64u - (unsigned)__builtin_clzl(platform->nr_cpus()));
	err = cmdline_get_u64(boot_info.cmdline, "lazy_max", &lazy_max);
	if (err && err != -ENOENT)
		printk("mm: lazy_max= takes a number of pages; staying with %lu\n", lazy_max);
	vmap_init(policy, lazy_max);
	if (kmap_local_init_cpu(0))
		refuse_to_start("no kmap_local slots",
				"out of memory, or the platform refuses them");
	if (mmu->load_root(kmap_local_root(0)))
		refuse_to_start("no address space", "the platform refuses our page tables");
	frame_set_hold(wants("hold", "on"));
	if (wants("debug", "poison"))
		lazy_set_poison(true);
	lazy_set_trace(wants("trace", "on"));
	printk("mm: vmap area ready, lazy policy %s, threshold %lu pages%s%s\n",
	       lazy_policy_name(policy), lazy_max,
	       frame_hold() ? ", frames held until flushed" : "",
	       lazy_poison() ? ", unmapped addresses poisoned" : "");
}

static void init_purge(void)
{
	enum purge_policy p = pt_purge_policy();
	char word[16];
	int err = cmdline_get(boot_info.cmdline, "purge", word, sizeof(word));

	if (err != -ENOENT && (err < 0 || pt_purge_policy_parse(word, &p)))
		printk("mm: purge= takes none, all, exact or unhook; staying with %s\n",
		       pt_purge_policy_name(p));
	pt_set_purge_policy(p);
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

void kernel_main(u32 door, u64 handover)
{
	stack_fill_boot();
	if (door == DOOR_XEN_PV)
		platform = &xen_platform;
	else if (door == DOOR_PVH && xen_pvh_platform())
		platform = xen_pvh_platform();
	mmu = platform->mmu;
	platform->start(handover);
	printk("Lazymap: what does it cost to take a kernel mapping away?\n");
	take_hand_over(door, handover);
	platform->survey();

	make_address_space();
	init_laziness();
	init_purge();
	init_shootdown();
	platform->init_screens();

	platform->start_interrupts();
	if (threads_init())
		refuse_to_start("no idle thread",
				"out of memory (give the machine more), or the platform refuses");
	if (platform->ready_cpu(&cpus[0]))
		refuse_to_start("no exception stacks", "out of memory");
	platform->start_cpus();
	lazy_set_max(lazy_max); /* each CPU's part of it, now that they are all there */

	KASSERT(!mm_check(true), "the memory map of a fresh boot is not sound");
	demo_boot_story();
	tsc_at_prompt = tsc_now();
	printk("boot: done in %lu us. Type 'help'.\n", tsc_to_us(tsc_at_prompt - tsc_at_entry));
	monitor_main();
}
