// SPDX-License-Identifier: MIT
/* The guest's console; the essay is in console.c. */
#ifndef XEN_CONSOLE_H
#define XEN_CONSOLE_H

#include "kernel/types.h"

struct xencons_interface;

/* Output from here on: to the ring, or if that is NULL, the hypervisor. => boot vCPU */
void xen_console_init(struct xencons_interface *ring, u32 port);

/* The same ring has another address now. => boot, one CPU */
void xen_console_move(struct xencons_interface *ring);

/* Input comes by event from here on. => events can be bound */
void xen_console_start(void);

#endif
