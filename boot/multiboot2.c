// SPDX-License-Identifier: MIT
/*
 * The multiboot2 door's hand-over: a run of tags in one piece of memory of a stated size. The
 * piece is asked for once and as a whole; then every tag must lie in it, and everything that is
 * taken from a tag must lie in the tag. Tags may come in any order and are copied before they are
 * looked at, as nothing says that the loader aligned them. Types we do not know are skipped, as
 * the specification (3.6) wants. Layout: boot/multiboot2.h.
 */
#include "boot/multiboot2.h"
#include "boot/boot_info.h"
#include "kernel/errno.h"
#include "kernel/string.h"

/* Real ones have a few KiB; a larger one is garbage, and would be read for long. */
#define MAX_SIZE (1 * MiB)

/* A tag without its head. */
struct body {
	const u8 *p;
	u32 size;
};

/* => bytes [at, at + n) of the body are copied to dst, or false: it is too short */
static bool take(struct body b, u32 at, void *dst, u32 n)
{
	if (at > b.size || n > b.size - at)
		return false;
	memcpy(dst, b.p + at, n);
	return true;
}

/*
 * The string that begins at `at`, cut to `size` bytes with its NUL. => `at` is not beyond the
 * body's end
 *   => its length, or -EINVAL: it does not end within the body
 */
static int take_string(struct body b, u32 at, char *dst, size_t size)
{
	size_t len = strnlen((const char *)b.p + at, b.size - at);

	if (len == b.size - at)
		return -EINVAL;
	strlcpy(dst, (const char *)b.p + at, size);
	return (int)len;
}

static int read_cmdline(struct boot_info *bi, struct body b, const char **why)
{
	int len = take_string(b, 0, bi->cmdline, sizeof(bi->cmdline));

	if (len < 0)
		return boot_refuse(why, len, "the command line does not end within its tag");
	if (len >= (int)sizeof(bi->cmdline))
		return boot_refuse(why, -E2BIG,
				   "the command line is longer than 1023 bytes: shorten it");
	return 0;
}

static int read_loader(struct boot_info *bi, struct body b, const char **why)
{
	int len = take_string(b, 0, bi->loader, sizeof(bi->loader));

	if (len < 0)
		return boot_refuse(why, len, "the loader's name does not end within its tag");
	return 0;
}

static int read_module(struct boot_info *bi, struct body b, const char **why)
{
	struct boot_module *to;
	struct mb2_module m;
	int err;

	if (!take(b, 0, &m, sizeof(m)))
		return boot_refuse(why, -EINVAL, "a module's tag is cut off");
	if (m.end < m.start)
		return boot_refuse(why, -EINVAL, "a module ends before it starts");
	err = boot_info_add_module(bi, m.start, m.end - m.start, &to, why);
	if (err)
		return err;
	if (take_string(b, sizeof(m), to->name, sizeof(to->name)) < 0)
		return boot_refuse(why, -EINVAL, "a module's name does not end within its tag");
	return 0;
}

static int read_mmap(struct boot_info *bi, struct body b, const char **why)
{
	struct mb2_mmap_entry e;
	struct mb2_mmap map;
	int err;

	if (!take(b, 0, &map, sizeof(map)))
		return boot_refuse(why, -EINVAL, "the memory map's tag is cut off");
	if (map.entry_size < sizeof(e) || !IS_ALIGNED(map.entry_size, MB2_ALIGN))
		return boot_refuse(why, -EINVAL, "the memory map's entries have an absurd size");
	if ((b.size - sizeof(map)) % map.entry_size)
		return boot_refuse(why, -EINVAL, "the memory map's last entry is cut off");
	for (u32 at = sizeof(map); take(b, at, &e, sizeof(e)); at += map.entry_size) {
		err = boot_info_add_range(bi, e.start, e.size, e.type, why);
		if (err)
			return err;
	}
	return 0;
}

/* => can we draw with these channels: 8 bits each, within a pixel? */
static bool rgb_usable(const struct mb2_rgb *rgb, u8 bpp)
{
	return (bpp == 24 || bpp == 32) && rgb->red_size == 8 && rgb->green_size == 8 &&
	       rgb->blue_size == 8 && rgb->red_pos + 8 <= bpp && rgb->green_pos + 8 <= bpp &&
	       rgb->blue_pos + 8 <= bpp;
}

