// SPDX-License-Identifier: MIT
/*
 * mm/pagetable.c against mm/pagetable.h, on roots of its own besides the kernel's. Every answer of
 * pt_walk() is compared with the simulator's own walk.
 */
// links: mm/*.c tests/host/sim*.c
#include "mm/check.h"
#include "mm/frame.h"
#include "mm/pagetable.h"
#include "tests/host/sim.h"

static pfn_t root;

static void new_root(void)
{
	KASSERT(!pt_alloc_table(PT_LEVELS, &root), "no memory");
}

/* Every level-1 table for so many pages. => 0 or -errno */
static int ensure(vaddr_t va, u64 pages)
{
	u64 tables = (pt_index(va, 1) + pages + PT_ENTRIES - 1) / PT_ENTRIES;
	pfn_t table;
	int err = 0;

	for (; tables-- && !err; va += pt_entry_size(2))
		err = pt_ensure_path(root, va, 1, &table);
	return err;
}

static void free_tree(pfn_t table, int level)
{
	for (unsigned i = 0; i < PT_ENTRIES; i++) {
		pte_t e = pt_read(table, i);

		if (pte_present(e) && !pte_leaf(e, level))
			free_tree(paddr_to_pfn(pte_addr(e, level)), level - 1);
	}
	pt_free_table(table);
}

/*
 * => pt_walk(), pt_translate() and the simulator agree that va is mapped to pa, or (pa = ~0) is
 * not
 */
static bool maps(vaddr_t va, paddr_t want)
{
	struct pt_walk w;
	paddr_t pa = ~0ull;
	pte_t leaf;
	int level;
	bool mapped = sim_walk(root, va, &level, &leaf);

	if (pt_walk(root, va, &w) != mapped || pt_translate(root, va, &pa) != mapped)
		return false;
	if (w.level != (level ? level : 1))
		return false;
	for (int l = w.level; l <= PT_LEVELS; l++)
		if (w.step[l].slot != pt_index(va, l) ||
		    pt_read(w.step[l].table, w.step[l].slot).v != w.step[l].entry.v)
			return false;
	return pa == want;
}

static void test_ensure(void)
{
	static const struct {
		vaddr_t va;
		u64 pages, tables;
	} cases[] = {
		{0xffff900000000000, 1, 3},    /* the first of everything */
		{0xffff900000000000, 512, 0},  /* the same table */
		{0xffff9000001ff000, 2, 1},    /* across two tables */
		{0xffff9000003ff000, 1, 0},    /* the last page of the second */
		{0xffff90003ffff000, 2, 3},    /* across 1 GiB: one table below, two above */
		{0xffff907ffffff000, 2, 5},    /* across 512 GiB */
		{0x0000000000000000, 1537, 6}, /* the user half, four tables */
		{0xfffffffffffff000, 1, 3},    /* the very last page */
		{0x0000100000000000, 0, 0},    /* nothing */
	};
	u64 held;

	sim_boot(&(struct sim_config){0});
	new_root();
	ok(maps(VMAP_BASE, ~0ull) && maps(0, ~0ull), "an empty root maps nothing");
	EXPECT_PANIC("no table for", pt_leaf_table(root, VMAP_BASE));
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		vaddr_t last = cases[i].va + (cases[i].pages - 1) * PAGE_SIZE;

		held = pt_tables_held();
		ok(!ensure(cases[i].va, cases[i].pages), "case %u: made", i);
		is_u64(pt_tables_held() - held, cases[i].tables, "case %u: so many tables", i);
		if (!cases[i].pages)
			continue;
		ok(frames[pt_leaf_table(root, cases[i].va).n].level == 1 &&
			   frames[pt_leaf_table(root, last).n].type == FRAME_TABLE,
		   "case %u: the first and the last page have one", i);
		ok(maps(cases[i].va, ~0ull) && maps(last, ~0ull), "case %u: and are not mapped", i);
	}
	free_tree(root, PT_LEVELS);
}

