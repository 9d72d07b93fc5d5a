// SPDX-License-Identifier: MIT
/* Exceptions and events of a vCPU; the essay is in traps.c. */
#ifndef XEN_TRAPS_H
#define XEN_TRAPS_H

#include "xen/hypercall.h"

/* What xen/entry.asm calls what is no exception; none of them is a vector of the processor's. */
#define VEC_EVENT    0xf3
#define VEC_FAILSAFE 0xf4

/* Tells Xen where to enter the kernel. => boot vCPU; events stay masked */
void xen_traps_init(void);

/* The same for a vCPU that is about to be started. */
void xen_traps_fill(struct vcpu_guest_context *ctxt);

#endif
