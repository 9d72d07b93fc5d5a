// SPDX-License-Identifier: MIT
/*
 * mm/space.c against mm/space.h and mm/layout.h: for many memory maps, every page that must be
 * mapped is, with the right frame and rights, and what lies beside it is not. The simulated
 * machine follows the tables, so reading the frame array here is reading it through them.
 */
// links: mm/*.c tests/host/sim*.c
#include "mm/early.h"
#include "mm/alias.h"
#include "mm/frame.h"
#include "mm/kmap.h"
#include "mm/pagetable.h"
#include "mm/space.h"
#include "tests/host/sim.h"

static struct sim_config config;

static bool unmapped(vaddr_t va)
{
	pte_t leaf;
	int level;

	return !sim_walk(kernel_root, va, &level, &leaf);
}

static bool maps(vaddr_t va, paddr_t pa, bool w, bool x)
{
	pte_t leaf;
	int level;

	return sim_walk(kernel_root, va, &level, &leaf) &&
	       pte_addr(leaf, level) + (va & (pt_entry_size(level) - 1)) == pa &&
	       pte_writable(leaf) == w && pte_executable(leaf) == x && !(leaf.v & PTE_U) &&
	       (leaf.v & PTE_G);
}

static bool is_read_only(paddr_t pa)
{
	return pa >= sim_image.text - IMAGE_BASE && pa < sim_image.rodata_end - IMAGE_BASE;
}

/* => pages of [start, end) for which the direct map or the frame array is wrong */
static u64 wrong_in_range(paddr_t start, paddr_t end)
{
	u64 wrong = 0;

	for (paddr_t pa = start; pa < end; pa += PAGE_SIZE) {
		struct frame *f = pfn_frame(paddr_to_pfn(pa));

		if (pa < space_direct_limit())
			wrong += !maps(DIRECT_BASE + pa, pa, !is_read_only(pa), false);
		else
			wrong += !unmapped(DIRECT_BASE + pa);
		wrong += f->type > FRAME_TABLE || frame_aliases(f);
	}
	return wrong;
}

static vaddr_t frame_array_start(const struct sim_range *r)
{
	return ALIGN_DOWN(FRAMES_BASE + (r->start >> PAGE_SHIFT) * sizeof(struct frame), PAGE_SIZE);
}

static vaddr_t frame_array_end(const struct sim_range *r)
{
	return ALIGN_UP(FRAMES_BASE + (r->end >> PAGE_SHIFT) * sizeof(struct frame), PAGE_SIZE);
}

/* Large pages where a whole one fits that shares nothing with another range's part; none beyond. */
static bool frame_array_is_large(unsigned i)
{
	const struct sim_range *r = &config.ram[i];
	bool last = i + 1 == ARRAY_SIZE(config.ram) || !r[1].end;
	vaddr_t start = frame_array_start(r), end = frame_array_end(r);
	u64 size = pt_entry_size(2);

	if (i)
		start = MAX(start, frame_array_end(&r[-1]));
	for (vaddr_t va = start; va < end;) {
		bool large = config.max_leaf_level != 1 && IS_ALIGNED(va, size) && end - va >= size;
		pte_t leaf;
		int level;

		if (!sim_walk(kernel_root, va, &level, &leaf) || level != (large ? 2 : 1))
			return false;
		va += large ? size : PAGE_SIZE;
	}
	return (!last && frame_array_start(&r[1]) <= end) || unmapped(end);
}

/* The frame array's own memory: RAM, reserved, writable, never executable, and not shared. */
static bool frame_array_is_sound(const struct sim_range *r)
{
	vaddr_t va = frame_array_start(r), end = frame_array_end(r);

	for (; va < end; va += PAGE_SIZE) {
		paddr_t pa = 0;

		if (!pt_translate(kernel_root, va, &pa) || !maps(va, pa, true, false) ||
		    !sim_is_ram(pa) || frames[pa >> PAGE_SHIFT].type != FRAME_RESERVED)
			return false;
	}
	return true;
}

