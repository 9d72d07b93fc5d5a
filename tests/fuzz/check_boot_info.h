// SPDX-License-Identifier: MIT
/* What the kernel may rely on after a door's parser and boot_info_normalise() have both agreed. */
#ifndef TESTS_FUZZ_CHECK_BOOT_INFO_H
#define TESTS_FUZZ_CHECK_BOOT_INFO_H

#include "boot/boot_info.h"
#include "mm/types.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/phys_image.h"

#define TERMINATED(s) (memchr((s), 0, sizeof(s)) != NULL)

static void check_ranges(const struct boot_info *bi)
{
	bool usable = false;

	CHECK(bi->nr_ranges <= BOOT_MAX_RANGES);
	for (unsigned i = 0; i < bi->nr_ranges; i++) {
		const struct mem_range *r = &bi->ranges[i];

		CHECK(r->start < r->end && r->end <= BOOT_PHYS_LIMIT);
		CHECK(IS_ALIGNED(r->start, PAGE_SIZE) && IS_ALIGNED(r->end, PAGE_SIZE));
		CHECK(r->type >= MEM_USABLE && r->type <= MEM_BAD);
		CHECK(!i || r[-1].end < r->start ||
		      (r[-1].end == r->start && r[-1].type != r->type));
		usable |= r->type == MEM_USABLE;
	}
	CHECK(usable);
}

/* Which of two types a page has that both cover, or touch: the one with the higher rank. */
static unsigned rank_of(enum mem_type type)
{
	static const enum mem_type by_rank[] = {MEM_USABLE, MEM_ACPI, MEM_NVS, MEM_RESERVED,
						MEM_BAD};
	unsigned rank = 0;

	while (by_rank[rank] != type)
		CHECK(++rank < ARRAY_SIZE(by_rank));
	return rank + 1;
}

/* Of ranges as they were given: memory is usable by whole pages, all else by parts of one. */
static unsigned naive_rank(const struct boot_info *given, paddr_t page)
{
	unsigned rank = 0;

	for (unsigned i = 0; i < given->nr_ranges; i++) {
		const struct mem_range *r = &given->ranges[i];

		if (r->type == MEM_USABLE ? r->start <= page && r->end >= page + PAGE_SIZE
					  : r->start < page + PAGE_SIZE && r->end > page)
			rank = MAX(rank, rank_of(r->type));
	}
	return rank;
}

static unsigned rank_at(const struct boot_info *bi, paddr_t page)
{
	for (unsigned i = 0; i < bi->nr_ranges; i++)
		if (bi->ranges[i].start <= page && page < bi->ranges[i].end)
			return rank_of(bi->ranges[i].type);
	return 0;
}

/* Nothing changes but where a range begins or ends: the pages there, and beside them. */
static void check_normalised(const struct boot_info *given, const struct boot_info *bi)
{
	for (unsigned i = 0; i < 2 * given->nr_ranges; i++) {
		const struct mem_range *r = &given->ranges[i / 2];
		paddr_t at = ALIGN_DOWN(i % 2 ? r->end : r->start, PAGE_SIZE);

		CHECK(r->start < r->end && r->end <= BOOT_PHYS_LIMIT);
		for (paddr_t page = at - MIN(at, PAGE_SIZE); page <= at + PAGE_SIZE;
		     page += PAGE_SIZE)
			CHECK(rank_at(bi, page) == naive_rank(given, page));
	}
}

/* Runs one parser on an image of `size` bytes at `pa`, and checks what comes out. */
static void check_door(int (*parser)(struct boot_info *, paddr_t, phys_reader, const char **),
		       paddr_t pa, const u8 *data, size_t size)
{
	static struct boot_info bi, given;
	const char *why = NULL;
	int err;

	phys_image(pa, data, size);
	err = parser(&bi, pa, phys_image_read, &why);
	phys_image_done();
	given = bi;
	if (!err)
		err = boot_info_normalise(&bi, &why);
	CHECK(!err == !why);
	if (err)
		return;
	check_ranges(&bi);
	check_normalised(&given, &bi);
	CHECK(TERMINATED(bi.cmdline) && TERMINATED(bi.loader) && bi.door);
	CHECK(bi.nr_modules <= BOOT_MAX_MODULES);
	for (unsigned i = 0; i < bi.nr_modules; i++) {
		CHECK(bi.modules[i].start <= bi.modules[i].end);
		CHECK(bi.modules[i].end <= BOOT_PHYS_LIMIT && TERMINATED(bi.modules[i].name));
	}
	if (bi.fb.addr) {
		CHECK(bi.fb.addr + (u64)bi.fb.pitch * bi.fb.height <= BOOT_PHYS_LIMIT);
		CHECK(bi.fb.pitch >= (u64)bi.fb.width * bi.fb.bpp / 8);
		CHECK(bi.fb.bpp == (bi.fb.text ? 16 : bi.fb.bpp == 24 ? 24 : 32));
	}
}

#endif
