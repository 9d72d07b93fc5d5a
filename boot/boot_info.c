// SPDX-License-Identifier: MIT
/*
 * The memory map, made fit for use. Firmware's maps come in any order, at any alignment, with
 * overlaps and contradictions; ours is sorted, disjoint and in whole pages.
 *
 * Overlaps are resolved by cutting the address space at every edge of every range: between two
 * neighbouring edges each range covers either all or nothing, so the piece simply gets the most
 * reserved type of those that cover it. That is quadratic in at most 128 ranges, once per boot.
 *
 * A page that is partly usable is not usable, a page that is partly reserved is reserved: usable
 * ranges are cut inwards and all others outwards before the edges are taken.
 */
#include "boot/boot_info.h"
#include "kernel/errno.h"
#include "kernel/string.h"

#define PAGE_SIZE 4096ull
#define MAX_EDGES (2 * BOOT_MAX_RANGES)

int boot_info_add_range(struct boot_info *bi, u64 start, u64 len, u32 type, const char **why)
{
	if (!len)
		return 0;
	if (start >= BOOT_PHYS_LIMIT || len > BOOT_PHYS_LIMIT - start)
		return boot_refuse(why, -EINVAL,
				   "the memory map has a range that wraps or ends beyond 4 PiB");
	if (bi->nr_ranges == BOOT_MAX_RANGES)
		return boot_refuse(why, -E2BIG, "the memory map has more than 128 ranges");
	if (type < MEM_USABLE || type > MEM_BAD)
		type = MEM_RESERVED;
	bi->ranges[bi->nr_ranges++] = (struct mem_range){start, start + len, type};
	return 0;
}

int boot_info_add_module(struct boot_info *bi, u64 start, u64 len, struct boot_module **m,
			 const char **why)
{
	if (start >= BOOT_PHYS_LIMIT || len > BOOT_PHYS_LIMIT - start)
		return boot_refuse(why, -EINVAL, "a module wraps or ends beyond 4 PiB");
	if (bi->nr_modules == BOOT_MAX_MODULES)
		return boot_refuse(why, -E2BIG, "there are more than 8 modules: load fewer");
	*m = &bi->modules[bi->nr_modules++];
	**m = (struct boot_module){.start = start, .end = start + len};
	return 0;
}

/* Which type wins where ranges overlap: the higher. Usable is the least we can say of memory. */
static int reservedness(enum mem_type type)
{
	switch (type) {
	case MEM_USABLE:
		return 1;
	case MEM_ACPI:
		return 2;
	case MEM_NVS:
		return 3;
	case MEM_RESERVED:
		return 4;
	case MEM_BAD:
		return 5;
	}
	return 0;
}

static struct mem_range whole_pages(struct mem_range r)
{
	if (r.type == MEM_USABLE) {
		r.start = ALIGN_UP(r.start, PAGE_SIZE);
		r.end = ALIGN_DOWN(r.end, PAGE_SIZE);
	} else {
		r.start = ALIGN_DOWN(r.start, PAGE_SIZE);
		r.end = ALIGN_UP(r.end, PAGE_SIZE);
	}
	return r;
}

static void insert_edge(u64 *edges, unsigned *n, u64 at)
{
	unsigned i = (*n)++;

	for (; i > 0 && edges[i - 1] > at; i--)
		edges[i] = edges[i - 1];
	edges[i] = at;
}

/* => the type of the page at `at`, 0 if no range covers it */
static enum mem_type type_at(const struct boot_info *bi, paddr_t at)
{
	enum mem_type most = 0;

	for (unsigned i = 0; i < bi->nr_ranges; i++) {
		struct mem_range r = whole_pages(bi->ranges[i]);

		if (r.start <= at && at < r.end && reservedness(r.type) > reservedness(most))
			most = r.type;
	}
	return most;
}

int boot_info_normalise(struct boot_info *bi, const char **why)
{
	static struct mem_range out[BOOT_MAX_RANGES]; /* 5 KiB: not for a stack */
	static u64 edges[MAX_EDGES];
	unsigned nr_edges = 0, n = 0;
	bool usable = false;

	for (unsigned i = 0; i < bi->nr_ranges; i++) {
		struct mem_range r = whole_pages(bi->ranges[i]);

		insert_edge(edges, &nr_edges, r.start);
		insert_edge(edges, &nr_edges, r.end);
	}
	for (unsigned i = 0; i + 1 < nr_edges; i++) {
		struct mem_range piece = {edges[i], edges[i + 1], type_at(bi, edges[i])};

		/* An empty piece (equal edges) joins the next one, which is of its type. */
		if (!piece.type)
			continue;
		usable |= piece.type == MEM_USABLE;
		if (n && out[n - 1].end == piece.start && out[n - 1].type == piece.type)
			out[n - 1].end = piece.end;
		else if (n == BOOT_MAX_RANGES)
			return boot_refuse(
				why, -E2BIG,
				"the memory map overlaps itself into more than 128 pieces");
		else
			out[n++] = piece;
	}
	if (!usable)
		return boot_refuse(why, -ENOMEM, "the memory map has no usable memory");
	memcpy(bi->ranges, out, n * sizeof(out[0]));
	bi->nr_ranges = n;
	return 0;
}
