// SPDX-License-Identifier: MIT
/*
 * The Xen PV door's parser: as test_pvh.c. Here the memory map is the list of frames itself: a run
 * of pfns that have a frame is a range, and one without is a hole. Addresses in the start info are
 * those of the image's window (IMAGE_BASE + physical).
 */
// links: boot/xen.c boot/boot_info.c
#include "boot/xen.h"
#include "mm/layout.h"
#include "tests/host/boot_image.h"

#define PAGES 64u
#define NONE  (~0ull) /* what Xen writes for a frame that is not there */

static struct start_info si;
static u64 list[1024];

/* Puts si, as it is now, in front, and the first si.nr_pages of the list behind it. */
static int xen_parse_as(u32 memory)
{
	memcpy(img, &si, sizeof(si));
	return parse_with(boot_info_from_xen, memory);
}

/* => refused with `err` and a sentence that has `part` in it */
static void xen_refused(int err, const char *name, const char *part)
{
	is_u64((u64)xen_parse_as(end), (u64)err, "xen: %s is refused", name);
	ok(why && strstr(why, part), "... because %s", why ? why : "(nothing said)");
}

/* A list of `n` frames, at an odd address; frames of a machine come in no order. */
static void begin(u32 n)
{
	memset(img, 0, sizeof(img));
	end = sizeof(si) + 3;
	si = (struct start_info){.magic = "xen-3.0-x86_64", .nr_pages = n};
	for (u32 i = 0; i < n; i++)
		list[i] = 0x8000 + (i * 37) % n;
	strcpy((char *)si.cmd_line, "run=\"test; check\"");
}

static void put_list(void)
{
	si.mfn_list = IMAGE_BASE + BASE + put(list, (u32)(si.nr_pages * sizeof(list[0])));
}

static void test_xen_good(void)
{
	begin(PAGES);
	put_list();
	si.mod_start = IMAGE_BASE + 0x3000;
	si.mod_len = 0x1234;
	is_u64((u64)xen_parse_as(end), 0, "xen: a good structure parses");
	is_str(bi.door, "xen-pv", "the door");
	is_str(bi.loader, "xen-3.0-x86_64", "the loader is the interface's version");
	is_str(bi.cmdline, "run=\"test; check\"", "the command line");
	is_u64(bi.nr_ranges, 1, "memory without holes is one range");
	is_u64(bi.ranges[0].start, 0, "it begins at 0");
	is_u64(bi.ranges[0].end, PAGES * PAGE_SIZE, "and ends behind the last page");
	is_u64(bi.ranges[0].type, MEM_USABLE, "all of it usable");
	is_u64(bi.nr_modules, 1, "one module");
	is_u64(bi.modules[0].start, 0x3000, "by its address in the window");
	is_u64(bi.modules[0].end, 0x4234, "its end");
	is_u64(bi.rsdp, 0, "there are no tables of ACPI's");

	si.flags = SIF_MOD_START_PFN;
	si.mod_start = 0x12345;
	is_u64((u64)xen_parse_as(end), 0, "a module that is not mapped parses");
	is_u64(bi.modules[0].start, 0x12345000, "it is given by its pfn");
	si.mod_len = 0;
	si.mod_start = ~0ul;
	is_u64((u64)xen_parse_as(end), 0, "without a length there is no module");
	is_u64(bi.nr_modules, 0, "wherever it is said to be");
	strcpy(si.magic, "xen-3.0-x86_32p");
	is_u64((u64)xen_parse_as(end), 0, "the magic may go on after the version");
	memset(si.magic, 'y', sizeof(si.magic));
	memcpy(si.magic, XEN_START_MAGIC, strlen(XEN_START_MAGIC));
	is_u64((u64)xen_parse_as(end), 0, "even without an end");
	is_u64(strlen(bi.loader), sizeof(si.magic) - 1, "it is cut then");
}

/* => the ranges are the runs of frames that are there, counted one by one */
static bool ranges_are_the_runs(void)
{
	unsigned n = 0;

	for (u64 pfn = 0; pfn < si.nr_pages; pfn++) {
		bool is = !(list[pfn] >> 63), was = pfn && !(list[pfn - 1] >> 63);

		if (is && !was && bi.ranges[n].start != pfn * PAGE_SIZE)
			return false;
		if (is && (pfn + 1 == si.nr_pages || list[pfn + 1] >> 63) &&
		    bi.ranges[n++].end != (pfn + 1) * PAGE_SIZE)
			return false;
	}
	return n == bi.nr_ranges;
}

static void punch(u32 from, u32 to)
{
	for (u32 i = from; i < to; i++)
		list[i] = NONE;
}

static void with_holes(const char *name, unsigned ranges)
{
	put_list();
	is_u64((u64)xen_parse_as(end), 0, "xen: %s parses", name);
	is_u64(bi.nr_ranges, ranges, "... into %u ranges", ranges);
	ok(ranges_are_the_runs(), "... each where frames are");
}

