// SPDX-License-Identifier: MIT
/*
 * mm/vmalloc.h, and what else is mapped in ways of its own: sparse areas, changed rights, local
 * slots. Contents are looked at through the TLBs of two CPUs.
 */
// links: mm/*.c tests/host/sim*.c
#include "mm/check.h"
#include "mm/kmap.h"
#include "mm/pagetable.h"
#include "mm/park.h"
#include "mm/shootdown.h"
#include "mm/vmalloc.h"
#include "mm/vmap.h"
#include "tests/host/mapping.h"

/* Each 8 bytes of [va, va + bytes) are written, or found as they were. => all well */
static bool write_all(vaddr_t va, u64 bytes, u64 salt)
{
	for (u64 i = 0; i + 8 <= bytes; i += 8)
		if (sim_write(i / PAGE_SIZE % 2, va + i, i ^ salt))
			return false;
	return true;
}

static bool read_all(vaddr_t va, u64 bytes, u64 salt)
{
	u64 v;

	for (u64 i = 0; i + 8 <= bytes; i += 8)
		if (sim_read(1 - i / PAGE_SIZE % 2, va + i, &v) || v != (i ^ salt))
			return false;
	return true;
}

static void test_sizes(void)
{
	static const u64 sizes[] = {1, 4095, 4096, 4097, 70 * KiB, 1 * MiB - 9, 3 * MiB + 1};
	struct sim_snapshot was;

	sim_boot(&(struct sim_config){.cpus = 2, .direct_limit = 24 * MiB});
	was = sim_snapshot();
	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
		vaddr_t a = (vaddr_t)vmalloc(sizes[i]), b = (vaddr_t)vzalloc(sizes[i]);
		u64 v = 1, pages = (sizes[i] + PAGE_SIZE - 1) / PAGE_SIZE;
		bool zero = true;

		ok(a && b && IS_ALIGNED(a, PAGE_SIZE), "%lu bytes", sizes[i]);
		for (u64 at = 0; at + 8 <= sizes[i]; at += 8)
			zero &= !sim_read(0, b + at, &v) && !v;
		ok(zero, "vzalloc's are zero");
		ok(write_all(a, sizes[i], i) && write_all(b, sizes[i], ~(u64)i) &&
			   read_all(a, sizes[i], i),
		   "are its own");
		ok(faults(0, a + pages * PAGE_SIZE, 1) && faults(1, b + pages * PAGE_SIZE, 1),
		   "an overrun faults");
		vfree((void *)a);
		vfree((void *)b);
	}
	vfree(NULL);
	vm_unmap_aliases();
	ok(sim_unchanged(&was, "vmalloc"), "all frames are back");
	sim_printed();
	ok(!vmalloc(0) && strstr(sim_printed(), "vmalloc of 0"), "no bytes");
	ok(!vmalloc(64 * MiB) && !vmalloc(~0ull) && strstr(sim_printed(), "frames of RAM"),
	   "more than RAM");
	ok(!vmalloc_aligned(1, 0), "no alignment at all");
	ok(!vmalloc_aligned(1, 12288) && strstr(sim_printed(), "power of two"), "odd alignment");
	ok(!vmalloc(31 * MiB + 512 * KiB) && sim_unchanged(&was, "too much"), "all but all of it");
}

static void test_redzone(void)
{
	vaddr_t a, b;

	sim_boot(&(struct sim_config){.cpus = 2});
	a = (vaddr_t)vmalloc(5000);
	EXPECT_PANIC("byte 5000 of", {
		*((u8 *)mapped_page(a + PAGE_SIZE) + 904) = 0;
		vfree((void *)a);
	});
	EXPECT_PANIC("byte 8191 of", {
		*((u8 *)mapped_page(a + PAGE_SIZE) + 4095) = 0;
		vfree((void *)a);
	});
	*((u8 *)mapped_page(a + PAGE_SIZE) + 903) = 0;
	EXPECT_PANIC("byte 5000 of", {
		*((u8 *)mapped_page(a + PAGE_SIZE) + 904) = 0;
		(void)!vrealloc((void *)a, 5100);
	});
	b = (vaddr_t)vrealloc((void *)a, 6000);
	is_u64(b, a, "grown in place");
	is_u64(*((u8 *)mapped_page(a + PAGE_SIZE) + 904), 0, "what is new is zero");
	EXPECT_PANIC("byte 6000 of", {
		*((u8 *)mapped_page(a + PAGE_SIZE) + 1904) = 0;
		vfree((void *)a);
	});
	vfree((void *)b);
	EXPECT_PANIC("double unmap", vfree((void *)b));
	EXPECT_PANIC("nothing is mapped", vfree((void *)VMAP_END));
	a = (vaddr_t)vmap_stack_alloc(1, "stack");
	EXPECT_PANIC("which is for vmap_stack_free", vfree((void *)a));
	vmap_stack_free((void *)a);
}

