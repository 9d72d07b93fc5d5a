// SPDX-License-Identifier: MIT
/* For suites about what only a PV guest has: page tables that a hypervisor looks at, events. */
#ifndef TESTS_XEN_GUEST_H
#define TESTS_XEN_GUEST_H

#include "kernel/platform.h"
#include "kernel/test.h"
#include "mm/mmu_ops.h"

/* => false, and the test is skipped: nobody looks at our page tables */
static inline bool xen_looks(void)
{
	if (!mmu->tables_read_only)
		test_skip("no hypervisor looks at our page tables: boot as a PV guest of Xen");
	return mmu->tables_read_only;
}

/* => false, and the test is skipped: an interrupt is no event here */
static inline bool xen_delivers(void)
{
	bool yes = platform == &xen_platform;

	if (!yes)
		test_skip("no hypervisor delivers events: boot as a PV guest of Xen");
	return yes;
}

#endif
