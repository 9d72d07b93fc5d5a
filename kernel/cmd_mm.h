// SPDX-License-Identifier: MIT
/* What the monitor's windows into mm/ share: reading arguments, and showing an area in a line. */
#ifndef KERNEL_CMD_MM_H
#define KERNEL_CMD_MM_H

#include "mm/describe.h"

#define LIST_MAX 100 /* lines of a listing; then it says how many more there are */

/* area_for_each(a): a copy of every area in the order of addresses, free ones included */
#define area_for_each(a) \
	for (vaddr_t at_ = VMAP_BASE; describe_area_at(at_, &(a)); at_ = area_end(&(a)))

/* An address argument. => 0, or -EINVAL and a message */
int parse_address(const char *s, vaddr_t *va);

/* A frame argument: its number, or a kernel address that is mapped to it. => 0, or as above */
struct frame;
int parse_frame(const char *s, struct frame **f);

/* "rw-", "r-- uc" */
const char *prot_text(unsigned prot);

/*
 * How long ago `tsc` was, "12.34 s", into buf[AGE_TEXT]; "-" for 0, which is: not recorded, or
 * before the first tick. Areas note the time of a tick: the hundredth is the last that means
 * anything.
 */
#define AGE_TEXT 24
const char *age_text(u64 tsc, char *buf);

/* "f+0x12" of who did something, into buf[WHO_TEXT]; 0: it is not recorded */
#define WHO_TEXT 64
const char *who_text(u64 text, char *buf);

/* The heading of the lines that print_area() prints, and one such line: of the page `at` of it. */
void print_area_heading(void);
void print_area(const struct area *a, vaddr_t at);

#endif
