// SPDX-License-Identifier: MIT
/*
 * The multiboot2 door's parser, with a good hand-over, with every kind of bad one that has a
 * message of its own, and with systematic damage: each prefix and each changed byte of a good one
 * must give an error with a sentence or a sane result. ASan and UBSan see each byte touched that
 * was not granted (tests/fuzz/phys_image.h).
 */
// links: boot/multiboot2.c boot/boot_info.c
#include "boot/multiboot2.h"
#include "tests/host/boot_image.h"

static void mb2_tag(u32 type, const void *p, u32 n)
{
	struct mb2_tag tag = {type, sizeof(tag) + n};

	end = ALIGN_UP(end, MB2_ALIGN);
	put(&tag, sizeof(tag));
	put(p, n);
}

static void mb2_mmap_sized(const struct mb2_mmap_entry *e, u32 n, u32 entry_size, u32 extra)
{
	struct mb2_mmap map = {entry_size, 0};
	u8 body[8 * KiB] = {0};

	memcpy(body, &map, sizeof(map));
	for (u32 i = 0; i < n; i++)
		memcpy(body + sizeof(map) + i * entry_size, &e[i], sizeof(e[i]));
	mb2_tag(MB2_MMAP, body, sizeof(map) + n * entry_size + extra);
}

static void mb2_mmap(u64 start, u64 size, u32 type)
{
	struct mb2_mmap_entry e = {start, size, type, 0};

	mb2_mmap_sized(&e, 1, sizeof(e), 0);
}

static void mb2_begin_bare(void)
{
	memset(img, 0, sizeof(img));
	end = sizeof(struct mb2_info);
}

/* With a memory map, so that what is bad can only be what the caller adds. */
static void mb2_begin(void)
{
	mb2_begin_bare();
	mb2_mmap(0, 1 * MiB, MEM_USABLE);
}

static void mb2_end(void)
{
	mb2_tag(MB2_END, NULL, 0);
	memcpy(img, &end, sizeof(end));
}

static int mb2_parse_as(u32 memory)
{
	return parse_with(boot_info_from_multiboot2, memory);
}

static int mb2_parse(void)
{
	mb2_end();
	return mb2_parse_as(end);
}

static void mb2_module(u32 start, u32 end_, const char *name, u32 name_size)
{
	struct mb2_module m = {start, end_};
	u8 body[256];

	memcpy(body, &m, sizeof(m));
	memcpy(body + sizeof(m), name, name_size);
	mb2_tag(MB2_MODULE, body, sizeof(m) + name_size);
}

static void mb2_fb(struct mb2_framebuffer fb, struct mb2_rgb rgb)
{
	u8 body[sizeof(fb) + sizeof(rgb)];

	memcpy(body, &fb, sizeof(fb));
	memcpy(body + sizeof(fb), &rgb, sizeof(rgb));
	mb2_tag(MB2_FRAMEBUFFER, body, fb.type == MB2_FB_RGB ? sizeof(body) : sizeof(fb));
}

static const struct mb2_rgb rgb888 = {16, 8, 8, 8, 0, 8};
static const struct mb2_framebuffer fb1024 = {0xfd000000, 4096, 1024, 768, 32, MB2_FB_RGB, 0};

static void mb2_good(void)
{
	static const struct mb2_mmap_entry map[] = {
		{0, 0x9fc00, MEM_USABLE, 0},
		{0xf0000, 0x10000, MEM_RESERVED, 0},
		{1 * MiB, 127 * MiB, MEM_USABLE, 0},
	};
	u8 rsdp[RSDP_NEW_SIZE];

	memset(rsdp, 'o', sizeof(rsdp));
	mb2_begin_bare();
	mb2_tag(MB2_CMDLINE, "lazy=off", 9);
	mb2_tag(MB2_LOADER, "GRUB 2.06", 10);
	mb2_module(0x200000, 0x201234, "font.psf", 9);
	mb2_mmap_sized(map, 3, sizeof(map[0]), 0);
	mb2_tag(4711, "unknown", 7);
	mb2_fb(fb1024, rgb888);
	mb2_tag(MB2_RSDP_OLD, rsdp, RSDP_OLD_SIZE);
	mb2_end();
}

