// SPDX-License-Identifier: MIT
/* What the toolstack asks of the domain, and how the domain ends; the essay is in control.c. */
#ifndef XEN_CONTROL_H
#define XEN_CONTROL_H

/*
 * From here on `xl shutdown` and `xl reboot` are obeyed.
 *   => xenstore_init() where there is one; thread context, threads and events work; once
 */
void xen_control_start(void);

/* platform->exit: the domain ends, and the toolstack learns how. => any context; may return */
void xen_leave(int status);

#endif
