// SPDX-License-Identifier: MIT
/*
 * Readying a CPU. The order in cpu_init() matters: first the segment registers (a load of GS clears
 * its base), then the GS base, so that this_cpu() works, then the control bits.
 *
 * Segmentation does nothing in 64-bit mode but three things we cannot do without: CS says that this
 * is 64-bit code, the GS base finds struct cpu, and the TSS names the stacks of the exceptions that
 * may come when the current stack is the problem (a double fault is mostly a stack overflow) or is
 * in an unknown state (NMI, machine check). One GDT per CPU, because each has a TSS of its own.
 *
 * The boot CPU is readied before there is memory to give out, so its exception stacks are one
 * static one at first; cpu_alloc_stacks() later puts guarded ones in the same TSS, which the
 * processor reads anew at each delivery.
 *
 * Read next: idt.c for what those stacks are used by, mmu_native.c for what PGE and PCIDE entail.
 */
#include "arch/x86/cpu.h"
#include "arch/x86/apic.h"
#include "arch/x86/regs.h"
#include "kernel/errno.h"
#include "kernel/panic.h"
#include "kernel/printk.h"
#include "kernel/stacks.h"
#include "kernel/string.h"
#include "mm/vmap.h"

/* SDM vol. 3A, figure 7-11. The halves of 64-bit fields lie on 4-byte boundaries. */
struct tss {
	u32 reserved0;
	u64 rsp[3];
	u64 reserved1;
	u64 ist[7]; /* entry n of the gates is ist[n - 1] */
	u64 reserved2;
	u16 reserved3;
	u16 iomap_base;
} __packed;

struct arch_cpu {
	u64 gdt[5]; /* null, code, data, TSS in two */
	struct tss tss;
};

/* What LGDT reads: vol. 2A, LGDT. */
struct gdt_pointer {
	u16 limit;
	u64 base;
} __packed;

/*
 * Descriptors: vol. 3A, 3.4.5 and 7.2.3. In 64-bit mode base and limit of code and data count for
 * nothing.
 */
#define GDT_CODE64	 0x00209a0000000000ull /* present, code, readable, L */
#define GDT_DATA	 0x0000920000000000ull /* present, data, writable */
#define GDT_TSS_TYPE	 (0x89ull << 40)       /* present, available 64-bit TSS */

#define IST_STACK_PAGES	 2
#define EARLY_STACK_SIZE (8 * KiB)

struct cpu_features cpu_features;

static struct arch_cpu arch_cpus[MAX_CPUS];
static u8 early_exception_stack[EARLY_STACK_SIZE] __aligned_to(16);

/* What entry.asm and the inline assembly of kernel/cpu.h count on. */
_Static_assert(offsetof(struct cpu, self) == 0, "this_cpu() reads gs:0");
_Static_assert(offsetof(struct cpu, id) == 8, "cpu_id() reads gs:8");
_Static_assert(sizeof(struct tss) == 104, "SDM vol. 3A, figure 7-11");

/* entry.asm: loads the GDT, every segment register and the task register. */
void gdt_load(const struct gdt_pointer *p);

static void load_segments(struct arch_cpu *a)
{
	u64 base = (u64)&a->tss, limit = sizeof(a->tss) - 1;
	struct gdt_pointer p = {sizeof(a->gdt) - 1, (u64)a->gdt};

	a->gdt[SEL_KERNEL_CODE / 8] = GDT_CODE64;
	a->gdt[SEL_KERNEL_DATA / 8] = GDT_DATA;
	a->gdt[SEL_TSS / 8] =
		GDT_TSS_TYPE | limit | (base & 0xffffff) << 16 | (base >> 24 & 0xff) << 56;
	a->gdt[SEL_TSS / 8 + 1] = base >> 32;
	a->tss.iomap_base = sizeof(a->tss); /* beyond the limit: no I/O bitmap */
	gdt_load(&p);
}

/* The power-on table (vol. 3A, table 11-12) with entry 1 made WC (encoding 1) instead of WT. */
#define PAT_VALUE 0x0007040600070106ull

/*
 * A memory type may only change while no cache line and no TLB entry of the old one can be alive:
 * 11.12.4, which refers to the procedure of 11.11.8. For the boot CPU nothing is mapped by entry 1
 * yet; a later CPU shares page tables in which the framebuffer already is.
 */
static void pat_init(void)
{
	u64 cr0 = read_cr0(), cr4 = read_cr4();

	write_cr0((cr0 | CR0_CD) & ~CR0_NW);
	wbinvd();
	write_cr4(cr4 & ~CR4_PGE);
	write_cr3(read_cr3());
	wrmsr(MSR_PAT, PAT_VALUE);
	wbinvd();
	write_cr3(read_cr3());
	write_cr4(cr4);
	write_cr0(cr0);
}

void cpu_init(struct cpu *c)
{
	struct cpu_features *f = &cpu_features;
	u64 cr4 = read_cr4();

	c->self = c;
	c->arch = &arch_cpus[c->id];
	load_segments(c->arch);
	wrmsr(MSR_GS_BASE, (u64)c);
	c->apic_id = apic_id();

	KASSERT(f->nx,
		"this processor has no NX bit (or firmware turned it off): turn it on there");
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_NXE);
	write_cr0(read_cr0() | CR0_WP);
	pat_init();
	/* PCIDE may only be set while the current PCID is 0 (4.10.1), as in all roots of ours */
	KASSERT(!(read_cr3() & CR3_PCID), "CR3 is %#lx: it has a PCID", read_cr3());
	/* MCE: a machine check without it is a reset, and nobody learns why (vol. 3B, 15.3) */
	cr4 |= CR4_PGE | (f->pcid ? CR4_PCIDE : 0) | (f->smep ? CR4_SMEP : 0) |
	       (f->smap ? CR4_SMAP : 0) | (f->umip ? CR4_UMIP : 0) | (f->mce ? CR4_MCE : 0);
	write_cr4(cr4);
}

