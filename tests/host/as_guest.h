// SPDX-License-Identifier: MIT
/*
 * For a test program that is run again as a PV guest (tests/host/xen_machine.h): whatever machine
 * it asks for, it gets one with a hypervisor. Included before the program's source.
 */
#ifndef TESTS_HOST_AS_GUEST_H
#define TESTS_HOST_AS_GUEST_H

#include "tests/host/xen_machine.h"

static void boot_as_guest(const struct sim_config *c)
{
	struct sim_config guest = *c;

	guest.platform = xen_machine;
	guest.max_leaf_level = 1;
	sim_boot(&guest);
}

#define AS_GUEST
#define sim_boot boot_as_guest

#endif
