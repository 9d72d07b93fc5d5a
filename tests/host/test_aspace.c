// SPDX-License-Identifier: MIT
/*
 * Address spaces on the simulated machine, which pins their roots as a hypervisor would, remembers
 * all a CPU may have cached, and panics when a table is released that any CPU could still walk.
 */
// links: mm/*.c tests/host/sim*.c
#include "mm/describe.h"
#include "mm/kmap.h"
#include "mm/pagetable.h"
#include "mm/vmap.h"
#include "tests/host/spaces.h"

#define EDGE  (BASE + 2 * MiB)	     /* of the next level-1 table's, */
#define ABOVE (2 * BASE - PAGE_SIZE) /*   and the last page before the next level-2 table's */

static bool described(vaddr_t va, const char *words)
{
	char text[160];

	mm_describe(va, text, sizeof(text));
	return strstr(text, words);
}

static void test_map(void)
{
	struct aspace *as;
	struct rest before;

	sim_boot(&(struct sim_config){.cpus = 2});
	destroy(new_space("the pool's frame"));
	before = rest();
	as = new_space("one");
	ok(as->tables == 1 && !as->pages && !aspace_frame(as, BASE), "an empty space is one table");
	is_u64(aspace_map(as, EDGE - PAGE_SIZE, 2, VM_W), 0, "two pages in two tables");
	ok(as->tables == 4 && as->pages == 2, "take three more tables");
	is_u64(aspace_map(as, ABOVE, 2, VM_R), 0, "two pages below two level-2 tables");
	ok(as->tables == 7 && as->pages == 4, "take three more: one was there");
	ok(faults(0, EDGE, 1), "not loaded, they are nowhere");
	load(0, as);
	ok(aspace_current() == as && as->on.v == 1, "loaded");
	ok(reads(0, EDGE, 0) && reads(0, EDGE - 8, 0) && reads(0, ABOVE, 0), "all are zero");
	ok(!sim_write(0, EDGE, 7) && reads(0, EDGE, 7), "written through the space");
	is_u64(*(u64 *)frame_virt(aspace_frame(as, EDGE)), 7, "it is in the frame");
	is_u64(sim_write(0, ABOVE, 1), SIM_NOT_WRITABLE, "VM_R is not writable");
	is_u64(sim_fetch(0, EDGE), SIM_NOT_EXECUTABLE, "VM_W is not executable");
	is_u64(aspace_map(as, PAGE_SIZE, 1, VM_X), 0, "the first page there may be, executable");
	ok(!sim_fetch(0, PAGE_SIZE) && sim_write(0, PAGE_SIZE, 1) == SIM_NOT_WRITABLE,
	   "and no more");
	ok(faults(0, 0, 1) && faults(1, EDGE, 1), "page 0 is nobody's; CPU 1 has none of it");
	is_u64(mm_check(false), 0, "mm_check() agrees");
	ok(described(EDGE + 5, "a page of address space 'one', frame"), "a page is described");
	ok(described(5 * BASE, "nothing is mapped there in address space 'one'"), "as is no page");
	is_u64(aspace_unmap(as, EDGE, 1), 0, "unmapped");
	ok(faults(0, EDGE, 1) && reads(0, EDGE - PAGE_SIZE, 0), "it and no other is gone");
	is_u64(aspace_map(as, EDGE, 1, VM_W), 0, "mapped again");
	ok(reads(0, EDGE, 0), "a page of zeros");
	aspace_leave();
	ok(!aspace_current() && faults(0, EDGE, 1), "left, they are nowhere");
	ok(described(EDGE, "CPU 0 runs on no address space"), "and it is said why");
	destroy(as);
	ok(at_rest(&before), "destroyed, nothing is missing");
	EXPECT_PANIC("after it was destroyed", (void)!aspace_map(as, BASE, 1, VM_W));
	EXPECT_PANIC("after it was destroyed", (void)!aspace_unmap(as, BASE, 1));
	EXPECT_PANIC("after it was destroyed", (void)!aspace_load(as));
}

