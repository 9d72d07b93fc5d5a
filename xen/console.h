// SPDX-License-Identifier: MIT
/* The guest's console; the essay is in console.c. */
#ifndef XEN_CONSOLE_H
#define XEN_CONSOLE_H

struct start_info;

/* Output from here on. => boot vCPU, xen/platform.c has set up p2m and the shared page */
void xen_console_init(const struct start_info *si);

/* Input comes by event from here on. => events can be bound */
void xen_console_start(const struct start_info *si);

#endif
