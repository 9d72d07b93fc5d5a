// SPDX-License-Identifier: MIT
/*
 * Two short sorted lists: what is RAM, and which of it is still free. Allocation takes from the
 * highest free range that fits, so that low memory stays for those who need it (page tables made
 * while the boot map reaches only 4 GiB, the trampoline). What was reserved may be given back by a
 * platform that needs it no more; what was allocated stays.
 *
 * Next: mm/space.c, its one customer.
 */
#include "mm/early.h"

struct early_range early_ram[EARLY_MAX_RANGES];
unsigned early_nr_ram;

static struct early_range avail[EARLY_MAX_RANGES];
static unsigned nr_avail;

u64 early_ram_frames(void)
{
	u64 n = 0;

	for (unsigned i = 0; i < early_nr_ram; i++)
		n += early_ram[i].end - early_ram[i].start;
	return n;
}

int early_add_ram(paddr_t start, paddr_t end)
{
	struct early_range r = {
		ALIGN_UP(start, PAGE_SIZE) >> PAGE_SHIFT,
		end >> PAGE_SHIFT,
	};

	if (r.start >= r.end)
		return 0;
	KASSERT(!early_nr_ram || early_ram[early_nr_ram - 1].end <= r.start,
		"RAM at %#lx comes after RAM up to %#lx", start,
		early_ram[early_nr_ram - 1].end << PAGE_SHIFT);
	if (early_nr_ram == EARLY_MAX_RANGES || nr_avail == EARLY_MAX_RANGES)
		return -E2BIG;
	early_ram[early_nr_ram++] = r;
	avail[nr_avail++] = r;
	return 0;
}

static void remove_at(unsigned i)
{
	memmove(&avail[i], &avail[i + 1], (--nr_avail - i) * sizeof(avail[0]));
}

int early_reserve(paddr_t start, paddr_t end)
{
	u64 s = start >> PAGE_SHIFT, e = ALIGN_UP(end, PAGE_SIZE) >> PAGE_SHIFT;

	KASSERT(start <= end, "reserve %#lx to %#lx", start, end);
	if (start == end)
		return 0;
	for (unsigned i = 0; i < nr_avail; i++) {
		struct early_range *r = &avail[i];

		if (e <= r->start || r->end <= s)
			continue;
		if (s <= r->start && r->end <= e) {
			remove_at(i--);
		} else if (s <= r->start) {
			r->start = e;
		} else if (r->end <= e) {
			r->end = s;
		} else { /* a hole in the middle: one range becomes two */
			if (nr_avail == EARLY_MAX_RANGES)
				return -E2BIG;
			memmove(r + 1, r, (nr_avail++ - i) * sizeof(*r));
			r[0].end = s;
			r[1].start = e;
		}
	}
	return 0;
}

int early_release(paddr_t start, paddr_t end)
{
	struct early_range r = {start >> PAGE_SHIFT, end >> PAGE_SHIFT};
	unsigned i = 0;

	if (nr_avail == EARLY_MAX_RANGES)
		return -E2BIG;
	while (i < nr_avail && avail[i].end <= r.start)
		i++;
	KASSERT(i == nr_avail || r.end <= avail[i].start, "%#lx is released, but free", start);
	memmove(&avail[i + 1], &avail[i], (nr_avail++ - i) * sizeof(avail[0]));
	avail[i] = r;
	return 0;
}

int early_alloc(u64 pages, u64 align, paddr_t limit, pfn_t *out)
{
	for (unsigned i = nr_avail; i-- > 0;) {
		struct early_range *r = &avail[i];
		u64 end = MIN(r->end, limit >> PAGE_SHIFT), start;

		if (end < r->start + pages)
			continue;
		start = ALIGN_DOWN(end - pages, align);
		if (start < r->start)
			continue;
		if (early_reserve(start << PAGE_SHIFT, (start + pages) << PAGE_SHIFT))
			return -ENOMEM;
		*out = pfn_make(start);
		return 0;
	}
	return -ENOMEM;
}

void early_for_each_free(void (*fn)(u64 start, u64 end))
{
	for (unsigned i = 0; i < nr_avail; i++)
		fn(avail[i].start, avail[i].end);
}
