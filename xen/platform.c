// SPDX-License-Identifier: MIT
/*
 * A Xen PV guest, as kernel/ sees it: the first domain (dom0), which is what Xen itself boots, or
 * one that a toolstack has made (domU). The order of things is kernel/main.c's.
 *
 * Leaving: the first domain can end the emulator by its port, as on the bare machine, once Xen has
 * let it use ports. Any other ends as control.c says.
 */
#include "arch/x86/cpu.h"
#include "arch/x86/io.h"
#include "arch/x86/regs.h"
#include "kernel/irq.h"
#include "kernel/main.h"
#include "kernel/panic.h"
#include "kernel/platform.h"
#include "kernel/printk.h"
#include "mm/early.h"
#include "mm/space.h"
#include "xen/console.h"
#include "xen/control.h"
#include "xen/events.h"
#include "xen/mmu.h"
#include "xen/p2m.h"
#include "xen/platform.h"
#include "xen/smp.h"
#include "xen/time.h"
#include "xen/traps.h"
#include "xen/trouble.h"
#include "xen/xenstore.h"

static const struct start_info *start_info; /* in the image's window, then in the direct map */

/* xen/irq.asm, in the order of enum irq_site */
void xen_irq_read(void);
void xen_irq_disable(void);
void xen_irq_enable(void);
void xen_irq_save(void);

static paddr_t mfn_to_paddr(u64 mfn)
{
	return pfn_to_paddr(mfn_to_pfn((mfn_t){mfn}));
}

/* The first domain has neither ring: the daemons at their other ends would be its own. */
bool xen_is_first_domain(void)
{
	return start_info->flags & SIF_INITDOMAIN;
}

/* The ring is in the image's window, as all that the builder has made, until there is more. */
static void start_console(void)
{
	if (xen_is_first_domain())
		xen_console_init(NULL, 0);
	else
		xen_console_init((void *)(IMAGE_BASE + mfn_to_paddr(start_info->console.domU.mfn)),
				 start_info->console.domU.evtchn);
}

static void leave_window(void)
{
	if (!xen_is_first_domain())
		xen_console_move(phys_to_virt(mfn_to_paddr(start_info->console.domU.mfn)));
	start_info = phys_to_virt((vaddr_t)start_info - IMAGE_BASE);
}

static void find_xenstore(void)
{
	if (!xen_is_first_domain())
		xenstore_init(phys_to_virt(mfn_to_paddr(start_info->store_mfn)),
			      start_info->store_evtchn);
}

static void start(u64 handover)
{
	static void (*const irq_words[NR_IRQ_SITES])(void) = {
		[IRQ_SITE_READ] = xen_irq_read,
		[IRQ_SITE_DISABLE] = xen_irq_disable,
		[IRQ_SITE_ENABLE] = xen_irq_enable,
		[IRQ_SITE_SAVE] = xen_irq_save,
	};
	struct cpu *c = &cpus[0];

	start_info = (const struct start_info *)handover;
	if (xen_update_va_mapping((vaddr_t)&xen_shared,
				  start_info->shared_info | PTE_P | PTE_W | PTE_A | PTE_D,
				  UVMF_INVLPG))
		__builtin_trap(); /* there is no console yet: Xen tells */
	xen_events_init();
	c->self = c;
	c->shared = &xen_shared.info.vcpu_info[0];
	wrmsr(MSR_GS_BASE, (u64)c);
	irq_patch(irq_words);
	xen_traps_init();
	start_console();
	xen_trouble_begin(start_info, xen_builder_end(start_info));
	xen_mmu_early(start_info);
	leave_window();
	cpu_find_features();
}

static const void *read_boot_map(paddr_t pa, u64 len)
{
	paddr_t end = xen_mmu_ops.early_end;

	return pa < end && len <= end - pa ? phys_to_virt(pa) : NULL;
}

static void survey(void)
{
	find_xenstore();
	printk("xen: %s, %u vCPUs, %lu pages\n",
	       xen_is_first_domain() ? "the first domain" : "a domain of its own", xen_smp_count(),
	       start_info->nr_pages);
}

static int reserve(struct kernel_image *img)
{
	int err = early_reserve(0, PAGE_SIZE); /* frame 0 is nobody's, here as elsewhere */

	return err ? err : xen_mmu_reserve(img);
}

static void init_screens(void)
{
}

static void start_interrupts(void)
{
	space_trampoline_root_free(); /* vCPUs need none */
	xen_time_init();
	xen_smp_init_boot();
	xen_time_start_cpu();
	xen_console_start();
	irq_enable();
}

static void start_cpus(void)
{
	xen_smp_start();
	xen_control_start();
	xen_trouble_end();
}

/* Xen has the exception stacks. */
static int ready_cpu(struct cpu *c __attribute__((unused)))
{
	return 0;
}

/* Takes the mask away and sleeps, in one: what comes in between ends the sleep. */
static void idle(void)
{
	xen_sched_op(SCHEDOP_block, NULL);
}

static void __noreturn halt(void)
{
	struct sched_poll nothing = {.nr_ports = 0};

	irq_disable();
	for (;;) /* not "down": that takes no NMI, and a panic wants to know where we are */
		xen_sched_op(SCHEDOP_poll, &nothing);
}

#define QEMU_EXIT_PORT 0xf4
#define QEMU_EXIT_PASS 0x10 /* QEMU's status 33 */
#define QEMU_EXIT_FAIL 0x11 /* 35 */

static void leave(int status)
{
	struct physdev_set_iopl iopl = {.iopl = 1};

	if (xen_is_first_domain() &&
	    !hypercall2(__HYPERVISOR_physdev_op, PHYSDEVOP_set_iopl, (u64)&iopl))
		outb(QEMU_EXIT_PORT, status ? QEMU_EXIT_FAIL : QEMU_EXIT_PASS);
	xen_leave(status);
}

static u64 run_time_us(void)
{
	return xen_vcpu_run_time_us(cpu_id());
}

static const char *time_reference(void)
{
	return "Xen";
}

const struct platform xen_platform = {
	.name = "xen",
	.mmu = &xen_mmu_ops,
	.start = start,
	.read_boot_map = read_boot_map,
	.survey = survey,
	.nr_cpus = xen_smp_count,
	.reserve = reserve,
	.init_screens = init_screens,
	.start_interrupts = start_interrupts,
	.ready_cpu = ready_cpu,
	.start_cpus = start_cpus,
	.idle = idle,
	.kick = xen_smp_kick,
	.interrupt = xen_smp_interrupt,
	.stop_cpus = xen_smp_stop,
	.halt = halt,
	.exit = leave,
	.run_time_us = run_time_us,
	.time_reference = time_reference,
};