static void test_bad_input(void)
{
	static const struct {
		vaddr_t va;
		u64 n;
		unsigned prot;
	} bad[] = {
		{0, 1, VM_W},
		{0, 2, VM_R},
		{BASE + 8, 1, VM_W},
		{USER_SIZE, 1, VM_W},
		{USER_SIZE - PAGE_SIZE, 2, VM_W},
		{VMAP_BASE, 1, VM_W},
		{0x800000000000, 1, VM_W},
		{BASE, 0, VM_W},
		{BASE, ~0ul, VM_W},
		{BASE, 1ul << 52, VM_W},
		{BASE, 1, VM_W | VM_X},
		{BASE, 1, VM_W | VM_LOCAL},
		{BASE, 1, VM_UC},
	};
	struct aspace *as;
	struct rest before;

	sim_boot(&(struct sim_config){.cpus = 2});
	as = new_space("bad");
	KASSERT(!aspace_map(as, BASE, 3, VM_W), "pages");
	before = rest();
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		sim_printed();
		is_u64((u64)aspace_map(as, bad[i].va, bad[i].n, bad[i].prot), (u64)-EINVAL,
		       "map %#lx+%#lx, prot %#x", bad[i].va, bad[i].n, bad[i].prot);
		ok(strstr(sim_printed(), "'bad' cannot map"), "and it is said why");
	}
	is_u64((u64)aspace_map(as, BASE - 2 * PAGE_SIZE, 4, VM_W), (u64)-EEXIST, "mapped already");
	ok(strstr(sim_printed(), "maps 2 of the 4 pages"), "and it is said how much");
	is_u64((u64)aspace_map(as, 2 * BASE, 1 << 20, VM_W), (u64)-ENOMEM, "more than there is");
	is_u64((u64)aspace_unmap(as, BASE + PAGE_SIZE, 3), (u64)-EINVAL, "the last is not mapped");
	is_u64((u64)aspace_unmap(as, BASE, 0), (u64)-EINVAL, "no page at all");
	is_u64((u64)aspace_unmap(as, 5 * BASE, 1), (u64)-EINVAL, "no table at all");
	is_u64((u64)aspace_unmap(as, VMAP_BASE, 1), (u64)-EINVAL, "the kernel's");
	ok(as->pages == 3 && at_rest(&before), "nothing has changed");
	load(1, as);
	before = rest();
	is_u64((u64)aspace_destroy(as), (u64)-EBUSY, "destroy while CPU 1 is on it");
	ok(strstr(sim_printed(), "CPUs 0x2 run on it"), "it is said who");
	ok(reads(1, BASE, 0) && at_rest(&before), "and nothing has changed");
	EXPECT_PANIC("a page of an address space", frame_free(aspace_frame(as, BASE), 0));
	load(1, NULL);
	destroy(as);
}

static struct frame *unmapped; /* while the CPUs are made to forget it */
static void (*flush)(const struct gather *g, cpumask_t on);

static void flush_in_time(const struct gather *g, cpumask_t on)
{
	flush(g, on);
	ok(unmapped->type == FRAME_USED, "only then is the frame free");
}

