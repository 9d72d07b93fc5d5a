// SPDX-License-Identifier: MIT
/* What else is known of the domain, for who is in xen/ already. */
#ifndef XEN_PLATFORM_H
#define XEN_PLATFORM_H

#include "kernel/types.h"

/* Is this dom0, which Xen lets do more than others? => a Xen PV guest */
bool xen_is_first_domain(void);

#endif
