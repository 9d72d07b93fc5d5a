// SPDX-License-Identifier: MIT
/* The domain's vCPUs; the essay is in smp.c. */
#ifndef XEN_SMP_H
#define XEN_SMP_H

#include "kernel/cpumask.h"

/* vCPUs the domain has, as far as we have room for them. => any time */
unsigned xen_smp_count(void);

/* What the boot vCPU needs to be kicked. => before other vCPUs are started */
void xen_smp_init_boot(void);

/* Starts all others; fixes nr_cpus. => thread context, events unmasked */
void xen_smp_start(void);

/* platform->kick, ->interrupt, ->stop_cpus */
void xen_smp_kick(unsigned cpu);
void xen_smp_interrupt(unsigned cpu);
bool xen_smp_stop(cpumask_t to);

#endif