static void test_mb2_good(void)
{
	mb2_good();
	is_u64(mb2_parse_as(end), 0, "multiboot2: a good structure parses");
	is_str(bi.door, "multiboot2", "the door");
	is_str(bi.cmdline, "lazy=off", "the command line");
	is_str(bi.loader, "GRUB 2.06", "the loader");
	is_u64(bi.nr_modules, 1, "one module");
	is_u64(bi.modules[0].start, 0x200000, "its start");
	is_u64(bi.modules[0].end, 0x201234, "its end");
	is_str(bi.modules[0].name, "font.psf", "its name");
	is_u64(bi.nr_ranges, 3, "three ranges");
	is_u64(bi.ranges[0].end, 0x9fc00, "the first one's end");
	is_u64(bi.ranges[1].type, MEM_RESERVED, "the second one's type");
	is_u64(bi.ranges[2].start, 1 * MiB, "the third one's start");
	is_u64(bi.fb.addr, 0xfd000000, "the framebuffer");
	ok(bi.fb.pitch == 4096 && bi.fb.width == 1024 && bi.fb.height == 768 && bi.fb.bpp == 32 &&
		   !bi.fb.text && bi.fb.red_pos == 16 && bi.fb.green_pos == 8 && !bi.fb.blue_pos,
	   "its mode");
	ok(bi.rsdp_copied && bi.rsdp_copy[19] == 'o' && !bi.rsdp_copy[20] && !bi.rsdp,
	   "the old root pointer, 20 bytes of it");
}

/* Damage without a plan; what parses nevertheless must also normalise, or be refused. */
static void test_mb2_damage(void)
{
	unsigned accepted = 0, silent = 0;
	u32 size;

	mb2_good();
	size = end;
	for (u32 n = 0; n < size; n++) {
		mb2_good();
		silent += mb2_parse_as(n) != -EFAULT || !why;
		memcpy(img, &n, sizeof(n));
		accepted += mb2_parse_as(n) == 0;
		silent += !why;
	}
	is_u64(accepted, 0, "multiboot2: every prefix is refused");
	is_u64(silent, 0, "... with a sentence");

	for (u32 i = 0; i < size; i++) {
		for (unsigned v = 0; v < 256; v += v < 16 || v > 238 ? 1 : 13) {
			mb2_good();
			img[i] = (u8)v;
			silent += silent_failure(mb2_parse_as(size));
		}
	}
	is_u64(silent, 0, "any changed byte gives a result or a sentence");
}

/* Parses what the caller has built. => refused with `err` and a sentence that has `part` in it */
static void mb2_refused(int err, const char *name, const char *part)
{
	is_u64((u64)mb2_parse(), (u64)err, "multiboot2: %s is refused", name);
	ok(why && strstr(why, part), "... because %s", why ? why : "(nothing said)");
}

static void test_mb2_head(void)
{
	static const u32 sizes[] = {0, 7, 8, 15, 1 * MiB + 1, 0xffffffff};
	static const u32 tag_sizes[] = {0, 1, 7, 0x10000, 0x7ffffff8, 0xfffffff8, 0xffffffff};

	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
		mb2_good();
		memcpy(img, &sizes[i], 4);
		is_u64((u64)mb2_parse_as(sizeof(img)), (u64)-EINVAL,
		       "multiboot2: total size %u is refused", sizes[i]);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(tag_sizes); i++) {
		mb2_good();
		memcpy(img + sizeof(struct mb2_info) + 4, &tag_sizes[i], 4);
		is_u64((u64)mb2_parse_as(end), (u64)-EINVAL, "tag size %#x is refused",
		       tag_sizes[i]);
	}
	mb2_good();
	end -= sizeof(struct mb2_tag);
	memcpy(img, &end, sizeof(end));
	is_u64((u64)mb2_parse_as(end), (u64)-EINVAL, "no end tag is refused");
	phys_image(BASE, img, end);
	is_u64((u64)boot_info_from_multiboot2(&bi, ~0ull - 3, phys_image_read, &why), (u64)-EFAULT,
	       "an address outside of memory is refused");
	phys_image_done();
}

