// SPDX-License-Identifier: MIT
/* The engine's fuzzer: mapping and unmapping in the vmap area. See fuzz_engine.c. */
#include "tests/fuzz/engine.h"
#include "mm/area.h"
#include "mm/kmap.h"
#include "mm/vmalloc.h"
#include "mm/vmap.h"

#define FRAMES_SPARED 1500 /* what the tester leaves to the machine: other CPUs' caches, tables */
#define MANY	      600

struct frame *picked[NAIVE_PAGES];

/* Every step-th from the first on, which may come again. => some may be mapped in no case */
static bool frames_from(u32 first, u32 step, u64 n)
{
	u32 bad = next_byte();

	for (u64 i = 0; i < n; i++) {
		u32 k = (u32)(first + i * step) % TESTER_FRAMES;

		while (!tester[k])
			k = (k + 1) % TESTER_FRAMES;
		picked[i] = tester[k];
	}
	if (bad < 240)
		return false;
	picked[bad % n] = bad & 1 ? pfn_frame(kernel_root) : frames + 256 + 1; /* of the image */
	return true;
}

bool pick_frames(u64 n)
{
	u32 first = below(TESTER_FRAMES);

	return frames_from(first, below(3), n);
}

bool tester_has_frames(void)
{
	for (unsigned i = 0; i < TESTER_FRAMES; i++)
		if (tester[i])
			return true;
	return false;
}

u64 some_pages(void)
{
	u8 b = next_byte();

	return b < 224 ? 1 + b % 9 : b < 248 ? 1 + b % 40 : MANY;
}

bool list_is_full(void)
{
	return naive_regions() == NAIVE_REGIONS;
}

/* Addresses that were not to be had: was that right? */
static bool no_addresses(u64 pages)
{
	return scarce && !naive_has_room(pages, SCARCE_PAGES);
}

void not_mapped(const char *what, u64 pages)
{
	if (no_addresses(pages))
		refused(what);
	else
		failed(what);
}

/* --- frames of the tester's --- */

/* What is to be mapped, by whom. */
static struct mapping {
	u32 how, first;
	unsigned prot;
	u64 n;
} mapping;

static void choose_mapping(void)
{
	struct mapping *m = &mapping;

	m->how = below(3);
	m->first = below(TESTER_FRAMES);
	m->prot = m->how == 2 ? VM_W : (below(4) ? VM_W : VM_R) | (below(4) ? 0 : VM_LOCAL);
	m->n = m->how == 2 ? 1 : some_pages();
}

void op_map(void)
{
	static const char *const names[] = {"vmap", "vm_map_ram", "kmap"};
	struct naive_region *r;
	unsigned prot;
	bool bad;
	void *va;
	u32 how;
	u64 n;

	if (list_is_full() || !tester_has_frames())
		return;
	if (!mapping.n || below(3)) /* else as before, or nearly: may it be revived? */
		choose_mapping();
	how = mapping.how;
	prot = mapping.prot;
	n = mapping.n;
	bad = frames_from(mapping.first, below(3), n);
	expect_no_change();
	va = how == 0	? vmap(picked, n, prot)
	     : how == 1 ? vm_map_ram(picked, n, prot)
			: kmap(picked[0]);
	if (bad) {
		if (va)
			wrong("%s of a frame that is nobody's memory", names[how]);
		refused(names[how]);
		return;
	}
	if (!va) {
		not_mapped(names[how], n);
		return;
	}
	note("%s of %lu frames from %#lx on, prot %u: %p", names[how], n, pfn_of(picked[0]), prot,
	     va);
	r = naive_map((enum naive_kind)(NAIVE_VMAP + how), (u64)va, n, prot & VM_W);
	for (u64 i = 0; i < n; i++)
		naive_fill(r, i, pfn_of(picked[i]));
	check_read(op_cpu, r->va + (n - 1) * PAGE_SIZE);
}

void op_local(void)
{
	void *va;

	if (naive_locals(op_cpu) == NAIVE_LOCALS || !tester_has_frames() || pick_frames(1))
		return;
	va = kmap_local(picked[0]);
	note("kmap_local of %#lx: %p", pfn_of(picked[0]), va);
	naive_local_push(op_cpu, (u64)va, pfn_of(picked[0]));
}

/* Not before a look through it. */
void op_local_end(void)
{
	const struct naive_local *l = naive_local_last(op_cpu);
	u64 v, *want;

	if (!l)
		return;
	want = naive_word(l->pfn);
	if (sim_read(op_cpu, l->va, &v) || (*want != NAIVE_NOT_KNOWN && v != *want))
		wrong("kmap_local %#lx reads %#lx, not %#lx", l->va, v, *want);
	if (sim_write(op_cpu, l->va, op_number))
		wrong("kmap_local %#lx is not writable", l->va);
	*want = op_number;
	note("kunmap_local of %#lx", l->va);
	kunmap_local((void *)l->va);
	if (sim_read(op_cpu, l->va, &v) != SIM_NOT_PRESENT)
		wrong("kmap_local %#lx can be read after its end", l->va);
	naive_local_pop(op_cpu);
}

