// SPDX-License-Identifier: MIT
/*
 * Xen as the machine of the differential test (xen/difftest.h): some frames of ours, taken out of
 * use, and eight addresses of the vmap area to map them at.
 */
#ifndef TESTS_XEN_TYPING_LAB_H
#define TESTS_XEN_TYPING_LAB_H

#include "xen/difftest.h"

/* => are we a PV guest at all? */
bool lab_possible(void);

/* The rules that hold for this domain. */
const struct typing_rules *lab_rules(void);

/*
 * lab_open: takes TYPING_FRAMES frames and the window.
 *   => one at a time; thread context, IRQs on; 0 or -ENOMEM
 * lab_close: gives all of it back. => the frames are clean (difftest_clean)
 * lab_abandon: they are not, so they stay as they are, for ever.
 */
int lab_open(void) __must_check;
void lab_close(void);
void lab_abandon(void);

extern const struct typing_backend lab_backend; /* between lab_open and lab_close */

#endif
