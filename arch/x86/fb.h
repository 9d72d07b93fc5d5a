// SPDX-License-Identifier: MIT
/* A linear framebuffer as a console. Its essay is in fb.c. */
#ifndef ARCH_X86_FB_H
#define ARCH_X86_FB_H

struct boot_info;

/*
 * fb_init: makes the loader's framebuffer (24 or 32 bits a pixel) a console, with the PSF font of
 * the boot module named "font". Does nothing if there is no such framebuffer; says why if there is
 * one it cannot use.
 *   => boot, thread context, after vmap_init(); the module's memory is reserved for good
 */
void fb_init(const struct boot_info *bi);

#endif
