// SPDX-License-Identifier: MIT
/* The simulated machine as a PV guest of a simulated Xen. The essay is in xen_machine.c. */
#ifndef TESTS_HOST_XEN_MACHINE_H
#define TESTS_HOST_XEN_MACHINE_H

#include "mm/frame.h"
#include "mm/pagetable.h"
#include "tests/host/sim.h"

/* For sim_config.platform. => at most 36 MiB of RAM */
void xen_machine(void);

/* How often it refused what no test had asked it to refuse. */
extern unsigned xen_machine_refusals;

/* Tables in memory are as the hypervisor knows them. */
void xen_machine_check(void);

#endif