static void test_table(void)
{
	u64 held, at_hand;
	pfn_t t;
	bool zero = true;

	sim_boot(&(struct sim_config){0});
	held = pt_tables_held();
	at_hand = mm_frames_at_hand();
	ok(!pt_alloc_table(2, &t), "a table");
	for (unsigned i = 0; i < PT_ENTRIES; i++)
		zero &= !pt_read(t, i).v;
	ok(zero && frames[t.n].type == FRAME_TABLE && frames[t.n].level == 2, "zeroed and typed");
	ok(pt_tables_held() == held + 1 && mm_frames_at_hand() == at_hand, "counted, and at hand");
	EXPECT_PANIC("is a page table", frame_free(&frames[t.n], 0));
	pt_free_table(t);
	is_u64(pt_tables_held(), held, "given back");
	EXPECT_PANIC("not a page table", pt_free_table(t));
	frame_inject_failure(1);
	is_u64((u64)pt_alloc_table(1, &t), (u64)-ENOMEM, "without memory -ENOMEM");
	is_u64(pt_tables_held(), held, "and none is counted");
}

/* One span; => leaves by level in count[] */
static void count_leaf(unsigned *count, vaddr_t va, u64 len)
{
	pte_t leaf;
	int level;

	while (len && sim_walk(root, va, &level, &leaf)) {
		count[level]++;
		va += pt_entry_size(level);
		len -= MIN(len, pt_entry_size(level));
	}
}

static void test_span_levels(void)
{
	static const struct {
		vaddr_t va;
		paddr_t pa;
		u64 len;
		int max;
		unsigned leaves[4];
	} cases[] = {
		{0xffff900000000000, 0x0, 0x1000, 3, {0, 1, 0, 0}},
		{0xffff900000000000, 0x0, 2 * MiB, 3, {0, 0, 1, 0}},
		{0xffff900000000000, 0x0, 2 * MiB, 1, {0, 512, 0, 0}},
		{0xffff900000000000, 0x0, GiB, 3, {0, 0, 0, 1}},
		{0xffff900000000000, 0x0, GiB, 2, {0, 0, 512, 0}},
		{0xffff900000000000,
		 0x1000,
		 4 * MiB,
		 3,
		 {0, 1024, 0, 0}}, /* never aligned together */
		{0xffff9000001ff000, 0x1ff000, 4 * MiB, 3, {0, 512, 1, 0}}, /* in the middle */
		{0xffff90003fe00000,
		 0x3fe00000,
		 2 * GiB,
		 3,
		 {0, 0, 512, 1}}, /* 511 below, one above */
		{0xffff900000200000,
		 0x400000,
		 GiB,
		 3,
		 {0, 0, 512, 0}}, /* 2 MiB, not 1 GiB, aligned */
	};

	sim_boot(&(struct sim_config){0});
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		unsigned count[PT_LEVELS + 1] = {0};
		bool right = true;

		new_root();
		ok(!pt_map_span(root, cases[i].va, cases[i].pa, cases[i].len, VM_W, cases[i].max),
		   "case %u: mapped", i);
		count_leaf(count, cases[i].va, cases[i].len);
		ok(!memcmp(count, cases[i].leaves, sizeof(cases[i].leaves)),
		   "case %u: the largest pages that fit (%u, %u, %u)", i, count[1], count[2],
		   count[3]);
		for (u64 off = 0; off < cases[i].len; off += cases[i].len / 64)
			right &= maps(cases[i].va + off + 8, cases[i].pa + off + 8);
		right &= maps(cases[i].va - 1, ~0ull) && maps(cases[i].va + cases[i].len, ~0ull);
		ok(right, "case %u: to the byte, and nothing beside it", i);
		free_tree(root, PT_LEVELS);
	}
}

/* Bit 12 of a large page's entry is PAT: 4.3, tables 4-16 and 4-18; of a link it is address. */
static void test_address_bits(void)
{
	const u64 v = 0x12345ffff000ull | PTE_P;

	is_u64(pte_addr((pte_t){v}, 1), 0x12345ffff000, "a page");
	is_u64(pte_addr((pte_t){v | PTE_PAT}, 1), 0x12345ffff000, "with PAT");
	is_u64(pte_addr((pte_t){v}, 2), 0x12345ffff000, "a link");
	is_u64(pte_addr((pte_t){v | PTE_PS}, 2), 0x12345fe00000, "2 MiB");
	is_u64(pte_addr((pte_t){v | PTE_PS | PTE_NX}, 3), 0x123440000000, "1 GiB");
}

