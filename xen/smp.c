// SPDX-License-Identifier: MIT
/*
 * Starting the other vCPUs. There is no real mode to come from and no trampoline: we tell Xen the
 * state a vCPU shall begin in, registers, root, trap table and callbacks at once, and say "up"
 * (Xen: vcpu.h). So a vCPU's first instruction is on its own idle stack, with its own root loaded
 * and its GS base set.
 *
 * A vCPU is woken from its idle block by an event channel bound to it as IPI. Its handler has
 * nothing to do: the block has ended. An NMI for a panic is another operation.
 */
#include "xen/smp.h"
#include "kernel/cpu.h"
#include "kernel/panic.h"
#include "kernel/printk.h"
#include "kernel/smp.h"
#include "kernel/string.h"
#include "kernel/thread.h"
#include "kernel/watchdog.h"
#include "mm/kmap.h"
#include "mm/shootdown.h"
#include "mm/vmalloc.h"
#include "xen/events.h"
#include "xen/mmu.h"
#include "xen/time.h"
#include "xen/traps.h"
#include "xen/xenstore.h"

static evtchn_t kick_port[MAX_CPUS], call_port[MAX_CPUS];

void xen_cpu_entry(void);		     /* xen/entry.asm */
void xen_cpu_main(struct cpu *c) __noreturn; /* called by it */

static void kicked(struct trap_frame *f __attribute__((unused)))
{
}

static void called(struct trap_frame *f __attribute__((unused)))
{
	smp_interrupt_here();
}

static void bind_ports(unsigned cpu)
{
	kick_port[cpu] = xen_bind_ipi(cpu, kicked);
	call_port[cpu] = xen_bind_ipi(cpu, called);
}

void xen_smp_kick(unsigned cpu)
{
	xen_event_send(kick_port[cpu]);
}

void xen_smp_interrupt(unsigned cpu)
{
	xen_event_send(call_port[cpu]);
}

bool xen_smp_stop(cpumask_t to)
{
	unsigned cpu;

	cpumask_for_each (cpu, to)
		xen_vcpu_op(VCPUOP_send_nmi, cpu, NULL);
	return true;
}

/*
 * A domain may have more vCPUs than it is to use (xl.cfg: maxvcpus and vcpus; `xl vcpu-set`): the
 * toolstack says which in the xenstore. => not told: it may be used
 */
static bool is_available(unsigned vcpu)
{
	char path[32], answer[16];

	snprintf(path, sizeof(path), "cpu/%u/availability", vcpu);
	return xenstore_read(path, answer, sizeof(answer)) < 0 || strcmp(answer, "offline");
}

/* vcpu_info of later ones would have to be registered: Xen, vcpu.h, VCPUOP_register_vcpu_info. */
unsigned xen_smp_count(void)
{
	static unsigned n; /* fixed once asked */

	if (n)
		return n;
	n = 1;
	while (n < MIN(XEN_LEGACY_MAX_VCPUS, MAX_CPUS) && xen_vcpu_op(VCPUOP_is_up, n, NULL) >= 0 &&
	       is_available(n))
		n++;
	return n;
}

void xen_smp_init_boot(void)
{
	bind_ports(0);
}

void xen_cpu_main(struct cpu *c)
{
	(void)c;
	smp_set_online();
	shootdown_cpu_online();
	xen_time_start_cpu();
	idle_loop();
}

/* => 0 or -errno; ctxt is too large for a stack (5 KiB) */
static long start(struct cpu *c, struct vcpu_guest_context *ctxt)
{
	u64 stack_top;
	long err = kmap_local_init_cpu(c->id);

	if (!err)
		err = thread_create_idle(c, &stack_top);
	if (err)
		return err;
	c->self = c;
	c->shared = &xen_shared.info.vcpu_info[c->id];
	bind_ports(c->id);
	memset(ctxt, 0, sizeof(*ctxt));
	ctxt->flags = VGCF_IN_KERNEL;
	ctxt->user_regs.rip = (u64)xen_cpu_entry;
	ctxt->user_regs.rsp = stack_top;
	ctxt->user_regs.rdi = (u64)c;
	ctxt->user_regs.cs = FLAT_KERNEL_CS;
	ctxt->user_regs.ss = FLAT_KERNEL_SS;
	ctxt->user_regs.rflags = 1u << 9; /* the real IF; ours is the mask, which is set at start */
	ctxt->kernel_ss = FLAT_KERNEL_SS;
	ctxt->kernel_sp = stack_top;
	ctxt->ctrlreg[3] = xen_root_cr3(kmap_local_root(c->id));
	ctxt->gs_base_kernel = (u64)c;
	xen_traps_fill(ctxt);
	err = xen_vcpu_op(VCPUOP_initialise, c->id, ctxt);
	return err ? err : xen_vcpu_op(VCPUOP_up, c->id, NULL);
}

static void wait_online(const struct cpu *c)
{
	u64 began = tsc_now();

	while (!cpumask_has(cpus_online(), c->id)) {
		if (watchdog_expired(began))
			panic("vCPU %u has started, but does not come online", c->id);
		cpu_relax();
	}
}

void xen_smp_start(void)
{
	unsigned count = xen_smp_count();
	struct vcpu_guest_context *ctxt;
	u64 began = tsc_now();

	if (count == 1)
		return;
	ctxt = vmalloc(sizeof(*ctxt));
	for (; ctxt && nr_cpus < count; nr_cpus++) {
		struct cpu *c = &cpus[nr_cpus];
		long err;

		c->id = nr_cpus;
		err = start(c, ctxt);
		if (err) {
			printk("smp: vCPU %u cannot be started: %ld; staying with %u\n", c->id, err,
			       nr_cpus);
			break;
		}
		wait_online(c);
	}
	vfree(ctxt);
	printk("smp: %u vCPUs online, in %lu us\n", nr_cpus, tsc_to_us(tsc_now() - began));
}
