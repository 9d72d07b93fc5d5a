// SPDX-License-Identifier: MIT
/*
 * The memory map: usual, overlapping, empty and overflowing ones by hand, and thousands of small
 * random ones against the definition, page by page.
 */
// links: boot/boot_info.c
#include <stdlib.h>
#include "boot/boot_info.h"
#include "kernel/errno.h"
#include "tests/host/tap.h"

static struct boot_info bi;
static const char *why;

static void map_add(u64 start, u64 end_, u32 type)
{
	if (boot_info_add_range(&bi, start, end_ - start, type, &why))
		ok(false, "a range was not added: %s", why);
}

static bool map_is(const struct mem_range *want, unsigned n)
{
	bool same = bi.nr_ranges == n;

	for (unsigned i = 0; i < n && same; i++)
		same = bi.ranges[i].start == want[i].start && bi.ranges[i].end == want[i].end &&
		       bi.ranges[i].type == want[i].type;
	for (unsigned i = 0; i < bi.nr_ranges && !same; i++)
		printf("# %#llx-%#llx %d\n", (unsigned long long)bi.ranges[i].start,
		       (unsigned long long)bi.ranges[i].end, bi.ranges[i].type);
	return same;
}

#define MAP_IS(...)                                     \
	map_is((const struct mem_range[]){__VA_ARGS__}, \
	       sizeof((const struct mem_range[]){__VA_ARGS__}) / sizeof(struct mem_range))

static void test_normalise(void)
{
	memset(&bi, 0, sizeof(bi));
	map_add(0x100000, 0x300000, MEM_USABLE);
	map_add(0, 0x9fc00, MEM_USABLE);
	map_add(0x9fc00, 0xa0000, MEM_RESERVED);
	map_add(0x300000, 0x400000, MEM_USABLE);
	map_add(0x200800, 0x200800, MEM_RESERVED);
	is_u64((u64)boot_info_normalise(&bi, &why), 0, "normalise: a usual map");
	ok(MAP_IS({0, 0x9f000, MEM_USABLE}, {0x9f000, 0xa0000, MEM_RESERVED},
		  {0x100000, 0x400000, MEM_USABLE}),
	   "sorted, in whole pages, neighbours joined, the empty one ignored");

	memset(&bi, 0, sizeof(bi));
	map_add(0, 0x10000, MEM_USABLE);
	map_add(0x4000, 0x8000, MEM_ACPI);
	map_add(0x6000, 0xa000, MEM_RESERVED);
	map_add(0x7000, 0x7001, MEM_BAD);
	map_add(0x4000, 0x5000, MEM_NVS);
	is_u64((u64)boot_info_normalise(&bi, &why), 0, "normalise: overlaps");
	ok(MAP_IS({0, 0x4000, MEM_USABLE}, {0x4000, 0x5000, MEM_NVS}, {0x5000, 0x6000, MEM_ACPI},
		  {0x6000, 0x7000, MEM_RESERVED}, {0x7000, 0x8000, MEM_BAD},
		  {0x8000, 0xa000, MEM_RESERVED}, {0xa000, 0x10000, MEM_USABLE}),
	   "the more reserved type wins");

	memset(&bi, 0, sizeof(bi));
	is_u64((u64)boot_info_normalise(&bi, &why), (u64)-ENOMEM, "normalise: no ranges");
	map_add(0x1800, 0x27ff, MEM_USABLE);
	map_add(0x5000, 0x9000, MEM_RESERVED);
	map_add(0x6000, 0x7000, MEM_USABLE);
	is_u64((u64)boot_info_normalise(&bi, &why), (u64)-ENOMEM,
	       "normalise: no whole usable page");
	is_u64(bi.ranges[0].start, 0x1800, "nothing changed then");

	memset(&bi, 0, sizeof(bi));
	map_add(0, 0x1000000, MEM_USABLE);
	for (u64 i = 1; i < BOOT_MAX_RANGES; i++)
		map_add(i * 0x4000, i * 0x4000 + 0x1000, MEM_RESERVED);
	is_u64((u64)boot_info_normalise(&bi, &why), (u64)-E2BIG, "normalise: too many pieces");
	is_u64(bi.nr_ranges, BOOT_MAX_RANGES, "nothing changed then");
}

/* Small random maps against the definition, page by page. */
static void test_normalise_random(void)
{
	static const u8 rank[] = {0, 1, 4, 2, 3, 5}; /* by enum mem_type */
	enum {
		PAGES = 40,
		ROUNDS = 3000
	};
	unsigned wrong = 0;

	srand(1);
	for (int round = 0; round < ROUNDS; round++) {
		u8 want[PAGES] = {0};
		unsigned i;

		memset(&bi, 0, sizeof(bi));
		map_add(0, 4096, MEM_USABLE);
		want[0] = MEM_USABLE;
		for (i = rand() % 12; i; i--) {
			u64 a = rand() % (PAGES * 4096), b = rand() % (PAGES * 4096);
			u8 type = 1 + rand() % 5;

			if (rand() % 2) {
				a &= ~4095ull;
				b &= ~4095ull;
			}
			map_add(MIN(a, b), MAX(a, b), type);
			for (u64 p = 0; p < PAGES; p++) {
				u64 lo = MAX(p * 4096, MIN(a, b));
				u64 hi = MIN(p * 4096 + 4096, MAX(a, b));

				if (type == MEM_USABLE ? hi < lo + 4096 : hi <= lo)
					continue;
				if (rank[type] > rank[want[p]])
					want[p] = type;
			}
		}
		if (boot_info_normalise(&bi, &why) == -ENOMEM) {
			wrong += memchr(want, MEM_USABLE, PAGES) != NULL;
			continue;
		}
		for (i = 0; i < bi.nr_ranges; i++) {
			struct mem_range *r = &bi.ranges[i];

			wrong += r->start % 4096 || r->end % 4096 || r->start >= r->end;
			wrong += i && (r[-1].end > r->start ||
				       (r[-1].end == r->start && r[-1].type == r->type));
			for (u64 p = r->start / 4096; p < r->end / 4096; p++) {
				wrong += want[p] != r->type;
				want[p] = 0;
			}
		}
		for (i = 0; i < PAGES; i++)
			wrong += want[i] != 0;
	}
	is_u64(wrong, 0, "normalise: %d random maps agree with the definition", ROUNDS);
}

int main(void)
{
	test_normalise();
	test_normalise_random();
	return done_testing();
}
