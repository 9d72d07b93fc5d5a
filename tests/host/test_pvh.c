// SPDX-License-Identifier: MIT
/*
 * The PVH door's parser: as test_multiboot2.c, but here the parts are found by pointers, so the bad
 * ones point outside of memory, to its very end, or round the end of the address space.
 */
// links: boot/pvh.c boot/boot_info.c
#include "boot/pvh.h"
#include "tests/host/boot_image.h"

static struct pvh_start_info si;

/* Puts si, as it is now, in front. */
static int pvh_parse_as(u32 memory)
{
	memcpy(img, &si, sizeof(si));
	return parse_with(boot_info_from_pvh, memory);
}

/* => refused with `err` and a sentence that has `part` in it */
static void pvh_refused(int err, const char *name, const char *part)
{
	is_u64((u64)pvh_parse_as(end), (u64)err, "pvh: %s is refused", name);
	ok(why && strstr(why, part), "... because %s", why ? why : "(nothing said)");
}

static u32 put_string(const char *s)
{
	return put(s, (u32)strlen(s) + 1);
}

/* Everything an odd number of bytes after what precedes it: no alignment may be relied upon. */
static void pvh_good(void)
{
	static const struct pvh_memmap_entry map[] = {
		{0, 0xa0000, MEM_USABLE, 0},
		{1 * MiB, 31 * MiB, MEM_USABLE, 0},
		{0xfeffc000, 0x4000, 7, 0},
	};
	struct pvh_module m = {0x300000, 0x1000, 0, 0};

	memset(img, 0, sizeof(img));
	end = sizeof(si) + 1;
	si = (struct pvh_start_info){.magic = PVH_MAGIC, .version = 1, .nr_modules = 1};
	m.cmdline = BASE + put_string("initrd");
	si.modules = BASE + put(&m, sizeof(m));
	si.memmap = BASE + put(map, sizeof(map));
	si.nr_memmap = ARRAY_SIZE(map);
	si.rsdp = 0xf5000;
	si.cmdline = BASE + put_string("run=\"test; check\"");
}

static void test_pvh_good(void)
{
	pvh_good();
	is_u64((u64)pvh_parse_as(end), 0, "pvh: a good structure parses");
	is_str(bi.door, "pvh", "the door");
	is_str(bi.cmdline, "run=\"test; check\"", "the command line");
	is_u64(bi.rsdp, 0xf5000, "the root pointer's address");
	ok(!bi.rsdp_copied, "which is no copy");
	is_u64(bi.nr_modules, 1, "one module");
	is_u64(bi.modules[0].end, 0x301000, "its end");
	is_str(bi.modules[0].name, "initrd", "its name");
	is_u64(bi.nr_ranges, 3, "three ranges");
	is_u64(bi.ranges[1].end, 32 * MiB, "the second one's end");
	is_u64(bi.ranges[2].type, MEM_RESERVED, "persistent memory is reserved to us");

	si.version = 2;
	si.cmdline = 0;
	is_u64((u64)pvh_parse_as(end), 0, "a later version without a command line parses");
	is_str(bi.cmdline, "", "the command line is empty then");
}

static void test_pvh_damage(void)
{
	unsigned accepted = 0, silent = 0;

	pvh_good();
	for (u32 n = 0; n < end; n++) {
		accepted += pvh_parse_as(n) == 0;
		silent += !why;
	}
	is_u64(accepted, 0, "pvh: every prefix is refused");
	is_u64(silent, 0, "... with a sentence");
	for (u32 i = 0; i < end; i++) {
		for (unsigned v = 0; v < 256; v += v < 16 || v > 238 ? 1 : 13) {
			pvh_good();
			if (i < sizeof(si))
				((u8 *)&si)[i] = (u8)v;
			else
				img[i] = (u8)v;
			silent += silent_failure(pvh_parse_as(end));
		}
	}
	is_u64(silent, 0, "any changed byte gives a result or a sentence");
}

static void test_pvh_bad(void)
{
	struct pvh_memmap_entry e = {~0ull - 4095, 8192, MEM_USABLE, 0};
	struct pvh_module m = {0x1000, ~0ull, 0, 0};
	char line[BOOT_CMDLINE_MAX + 1];

	pvh_good();
	si.magic++;
	pvh_refused(-EINVAL, "a wrong magic number", "magic");
	pvh_good();
	si.version = 0;
	pvh_refused(-EINVAL, "version 0", "version 0");
	ok(pvh_parse_as(PVH_SIZE_VERSION_0) == -EINVAL, "... though it is shorter");
	pvh_good();
	si.nr_memmap = 0;
	pvh_refused(-EINVAL, "a memory map of no entries", "no memory map");
	pvh_good();
	si.memmap = 0;
	pvh_refused(-EINVAL, "no memory map", "no memory map");
	pvh_good();
	si.nr_memmap = 129;
	pvh_refused(-E2BIG, "a memory map of 129 entries", "more than 128");
	si.nr_memmap = 0xffffffff;
	pvh_refused(-E2BIG, "a memory map of absurdly many entries", "more than 128");
	pvh_good();
	si.memmap = ~0ull - 8;
	pvh_refused(-EFAULT, "a memory map outside of memory", "map lies outside");
	pvh_good();
	si.memmap = BASE + put(&e, sizeof(e));
	si.nr_memmap = 1;
	pvh_refused(-EINVAL, "a range that wraps", "wraps");

	pvh_good();
	si.nr_modules = 9;
	pvh_refused(-E2BIG, "nine modules", "more than 8");
	pvh_good();
	si.modules = 0;
	pvh_refused(-EFAULT, "a list of modules at 0", "modules lies outside");
	pvh_good();
	si.modules = BASE + put(&m, sizeof(m));
	pvh_refused(-EINVAL, "a module that wraps", "module wraps");
	m = (struct pvh_module){0x1000, 0x1000, ~0ull, 0};
	pvh_good();
	si.modules = BASE + put(&m, sizeof(m));
	pvh_refused(-EFAULT, "a module name outside of memory", "name lies outside");

	memset(line, 'x', sizeof(line));
	pvh_good();
	si.cmdline = ~0ull;
	pvh_refused(-EFAULT, "a command line at the end of the address space", "line lies outside");
	pvh_good();
	si.cmdline = BASE + put(line, 100);
	pvh_refused(-EFAULT, "a command line that runs out of memory", "line lies outside");
	pvh_good();
	si.cmdline = BASE + put(line, sizeof(line));
	pvh_refused(-E2BIG, "an over-long command line", "longer than 1023");
	is_u64(bi.nr_ranges, 3, "... and has not spilled into its neighbours");
	line[BOOT_CMDLINE_MAX - 1] = '\0';
	pvh_good();
	si.cmdline = BASE + put(line, sizeof(line));
	is_u64((u64)pvh_parse_as(end), 0, "pvh: a command line of 1023 bytes parses");
	is_str(bi.cmdline, line, "... in full");

	m = (struct pvh_module){0x1000, 0x1000, si.cmdline, 0};
	si.modules = BASE + put(&m, sizeof(m));
	is_u64((u64)pvh_parse_as(end), 0, "a module with a long name parses");
	is_u64(strlen(bi.modules[0].name), sizeof(bi.modules[0].name) - 1, "... cut");
}

int main(void)
{
	test_pvh_good();
	test_pvh_damage();
	test_pvh_bad();
	return done_testing();
}
