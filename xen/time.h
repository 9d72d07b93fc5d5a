// SPDX-License-Identifier: MIT
/* The clock and the tick of a vCPU; the essay is in time.c. */
#ifndef XEN_TIME_H
#define XEN_TIME_H

#include "kernel/types.h"

/* Learns tsc_hz from Xen. => boot vCPU */
void xen_time_init(void);

/* This vCPU's tick, 100 Hz. => once per vCPU, on it */
void xen_time_start_cpu(void);

/* Nanoseconds since Xen started, by this vCPU's clock. => any context */
u64 xen_time_ns(void);

/* The TSC's rate, as Xen has measured it. => boot vCPU, its shared page is there */
u64 xen_tsc_hz(void);

/* How long a vCPU has run: not blocked, not waiting for a processor, not paused. */
u64 xen_vcpu_run_time_us(unsigned vcpu);

#endif
