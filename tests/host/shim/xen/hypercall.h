// SPDX-License-Identifier: MIT
/*
 * In place of xen/hypercall.h: the hypervisor is a function (tests/host/xen_machine.c), and its
 * list of machine frames is memory of ours. Of the calls, those that xen/mmu.c makes, and
 * xen/xenstore.c (tests/fuzz/fuzz_xenring.c).
 */
#ifndef XEN_HYPERCALL_H
#define XEN_HYPERCALL_H

#include "kernel/types.h"

#define __XEN_INTERFACE_VERSION__ __XEN_LATEST_INTERFACE_VERSION__
#include <xen/xen.h>
#include <xen/sched.h>

extern const u64 *sim_m2p;
#define XEN_M2P ((u64)sim_m2p)

long xen_mmu_update(struct mmu_update *u, unsigned n, unsigned *done);
long xen_mmuext_op(struct mmuext_op *op, unsigned n, unsigned *done);
long xen_multicall(struct multicall_entry *call, unsigned n);
long xen_sched_op(unsigned op, void *arg);

#endif
