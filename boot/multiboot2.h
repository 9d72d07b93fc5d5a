// SPDX-License-Identifier: MIT
/*
 * What the multiboot2 door is handed (Multiboot2 specification 2.0, 3.6): a total size, then tags
 * at 8-byte boundaries, each with its type and its size without the padding, up to an end tag.
 * Below are the tags that concern us; none of the structures has padding inside or at its end.
 */
#ifndef BOOT_MULTIBOOT2_H
#define BOOT_MULTIBOOT2_H

#include "kernel/types.h"

#define MB2_ALIGN 8

struct mb2_info {
	u32 total_size; /* with these eight bytes and the end tag */
	u32 reserved;
};

struct mb2_tag {
	u32 type;
	u32 size;
};

enum mb2_tag_type {
	MB2_END = 0,
	MB2_CMDLINE = 1,     /* 3.6.5: a string */
	MB2_LOADER = 2,	     /* 3.6.9: a string */
	MB2_MODULE = 3,	     /* 3.6.6 */
	MB2_MMAP = 6,	     /* 3.6.8 */
	MB2_FRAMEBUFFER = 8, /* 3.6.12 */
	MB2_RSDP_OLD = 14,   /* 3.6.16: a copy of ACPI 1.0's */
	MB2_RSDP_NEW = 15,   /* 3.6.17: a copy of ACPI 2.0's or later */
};

/* Each follows a struct mb2_tag. */

struct mb2_module {
	u32 start, end;
	/* char name[] */
};

struct mb2_mmap {
	u32 entry_size; /* a multiple of 8, at least sizeof(struct mb2_mmap_entry) */
	u32 entry_version;
	/* entries */
};

struct mb2_mmap_entry {
	u64 start;
	u64 size;
	u32 type; /* as E820's, which enum mem_type follows */
	u32 reserved;
};

struct mb2_framebuffer {
	u64 addr;
	u32 pitch, width, height;
	u8 bpp;
	u8 type;
	u16 reserved;
};

enum mb2_framebuffer_type {
	MB2_FB_INDEXED = 0,
	MB2_FB_RGB = 1,
	MB2_FB_TEXT = 2, /* width and height in characters */
};

/* Follows struct mb2_framebuffer if its type is MB2_FB_RGB. */
struct mb2_rgb {
	u8 red_pos, red_size, green_pos, green_size, blue_pos, blue_size;
};

/* 5.2.5.3 of the ACPI specification: the two sizes of a root pointer. */
#define RSDP_OLD_SIZE 20
#define RSDP_NEW_SIZE 36

#endif
