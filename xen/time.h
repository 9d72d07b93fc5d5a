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

/* platform->run_time_us: not what it was blocked, runnable, or paused. */
u64 xen_run_time_us(void);

#endif