static void check_image(void)
{
	u64 wrong = 0;

	for (vaddr_t va = sim_image.text; va < sim_image.end; va += PAGE_SIZE) {
		if (va == sim_image.stack_guard)
			wrong += !unmapped(va);
		else
			wrong += !maps(va, va - IMAGE_BASE, va >= sim_image.data,
				       va < sim_image.text_end);
	}
	ok(!wrong, "the image: W^X, and a guard below the boot stack");
	ok(unmapped(sim_image.text - 1) && unmapped(sim_image.end), "nothing beside the image");
}

static void check_rest(void)
{
	u64 stray = 0;

	ok(unmapped(0) && unmapped(4095) && unmapped(1 * MiB),
	   "page 0 and the user half are not mapped");
	for (u64 slot = 0; slot < PT_ENTRIES; slot++) {
		vaddr_t va = (vaddr_t)((s64)(slot << 39 << 16) >> 16);

		if (pt_read(kernel_root, (unsigned)slot).v && !in_direct_map(va) &&
		    !in_frame_array(va) && !in_vmap_area(va) &&
		    slot != pt_index(IMAGE_BASE, PT_LEVELS))
			stray++;
	}
	ok(pte_present(pt_read(kernel_root, pt_index(VMAP_BASE, 4))),
	   "the vmap area has its top level");
	ok(pte_present(pt_read(kernel_root, pt_index(DIRECT_BASE, 4))) &&
		   pte_present(pt_read(kernel_root, pt_index(FRAMES_BASE, 4))) &&
		   pte_present(pt_read(kernel_root, pt_index(IMAGE_BASE, 4))) && !stray,
	   "so have direct map, frame array and image; nothing else has");
	is_u64(sim_tlb_root(0).n, kmap_local_root(0).n, "and the CPU runs on its copy of it");
}

static void check_everything(void)
{
	struct frame_stats st;
	u64 wrong = 0, total = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(config.ram) && config.ram[i].end; i++) {
		const struct sim_range *r = &config.ram[i];

		wrong += wrong_in_range(r->start, r->end);
		total += (r->end - r->start) / PAGE_SIZE;
		if (!frame_array_is_sound(r))
			ok(false, "frame array of range %u", i);
		if (!frame_array_is_large(i))
			ok(false, "large pages of the frame array of range %u", i);
		if (!sim_is_ram(r->end) && !unmapped(DIRECT_BASE + r->end))
			ok(false, "the hole after range %u is in the direct map", i);
		if (!sim_is_ram(r->start - 1) && !unmapped(DIRECT_BASE + r->start - 1))
			ok(false, "the hole before range %u is in the direct map", i);
	}
	is_u64(wrong, 0, "direct map and frame array of %lu MiB", total / 256);
	frame_stats(&st);
	is_u64(st.total, total, "all RAM is counted");
	check_image();
	check_rest();
}

static void test_map(void)
{
	sim_boot(&config);
	check_everything();
}

static const struct {
	const char *name;
	struct sim_config c;
} maps_to_try[] = {
	{"32 MiB", {.ram = {{1 * MiB, 33 * MiB}}}},
	{"4 KiB pages only", {.ram = {{1 * MiB, 33 * MiB}}, .max_leaf_level = 1}},
	{"no 1 GiB pages", {.ram = {{0, 640 * KiB}, {1 * MiB, 2200 * MiB}}, .max_leaf_level = 2}},
	{"more than 4 GiB",
	 {.ram = {{0, 640 * KiB}, {1 * MiB, 40 * MiB}, {4 * GiB, 4 * GiB + 40 * MiB}}}},
	{"up to 1 TiB", {.ram = {{1 * MiB, 40 * MiB}, {TiB - 20 * MiB, TiB}}}},
	{"directmap=16M", {.ram = {{1 * MiB, 65 * MiB}}, .direct_limit = 16 * MiB}},
	{"directmap, odd", {.ram = {{1 * MiB, 65 * MiB}}, .direct_limit = 20 * MiB + 5000}},
	{"directmap in a hole",
	 {.ram = {{1 * MiB, 20 * MiB}, {40 * MiB, 60 * MiB}}, .direct_limit = 30 * MiB}},
	{"odd ends",
	 {.ram = {{1 * MiB, 17 * MiB + 4 * KiB},
		  {17 * MiB + 8 * KiB, 17 * MiB + 12 * KiB},
		  {18 * MiB - 4 * KiB, 30 * MiB + 20 * KiB}}}},
	{"the image's RAM alone", {.ram = {{1 * MiB, 1 * MiB + 192 * KiB}, {2 * MiB, 20 * MiB}}}},
	{"hole at a 2 MiB page of the frame array",
	 {.ram = {{1 * MiB, 256 * MiB + 64 * KiB}, {256 * MiB + 128 * KiB, 600 * MiB}}}},
	{"hole inside a page of the frame array",
	 {.ram = {{1 * MiB, 300 * MiB + 64 * KiB}, {300 * MiB + 128 * KiB, 900 * MiB}}}},
};