static void test_span_rights(void)
{
	static const unsigned prots[] = {VM_R,	       VM_W,	     VM_X,
					 VM_W | VM_UC, VM_R | VM_WC, VM_X | VM_LOCAL};

	sim_boot(&(struct sim_config){0});
	new_root();
	for (unsigned i = 0; i < ARRAY_SIZE(prots); i++) {
		vaddr_t va = VMAP_BASE + i * GiB;
		struct pt_walk w;
		pte_t e;

		ok(!pt_map_span(root, va, 2 * MiB, 2 * MiB + PAGE_SIZE, prots[i], 3), "prot %#x",
		   prots[i]);
		for (unsigned page = 0; page <= 512; page += 512) {
			pt_walk(root, va + page * PAGE_SIZE, &w);
			e = w.step[w.level].entry;
			ok(w.level == (page ? 1 : 2) && pte_writable(e) == !!(prots[i] & VM_W) &&
				   pte_executable(e) == !!(prots[i] & VM_X) &&
				   !(e.v & PTE_G) == !!(prots[i] & VM_LOCAL) && !(e.v & PTE_U) &&
				   !!(e.v & PTE_PCD) == !!(prots[i] & VM_UC) &&
				   !!(e.v & PTE_PWT) == !!(prots[i] & (VM_UC | VM_WC)),
			   "prot %#x: its bits at level %d", prots[i], w.level);
		}
	}
	EXPECT_PANIC("mapped already", (void)!pt_map_span(root, VMAP_BASE, 0, 2 * MiB, VM_R, 2));
	EXPECT_PANIC("large page", (void)!pt_map_span(root, VMAP_BASE, 0, PAGE_SIZE, VM_R, 1));
	EXPECT_PANIC("mapped already",
		     (void)!pt_map_span(root, VMAP_BASE + 2 * MiB, 0, PAGE_SIZE, VM_R, 1));
	EXPECT_PANIC("large page", (void)!ensure(VMAP_BASE, 1));
	EXPECT_PANIC("no table for", pt_leaf_table(root, VMAP_BASE));
	EXPECT_PANIC("map", (void)!pt_map_span(root, VMAP_BASE + 8, 0, PAGE_SIZE, VM_R, 1));
	EXPECT_PANIC("map", (void)!pt_map_span(root, VMAP_BASE, 0, 8, VM_R, 1));
	ok(!pt_map_span(root, VMAP_BASE, 0, 0, VM_R, 1), "nothing is mapped easily");
	ok(!pt_translate(root, 1ull << 47, &(paddr_t){0}), "a non-canonical address is not mapped");
	free_tree(root, PT_LEVELS);
}

static void test_span_random(void)
{
	unsigned bad = 0;

	sim_boot(&(struct sim_config){.seed = 4});
	for (unsigned round = 0; round < 60; round++) {
		u64 unit = sim_random(2) ? PAGE_SIZE : 2 * MiB;
		vaddr_t va = VMAP_BASE + sim_random(4000) * unit;
		paddr_t pa = sim_random(2) ? va - VMAP_BASE : sim_random(4000) * unit;
		u64 len = (1 + sim_random(unit == PAGE_SIZE ? 3000 : 700)) * unit;

		new_root();
		bad += pt_map_span(root, va, pa, len, VM_R, 1 + (int)sim_random(3)) != 0;
		for (unsigned i = 0; i < 50; i++) {
			u64 off = sim_random((u32)(len >> 12)) * PAGE_SIZE + sim_random(4096);

			bad += !maps(va + off, pa + off);
		}
		bad += !maps(va - 1, ~0ull) || !maps(va + len, ~0ull);
		free_tree(root, PT_LEVELS);
	}
	ok(!bad, "60 random spans map what they should and nothing beside it");
}

static void test_no_memory(void)
{
	u64 at_hand, held;
	int err;

	sim_boot(&(struct sim_config){0});
	at_hand = mm_frames_at_hand();
	new_root();
	for (u64 k = 1;; k++) {
		frame_inject_failure(k);
		held = pt_tables_held();
		err = ensure(VMAP_BASE, 3000);
		if (!err)
			break;
		ok(err == -ENOMEM && pt_tables_held() == held + k - 1,
		   "-ENOMEM after %lu tables, which stay", k - 1);
	}
	is_u64(frame_inject_failure(0) > 0, 1, "then all are there");
	free_tree(root, PT_LEVELS);
	new_root();
	frame_inject_failure(3);
	is_u64((u64)pt_map_span(root, VMAP_BASE, 0, PAGE_SIZE, VM_R, 1), (u64)-ENOMEM,
	       "as is a span");
	ok(maps(VMAP_BASE, ~0ull), "which is not mapped");
	free_tree(root, PT_LEVELS);
	is_u64(mm_frames_at_hand(), at_hand, "nothing is lost");
}

