// SPDX-License-Identifier: MIT
/* The Xen PV door's hand-over: struct start_info, by Xen's own public header. */
#ifndef BOOT_XEN_H
#define BOOT_XEN_H

#include "kernel/types.h"

#define __XEN_INTERFACE_VERSION__ __XEN_LATEST_INTERFACE_VERSION__
#include <xen/xen.h>

/* "xen-3.0-x86_64": the version of the interface, not of the hypervisor; dom0's ends in a p. */
#define XEN_START_MAGIC "xen-3."

/* The list of frames has this bit set where there is none: entries are ~0 there. */
#define XEN_MFN_INVALID (1ull << 63)

#endif
