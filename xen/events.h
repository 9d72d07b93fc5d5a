// SPDX-License-Identifier: MIT
/*
 * Event channels: what interrupts are in a PV guest. A channel is a port, a bit; what it stands for
 * is said when it is bound: a virtual interrupt of one vCPU, an IPI to one, another domain's end.
 * (Xen: event_channel.h; the two-level form, whose bits lie in the shared info page.)
 */
#ifndef XEN_EVENTS_H
#define XEN_EVENTS_H

#include "arch/x86/idt.h"
#include "xen/hypercall.h"

typedef u32 evtchn_t;

/* A page of the image, over which Xen's page is mapped (xen/platform.c). */
extern union xen_shared_page {
	struct shared_info info;
	u8 page[4096];
} xen_shared;

/* => interrupt context, events masked, on the vCPU the port is bound to */
typedef void (*event_fn)(struct trap_frame *f);

/* Every port is masked, until it gets its handler. => boot, xen_shared is Xen's page */
void xen_events_init(void);

/* The port is fn's from now on, and unmasked. => boot, or before its vCPU runs */
void xen_event_handle(evtchn_t port, event_fn fn);

/* A port for a virtual interrupt (VIRQ_*), or for IPIs, of one vCPU. => panics if Xen refuses */
evtchn_t xen_bind_virq(unsigned virq, unsigned vcpu, event_fn fn);
evtchn_t xen_bind_ipi(unsigned vcpu, event_fn fn);

/* => any context */
void xen_event_send(evtchn_t port);

/* Called by xen/traps.c: every event that is pending and not masked is handled. */
void xen_events_deliver(struct trap_frame *f);

#endif
