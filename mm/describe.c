// SPDX-License-Identifier: MIT
/*
 * One sentence for any address. It is written for the moment something has gone wrong, so it takes
 * no lock and trusts nothing more than it must.
 */
#include "mm/describe.h"
#include "mm/aspace.h"
#include "mm/chunk.h"
#include "mm/kmap.h"
#include "mm/lazy.h"
#include "mm/pagetable.h"
#include "mm/shootdown.h"
#include "mm/space.h"

#define AREA_TEXT 128 /* a name, and the longest symbol with it */

/*
 * "unmapped by f+0x12 at most 123 us ago": areas note the time of the last tick (tsc_coarse), so
 * more cannot be said. Another CPU's clock need not agree to the tick.
 */
static void put_who(const char *did, u64 who, u64 tick, char *buf, size_t size)
{
	u64 now = tsc_now();

	if (tick)
		snprintf(buf, size, "%s by %pS at most %lu us ago", did, (void *)who,
			 now > tick ? tsc_to_us(now - tick) : 0);
	else
		snprintf(buf, size, "%s by %pS before the first tick", did, (void *)who);
}

/* => the copy's word */
static u64 blank_unrecorded(struct area *copy)
{
	u64 word = atomic_read(&copy->word);

	if (word_kind(word) == AREA_RAM) {
		copy->name = "map_ram";
		copy->mapper = copy->unmapper = copy->mapped_at = copy->unmapped_at = 0;
	}
	return word;
}

bool describe_area_at(vaddr_t va, struct area *copy)
{
	bool found = area_find(va, copy);

	if (found)
		blank_unrecorded(copy);
	return found;
}

/* The same with no lock: the records know the owner of a page; free pages have none. */
static bool peek_area(vaddr_t va, struct area *copy, u64 *word)
{
	const struct area *a = area_of(va);
	bool found = true;

	if (a)
		GLANCE_COPY(copy, a);
	else
		found = area_peek(va, copy);
	if (found)
		*word = blank_unrecorded(copy);
	return found;
}

/* The part all sentences about an area share. */
static void put_area(const struct area *a, u64 word, char *buf, size_t size)
{
	const char *kind = area_kind_name(word_kind(word));
	bool told = !strcmp(kind, a->name);

	snprintf(buf, size, "area '%s'%s%s%s %#lx+%u pages", a->name, told ? "" : " (",
		 told ? "" : kind, told ? "" : ")", a->start, a->pages);
}

static int describe_live(const struct area *a, u64 word, vaddr_t va, char *buf, size_t size)
{
	u64 page = (va - a->start) >> PAGE_SHIFT;
	char what[AREA_TEXT], who[AREA_TEXT] = "who mapped it is not recorded";
	struct pt_walk w;

	put_area(a, word, what, sizeof(what));
	if (a->mapper)
		put_who("mapped", a->mapper, a->mapped_at, who, sizeof(who));
	if (page >= a->pages)
		return snprintf(buf, size, "guard page after %s, %s", what, who);
	if (word_kind(word) == AREA_SPARSE && !pt_walk(kernel_root, va, &w))
		return snprintf(buf, size, "hole: nothing is mapped at page %lu of live %s, %s",
				page, what, who);
	return snprintf(buf, size, "live %s, page %lu, %s", what, page, who);
}

/* What a use of it would have met. */
static const char *remains(const struct area *a, u64 word, vaddr_t va)
{
	struct pt_walk w;

	if (word_state(word) == AREA_LAZY && pt_walk(kernel_root, va, &w))
		return "its entry still stands (lazy)";
	if (lazy_poison())
		return "quarantined by debug=poison";
	return shootdown_covered(a->stamp) ? "kept for reuse" : "some CPU may remember it";
}

