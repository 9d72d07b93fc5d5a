// SPDX-License-Identifier: MIT
/*
 * The input is all the memory there is, with the start info in front. It lies so low that small
 * changes of an address reach it. The list of frames is whatever is at its address, holes and
 * nonsense included; the number of its entries is made to fit, or to be one too many, or nearly all
 * lists would end beyond memory: bit 63 of the store's mfn asks to leave it as it is.
 *
 * What the parser makes of a list is compared with the list, entry by entry.
 */
// links: boot/xen.c boot/boot_info.c
#include "boot/xen.h"
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

static void check_list(const u8 *memory, size_t size)
{
	static struct boot_info bi;
	struct start_info si;
	const char *why = NULL;
	int err;

	phys_image(START_INFO_ADDR, memory, size);
	err = boot_info_from_xen(&bi, START_INFO_ADDR, phys_image_read, &why);
	phys_image_done();
	if (err)
		return;
	memcpy(&si, memory, sizeof(si));
	for (u64 pfn = 0; pfn < si.nr_pages; pfn++) {
		u64 mfn;

		memcpy(&mfn, memory + LIST_ADDR(&si) - START_INFO_ADDR + pfn * sizeof(mfn),
		       sizeof(mfn));
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
	check_list(copy, size);
	free(copy);
	return 0;
}