/* A mode we cannot draw in is left out: there is a serial console. An impossible one is refused. */
static int read_framebuffer(struct boot_info *bi, struct body b, const char **why)
{
	struct mb2_framebuffer fb;
	struct mb2_rgb rgb = {0};
	u64 row, bytes;

	if (!take(b, 0, &fb, sizeof(fb)))
		return boot_refuse(why, -EINVAL, "the framebuffer's tag is cut off");
	if (fb.type == MB2_FB_RGB && !take(b, sizeof(fb), &rgb, sizeof(rgb)))
		return boot_refuse(why, -EINVAL, "the framebuffer's tag is cut off");
	if (fb.type == MB2_FB_TEXT ? fb.bpp != 16 : !rgb_usable(&rgb, fb.bpp))
		return 0;

	row = (u64)fb.width * fb.bpp / 8;
	bytes = (u64)fb.pitch * fb.height;
	if (!row || !bytes || fb.pitch < row || !fb.addr || fb.addr >= BOOT_PHYS_LIMIT ||
	    bytes > BOOT_PHYS_LIMIT - fb.addr)
		return boot_refuse(why, -EINVAL, "the framebuffer has an absurd geometry");
	bi->fb = (struct boot_framebuffer){
		.addr = fb.addr,
		.pitch = fb.pitch,
		.width = fb.width,
		.height = fb.height,
		.bpp = fb.bpp,
		.text = fb.type == MB2_FB_TEXT,
		.red_pos = rgb.red_pos,
		.green_pos = rgb.green_pos,
		.blue_pos = rgb.blue_pos,
	};
	return 0;
}

/* A later ACPI's root pointer has all that ACPI 1.0's has, so it wins whichever comes first. */
static int read_rsdp(struct boot_info *bi, struct body b, u32 size, const char **why)
{
	if (b.size < size)
		return boot_refuse(why, -EINVAL, "the ACPI root pointer's tag is cut off");
	if (bi->rsdp_copied && size == RSDP_OLD_SIZE)
		return 0;
	memcpy(bi->rsdp_copy, b.p, size);
	bi->rsdp_copied = true;
	return 0;
}

static int read_tag(struct boot_info *bi, u32 type, struct body b, const char **why)
{
	switch (type) {
	case MB2_CMDLINE:
		return read_cmdline(bi, b, why);
	case MB2_LOADER:
		return read_loader(bi, b, why);
	case MB2_MODULE:
		return read_module(bi, b, why);
	case MB2_MMAP:
		return read_mmap(bi, b, why);
	case MB2_FRAMEBUFFER:
		return read_framebuffer(bi, b, why);
	case MB2_RSDP_OLD:
		return read_rsdp(bi, b, RSDP_OLD_SIZE, why);
	case MB2_RSDP_NEW:
		return read_rsdp(bi, b, RSDP_NEW_SIZE, why);
	}
	return 0;
}

/* Goes through the tags of `all`, which is the whole structure. */
static int read_tags(struct boot_info *bi, struct body all, const char **why)
{
	struct mb2_tag tag;
	int err;

	for (u32 at = sizeof(struct mb2_info); take(all, at, &tag, sizeof(tag));
	     at = ALIGN_UP(at + tag.size, MB2_ALIGN)) {
		if (tag.size < sizeof(tag) || tag.size > all.size - at)
			return boot_refuse(
				why, -EINVAL,
				"a multiboot2 tag is shorter than its own head or longer "
				"than the whole structure");
		if (tag.type == MB2_END)
			return 0;
		err = read_tag(bi, tag.type,
			       (struct body){all.p + at + sizeof(tag), tag.size - sizeof(tag)},
			       why);
		if (err)
			return err;
	}
	return boot_refuse(why, -EINVAL, "the multiboot2 information has no end tag");
}

int boot_info_from_multiboot2(struct boot_info *bi, paddr_t pa, phys_reader read, const char **why)
{
	struct mb2_info info;
	const u8 *p = read(pa, sizeof(info));
	int err;

	memset(bi, 0, sizeof(*bi));
	bi->door = "multiboot2";
	if (!p)
		return boot_refuse(why, -EFAULT,
				   "the multiboot2 information lies outside of memory");
	memcpy(&info, p, sizeof(info));
	if (info.total_size > MAX_SIZE)
		return boot_refuse(why, -EINVAL, "the multiboot2 information has an absurd size");
	p = read(pa, info.total_size);
	if (!p)
		return boot_refuse(why, -EFAULT, "the multiboot2 information is cut off");
	err = read_tags(bi, (struct body){p, info.total_size}, why);
	if (!err && !bi->nr_ranges)
		return boot_refuse(why, -EINVAL, "the multiboot2 information has no memory map");
	return err;
}