static int refuse(pfn_t parent __attribute__((unused)), unsigned slot __attribute__((unused)),
		  int level __attribute__((unused)), pfn_t table __attribute__((unused)))
{
	return -EINVAL;
}

static void test_refused(void)
{
	int (*attach)(pfn_t, unsigned, int, pfn_t) = sim_mmu_ops.attach_table;
	u64 held;

	sim_boot(&(struct sim_config){0});
	new_root();
	held = pt_tables_held();
	sim_mmu_ops.attach_table = refuse;
	is_u64((u64)ensure(VMAP_BASE, 1), (u64)-EINVAL, "a platform that refuses a table is heard");
	is_u64(pt_tables_held(), held, "and the table is given back");
	sim_mmu_ops.attach_table = attach;
	ok(!ensure(VMAP_BASE, 1), "later it does not");
	free_tree(root, PT_LEVELS);
}

static u64 visited, last_va;
static int last_level;
static bool visit_wrong;

static bool see(void *arg, vaddr_t va, int level, pfn_t table, unsigned slot, pte_t e)
{
	visit_wrong |= arg != &visited || !va_canonical(va) || pt_read(table, slot).v != e.v ||
		       !e.v || pt_index(va, level) != slot;
	visit_wrong |= visited && (va < last_va || (va == last_va && level >= last_level));
	visited++;
	last_va = va;
	last_level = level;
	return level != 3 || va != VMAP_BASE + GiB;
}

static void test_visit(void)
{
	sim_boot(&(struct sim_config){0});
	new_root();
	KASSERT(!pt_map_span(root, 0x1000, 0x1000, 2 * PAGE_SIZE, VM_X, 3), "map");
	KASSERT(!pt_map_span(root, VMAP_BASE, 0, 2 * MiB + PAGE_SIZE, VM_R, 3), "map");
	KASSERT(!pt_map_span(root, VMAP_BASE + GiB, 0, 9 * PAGE_SIZE, VM_R, 3), "map");
	KASSERT(!pt_map_span(root, VMAP_BASE + 2 * GiB, 0, GiB, VM_R, 3), "map");
	pt_visit(root, PT_LEVELS, 0, see, &visited);
	/*
	 * user: links at 4, 3, 2 and two leaves; kernel: 4, 3, large leaf, 2, leaf; 3 not
	 * followed; 1 GiB leaf
	 */
	is_u64(visited, 5 + 5 + 1 + 1, "every entry once, but for those below a link not followed");
	ok(!visit_wrong, "in order, links before what they link to");
	free_tree(root, PT_LEVELS);
}

static u64 seed;

static void grow(void *arg __attribute__((unused)))
{
	for (unsigned i = 0; i < 20; i++)
		KASSERT(!ensure(VMAP_BASE + sim_random(6) * 2 * MiB, 1 + sim_random(1000)),
			"memory");
}

static void test_concurrent(void)
{
	u64 held, linked = 0;

	sim_boot(&(struct sim_config){.cpus = 3, .seed = seed});
	new_root();
	held = pt_tables_held();
	sim_run_all(3, 1 + (u32)seed % 3, grow, NULL);
	for (vaddr_t va = VMAP_BASE; va < VMAP_BASE + 20 * MiB; va += 2 * MiB) {
		struct pt_walk w;

		pt_walk(root, va, &w);
		linked += w.level == 1;
	}
	is_u64(pt_tables_held() - held, linked + 2,
	       "seed %lu: who loses the race gives its table back", seed);
	free_tree(root, PT_LEVELS);
}

int main(void)
{
	sim_scenario("address bits", test_address_bits);
	sim_scenario("ensure", test_ensure);
	sim_scenario("table", test_table);
	sim_scenario("span levels", test_span_levels);
	sim_scenario("span rights", test_span_rights);
	sim_scenario("span random", test_span_random);
	sim_scenario("no memory", test_no_memory);
	sim_scenario("refused", test_refused);
	sim_scenario("visit", test_visit);
	for (seed = 1; seed <= 5; seed++)
		sim_scenario("concurrent", test_concurrent);
	return done_testing();
}
