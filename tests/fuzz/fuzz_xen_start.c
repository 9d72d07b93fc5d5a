// SPDX-License-Identifier: MIT
/*
 * The input is all the memory there is, with the start info in front. It lies so low that small
 * changes of an address reach it. The list of frames is whatever is at its address, holes and
 * nonsense included; the number of its entries is made to fit, or to be one too many, or nearly all
 * lists would end beyond memory: bit 63 of the store's mfn asks to leave it as it is.
 *
 * What the parser makes of it all is compared with the bytes: what it must refuse, and with which
 * error; the list, entry by entry; the module and the texts.
 */
// links: boot/xen.c boot/boot_info.c
#include "boot/xen.h"
#include "kernel/errno.h"
#include "mm/layout.h"
#include "tests/fuzz/check_boot_info.h"

#define START_INFO_ADDR 0x10
#define LIST_ADDR(si)	((si)->mfn_list - IMAGE_BASE)
#define KEEP_COUNT	(1ull << 63)

static bool is_usable(const struct boot_info *bi, u64 pfn)
{
	unsigned n = 0;

	for (unsigned i = 0; i < bi->nr_ranges; i++)
		n += pfn << PAGE_SHIFT >= bi->ranges[i].start &&
		     (pfn + 1) << PAGE_SHIFT <= bi->ranges[i].end &&
		     bi->ranges[i].type == MEM_USABLE;
	CHECK(n <= 1);
	return n;
}

/* => is there an entry of the list? */
static bool entry_at(const struct start_info *si, u64 pfn, const u8 *memory, size_t size, u64 *mfn)
{
	u64 at = LIST_ADDR(si) + pfn * sizeof(u64) - START_INFO_ADDR;

	if (at > size || size - at < sizeof(u64))
		return false;
	memcpy(mfn, memory + at, sizeof(*mfn));
	return true;
}

/* Looks at each entry for itself. => 0; -EFAULT; -E2BIG: too many runs of frames */
static int naive_list(const struct start_info *si, const u8 *memory, size_t size)
{
	unsigned runs = 0;
	u64 before = XEN_MFN_INVALID, mfn;

	for (u64 pfn = 0; pfn < si->nr_pages; pfn++, before = mfn) {
		if (!entry_at(si, pfn, memory, size, &mfn))
			return -EFAULT;
		runs += (mfn & XEN_MFN_INVALID) && !(before & XEN_MFN_INVALID);
		if (runs > BOOT_MAX_RANGES)
			return -E2BIG;
	}
	return runs + !(before & XEN_MFN_INVALID) > BOOT_MAX_RANGES ? -E2BIG : 0;
}

/* => by_pfn: where it lies is a frame's number, not an address the kernel has there */
static int naive_module(const struct start_info *si, u64 *start)
{
	bool by_pfn = si->flags & 8;

	if (!si->mod_len)
		return 0;
	if (by_pfn ? si->mod_start >> 40 : si->mod_start < IMAGE_BASE)
		return -EINVAL;
	*start = by_pfn ? si->mod_start * 4096 : si->mod_start - IMAGE_BASE;
	return si->mod_len > BOOT_PHYS_LIMIT - *start ? -EINVAL : 0;
}

static int naive_start(const u8 *memory, size_t size, struct start_info *si, u64 *module)
{
	int err;

	if (size < sizeof(*si))
		return -EFAULT;
	memcpy(si, memory, sizeof(*si));
	if (memcmp(si->magic, "xen-3.", 6))
		return -EINVAL;
	if (!memchr(si->cmd_line, '\0', sizeof(si->cmd_line)))
		return -E2BIG;
	if (si->nr_pages > 1ull << 40)
		return -EINVAL;
	err = naive_list(si, memory, size);
	return err ? err : naive_module(si, module);
}

static void check_start(const u8 *memory, size_t size)
{
	static struct boot_info bi;
	struct start_info si;
	const char *why = NULL;
	u64 module = 0;
	int err;

	phys_image(START_INFO_ADDR, memory, size);
	err = boot_info_from_xen(&bi, START_INFO_ADDR, phys_image_read, &why);
	phys_image_done();
	CHECK(err == naive_start(memory, size, &si, &module));
	if (err)
		return;
	CHECK(!strcmp(bi.cmdline, (const char *)si.cmd_line));
	CHECK(strlen(bi.loader) == strnlen(si.magic, sizeof(si.magic) - 1));
	CHECK(!memcmp(bi.loader, si.magic, strlen(bi.loader)));
	CHECK(bi.nr_modules == !!si.mod_len);
	if (si.mod_len)
		CHECK(bi.modules[0].start == module && bi.modules[0].end == module + si.mod_len);
	for (u64 pfn = 0; pfn < si.nr_pages; pfn++) {
		u64 mfn = 0;

		CHECK(entry_at(&si, pfn, memory, size, &mfn));
		CHECK(is_usable(&bi, pfn) == !(mfn >> 63));
	}
	CHECK(!is_usable(&bi, si.nr_pages));
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct start_info si;
	u8 *copy = malloc(size);
	u64 at;

	if (size)
		memcpy(copy, data, size);
	if (size >= sizeof(si)) {
		memcpy(&si, copy, sizeof(si));
		at = LIST_ADDR(&si) - START_INFO_ADDR;
		if (at < size && !(si.store_mfn & KEEP_COUNT))
			si.nr_pages %= (size - at) / sizeof(u64) + 2;
		memcpy(copy, &si, sizeof(si));
	}
	check_door(boot_info_from_xen, START_INFO_ADDR, copy, size);
	check_start(copy, size);
	free(copy);
	return 0;
}