/* The same addresses, another space on each CPU; then both on one. */
static void test_cpus(void)
{
	struct aspace *a, *b;

	sim_boot(&(struct sim_config){.cpus = 4});
	a = new_space("a");
	b = new_space("b");
	KASSERT(!aspace_map(a, BASE, 2, VM_W) && !aspace_map(b, BASE, 2, VM_W), "pages");
	load(1, a);
	load(2, b);
	load(3, a);
	ok(!sim_write(1, BASE, 0xa) && !sim_write(2, BASE, 0xb), "each writes");
	ok(reads(1, BASE, 0xa) && reads(2, BASE, 0xb) && reads(3, BASE, 0xa) && faults(0, BASE, 1),
	   "each reads its own");
	ok(a->on.v == 0xa && b->on.v == 4, "who is on which is known");
	load(2, a);
	ok(reads(2, BASE, 0xa) && a->on.v == 0xe && !b->on.v, "CPU 2 changes over");
	is_u64(aspace_unmap(b, BASE, 2), 0, "its old space loses pages");
	is_u64(counter_sum(CNT_ipi_sent), 0, "which interrupts nobody");
	unmapped = aspace_frame(a, BASE);
	flush = sim_mmu_ops.flush;
	sim_mmu_ops.flush = flush_in_time;
	is_u64(aspace_unmap(a, BASE, 1), 0, "the other loses one");
	sim_mmu_ops.flush = flush;
	ok(unmapped->type == FRAME_CACHED, "it is");
	if (mmu == &sim_mmu_ops)
		ok(counter_sum(CNT_ipi_sent) == 3 && counter_sum(CNT_tlb_page) == 3,
		   "three CPUs forget one page each, and CPU 0 nothing");
	else
		skip("IPIs are the hypervisor's to send");
	ok(faults(1, BASE, 1) && faults(2, BASE, 1) && faults(3, BASE, 1), "all three have");
	ok(reads(2, BASE + PAGE_SIZE, 0), "the other page is there");
	for (unsigned cpu = 1; cpu < 4; cpu++)
		load(cpu, NULL);
	destroy(b);
	destroy(a);
}

static void test_copy(void)
{
	struct aspace *a, *b;

	sim_boot(&(struct sim_config){.cpus = 2, .direct_limit = 16 * MiB});
	a = new_space("parent");
	KASSERT(!aspace_map(a, EDGE - PAGE_SIZE, 2, VM_W) && !aspace_map(a, ABOVE, 1, VM_R) &&
			!aspace_map(a, 4 * BASE, 1, VM_X),
		"pages");
	load(0, a);
	KASSERT(!sim_write(0, EDGE, 0x1111) && !sim_write(0, EDGE - 8, 0x2222), "written");
	ok(aspace_frame(a, EDGE)->zone == ZONE_HIGH,
	   "in frames that the direct map does not reach");
	b = aspace_copy(a, "child of a long name");
	ok(b && b->pages == 4 && b->tables == a->tables && !strcmp(b->name, "child of a long"),
	   "as many pages and tables");
	ok(aspace_frame(a, EDGE) != aspace_frame(b, EDGE), "in frames of its own");
	load(1, b);
	ok(reads(1, EDGE, 0x1111) && reads(1, EDGE - 8, 0x2222) && reads(1, ABOVE, 0), "the same");
	ok(sim_write(1, ABOVE, 1) == SIM_NOT_WRITABLE && !sim_fetch(1, 4 * BASE) &&
		   sim_fetch(1, EDGE) == SIM_NOT_EXECUTABLE,
	   "with the same rights");
	ok(!sim_write(1, EDGE, 0x3333) && reads(0, EDGE, 0x1111), "what one writes");
	ok(!sim_write(0, EDGE - 8, 0x4444) && reads(1, EDGE - 8, 0x2222), "the other does not see");
	is_u64(mm_check(false), 0, "mm_check() agrees");
	load(0, NULL);
	destroy(a);
	ok(reads(1, EDGE, 0x3333), "and lives on without");
	load(1, NULL);
	destroy(b);
}

/* --- no memory, at every allocation ---------------------------------------------------------- */

static struct aspace *made;

static int try_create(void)
{
	made = aspace_create("made");
	return made ? 0 : -ENOMEM;
}

static int try_map(void)
{
	return aspace_map(made, ABOVE - PAGE_SIZE, 4, VM_W);
}

static int try_map_below_one(void)
{
	return aspace_map(made, EDGE + 4 * GiB - PAGE_SIZE, 2, VM_W);
}

static int try_load(void)
{
	return aspace_load(made);
}

static int try_copy(void)
{
	struct aspace *copy = aspace_copy(made, "copy");

	if (!copy)
		return -ENOMEM;
	destroy(copy);
	return 0;
}

static void starve(const char *name, int (*try)(void), unsigned needed)
{
	unsigned n = 0;
	int err;

	do {
		struct rest before = rest();

		frame_inject_failure(++n);
		err = try();
		frame_inject_failure(0);
		if (err)
			ok(err == -ENOMEM && at_rest(&before),
			   "%s: without the %u. frame nothing has changed", name, n);
	} while (err);
	is_u64(n - 1, needed, "%s: takes no frame more than it needs", name);
}

