// SPDX-License-Identifier: MIT
/* test_aspace_smp.c once more, as a PV guest. */
// links: mm/*.c tests/host/sim*.c tests/host/xen_machine.c
// links: tests/host/typing_full.c xen/mmu.c xen/explain.c
#include "tests/host/as_guest.h"
#include "tests/host/test_aspace_smp.c"