static void test_realloc(void)
{
	struct sim_snapshot was;
	vaddr_t a, b;
	u64 v;

	sim_boot(&(struct sim_config){.cpus = 2});
	was = sim_snapshot();
	a = (vaddr_t)vrealloc(NULL, 10000);
	ok(a && !sim_read(0, a, &v) && !v, "from nothing, it is vzalloc");
	write_all(a, 10000, 3);
	b = (vaddr_t)vrealloc((void *)a, 300000);
	ok(b && b != a && read_all(b, 10000, 3), "moved with its contents");
	ok(!sim_read(0, b + 10000, &v) && !v && !sim_read(0, b + 299992, &v) && !v, "then zeroes");
	EXPECT_PANIC("double unmap", vfree((void *)a));
	write_all(b, 300000, 4);
	is_u64((vaddr_t)vrealloc((void *)b, 100), b, "shrunk in place");
	b = (vaddr_t)vrealloc((void *)b, 299000);
	ok(read_all(b, 96, 4) && !sim_read(0, b + 104, &v) && !v, "what was given up is zero");
	write_all(b, 299000, 5);
	ok(!vrealloc((void *)b, 40 * MiB) && read_all(b, 299000, 5),
	   "too large: the old one stays");
	ok(!vrealloc((void *)b, 0), "to nothing, it is vfree");
	vm_unmap_aliases();
	ok(sim_unchanged(&was, "vrealloc"), "all frames are back");
}

#define BLOCKS 32

/* Leaves `n` blocks of 2 MiB, and halves of all the others. => blocks or halves that are held */
static unsigned fragment(struct frame **held, unsigned n)
{
	struct frame *whole[BLOCKS];
	unsigned nr = 0, halves = 0, kept = 0;

	frame_drain_cache();
	while (nr < BLOCKS && (whole[nr] = frame_alloc(9, 0)))
		nr++;
	KASSERT(nr > n && nr < BLOCKS, "%u blocks", nr);
	for (unsigned i = n; i < nr; i++)
		frame_free(whole[i], 9);
	while (halves < 2 * BLOCKS && (held[halves] = frame_alloc(8, 0)))
		halves++;
	for (unsigned i = 0; i < halves; i++)
		if (frame_pfn(held[i]).n & 256)
			held[kept++] = held[i];
		else
			frame_free(held[i], 8);
	for (unsigned i = 0; i < n; i++)
		frame_free(whole[i], 9);
	return kept;
}

/*
 * Linux CVE-2024-45022: a large allocation that fell back to small pages midway was mapped with the
 * wrong page size. Blocks of 2 MiB run out after none, one, two, three; each page must be its own.
 */
/* What cannot be mapped large is mapped small, and nothing of the attempt is left. */
static void test_huge_refused(void)
{
	struct area a;
	void *va;

	sim_boot(&(struct sim_config){.deferred = true, .ram = {{1 * MiB, 49 * MiB}}});
	sim.fail_batch = 1;
	va = vmalloc_huge(2 * MiB);
	sim.fail_batch = 0;
	ok(va && find_vm_area(va, &a) && !a.large, "refused as a large page, mapped by small ones");
	is_u64(mm_check(false), 0, "mm_check() agrees");
	vfree(va);
}

static void test_huge(void)
{
	struct frame *held[2 * BLOCKS];
	struct sim_snapshot was;
	u64 bytes = 6 * MiB + 20000;
	struct area a;
	void *exact;

	sim_boot(&(struct sim_config){.cpus = 2, .ram = {{1 * MiB, 49 * MiB}}});
	exact = vmalloc_huge(2 * MiB);
	ok(exact && find_vm_area(exact, &a) && a.large == 1, "as much as a large page is one");
	vfree(exact);
	vm_unmap_aliases();
	was = sim_snapshot();
	for (unsigned large = 0; large <= 3; large++) {
		unsigned n = fragment(held, large);
		vaddr_t va = (vaddr_t)vmalloc_huge(bytes);
		bool distinct = true;

		ok(va && IS_ALIGNED(va, 2 * MiB) && find_vm_area((void *)va, &a), "huge");
		is_u64(a.large, large, "as many large pages as there are blocks");
		ok(write_all(va, bytes, large) && read_all(va, bytes, large), "its contents");
		for (u64 page = 0; page * PAGE_SIZE < bytes; page++) {
			struct frame *fr = vmalloc_to_frame((void *)(va + page * PAGE_SIZE));

			distinct &= fr && frame_aliases(fr) == 1;
		}
		ok(distinct && !mm_check(false), "each page a frame of its own");
		vfree((void *)va);
		while (n)
			frame_free(held[--n], 8);
		vm_unmap_aliases();
		ok(sim_unchanged(&was, "vmalloc_huge"), "all frames are back");
	}
}