/* --- memory of its own --- */

/* The frames behind pages [from, pages) of a region: nobody else has them. */
static void learn_frames(struct naive_region *r, u64 from, u64 word)
{
	for (u64 i = from; i < r->pages; i++) {
		struct frame *f = vmalloc_to_frame((void *)(r->va + i * PAGE_SIZE));

		if (!f)
			wrong("page %lu of %#lx has no frame", i, r->va);
		naive_own(pfn_of(f), NAIVE_AREA, word);
		naive_fill(r, i, pfn_of(f));
	}
}

static void forget_frames(u64 *pfn, u64 pages)
{
	for (u64 i = 0; i < pages; i++)
		naive_disown(pfn[i]);
}

static u64 pages_of(u64 bytes)
{
	return (bytes + PAGE_SIZE - 1) / PAGE_SIZE;
}

/* The last page has room for its word at least. */
static u64 some_bytes(void)
{
	return (some_pages() - 1) * PAGE_SIZE + 8 + next_byte() * 16;
}

static bool memory_is_short(u64 pages)
{
	u64 taken = TESTER_FRAMES;

	for (u64 pfn = 0; pfn < NAIVE_FRAMES; pfn++)
		taken += naive_owner(pfn) != NAIVE_NOBODY;
	return taken + pages + FRAMES_SPARED > NAIVE_FRAMES - 1024;
}

void op_alloc(void)
{
	static const char *const names[] = {"vmalloc", "vzalloc", "vmalloc_aligned", "vmalloc_huge",
					    "vmap_stack_alloc"};
	u32 how = below(5), align = 1u << below(4) * 5; /* up to 32 KiB */
	u64 bytes = some_bytes(), pages = pages_of(bytes);
	struct naive_region *r;
	void *va;

	if (list_is_full() || memory_is_short(pages))
		return;
	expect_no_change();
	va = how == 0	? vmalloc(bytes)
	     : how == 1 ? vzalloc(bytes)
	     : how == 2 ? vmalloc_aligned(bytes, align)
	     : how == 3 ? vmalloc_huge(bytes)
			: vmap_stack_alloc((unsigned)pages, "stack");
	if (!va && how == 2 && scarce) /* there may be room, but not there */
		refused(names[how]);
	else if (!va)
		not_mapped(names[how], pages);
	if (!va)
		return;
	note("%s of %lu bytes: %p", names[how], bytes, va);
	if (how == 2 && (u64)va % align)
		wrong("%p is not aligned to %#x", va, align);
	r = naive_map(how == 4 ? NAIVE_STACK : NAIVE_VMALLOC, (u64)va, pages, true);
	if (how != 4)
		r->bytes = bytes;
	learn_frames(r, 0, how == 1 ? 0 : NAIVE_NOT_KNOWN);
	check_write(op_cpu, r->va + (pages - 1) * PAGE_SIZE);
}

struct naive_region *some_region(bool (*fit)(const struct naive_region *))
{
	unsigned n = naive_regions(), first = next_byte();

	for (unsigned i = 0; i < n; i++) {
		struct naive_region *r = naive_region((first + i) % n);

		if (fit(r))
			return r;
	}
	return NULL;
}

static bool is_vmalloc(const struct naive_region *r)
{
	return r->kind == NAIVE_VMALLOC && r->writable;
}

/* Its contents move with it; what was not there is zero. */
static struct naive_region *moved(struct naive_region *r, u64 va, u64 bytes)
{
	static u64 old[NAIVE_PAGES], word[NAIVE_PAGES];
	u64 had = r->pages, kept = pages_of(r->bytes);

	for (u64 i = 0; i < had; i++) {
		old[i] = r->pfn[i];
		word[i] = *naive_word(old[i]);
	}
	naive_unmap(r, forgotten_at_once());
	forget_frames(old, had);
	r = naive_map(NAIVE_VMALLOC, va, pages_of(bytes), true);
	r->bytes = bytes;
	learn_frames(r, 0, 0);
	for (u64 i = 0; i < kept; i++)
		*naive_word(r->pfn[i]) = word[i];
	return r;
}

static void resized(struct naive_region *r, u64 bytes)
{
	for (u64 i = pages_of(r->bytes); i < pages_of(bytes); i++)
		*naive_word(r->pfn[i]) = 0;
	r->bytes = bytes;
	for (u64 i = pages_of(bytes); i < r->pages; i++)
		*naive_word(r->pfn[i]) = NAIVE_NOT_KNOWN; /* the redzone's */
}

