// SPDX-License-Identifier: MIT
/*
 * A PVH guest of Xen's: a machine made of processors, local APICs and memory, with page tables that
 * are its own business, and nothing else. So this is the bare machine's platform with the functions
 * replaced that need a device, for there is no serial port, no PIT and no IO-APIC: console, clock
 * and xenstore are Xen's, by hypercall, as in a PV guest; and leaving is.
 *
 * What has to be asked for here, where a PV guest is given it at the start:
 *
 *   hypercalls    a page of ours, which Xen fills when it is told where (Xen: arch-x86/cpuid.h,
 *                 leaf 2)
 *   shared page   is put in the place of a frame of ours, whose memory goes back to Xen
 *                 (XENMAPSPACE_shared_info)
 *   console and   in frames that are none of our RAM: parameters tell (Xen: hvm/params.h). The
 *   xenstore      console has to be reached before there is anything to map it with, and after:
 *                 first by the boot tables, then over a page of the image, as a PV guest's shared
 *                 page is
 *   events        by an interrupt vector of our choice, on the boot CPU, to which all are bound;
 *                 what CPUs tell each other goes by the local APIC
 */
#include "arch/x86/cpu.h"
#include "arch/x86/idt.h"
#include "arch/x86/mmu_native.h"
#include "arch/x86/regs.h"
#include "arch/x86/timer.h"
#include "kernel/cpu.h"
#include "kernel/platform.h"
#include "kernel/printk.h"
#include "mm/pagetable.h"
#include "mm/space.h"
#include "mm/vmap.h"
#include "xen/console.h"
#include "xen/control.h"
#include "xen/events.h"
#include "xen/hypercall.h"
#include "xen/time.h"
#include "xen/traps.h"
#include "xen/xenstore.h"
#include <xen/arch-x86/cpuid.h>
#include <xen/hvm/params.h>

#define LEAF_STEP      0x100 /* Xen moves up where it shows another hypervisor's leaves as well */
#define LEAF_END       0x40010000u
#define CPUID_1_ECX_HV (1u << 31)
#define BOOT_MAP_END   (4 * GiB) /* boot/boot.asm */
#define CALLBACK_SHIFT 56

static struct platform pvh;
static u32 leaves; /* of CPUID, Xen's; 0: not known yet, or none */
static u64 console_pfn;
static u8 console_window[PAGE_SIZE] __aligned_to(4096);
static int (*native_load_root)(pfn_t root);

static long hvm_param(unsigned op, unsigned index, u64 *value)
{
	struct xen_hvm_param p = {.domid = DOMID_SELF, .index = index, .value = *value};
	long err = hypercall2(__HYPERVISOR_hvm_op, op, (u64)&p);

	*value = p.value;
	return err;
}

/* => 0 for what there is not */
static u64 get_param(unsigned index)
{
	u64 value = 0;

	return hvm_param(HVMOP_get_param, index, &value) ? 0 : value;
}

static void share_page(void)
{
	struct xen_add_to_physmap add = {
		.domid = DOMID_SELF,
		.space = XENMAPSPACE_shared_info,
		.gpfn = ((vaddr_t)&xen_shared - IMAGE_BASE) >> PAGE_SHIFT,
	};
	long err = xen_memory_op(XENMEM_add_to_physmap, &add);

	KASSERT(!err, "Xen does not share its page: %ld", err);
	cpus[0].shared = &xen_shared.info.vcpu_info[0];
}

/* From the boot tables, whose direct map reaches all below 4 GiB, to our own: there it is RAM. */
static int enter_own_tables(pfn_t root)
{
	vaddr_t va = (vaddr_t)console_window;
	pte_t *e = &pt_entries(pt_leaf_table(root, va))[pt_index(va, 1)];
	int err;

	e->v = (e->v & ~PTE_ADDR) | console_pfn << PAGE_SHIFT;
	err = native_load_root(root);
	if (err)
		return err;
	xen_console_move((void *)console_window);
	native_mmu_ops.load_root = native_load_root;
	return 0;
}

static void start_console(void)
{
	console_pfn = get_param(HVM_PARAM_CONSOLE_PFN);
	if (!console_pfn || console_pfn >= BOOT_MAP_END >> PAGE_SHIFT) {
		console_pfn = 0;
		return;
	}
	xen_console_init(phys_to_virt(console_pfn << PAGE_SHIFT),
			 (u32)get_param(HVM_PARAM_CONSOLE_EVTCHN));
	native_load_root = native_mmu_ops.load_root;
	native_mmu_ops.load_root = enter_own_tables;
}

static void start(u64 handover)
{
	native_platform.start(handover);
	wrmsr(cpuid(leaves + 2, 0).ebx, (vaddr_t)xen_hypercall_page - IMAGE_BASE);
	share_page();
	start_console();
}

static void survey(void)
{
	native_platform.survey();
	printk("xen: a PVH domain\n");
}

static int reserve(struct kernel_image *img)
{
	if (console_pfn)
		img->platform_page = (vaddr_t)console_window;
	return native_platform.reserve(img);
}

static void init_screens(void)
{
}

static void find_xenstore(void)
{
	pfn_t pfn = {get_param(HVM_PARAM_STORE_PFN)};
	void *ring = pfn.n ? vmap_pfn(pfn, 1, VM_W | VM_UC, "xenstore") : NULL;

	if (ring)
		xenstore_init(ring, (u32)get_param(HVM_PARAM_STORE_EVTCHN));
	else
		printk("xen: no xenstore: xl shutdown and xl reboot will not be heard\n");
}

static void start_interrupts(void)
{
	u64 callback = (u64)HVM_PARAM_CALLBACK_TYPE_VECTOR << CALLBACK_SHIFT | VEC_EVENT;
	long err;

	timer_told(xen_tsc_hz(), "Xen");
	native_platform.start_interrupts();
	find_xenstore();
	irq_register(VEC_EVENT, xen_events_deliver);
	err = hvm_param(HVMOP_set_param, HVM_PARAM_CALLBACK_IRQ, &callback);
	KASSERT(!err, "Xen refuses to interrupt us for events: %ld", err);
	if (console_pfn)
		xen_console_start();
}

static void start_cpus(void)
{
	native_platform.start_cpus();
	xen_control_start();
}

/* Xen's number of this CPU need not be ours: a CPU may not have come. */
static u64 run_time_us(void)
{
	return xen_vcpu_run_time_us(cpuid(leaves + 4, 0).ebx);
}

static u32 find_leaves(void)
{
	if (!(cpuid(1, 0).ecx & CPUID_1_ECX_HV))
		return 0;
	for (u32 leaf = XEN_CPUID_FIRST_LEAF; leaf < LEAF_END; leaf += LEAF_STEP) {
		struct cpuid id = cpuid(leaf, 0);

		if (id.ebx == XEN_CPUID_SIGNATURE_EBX && id.ecx == XEN_CPUID_SIGNATURE_ECX &&
		    id.edx == XEN_CPUID_SIGNATURE_EDX)
			return leaf;
	}
	return 0;
}

const struct platform *xen_pvh_platform(void)
{
	leaves = find_leaves();
	if (!leaves)
		return NULL;
	pvh = native_platform;
	pvh.name = "xen-pvh";
	pvh.start = start;
	pvh.survey = survey;
	pvh.reserve = reserve;
	pvh.init_screens = init_screens;
	pvh.start_interrupts = start_interrupts;
	pvh.start_cpus = start_cpus;
	pvh.exit = xen_leave;
	pvh.run_time_us = run_time_us;
	return &pvh;
}