/* More large pages than are taken apart in one go. The first time pays for tables and records. */
static void test_many_large(void)
{
	u64 large = PARK_MAX_PAGES + 3;
	struct sim_snapshot was;
	struct area a;

	sim_boot(&(struct sim_config){.ram = {{1 * MiB, 600 * MiB}}});
	for (unsigned i = 0; i < 2; i++) {
		void *va = vmalloc_huge(large * 2 * MiB);

		ok(va && find_vm_area(va, &a) && a.large == large, "%lu large pages", large);
		vfree(va);
		vm_unmap_aliases();
		if (!i)
			was = sim_snapshot();
	}
	ok(sim_unchanged(&was, "vfree"), "all frames are back");
}

static void test_sparse(void)
{
	u64 shootdowns;
	vaddr_t va;

	sim_boot(&(struct sim_config){.cpus = 2});
	get_frames(20);
	va = (vaddr_t)vm_area_reserve(600, 512, "sparse");
	ok(va && IS_ALIGNED(va, 2 * MiB) && faults(0, va, 600), "addresses, and nothing there");
	is_u64((u64)vm_area_map((void *)va, 505, f, 20, VM_W), 0, "pages in it, across tables");
	ok(reads_right(1, va + 505 * PAGE_SIZE, f, 20) && faults(0, va + 504 * PAGE_SIZE, 1) &&
		   faults(0, va + 525 * PAGE_SIZE, 1),
	   "are these");
	is_u64((u64)vm_area_map((void *)va, 524, f, 2, VM_W), (u64)-EINVAL, "mapped already");
	is_u64((u64)vm_area_map((void *)va, 599, f, 2, VM_W), (u64)-EINVAL, "beyond the end");
	is_u64((u64)vm_area_map((void *)va, ~0ull, f, 2, VM_W), (u64)-EINVAL, "round the end");
	is_u64((u64)vm_area_map((void *)va, 0, f, 0, VM_W), (u64)-EINVAL, "nothing");
	is_u64((u64)vm_area_unmap((void *)va, 504, 2), (u64)-EINVAL, "not mapped");
	is_u64((u64)vm_area_map((void *)(va + PAGE_SIZE), 0, f, 1, VM_W), (u64)-EINVAL, "interior");
	is_u64((u64)vm_protect((void *)va, VM_R), (u64)-EINVAL, "rights are its pages' own");
	is_u64((u64)vm_area_unmap((void *)va, 508, 10), 0, "taken away");
	ok(reads_right(1, va + 505 * PAGE_SIZE, f, 3) &&
		   reads_right(0, va + 518 * PAGE_SIZE, f + 13, 7),
	   "the others stay");
	shootdowns = counter_sum(CNT_shootdown);
	is_u64((u64)vm_area_map((void *)va, 508, f + 5, 2, VM_R), 0, "mapped anew at once");
	is_u64(counter_sum(CNT_shootdown), shootdowns + 1, "by a flush of that range");
	ok(reads_right(1, va + 508 * PAGE_SIZE, f + 5, 2), "others are there now");
	f[0] = pfn_frame(kernel_root);
	is_u64((u64)vm_area_map((void *)va, 0, f, 1, VM_W), (u64)-EINVAL, "a page table");
	is_u64(mm_check(false), 0, "mm_check() agrees");
	EXPECT_PANIC("which is for vm_area_free", vunmap((void *)va));
	f[0] = vmalloc_to_frame((void *)(va + 505 * PAGE_SIZE));
	vm_area_free((void *)va);
	EXPECT_PANIC("double unmap", vm_area_free((void *)va));
	ok(aliases_are(20, 0), "the end of it is the end of all");
	ok(!vm_area_reserve(0, 1, "x") && !vm_area_reserve(4, 0, "x") &&
		   !vm_area_reserve(4, 3, "x"),
	   "bad sizes and alignments");
	vm_unmap_aliases();
	frame_free_many(f, 20);
}