static void test_mb2_mmap(void)
{
	struct mb2_mmap_entry e[BOOT_MAX_RANGES + 1];

	for (u32 i = 0; i <= BOOT_MAX_RANGES; i++)
		e[i] = (struct mb2_mmap_entry){i * MiB, 4096, MEM_USABLE, 0};
	mb2_begin_bare();
	mb2_mmap_sized(e, 3, 40, 0);
	is_u64((u64)mb2_parse(), 0, "multiboot2: entries larger than ours parse");
	is_u64(bi.nr_ranges, 3, "... all of them");
	is_u64(bi.ranges[2].start, 2 * MiB, "... at the right places");

	mb2_begin_bare();
	mb2_mmap_sized(e, BOOT_MAX_RANGES, sizeof(e[0]), 0);
	is_u64((u64)mb2_parse(), 0, "as many ranges as there is room for parse");
	mb2_begin_bare();
	mb2_mmap_sized(e, BOOT_MAX_RANGES + 1, sizeof(e[0]), 0);
	mb2_refused(-E2BIG, "one range more", "more than 128 ranges");

	static const u32 entry_sizes[] = {0, 8, 16, 20, 25, 28};
	for (unsigned i = 0; i < ARRAY_SIZE(entry_sizes); i++) {
		mb2_begin_bare();
		mb2_mmap_sized(e, 1, entry_sizes[i], 0);
		mb2_refused(-EINVAL, "an absurd entry size", "absurd size");
	}
	mb2_begin_bare();
	mb2_mmap_sized(e, 1, 24, 23);
	mb2_refused(-EINVAL, "a cut-off entry", "last entry is cut off");
	mb2_begin_bare();
	mb2_tag(MB2_MMAP, e, 7);
	mb2_refused(-EINVAL, "a cut-off map head", "map's tag is cut off");
	mb2_begin_bare();
	mb2_mmap_sized(e, 0, 24, 0);
	mb2_refused(-EINVAL, "an empty map", "no memory map");
	mb2_begin_bare();
	mb2_refused(-EINVAL, "no map", "no memory map");
	mb2_begin_bare();
	mb2_mmap(0xfffffffffffff000, 0x2000, MEM_USABLE);
	mb2_refused(-EINVAL, "a range that wraps", "wraps");
	mb2_begin_bare();
	mb2_mmap(4096, ~0ull, MEM_USABLE);
	mb2_refused(-EINVAL, "a range of absurd size", "wraps");
	mb2_begin_bare();
	mb2_mmap(BOOT_PHYS_LIMIT, 4096, MEM_USABLE);
	mb2_refused(-EINVAL, "a range beyond the limit", "beyond");
	mb2_begin_bare();
	mb2_mmap(BOOT_PHYS_LIMIT - 4096, 4096, 77);
	is_u64((u64)mb2_parse(), 0, "a range up to the limit parses");
	is_u64(bi.ranges[0].type, MEM_RESERVED, "... and an unknown type is reserved");
}

static void test_mb2_strings(void)
{
	char line[BOOT_CMDLINE_MAX + 1];

	memset(line, 'x', sizeof(line));
	mb2_begin();
	mb2_tag(MB2_CMDLINE, line, 100);
	mb2_refused(-EINVAL, "an unterminated command line", "command line does not end");
	mb2_begin();
	mb2_tag(MB2_CMDLINE, line, 0);
	mb2_refused(-EINVAL, "a command line of no bytes", "command line does not end");
	mb2_begin();
	mb2_tag(MB2_LOADER, line, 100);
	mb2_refused(-EINVAL, "an unterminated loader name", "loader's name does not end");

	line[BOOT_CMDLINE_MAX] = '\0';
	mb2_begin();
	mb2_tag(MB2_CMDLINE, line, sizeof(line));
	mb2_refused(-E2BIG, "an over-long command line", "longer than 1023");
	line[BOOT_CMDLINE_MAX - 1] = '\0';
	mb2_begin();
	mb2_tag(MB2_CMDLINE, line, sizeof(line));
	mb2_tag(MB2_LOADER, line, sizeof(line));
	is_u64((u64)mb2_parse(), 0, "multiboot2: a command line of 1023 bytes parses");
	is_str(bi.cmdline, line, "... in full");
	is_u64(strlen(bi.loader), sizeof(bi.loader) - 1, "a long loader name is cut");
}

static void test_mb2_modules(void)
{
	char name[100];

	memset(name, 'n', sizeof(name));
	mb2_begin();
	mb2_module(0x2000, 0x1fff, "m", 2);
	mb2_refused(-EINVAL, "a module that ends before it starts", "ends before");
	mb2_begin();
	mb2_module(0x2000, 0x3000, name, sizeof(name));
	mb2_refused(-EINVAL, "an unterminated module name", "module's name does not end");
	mb2_begin();
	mb2_module(0x2000, 0x3000, name, 0);
	mb2_refused(-EINVAL, "a module name of no bytes", "module's name does not end");
	mb2_begin();
	mb2_tag(MB2_MODULE, name, 5);
	mb2_refused(-EINVAL, "a cut-off module tag", "module's tag is cut off");
	mb2_begin();
	for (unsigned i = 0; i <= BOOT_MAX_MODULES; i++)
		mb2_module(0x2000, 0x3000, "m", 2);
	mb2_refused(-E2BIG, "a ninth module", "more than 8");

	name[99] = '\0';
	mb2_begin();
	mb2_module(0x2000, 0x2000, name, sizeof(name));
	is_u64((u64)mb2_parse(), 0, "multiboot2: an empty module with a long name parses");
	is_u64(strlen(bi.modules[0].name), sizeof(bi.modules[0].name) - 1, "... cut");
}