/* The last whole word of its old size is to be there afterwards, if there is still room for it. */
#define MARK 0x6b72616d6b72616dull

static u64 mark_the_end(const struct naive_region *r)
{
	u64 at = r->bytes / 8 * 8 - 8;

	if (sim_write(op_cpu, r->va + at, MARK))
		wrong("%#lx is not writable", r->va + at);
	if (at % PAGE_SIZE == 0)
		*naive_word(r->pfn[at / PAGE_SIZE]) = MARK;
	return at;
}

/* All bytes, not only each page's word. */
static void check_end(const struct naive_region *r, u64 mark, u64 old)
{
	u64 v;

	if (mark + 8 <= r->bytes && (sim_read(op_cpu, r->va + mark, &v) || v != MARK))
		wrong("byte %lu of %#lx and those after it are lost", mark, r->va);
	for (u64 i = old; i < r->bytes; i++)
		if (((u8 *)raw_word(r->pfn[i / PAGE_SIZE]))[i % PAGE_SIZE])
			wrong("byte %lu of %#lx, which had %lu bytes, is not zero", i, r->va, old);
}

void op_realloc(void)
{
	struct naive_region *r = some_region(is_vmalloc);
	u64 bytes = some_bytes(), old, mark;
	void *va;

	if (!r || memory_is_short(pages_of(bytes)))
		return;
	old = r->bytes;
	mark = mark_the_end(r);
	expect_no_change();
	va = vrealloc((void *)r->va, bytes);
	if (!va) {
		not_mapped("vrealloc", pages_of(bytes));
		return;
	}
	note("vrealloc of %#lx from %lu to %lu bytes: %p", r->va, r->bytes, bytes, va);
	if (pages_of(bytes) <= r->pages) {
		if ((u64)va != r->va)
			wrong("vrealloc moves what fits");
		resized(r, bytes);
	} else {
		r = moved(r, (u64)va, bytes);
	}
	check_end(r, mark, old);
	for (u64 i = 0; i < pages_of(bytes); i += 7)
		check_read(op_cpu, (u64)va + i * PAGE_SIZE);
}

/* --- the tester's frames come and go --- */

void op_give_frame(void)
{
	struct frame **f = &tester[below(TESTER_FRAMES)];

	if (!*f || naive_aliases(pfn_of(*f)))
		return;
	note("frame_free of %#lx", pfn_of(*f));
	naive_disown(pfn_of(*f));
	frame_free(*f, 0);
	*f = NULL;
}

void op_take_frame(void)
{
	struct frame **f = &tester[below(TESTER_FRAMES)];
	unsigned flags = below(2) ? FRAME_ZERO : FRAME_HIGH;

	if (*f)
		return;
	expect_no_change();
	*f = frame_alloc(0, flags);
	if (!*f) {
		failed("frame_alloc");
		return;
	}
	note("frame_alloc: %#lx", pfn_of(*f));
	naive_own(pfn_of(*f), NAIVE_TESTER, flags & FRAME_ZERO ? 0 : NAIVE_NOT_KNOWN);
	if (flags & FRAME_ZERO && *raw_word(pfn_of(*f)))
		wrong("frame %#lx is not zero", pfn_of(*f));
}

/* --- unmapping any of them --- */

static void unmap(struct naive_region *r)
{
	void *va = (void *)r->va;
	bool own = r->kind == NAIVE_VMALLOC || r->kind == NAIVE_STACK;
	/* Addresses of a sparse area's that went before are flushed when it goes, or later. */
	bool forgotten = forgotten_at_once() && r->kind != NAIVE_SPARSE;
	u64 pages = r->pages, start = r->va;

	switch (r->kind) {
	case NAIVE_VMAP:
		vunmap(va);
		break;
	case NAIVE_RAM:
		vm_unmap_ram(va, pages);
		break;
	case NAIVE_KMAP:
		kunmap(va);
		break;
	case NAIVE_VMALLOC:
		vfree(va);
		break;
	case NAIVE_STACK:
		vmap_stack_free(va);
		break;
	case NAIVE_SPARSE:
		vm_area_free(va);
		break;
	case NAIVE_IO:
		iounmap(va);
	}
	note("kind %d at %#lx, %lu pages, is unmapped", r->kind, start, pages);
	naive_unmap(r, forgotten);
	if (own)
		forget_frames(r->pfn, pages);
	check_read(op_cpu, start + (pages - 1) * PAGE_SIZE);
}

void op_unmap(void)
{
	if (naive_regions())
		unmap(naive_region(below(naive_regions())));
}

void end_areas(void)
{
	while (naive_regions())
		unmap(naive_region(0));
	for (op_cpu = 0; op_cpu < nr_cpus; op_cpu++) {
		sim_on(op_cpu);
		while (naive_locals(op_cpu))
			op_local_end();
	}
}