static void test_protect(void)
{
	vaddr_t va, huge;
	u64 v;

	sim_boot(&(struct sim_config){.cpus = 3, .ram = {{1 * MiB, 49 * MiB}}});
	get_frames(5);
	va = (vaddr_t)vmap(f, 5, VM_W);
	for (unsigned cpu = 0; cpu < 3; cpu++)
		sim_write(cpu, va + 4 * PAGE_SIZE, cpu);
	is_u64((u64)vm_protect((void *)va, VM_R), 0, "read-only");
	for (unsigned cpu = 0; cpu < 3; cpu++)
		is_u64(sim_write(cpu, va + 4 * PAGE_SIZE, 9), SIM_NOT_WRITABLE, "on CPU %u", cpu);
	ok(!sim_read(0, va + 4 * PAGE_SIZE, &v) && v == 2 && !mm_check(false), "and all there");
	is_u64((u64)vm_protect((void *)va, VM_W), 0, "and back");
	is_u64(sim_write(1, va, 9), SIM_OK, "written");
	is_u64((u64)vm_protect((void *)(va + PAGE_SIZE), VM_R), (u64)-EINVAL, "not its start");
	is_u64((u64)vm_protect((void *)VMAP_END, VM_R), (u64)-EINVAL, "nothing");
	vunmap((void *)va);
	is_u64((u64)vm_protect((void *)va, VM_R), (u64)-EINVAL, "unmapped");
	EXPECT_PANIC("prot", (void)!vm_protect((void *)va, VM_X));
	huge = (vaddr_t)vmalloc_huge(2 * MiB + PAGE_SIZE);
	ok(!vm_protect((void *)huge, VM_R) && sim_write(1, huge + 1 * MiB, 1) == SIM_NOT_WRITABLE &&
		   sim_write(2, huge + 2 * MiB, 1) == SIM_NOT_WRITABLE && !mm_check(false),
	   "large and small pages");
	vfree((void *)huge);
	vm_unmap_aliases();
	frame_free_many(f, 5);
}

/* Local mappings nest, each CPU's are its own, and none ever costs an interrupt of another CPU. */
static void test_local(void)
{
	void *va[KMAP_LOCAL_SLOTS], *other;
	u64 v;

	sim_boot(&(struct sim_config){.cpus = 2, .direct_limit = 24 * MiB});
	KASSERT(!frame_alloc_many(f, KMAP_LOCAL_SLOTS, FRAME_HIGH), "frames");
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < KMAP_LOCAL_SLOTS; i++) {
			va[i] = kmap_local(f[i]);
			KASSERT(!sim_write(0, (vaddr_t)va[i], frame_pfn(f[i]).n), "not written");
		}
		for (unsigned i = 0; i < KMAP_LOCAL_SLOTS; i++)
			KASSERT(!sim_read(0, (vaddr_t)va[i], &v) && v == frame_pfn(f[i]).n,
				"mixed");
		sim_on(1);
		other = kmap_local(f[3]);
		ok(!sim_read(1, (vaddr_t)other, &v) && v == frame_pfn(f[3]).n, "on both CPUs");
		is_u64(sim_read(0, (vaddr_t)other, &v), SIM_NOT_PRESENT, "each has its own");
		kunmap_local(other);
		is_u64(sim_read(1, (vaddr_t)other, &v), SIM_NOT_PRESENT, "which faults at once");
		sim_on(0);
		for (unsigned i = KMAP_LOCAL_SLOTS; i--;)
			kunmap_local(va[i]);
	}
	is_u64(mm_check(false), 0, "mm_check() agrees");
	is_u64(counter_sum(CNT_ipi_sent) + counter_sum(CNT_shootdown), 0, "no IPI, no shootdown");
	is_u64(frame_aliases(f[3]), 0, "no alias is left");
	frame_free_many(f, KMAP_LOCAL_SLOTS);
}

int main(void)
{
	sim_scenario("sizes", test_sizes);
	sim_scenario("redzone", test_redzone);
	sim_scenario("realloc", test_realloc);
	sim_scenario("huge", test_huge);
	sim_scenario("many large pages", test_many_large);
	sim_scenario("refused large page", test_huge_refused);
	sim_scenario("sparse", test_sparse);
	sim_scenario("protect", test_protect);
	sim_scenario("local", test_local);
	return done_testing();
}
