// SPDX-License-Identifier: MIT
/*
 * The address space. Everything the kernel maps lies in one of these regions; the gaps between
 * them are never mapped. Slots 256-271 of the top level are Xen's in a PV guest, so nothing of ours
 * is there. Each region is a whole number of top-level slots (512 GiB each).
 *
 *   0x0000000000000000  (slot 0)   user half: address spaces (mm/aspace.h); page 0 is never mapped
 *   0xffff800000000000  (256-271)  Xen's hole
 *   0xffff880000000000  (272-287)  direct map: RAM, or its first directmap=SIZE; DIRECT_BASE + pa
 *   0xffff900000000000  (288)      vmap area: everything mapped page by page, stacks included
 *   0xffff908000000000  (289)      kmap_local slots: of each CPU's tables its own, and no others
 *   0xffff980000000000  (304-319)  frame array: a struct frame for each frame, holes unmapped
 *   0xffffffff80000000  (511)      kernel image, at IMAGE_BASE + pa
 */
#ifndef MM_LAYOUT_H
#define MM_LAYOUT_H

#include "mm/types.h"

#define USER_SIZE	(512 * GiB)

#define DIRECT_BASE	0xffff880000000000ul
#define DIRECT_SIZE	(8 * TiB)

#define VMAP_BASE	0xffff900000000000ul
#define VMAP_SIZE	(512 * GiB)
#define VMAP_END	(VMAP_BASE + VMAP_SIZE)

#define KMAP_LOCAL_BASE 0xffff908000000000ul
#define KMAP_LOCAL_SIZE (512 * GiB)

#define FRAMES_BASE	0xffff980000000000ul
#define FRAMES_SIZE	(8 * TiB)

#define IMAGE_BASE	0xffffffff80000000ul
#define IMAGE_SIZE	(1 * GiB)

#define HOLE_BASE	0xffff800000000000ul
#define HOLE_SIZE	(8 * TiB)

static inline bool in_user_half(vaddr_t va)
{
	return va < USER_SIZE;
}

static inline bool in_direct_map(vaddr_t va)
{
	return va - DIRECT_BASE < DIRECT_SIZE;
}

static inline bool in_vmap_area(vaddr_t va)
{
	return va - VMAP_BASE < VMAP_SIZE;
}

static inline bool in_local_slots(vaddr_t va)
{
	return va - KMAP_LOCAL_BASE < KMAP_LOCAL_SIZE;
}

static inline bool in_frame_array(vaddr_t va)
{
	return va - FRAMES_BASE < FRAMES_SIZE;
}

static inline bool in_image(vaddr_t va)
{
	return va - IMAGE_BASE < IMAGE_SIZE;
}

#endif
