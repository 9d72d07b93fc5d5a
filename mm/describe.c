// SPDX-License-Identifier: MIT
/*
 * One sentence for any address. It is written for the moment something has gone wrong, so it takes
 * no lock and trusts nothing more than it must.
 */
#include "mm/describe.h"
#include "mm/area.h"
#include "mm/early.h"
#include "mm/frame.h"
#include "mm/pagetable.h"
#include "mm/space.h"

static int describe_area(vaddr_t va, char *buf, size_t size)
{
	struct area a;
	u64 page;

	if (!area_peek(va, &a))
		return snprintf(buf, size, "vmap area, between changes of its tree");
	page = (va - a.start) >> PAGE_SHIFT;
	switch (a.state) {
	case AREA_FREE:
		return snprintf(buf, size,
				"vmap area, free: nothing mapped from %#lx for %lu pages", a.start,
				a.span);
	case AREA_CLEARED:
		return snprintf(
			buf, size,
			"use after unmap: page %lu of area '%s' %#lx+%lu pages, unmapped by %pS %lu us ago",
			page, a.name, a.start, a.pages, (void *)a.unmapper,
			tsc_to_us(tsc_now() - a.unmapped_at));
	default:
		return snprintf(buf, size, "%s area '%s' %#lx+%lu pages, mapped by %pS",
				page < a.pages ? "live" : "guard page after", a.name, a.start,
				a.pages, (void *)a.mapper);
	}
}

static int describe_direct(vaddr_t va, char *buf, size_t size)
{
	paddr_t pa = va - DIRECT_BASE;
	pfn_t pfn = paddr_to_pfn(pa);

	if (!frame_valid(pfn))
		return snprintf(buf, size, "direct map of %#lx, which is not RAM", pa);
	if (pa >= space_direct_limit())
		return snprintf(buf, size, "direct map of %#lx, beyond directmap=%#lx", pa,
				space_direct_limit());
	return snprintf(buf, size, "direct map of frame %#lx, which is %s", pfn.n,
			frame_type_name(pfn_frame(pfn)->type));
}

static int describe_image(vaddr_t va, char *buf, size_t size)
{
	const struct kernel_image *img = space_image();
	const char *part = "no section";

	if (va - img->stack_guard < PAGE_SIZE)
		return snprintf(buf, size,
				"guard page below the boot stack: the stack has overflowed");
	if (va - img->text < img->text_end - img->text)
		part = "text";
	else if (va - img->rodata < img->rodata_end - img->rodata)
		part = "read-only data";
	else if (va - img->data < img->end - img->data)
		part = "data";
	return snprintf(buf, size, "kernel image, %s: %pS", part, (void *)va);
}

int mm_describe(vaddr_t va, char *buf, size_t size)
{
	if (va < PAGE_SIZE)
		return snprintf(buf, size, "null page: a NULL pointer was used with offset %#lx",
				va);
	if (!va_canonical(va))
		return snprintf(buf, size, "not a canonical address");
	if (in_direct_map(va))
		return describe_direct(va, buf, size);
	if (in_vmap_area(va))
		return describe_area(va, buf, size);
	if (in_frame_array(va))
		return snprintf(buf, size, "frame array, struct of frame %#lx",
				(va - FRAMES_BASE) / sizeof(struct frame));
	if (in_image(va))
		return describe_image(va, buf, size);
	return snprintf(buf, size, "%s",
			va >> 63 ? "kernel half, no region of ours" : "user half, not in use");
}