static int describe_gone(const struct area *a, u64 word, vaddr_t va, char *buf, size_t size)
{
	char what[AREA_TEXT], who[AREA_TEXT] = "by whom and when is not recorded";
	u64 page = (va - a->start) >> PAGE_SHIFT;

	put_area(a, word, what, sizeof(what));
	if (a->unmapper)
		put_who("unmapped", a->unmapper, a->unmapped_at, who, sizeof(who));
	else if (word_kind(word) != AREA_RAM)
		return snprintf(
			buf, size,
			"free, and set aside for a CPU's next mapping: page %lu of %u pages at %#lx",
			page, a->pages, a->start);
	return snprintf(buf, size, "use after unmap: %s %lu of %s, %s; %s",
			page < a->pages ? "page" : "guard page", page, what, who,
			remains(a, word, va));
}

/*
 * A stack grows down, into the last page of whatever lies below it, which is never mapped.
 *   => more to say about such a page, after the n bytes said
 */
static int describe_overflow(vaddr_t va, int n, char *buf, size_t size)
{
	vaddr_t above = ALIGN_DOWN(va, PAGE_SIZE) + PAGE_SIZE;
	size_t used = MIN((size_t)n, size);
	struct area a;
	u64 word;

	if (!in_vmap_area(above) || !peek_area(above, &a, &word) || a.start != above ||
	    word_state(word) != AREA_LIVE || word_kind(word) != AREA_STACK)
		return n;
	return n +
	       snprintf(buf + used, size - used, "; just below stack '%s': an overflow", a.name);
}

static int describe_area(vaddr_t va, char *buf, size_t size)
{
	struct area a;
	u64 word;
	int n;

	if (!peek_area(va, &a, &word))
		return snprintf(buf, size, "vmap area, between changes of its tree");
	switch (word_state(word)) {
	case AREA_FREE:
		n = snprintf(buf, size, "vmap area, free: nothing mapped from %#lx for %u pages",
			     a.start, a.span);
		break;
	case AREA_LIVE:
		n = describe_live(&a, word, va, buf, size);
		break;
	default:
		n = describe_gone(&a, word, va, buf, size);
	}
	return describe_overflow(va, n, buf, size);
}

static int describe_slot(vaddr_t va, char *buf, size_t size)
{
	u64 n = (va - KMAP_LOCAL_BASE) >> PAGE_SHIFT, index = VMAP_PAGES + 1 + n;
	unsigned cpu;
	pte_t e;

	if (n >= MAX_CPUS * KMAP_LOCAL_SLOTS)
		return snprintf(buf, size, "beyond the last kmap_local slot");
	cpu = kmap_local_cpu(index);
	if (kmap_local_root(cpu).n == kernel_root.n)
		return snprintf(buf, size, "kmap_local slot of CPU %u, which never came up", cpu);
	e = *kmap_local_entry(index);
	if (!pte_present(e))
		return snprintf(buf, size, "kmap_local slot of CPU %u, not in use", cpu);
	return snprintf(buf, size, "kmap_local slot of CPU %u: frame %#lx, for that CPU alone", cpu,
			pte_addr(e, 1) >> PAGE_SHIFT);
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

/* As this CPU sees it. */
static int describe_user(vaddr_t va, char *buf, size_t size)
{
	const struct aspace *as = aspace_current();
	const struct frame *f = as ? aspace_frame(as, va) : NULL;

	if (!as)
		return snprintf(buf, size, "user half, and CPU %u runs on no address space",
				cpu_id());
	if (!f)
		return snprintf(buf, size,
				"user half: nothing is mapped there in address space '%s'",
				as->name);
	return snprintf(buf, size, "user half: a page of address space '%s', frame %#lx", as->name,
			frame_pfn(f).n);
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
	if (in_local_slots(va))
		return describe_slot(va, buf, size);
	if (in_frame_array(va))
		return snprintf(buf, size, "frame array, struct of frame %#lx",
				(va - FRAMES_BASE) / sizeof(struct frame));
	if (in_image(va))
		return describe_image(va, buf, size);
	if (in_user_half(va))
		return describe_user(va, buf, size);
	return snprintf(buf, size, "%s",
			va >> 63 ? "kernel half, no region of ours" : "user half, not in use");
}