static u64 seed;

static void test_random_map(void)
{
	u64 at = 1 * MiB, x = seed * 0x9e3779b97f4a7c15ull;

	config = (struct sim_config){.seed = seed, .max_leaf_level = 1 + (int)(seed % 3)};
	for (unsigned i = 0; i < ARRAY_SIZE(config.ram); i++) {
		u64 shift = 12 + (x >> 60), holes = x >> 40 & 0xfff;

		config.ram[i].start = at;
		at += i ? ((x >> 20 & 0xfff) + 1) << MIN(shift, 18) >> 6 << 6 : 20 * MiB;
		config.ram[i].end = ALIGN_UP(at, PAGE_SIZE);
		at = config.ram[i].end + (holes + 1) * PAGE_SIZE;
		x = x * 6364136223846793005ull + 1442695040888963407ull;
	}
	if (seed % 2)
		config.direct_limit = 17 * MiB + (x >> 34);
	sim_boot(&config);
	check_everything();
}

/* --- refusals --- */

/* => space_init()'s result for the RAM of `c`; the boot map must still be loaded if it failed */
static u64 keep_direct;

static int try(const struct sim_config *c, u64 limit)
{
	struct kernel_image img = sim_image;
	const char *why = NULL;
	int err;

	img.keep_direct = MAX(img.keep_direct, keep_direct);
	sim_power_on(c);
	sim_early(c);
	err = space_init(&img, limit, &why);
	if (err && (sim_tlb_root(0).n || !why || strlen(why) < 10))
		ok(false, "failed with %d, root %#lx, \"%s\"", err, sim_tlb_root(0).n,
		   why ? why : "");
	return err;
}

static void test_no_ram(void)
{
	is_u64((u64)try(&(struct sim_config){0}, ~0ull), (u64)-EINVAL, "no memory at all");
}

static void test_small_limit(void)
{
	static const struct sim_config c = {.ram = {{1 * MiB, 33 * MiB}}};

	is_u64((u64)try(&c, 16 * MiB - 1), (u64)-EINVAL, "directmap= below 16 MiB");
}

static void test_least_limit(void)
{
	static const struct sim_config c = {.ram = {{1 * MiB, 33 * MiB}}};

	is_u64((u64)try(&c, MAX(16 * MiB, keep_direct)), 0, "directmap= that is just enough");
}

static void test_kept_too_high(void)
{
	static const struct sim_config c = {.ram = {{1 * MiB, 33 * MiB}}};

	is_u64((u64)try(&c, keep_direct - 1), (u64)-EINVAL, "what boot has left is beyond it");
}

static void test_zero_limit(void)
{
	static const struct sim_config c = {.ram = {{1 * MiB, 33 * MiB}}};

	is_u64((u64)try(&c, 0), (u64)-EINVAL, "directmap=0");
}

static void test_too_high(void)
{
	static const struct sim_config c = {.ram = {{1 * MiB, 33 * MiB}, {9 * TiB, 9 * TiB + GiB}}};

	is_u64((u64)try(&c, ~0ull), (u64)-EINVAL, "memory that no direct map can hold");
}

static void test_absurd(void)
{
	static const struct sim_config c = {.ram = {{1 * MiB, 33 * MiB}, {100 * TiB, 4096 * TiB}}};

	is_u64((u64)try(&c, 1 * GiB), (u64)-EINVAL, "memory that no frame array can hold");
}

static int refuse(pfn_t r __attribute__((unused)))
{
	return -EINVAL;
}

