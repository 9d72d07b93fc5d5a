// SPDX-License-Identifier: MIT
/* Device memory that a test may map, on whatever platform. */
#ifndef TESTS_KERNEL_DEVICE_H
#define TESTS_KERNEL_DEVICE_H

#include "kernel/platform.h"
#include "kernel/test.h"
#include "mm/vmalloc.h"

#define LAPIC_PA 0xfee00000ul /* SDM vol. 3A, 10.4.1 */
#define PCI_PA	 0xfd000000ul /* where PCs have PCI devices' memory, or nothing */

/*
 * A page of a device's registers: the local APIC's, which every PC has. Xen keeps that for itself;
 * the first domain gets others. => 0: the hypervisor gives this domain none
 */
static inline paddr_t device_find(void)
{
	static const paddr_t pages[] = {LAPIC_PA, PCI_PA};

	for (unsigned i = 0; i < ARRAY_SIZE(pages); i++) {
		void *va = ioremap(pages[i], 4, VM_UC, "a device for a test");

		if (va) {
			iounmap(va);
			return pages[i];
		}
	}
	return 0;
}

/* The same. => 0, and the test is skipped, on the bare machine failed */
static inline paddr_t device_page(void)
{
	paddr_t pa = device_find();

	if (pa)
		return pa;
	if (platform == &native_platform)
		test_fail(__FILE__, __LINE__, "no device's registers can be mapped");
	else
		test_skip("the hypervisor gives this domain no device's memory");
	return 0;
}

#endif