static void test_starved(void)
{
	sim_boot(&(struct sim_config){.cpus = 2, .keep = true});
	starve("create", try_create, 2);
	starve("map", try_map, 8);
	starve("map below one level-2 table", try_map_below_one, 5);
	starve("load", try_load, 1);
	starve("copy", try_copy, 14);
	aspace_leave();
	destroy(made);
}

/* --- what a hypervisor may refuse ------------------------------------------------------------ */

static void test_refused(void)
{
	struct aspace *as;
	struct rest before;

	sim_boot(&(struct sim_config){.cpus = 2, .deferred = true});
	as = new_space("refused");
	KASSERT(!aspace_map(as, BASE, 1, VM_W), "a page");
	before = rest();
	sim.fail_pin = 1;
	is_u64((u64)aspace_load(as), (u64)-EINVAL, "the root is not pinned");
	ok(!aspace_current() && !as->on.v && !as->root[0].n && at_rest(&before), "nothing changed");
	sim.fail_attach = 3;
	is_u64((u64)aspace_load(as), (u64)-EINVAL, "the root's third table is refused");
	ok(!aspace_current() && !as->root[0].n && at_rest(&before), "nothing changed");
	sim.fail_load = 1;
	is_u64((u64)aspace_load(as), (u64)-EINVAL, "the root is not loaded");
	ok(!aspace_current() && !as->on.v, "it runs on what it ran on");
	load(0, as);
	for (u32 n = 1; n <= 4; n++) {
		before = rest();
		sim.fail_batch = n;
		is_u64((u64)aspace_map(as, EDGE - 2 * PAGE_SIZE, 4, VM_W), (u64)-EINVAL,
		       "entry %u of four is refused", n);
		ok(as->pages == 1 && faults(0, EDGE - 2 * PAGE_SIZE, 4) &&
			   mm_frames_at_hand() == before.at_hand && !mm_check(false),
		   "no page is left");
	}
	is_u64(as->tables, 4, "a table that was made is kept");
	sim.fail_attach = 2;
	is_u64((u64)aspace_map(as, 3 * BASE, 1, VM_W), (u64)-EINVAL, "the second table is refused");
	ok(as->tables == 5 && !mm_check(false), "the first stays");
	is_u64(aspace_map(as, 3 * BASE, 1, VM_W), 0, "and serves when it is tried again");
	is_u64(as->tables, 6, "with one more");
	before = rest();
	sim.fail_attach = 4;
	ok(!aspace_copy(as, "copy"), "a copy whose fourth table is refused");
	ok(at_rest(&before), "leaves nothing behind");
	aspace_leave();
	destroy(as);
}

/* --- tables out of frames that were mapped a moment ago -------------------------------------- */

static unsigned calls;
static void (*release)(const pfn_t *tables, unsigned n);

static void count_release(const pfn_t *tables, unsigned n)
{
	calls++;
	release(tables, n);
}

static void test_tables(void)
{
	struct aspace *as;
	unsigned became = 0;

	sim_boot(&(struct sim_config){.cpus = 3, .keep = true});
	get_frames(600);
	for (unsigned i = 0; i < 600; i++)
		kunmap(kmap(f[i]));
	frame_free_many(f, 600);
	as = new_space("tables");
	for (u64 i = 0; i < 300; i++)
		KASSERT(!aspace_map(as, BASE + i * 2 * MiB, 1, VM_W), "page %lu", i);
	for (unsigned i = 0; i < 600; i++) {
		became += f[i]->type == FRAME_TABLE;
		KASSERT(f[i]->type != FRAME_TABLE || !frame_aliases(f[i]), "it has an alias");
	}
	ok(as->tables == 302 && became > 200, "%u of 600 lazily mapped frames became tables",
	   became);
	for (unsigned cpu = 0; cpu < 3; cpu++)
		load(cpu, as);
	is_u64(mm_check(false), 0, "mm_check() agrees");
	for (unsigned cpu = 0; cpu < 3; cpu++)
		load(cpu, NULL);
	release = sim_mmu_ops.release_tables;
	sim_mmu_ops.release_tables = count_release;
	destroy(as);
	is_u64(calls, 2, "302 tables and 3 roots are released in two calls");
	sim_mmu_ops.release_tables = release;
	vm_unmap_aliases();
}