static void test_refused(void)
{
	static const struct sim_config c = {.ram = {{1 * MiB, 33 * MiB}}};

	sim_mmu_ops.load_root = refuse;
	is_u64((u64)try(&c, ~0ull), (u64)-EINVAL, "a platform that refuses the tables");
}

static u64 spare_pages;

static void test_tiny(void)
{
	struct sim_config c = {.ram = {{1 * MiB, 1 * MiB + 192 * KiB + spare_pages * PAGE_SIZE}}};
	int err = try(&c, ~0ull);

	ok(!err ? spare_pages > 10 : err == -ENOMEM && spare_pages < 30, "%lu spare pages: %s",
	   spare_pages, err ? "not enough memory" : "enough");
	if (!err)
		ok(!frame_check() && frame_free_total() < spare_pages, "and what is left is free");
}

/* --- the way from real mode --- */

static void test_trampoline(void)
{
	u64 held, free;
	pfn_t root;
	pte_t leaf;
	int level;

	sim_boot(&(struct sim_config){
		.ram = {{0, 640 * KiB}, {1 * MiB, 33 * MiB}, {4 * GiB, 4 * GiB + 64 * MiB}}});
	held = pt_tables_held();
	free = frame_free_total();
	ok(!space_trampoline_root(0x8000, &root), "a root for other CPUs");
	ok(root.n && root.n < 4 * GiB / PAGE_SIZE, "below 4 GiB");
	ok(sim_walk(root, 0x8123, &level, &leaf) && level == 1 && pte_addr(leaf, 1) == 0x8000 &&
		   pte_executable(leaf) && !pte_writable(leaf) && !(leaf.v & PTE_G),
	   "maps the page, executable, not global");
	ok(!sim_walk(root, 0x7000, &level, &leaf) && !sim_walk(root, 0x9000, &level, &leaf) &&
		   !sim_walk(root, 0, &level, &leaf),
	   "and nothing else down there");
	for (unsigned slot = PT_ENTRIES / 2; slot < PT_ENTRIES; slot++)
		if (pte_addr(pt_read(root, slot), 4) != pte_addr(pt_read(kernel_root, slot), 4))
			ok(false, "slot %u differs from the kernel's", slot);
	ok(unmapped(0x8000), "the kernel's own root maps nothing of it");
	space_trampoline_root_free();
	ok(pt_tables_held() == held - 1 && frame_free_total() == free + 1,
	   "and it is given back, all of it");
}

static void test_trampoline_no_memory(void)
{
	u64 at_hand;
	pfn_t root;
	int err;

	sim_boot(&(struct sim_config){0});
	at_hand = pt_tables_held() + frame_free_total();
	frame_inject_failure(1 + seed);
	err = space_trampoline_root(0x8000, &root);
	frame_inject_failure(0);
	ok(seed < 3 ? err == -ENOMEM : !err, "memory is out after %lu tables", seed);
	space_trampoline_root_free();
	is_u64(pt_tables_held() + frame_free_total(), at_hand, "given back, half made or not");
}

int main(void)
{
	for (unsigned i = 0; i < ARRAY_SIZE(maps_to_try); i++) {
		config = maps_to_try[i].c;
		sim_scenario(maps_to_try[i].name, test_map);
	}
	for (seed = 1; seed <= 15; seed++)
		sim_scenario("random map", test_random_map);
	sim_scenario("no RAM", test_no_ram);
	sim_scenario("small limit", test_small_limit);
	sim_scenario("least limit", test_least_limit);
	keep_direct = 20 * MiB;
	sim_scenario("least limit", test_least_limit);
	sim_scenario("kept too high", test_kept_too_high);
	keep_direct = 0;
	sim_scenario("zero limit", test_zero_limit);
	sim_scenario("too high", test_too_high);
	sim_scenario("absurd", test_absurd);
	sim_scenario("refused", test_refused);
	for (spare_pages = 0; spare_pages < 40; spare_pages += 1 + spare_pages / 16)
		sim_scenario("tiny", test_tiny);
	sim_scenario("trampoline", test_trampoline);
	for (seed = 0; seed < 4; seed++)
		sim_scenario("trampoline, no memory", test_trampoline_no_memory);
	return done_testing();
}