static void test_xen_holes(void)
{
	begin(PAGES);
	punch(10, 20);
	with_holes("a hole", 2);
	begin(PAGES);
	punch(0, 1);
	with_holes("a hole at the start", 1);
	begin(PAGES);
	punch(PAGES - 7, PAGES);
	with_holes("a hole at the end", 1);
	begin(PAGES);
	punch(3, 4);
	punch(5, 6);
	punch(40, PAGES - 1);
	with_holes("single pages between holes", 4);
	begin(PAGES);
	list[5] = 1ull << 63;
	with_holes("an entry that has only the invalid bit", 2);
	begin(PAGES);
	list[5] = 1ull << 62;
	with_holes("a frame above all machines", 1);

	begin(2 * BOOT_MAX_RANGES);
	for (u32 i = 1; i < 2 * BOOT_MAX_RANGES; i += 2)
		punch(i, i + 1);
	with_holes("as many runs as there are ranges", BOOT_MAX_RANGES);
	begin(2 * BOOT_MAX_RANGES + 1);
	for (u32 i = 1; i < 2 * BOOT_MAX_RANGES; i += 2)
		punch(i, i + 1);
	put_list();
	xen_refused(-E2BIG, "one run more", "more than 128");
	begin(PAGES);
	punch(0, PAGES);
	put_list();
	is_u64((u64)xen_parse_as(end), 0, "xen: nothing but holes parses");
	ok(boot_info_normalise(&bi, &why) && strstr(why, "no usable memory"),
	   "... and is refused as a map: %s", why);
}

static void test_xen_bad(void)
{
	begin(PAGES);
	put_list();
	si.magic[4]++;
	xen_refused(-EINVAL, "another magic number", "wrong magic");
	begin(PAGES);
	put_list();
	memset(si.cmd_line, 'x', sizeof(si.cmd_line));
	xen_refused(-E2BIG, "a command line without a NUL", "has no end");
	si.cmd_line[sizeof(si.cmd_line) - 1] = 0;
	is_u64((u64)xen_parse_as(end), 0, "xen: one of 1023 bytes parses");
	is_u64(strlen(bi.cmdline), BOOT_CMDLINE_MAX - 1, "... in full");

	begin(PAGES);
	put_list();
	si.nr_pages++;
	xen_refused(-EFAULT, "a list longer than memory", "list of frames lies outside");
	si.nr_pages = (BOOT_PHYS_LIMIT >> PAGE_SHIFT) + 1;
	xen_refused(-EINVAL, "more than 4 PiB", "4 PiB");
	si.nr_pages = ~0ul;
	xen_refused(-EINVAL, "as many pages as can be written down", "4 PiB");
	si.nr_pages = BOOT_PHYS_LIMIT >> PAGE_SHIFT;
	xen_refused(-EFAULT, "4 PiB, with a list of 64 pages", "list of frames lies outside");
	begin(PAGES);
	put_list();
	si.mfn_list = 0;
	xen_refused(-EFAULT, "a list at address 0", "list of frames lies outside");
	si.mfn_list = IMAGE_BASE - 8;
	xen_refused(-EFAULT, "a list that wraps", "list of frames lies outside");
	si.mfn_list = IMAGE_BASE + BASE + end - 4;
	xen_refused(-EFAULT, "a list that lies half outside", "list of frames lies outside");

	begin(PAGES);
	put_list();
	si.mod_start = IMAGE_BASE + 0x1000;
	si.mod_len = ~0ul;
	xen_refused(-EINVAL, "a module that wraps", "module wraps");
	si.mod_start = 0x1000;
	si.mod_len = 0x1000;
	xen_refused(-EINVAL, "a module below the window", "module lies outside");
	si.flags = SIF_MOD_START_PFN;
	si.mod_start = (1ul << 52) + 1;
	xen_refused(-EINVAL, "a module whose pfn is no pfn", "module lies outside");
}

static void test_xen_damage(void)
{
	unsigned accepted = 0, silent = 0;

	begin(PAGES);
	put_list();
	for (u32 n = 0; n < end; n++) {
		accepted += xen_parse_as(n) == 0;
		silent += !why;
	}
	is_u64(accepted, 0, "xen: every prefix is refused");
	is_u64(silent, 0, "... with a sentence");
	for (u32 i = 0; i < end; i++)
		for (unsigned v = 0; v < 256; v += v < 16 || v > 238 ? 1 : 13) {
			begin(PAGES);
			si.mod_len = 1;
			si.mod_start = IMAGE_BASE;
			put_list();
			if (i < sizeof(si))
				((u8 *)&si)[i] = (u8)v;
			else
				img[i] = (u8)v;
			silent += silent_failure(xen_parse_as(end));
		}
	is_u64(silent, 0, "any changed byte gives a result or a sentence");
}

int main(void)
{
	test_xen_good();
	test_xen_holes();
	test_xen_bad();
	test_xen_damage();
	return done_testing();
}