int cpu_alloc_stacks(struct cpu *c)
{
	static const char *const names[] = {
		[IST_DF] = "#DF stack", [IST_NMI] = "NMI stack", [IST_MC] = "#MC stack"};
	u8 *stack[IST_END];

	for (int i = IST_DF; i < IST_END; i++) {
		stack[i] = vmap_stack_alloc(IST_STACK_PAGES, names[i]);
		if (!stack[i]) {
			while (--i >= IST_DF)
				vmap_stack_free(stack[i]);
			return -ENOMEM;
		}
		stack_fill(stack[i], IST_STACK_PAGES * PAGE_SIZE);
	}
	for (int i = IST_DF; i < IST_END; i++)
		arch_cpus[c->id].tss.ist[i - 1] = (u64)stack[i] + IST_STACK_PAGES * PAGE_SIZE;
	return 0;
}

/* CPUID leaves and bits: vol. 2A, table 3-8. */
#define CPUID_EXTENDED	 0x80000000u
#define CPUID_EXT_MODEL	 0x80000001u
#define CPUID_BRAND	 0x80000002u
#define CPUID_POWER	 0x80000007u
#define CPUID_ADDR_SIZES 0x80000008u
#define BIT(word, n)	 (((word) >> (n)) & 1)

static void find_extended_features(struct cpu_features *f)
{
	u32 max = cpuid(CPUID_EXTENDED, 0).eax;
	struct cpuid id;

	if (max >= CPUID_EXT_MODEL) {
		id = cpuid(CPUID_EXT_MODEL, 0);
		f->nx = BIT(id.edx, 20);
		f->gb_pages = BIT(id.edx, 26);
	}
	if (max >= CPUID_BRAND + 2) {
		for (u32 i = 0; i < 3; i++) {
			id = cpuid(CPUID_BRAND + i, 0);
			memcpy(f->brand + 16 * i, &id, 16);
		}
	}
	if (max >= CPUID_POWER)
		f->invariant_tsc = BIT(cpuid(CPUID_POWER, 0).edx, 8);
	f->phys_bits = max >= CPUID_ADDR_SIZES ? cpuid(CPUID_ADDR_SIZES, 0).eax & 0xff : 36;
}

/*
 * On these, INVLPG may leave a global translation while PCIDs are on (Intel's errata ADL063 and
 * RPL042). Nothing that is meant for one page repairs it: INVPCID type 0 leaves global translations
 * by definition. So we do without PCIDs there, which we can; without INVLPG we cannot.
 */
static bool invlpg_misses_globals(const struct cpu_features *f)
{
	static const u8 models[] = {0x97, 0x9a, 0xbe,  /* Alder Lake, its -L and -N */
				    0xb7, 0xba, 0xbf}; /* Raptor Lake, its -P and -S */

	if (strcmp(f->vendor, "GenuineIntel") || f->family != 6)
		return false;
	for (unsigned i = 0; i < ARRAY_SIZE(models); i++)
		if (f->model == models[i])
			return true;
	return false;
}

static void find_features(struct cpu_features *f)
{
	struct cpuid id = cpuid(0, 0);
	u32 max = id.eax;

	memcpy(f->vendor, &id.ebx, 4);
	memcpy(f->vendor + 4, &id.edx, 4);
	memcpy(f->vendor + 8, &id.ecx, 4);

	id = cpuid(1, 0);
	f->stepping = id.eax & 15;
	f->model = (id.eax >> 4 & 15) | (id.eax >> 12 & 0xf0);
	f->family = (id.eax >> 8 & 15) + ((id.eax >> 8 & 15) == 15 ? id.eax >> 20 & 0xff : 0);
	f->mce = BIT(id.edx, 7);
	f->pcid = BIT(id.ecx, 17) && !invlpg_misses_globals(f);
	f->x2apic = BIT(id.ecx, 21);
	f->hypervisor = BIT(id.ecx, 31);
	if (max >= 7) {
		id = cpuid(7, 0);
		f->smep = BIT(id.ebx, 7);
		f->invpcid = BIT(id.ebx, 10);
		f->smap = BIT(id.ebx, 20);
		f->umip = BIT(id.ecx, 2);
	}
	find_extended_features(f);
}

void cpu_find_features(void)
{
	find_features(&cpu_features);
}

void cpu_init_boot(void)
{
	struct tss *tss = &arch_cpus[0].tss;

	for (int i = IST_DF; i < IST_END; i++)
		tss->ist[i - 1] = (u64)early_exception_stack + EARLY_STACK_SIZE;
	cpu_find_features();
	cpu_init(&cpus[0]);
}

int cpu_features_describe(char *buf, size_t size)
{
	const struct cpu_features *f = &cpu_features;

	return snprintf(buf, size, "%s %u/%u/%u, %u-bit physical pge%s%s%s%s%s%s%s%s%s%s",
			f->vendor, f->family, f->model, f->stepping, f->phys_bits,
			f->nx ? " nx" : "", f->smep ? " smep" : "", f->smap ? " smap" : "",
			f->umip ? " umip" : "", f->gb_pages ? " 1gb-pages" : "",
			f->pcid ? " pcid" : "", f->invpcid ? " invpcid" : "",
			f->x2apic ? " x2apic" : "", f->invariant_tsc ? " invariant-tsc" : "",
			f->hypervisor ? " hypervisor" : "");
}
