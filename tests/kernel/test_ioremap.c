// SPDX-License-Identifier: MIT
/*
 * Device registers. The local APIC's page exists on every PC, and in x2APIC mode its registers
 * read as zero or float, so what is looked at is how it is mapped rather than what it says.
 */
#include "kernel/string.h"
#include "mm/early.h"
#include "mm/vmalloc.h"
#include "tests/kernel/device.h"
#include "tests/kernel/support.h"

/* => no RAM of ours is there, which may be so on no machine, but is not ours to say */
static bool is_device(paddr_t pa)
{
	return !frame_valid(paddr_to_pfn(pa));
}

KTEST(ioremap, two_mappings_of_one_device)
{
	paddr_t device = device_page(), pa;
	u8 *a, *b;

	if (!device)
		return;
	EXPECT(is_device(device), "the device's page is RAM");
	a = ioremap(device + 0x30, 4, VM_W | VM_UC, "a device again");
	b = ioremap(device, PAGE_SIZE, VM_R | VM_UC, "a device again");
	EXPECT(a && b && a != b, "%p %p", (void *)a, (void *)b);
	EXPECT_EQ((vaddr_t)a % PAGE_SIZE, 0x30);
	EXPECT_EQ((vaddr_t)b % PAGE_SIZE, 0);
	EXPECT(pt_translate(kernel_root, (vaddr_t)a, &pa) && pa == device + 0x30, "%#lx", pa);
	EXPECT(pt_translate(kernel_root, (vaddr_t)b, &pa) && pa == device, "%#lx", pa);
	EXPECT_EQ(entry_at(a) & (PTE_PCD | PTE_PWT | PTE_W | PTE_NX),
		  PTE_CACHE_UC | PTE_W | PTE_NX);
	EXPECT_EQ(entry_at(b) & (PTE_PCD | PTE_PWT | PTE_W), PTE_CACHE_UC);
	EXPECT(!probe_read(b, NULL), "the registers cannot be read");
	EXPECT(!vmalloc_to_frame(a), "a device has no frame of ours");
	iounmap(a);
	EXPECT(!probe_read(b, NULL), "the second mapping ended with the first");
	iounmap(b);
	vm_unmap_aliases();
	EXPECT(probe_read(b, NULL), "still mapped after iounmap and a purge");
}

KTEST(ioremap, ranges_across_pages)
{
	paddr_t device = device_page(), pa;
	u8 *va;

	if (!device)
		return;
	va = ioremap(device + PAGE_SIZE - 8, 16, VM_R | VM_UC, "two pages");
	EXPECT(va, "no mapping");
	EXPECT(pt_translate(kernel_root, (vaddr_t)va + 8, &pa) && pa == device + PAGE_SIZE, "%#lx",
	       pa);
	EXPECT(entry_at(va + 8 + PAGE_SIZE) == 0, "no guard");
	iounmap(va);
}

/* Where address and size allow, in large pages; the guard is there all the same. */
KTEST(ioremap, large_ranges_take_large_pages)
{
	paddr_t top = early_ram[early_nr_ram - 1].end << PAGE_SHIFT;
	paddr_t pa = ALIGN_UP(MAX(top, 4 * GiB), 2 * MiB), got;
	u8 *va;

	if (mmu->max_leaf_level < 2) {
		test_skip("this platform maps no large pages");
		return;
	}
	if (pa + 4 * MiB > mmu->phys_end) {
		test_skip("no physical addresses beyond RAM");
		return;
	}
	va = vmap_pfn(paddr_to_pfn(pa), 4 * MiB / PAGE_SIZE, VM_UC, "nothing");
	EXPECT(va, "no mapping");
	EXPECT_EQ(level_at(va), 2);
	EXPECT(pt_translate(kernel_root, (vaddr_t)va + 3 * MiB, &got) && got == pa + 3 * MiB,
	       "%#lx", got);
	EXPECT_EQ(entry_at(va + 4 * MiB), 0);
	vunmap(va);
}

KTEST(ioremap, what_is_no_device_is_refused)
{
	paddr_t ram = early_ram[early_nr_ram - 1].start << PAGE_SHIFT;

	EXPECT(!ioremap(ram, 4, VM_UC, "ram"), "RAM with a second memory type");
	EXPECT(!vmap_pfn(paddr_to_pfn(ram), 1, VM_WC, "ram"), "RAM with a second memory type");
	EXPECT(!vmap_pfn(paddr_to_pfn(ram - PAGE_SIZE), 2, VM_UC, "ram"), "the second page is RAM");
	EXPECT(!vmap_pfn(paddr_to_pfn(mmu->phys_end), 1, VM_UC, "beyond"), "no such address");
	EXPECT(!vmap_pfn(paddr_to_pfn(mmu->phys_end - PAGE_SIZE), 2, VM_UC, "beyond"), "half");
	EXPECT(!ioremap(~0ul - 10, 4, VM_UC, "wraps"), "no such address");
	EXPECT(!ioremap(LAPIC_PA, 0, VM_UC, "empty"), "no bytes");
	EXPECT(!vmap_pfn(paddr_to_pfn(LAPIC_PA), 0, VM_UC, "empty"), "no pages");
}
