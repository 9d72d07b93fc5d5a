// SPDX-License-Identifier: MIT
/*
 * Trouble at boot, for tests, asked for by words on the command line that only a PV guest minds:
 *
 *   xen_holes=N   N holes in the domain's memory, of 1, 2, 4, ... frames: given back to Xen
 *   xen_refuse=N  of the hypercalls boot makes from there on the N-th is refused (xen/inject.h)
 */
#ifndef XEN_TROUBLE_H
#define XEN_TROUBLE_H

#include "boot/xen.h"

#define XEN_HOLES_MAX 12

/*
 * xen_trouble_begin: as early as there is a console. Frames of which the domain builder has made
 * use are left alone: those below `in_use` (a pfn).
 *   => before anybody reads the list of frames
 * xen_trouble_end: boot is over: says what became of it.
 */
void xen_trouble_begin(const struct start_info *si, u64 in_use);
void xen_trouble_end(void);

#endif
