// SPDX-License-Identifier: MIT
/*
 * The kernel's own address space: built once at boot from the memory map, replacing the loader's or
 * boot.asm's tables. Everything static is decided here (mm/layout.h); what is mapped later goes to
 * the vmap area, whose top level exists from here on, so that no CPU's root can miss it.
 */
#ifndef MM_SPACE_H
#define MM_SPACE_H

#include "mm/mm_internal.h"

/* Where the linker put the image (linker.ld): virtual, page aligned, text < rodata < data. */
struct kernel_image {
	vaddr_t text, text_end;
	vaddr_t rodata, rodata_end;
	vaddr_t data, end;
	vaddr_t stack_guard; /* one page in data that stays unmapped, below the boot stack */
	/* The platform's wishes; 0: none. */
	vaddr_t platform_page; /* one page in data over which it maps something of its own */
	paddr_t keep_direct;   /* memory below must be in the direct map, as the image must */
};

extern pfn_t kernel_root; /* the top-level table every CPU runs on */

/*
 * space_init: builds the tables over early memory, loads them on this CPU, makes the frame array.
 *   => boot CPU, after early_add_ram/early_reserve; direct_limit: bytes of physical memory in the
 *      direct map (directmap=SIZE), ~0 for all
 *   => 0, or -EINVAL / -ENOMEM with *why; on failure the old tables are still loaded
 */
int space_init(const struct kernel_image *img, u64 direct_limit, const char **why) __must_check;

/* Bytes of physical memory in the direct map: frames at and above are `high`. */
u64 space_direct_limit(void);

/* The image as space_init was given it. */
const struct kernel_image *space_image(void);

/*
 * space_trampoline_root: a root below 4 GiB with the kernel half and the identity of the one page
 * `pa` (executable), for CPUs on their way from real mode. _free gives it back.
 *   => boot; 0 or -ENOMEM
 */
int space_trampoline_root(paddr_t pa, pfn_t *root) __must_check;
void space_trampoline_root_free(void);

#endif
