// SPDX-License-Identifier: MIT
/*
 * What a loader hands over, whichever door it came through. Each door (multiboot2.c, pvh.c, xen.c)
 * parses its own format with bounds checks and fills one struct boot_info; from
 * there on nobody asks who booted us. The struct is plain data with no pointers into loader memory.
 */
#ifndef BOOT_BOOT_INFO_H
#define BOOT_BOOT_INFO_H

#include "kernel/types.h"

#define BOOT_MAX_RANGES	 128
#define BOOT_MAX_MODULES 8
#define BOOT_CMDLINE_MAX 1024 /* with its NUL */

/* Physical addresses at and beyond this are refused: 4 PiB is more than any machine we can test. */
#define BOOT_PHYS_LIMIT (1ull << 52)

/* The door; boot/boot.asm and xen/head.asm hand it over, and an address of what else there is. */
enum boot_door {
	DOOR_NONE,
	DOOR_MULTIBOOT2,
	DOOR_PVH,
	DOOR_XEN_PV
};

enum mem_type {
	MEM_USABLE = 1,
	MEM_RESERVED = 2,
	MEM_ACPI = 3, /* reclaimable, but we keep it */
	MEM_NVS = 4,
	MEM_BAD = 5,
};

struct mem_range {
	paddr_t start, end; /* [start, end), page aligned after boot_info_normalise() */
	enum mem_type type;
};

struct boot_module {
	paddr_t start, end;
	char name[64];
};

struct boot_framebuffer {
	paddr_t addr; /* 0: none */
	u32 pitch, width, height;
	u8 bpp;				 /* 24 or 32 for pixels, 16 with text */
	bool text;			 /* EGA text at addr, width x height characters */
	u8 red_pos, green_pos, blue_pos; /* bit positions of 8-bit channels */
};

struct boot_info {
	const char *door; /* "multiboot2", "pvh", "xen-pv" */
	char loader[64];
	char cmdline[BOOT_CMDLINE_MAX];
	unsigned nr_ranges, nr_modules;
	struct mem_range ranges[BOOT_MAX_RANGES];
	struct boot_module modules[BOOT_MAX_MODULES];
	paddr_t rsdp;	  /* where the RSDP lies, 0: not told */
	bool rsdp_copied; /* multiboot2 hands a copy instead: rsdp_copy holds it */
	u8 rsdp_copy[36];
	struct boot_framebuffer fb;
};

/*
 * How a parser reads physical memory: => a pointer to [pa, pa+len) or NULL where that cannot be
 * read, also where pa + len wraps. What it points to may be unaligned, and is good until the
 * parser returns. The kernel's reads through the boot map; tests and fuzzers pass one that knows
 * every byte's bounds.
 */
typedef const void *(*phys_reader)(paddr_t pa, u64 len);

/*
 * boot_info_from_multiboot2 / _from_pvh / _from_xen: parse the structure at `pa`.
 *   => 0, or -EINVAL / -EFAULT / -E2BIG with *why a sentence for the console and *bi half filled
 *   => reads nothing outside what `read` grants and the structure's own stated size
 *   => a framebuffer we cannot draw on is left out; that is no error
 *   => multiboot2 specification 2.0, 3.6; Xen public/arch-x86/hvm/start_info.h,
 *      public/xen.h (struct start_info)
 */
int boot_info_from_multiboot2(struct boot_info *bi, paddr_t pa, phys_reader read, const char **why);
int boot_info_from_pvh(struct boot_info *bi, paddr_t pa, phys_reader read, const char **why);
int boot_info_from_xen(struct boot_info *bi, paddr_t pa, phys_reader read, const char **why);

/*
 * boot_info_normalise: sorts, cuts to whole pages (usable inwards, others outwards), resolves
 * overlaps (the more reserved type wins), joins neighbours of one type.
 *   => 0, or -ENOMEM (no usable memory) / -E2BIG with *why and nothing changed
 */
int boot_info_normalise(struct boot_info *bi, const char **why);

/*
 * cmdline_get: the value of `key=` in a command line, without its quotes: a word goes on through
 * "quoted blanks". Of several the last counts, so that what is appended overrides.
 *   => length of the value (copied to out, always terminated), -ENOENT, or -E2BIG (out untouched)
 *   => a bare word `key` counts as the empty value
 */
int cmdline_get(const char *cmdline, const char *key, char *out, size_t size);

/* => 0 with *out set, or -ENOENT, -EINVAL, -ERANGE and it is left alone; numbers: parse_u64() */
int cmdline_get_u64(const char *cmdline, const char *key, u64 *out);

/*
 * For the parsers.
 *
 * boot_info_add_range: a range as the loader gave it (any alignment, any order, overlaps allowed;
 * types that enum mem_type does not name count as reserved).
 *   => 0, or -EINVAL (wraps, or beyond BOOT_PHYS_LIMIT) / -E2BIG (BOOT_MAX_RANGES) with *why
 *   => an empty range is ignored
 */
int boot_info_add_range(struct boot_info *bi, u64 start, u64 len, u32 type, const char **why);

/*
 * boot_info_add_module: the next module, its name still empty.
 *   => 0, or -EINVAL (wraps, or beyond BOOT_PHYS_LIMIT) / -E2BIG (BOOT_MAX_MODULES) with *why
 */
int boot_info_add_module(struct boot_info *bi, u64 start, u64 len, struct boot_module **m,
			 const char **why);

/* Refuses in one line: return boot_refuse(why, -EINVAL, "...") */
static inline int boot_refuse(const char **why, int err, const char *sentence)
{
	*why = sentence;
	return err;
}

#endif
