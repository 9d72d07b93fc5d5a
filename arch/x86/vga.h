// SPDX-License-Identifier: MIT
/* The text screen of a PC. Its essay is in vga.c. */
#ifndef ARCH_X86_VGA_H
#define ARCH_X86_VGA_H

struct boot_info;

/*
 * vga_init: makes EGA text memory a console: where the loader says it is, or at 0xb8000 if the
 * loader says nothing and there is memory. Does nothing if the loader set a graphics mode.
 *   => boot, thread context, after vmap_init()
 */
void vga_init(const struct boot_info *bi);

#endif