static void test_mb2_rsdp(void)
{
	u8 old[RSDP_NEW_SIZE], new[RSDP_NEW_SIZE + 4];

	memset(old, 'o', sizeof(old));
	memset(new, 'n', sizeof(new));
	for (int new_first = 0; new_first < 2; new_first++) {
		mb2_begin();
		if (new_first)
			mb2_tag(MB2_RSDP_NEW, new, sizeof(new));
		mb2_tag(MB2_RSDP_OLD, old, RSDP_OLD_SIZE);
		if (!new_first)
			mb2_tag(MB2_RSDP_NEW, new, RSDP_NEW_SIZE);
		is_u64((u64)mb2_parse(), 0, "multiboot2: two root pointers, %s first",
		       new_first ? "new" : "old");
		ok(bi.rsdp_copied && !memcmp(bi.rsdp_copy, new, RSDP_NEW_SIZE), "the new one wins");
	}
	mb2_begin();
	mb2_tag(MB2_RSDP_OLD, old, RSDP_OLD_SIZE - 1);
	mb2_refused(-EINVAL, "a cut-off old root pointer", "root pointer's tag is cut off");
	mb2_begin();
	mb2_tag(MB2_RSDP_NEW, new, RSDP_NEW_SIZE - 1);
	mb2_refused(-EINVAL, "a cut-off new root pointer", "root pointer's tag is cut off");
}

static void fb_left_out(struct mb2_framebuffer fb, struct mb2_rgb rgb, const char *name)
{
	mb2_begin();
	mb2_fb(fb, rgb);
	ok(!mb2_parse() && !bi.fb.addr, "multiboot2: %s is left out", name);
}

static void fb_refused(struct mb2_framebuffer fb, const char *name)
{
	mb2_begin();
	mb2_fb(fb, rgb888);
	mb2_refused(-EINVAL, name, "absurd geometry");
}

static void test_mb2_framebuffer(void)
{
	struct mb2_framebuffer fb = {0xb8000, 160, 80, 25, 16, MB2_FB_TEXT, 0};

	mb2_begin();
	mb2_fb(fb, rgb888);
	ok(!mb2_parse() && bi.fb.addr == 0xb8000 && bi.fb.text, "multiboot2: EGA text parses");

	fb.type = MB2_FB_INDEXED;
	fb_left_out(fb, rgb888, "a palette mode");
	fb = fb1024;
	fb.bpp = 16;
	fb_left_out(fb, (struct mb2_rgb){11, 5, 5, 6, 0, 5}, "a 16-bit mode");
	fb.bpp = 40;
	fb_left_out(fb, rgb888, "a 40-bit mode");
	fb_left_out(fb1024, (struct mb2_rgb){20, 10, 10, 10, 0, 10}, "10 bits a channel");
	fb_left_out(fb1024, (struct mb2_rgb){25, 8, 8, 8, 0, 8}, "a channel beyond the pixel");

	fb = fb1024;
	fb.pitch = 4095;
	fb_refused(fb, "a framebuffer with rows longer than its pitch");
	fb = fb1024;
	fb.width = 0x08000001; /* times 32 is 32 in 32 bits */
	fb_refused(fb, "a framebuffer of absurd width");
	fb = fb1024;
	fb.height = 0;
	fb_refused(fb, "a framebuffer of no height");
	fb = fb1024;
	fb.addr = BOOT_PHYS_LIMIT - 4096;
	fb_refused(fb, "a framebuffer beyond the limit");
	fb.addr = ~0ull;
	fb_refused(fb, "a framebuffer that wraps");
	fb.addr = 0;
	fb_refused(fb, "a framebuffer at 0");
	mb2_begin();
	mb2_tag(MB2_FRAMEBUFFER, &fb1024, sizeof(fb1024));
	mb2_refused(-EINVAL, "a framebuffer without its channels", "framebuffer's tag is cut off");
	mb2_begin();
	mb2_tag(MB2_FRAMEBUFFER, &fb1024, sizeof(fb1024) - 1);
	mb2_refused(-EINVAL, "a cut-off framebuffer", "framebuffer's tag is cut off");
}

int main(void)
{
	test_mb2_good();
	test_mb2_damage();
	test_mb2_head();
	test_mb2_mmap();
	test_mb2_strings();
	test_mb2_modules();
	test_mb2_rsdp();
	test_mb2_framebuffer();
	return done_testing();
}