/* --- forged entries -------------------------------------------------------------------------- */

static u64 *entry(const struct aspace *as, vaddr_t va)
{
	struct pt_walk w;

	KASSERT(pt_walk(as->root[0], va, &w), "%#lx is not mapped", va);
	return (u64 *)sim_ram(pfn_to_paddr(w.step[1].table)) + w.step[1].slot;
}

static void forge(u64 *word, u64 bad, const char *text, const char *what)
{
	u64 good = *word;
	unsigned faults;

	sim_printed();
	*word = bad;
	faults = mm_check(false);
	*word = good;
	ok(faults && strstr(sim_printed(), text), "found: %s", what);
	is_u64(mm_check(false), 0, "and not when it is undone");
}

static void test_forged(void)
{
	struct aspace *a, *b;
	u64 *e, *other;

	sim_boot(&(struct sim_config){.cpus = 2});
	a = new_space("a");
	b = new_space("b");
	KASSERT(!aspace_map(a, BASE, 2, VM_W) && !aspace_map(b, BASE, 1, VM_W), "pages");
	load(0, b);
	load(0, a);
	get_frames(1);
	e = entry(a, BASE);
	other = entry(b, BASE);
	forge(e, (*e & ~PTE_ADDR) | frame_paddr(f[0]), "which is in use", "somebody else's frame");
	forge(e, (*e & ~PTE_ADDR) | pfn_to_paddr(a->user), "a page table", "its own page table");
	forge(e, (*e & ~PTE_ADDR) | (*other & PTE_ADDR), "of space 2", "another space's page");
	forge(e, e[1], "the page 0x40001000 of space 1", "another page of its own");
	forge(e, (*e & ~PTE_ADDR) | (1ull << 45), "which is not RAM", "no RAM");
	forge(e, *e | PTE_U, "has entry", "a page of user mode");
	forge(e, *e | PTE_G, "has entry", "a global page");
	forge(e, *e & ~PTE_NX, "writable and executable", "W and X");
	forge(e, 0, "typed as such", "an entry that is lost");
	forge(e + 7, *e, "the page 0x40000000", "an entry too many");
	e = (u64 *)sim_ram(pfn_to_paddr(a->user)) + 1;
	forge(e, *e | PTE_PS, "at level 3", "a large page");
	e = (u64 *)sim_ram(pfn_to_paddr(a->root[0]));
	forge(e + 1, *e, "in slot 1", "a second slot of the user half");
	forge(e, 0, "in slot 0", "a root that leads nowhere");
	forge(e + 272, 0, "in slot 272", "a kernel half that is not the CPU's");
	e = entry(a, BASE);
	frame_free(f[0], 0);
	EXPECT_PANIC("is forged", *e = (*e & ~PTE_ADDR) | frame_paddr(f[0]);
		     (void)!aspace_unmap(a, BASE, 1));
	aspace_leave();
	EXPECT_PANIC("is forged", *e = *other; (void)!aspace_destroy(a));
	destroy(a);
	destroy(b);
}

#ifdef AS_GUEST /* test_xen_aspace.c */
#define bare_metal_scenario(name, fn, why) (skip("%s: %s", name, why), (void)(fn))
#else
#define bare_metal_scenario(name, fn, why) sim_scenario(name, fn)
#endif

int main(void)
{
	sim_scenario("map", test_map);
	sim_scenario("bad input", test_bad_input);
	sim_scenario("CPUs", test_cpus);
	sim_scenario("copy", test_copy);
	sim_scenario("starved", test_starved);
	bare_metal_scenario("refused", test_refused, "Xen is not asked before the root is pinned");
	bare_metal_scenario("tables", test_tables, "counts the calls of the bare machine");
	bare_metal_scenario("forged", test_forged, "stores to entries, which Xen lets nobody");
	return done_testing();
}
