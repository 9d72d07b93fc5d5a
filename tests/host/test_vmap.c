// SPDX-License-Identifier: MIT
/*
 * mm/vmap.c against mm/vmap.h, on one CPU at a time: what is mapped is what was asked for, what is
 * unmapped is gone when it was promised to be gone, what fails has changed nothing. All accesses go
 * through TLBs that forget nothing by themselves. When it cannot be done: test_vmap_limits.c. Many
 * CPUs at once: test_vmap_smp.c.
 */
// links: mm/*.c tests/host/sim*.c
#include "mm/area.h"
#include "mm/check.h"
#include "mm/engine.h"
#include "mm/frame.h"
#include "mm/kmap.h"
#include "mm/lazy.h"
#include "mm/pagetable.h"
#include "mm/park.h"
#include "mm/shootdown.h"
#include "mm/vmalloc.h"
#include "mm/vmap.h"
#include "tests/host/mapping.h"

static void test_sizes(void)
{
	static const unsigned sizes[] = {1, 2, 31, 64, 65, 510, 511, 512, 513, 1025, MANY};

	sim_boot(&(struct sim_config){.cpus = 2});
	get_frames(MANY);
	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
		unsigned n = sizes[i];
		vaddr_t va = (vaddr_t)vmap(f, n, VM_W);
		struct area a;

		ok(va && in_vmap_area(va) && IS_ALIGNED(va, PAGE_SIZE), "%u pages", n);
		ok(reads_right(0, va, f, n) && reads_right(1, va, f, n), "%u: in order, on any CPU",
		   n);
		ok(faults(0, va + n * PAGE_SIZE, 1), "%u: the guard faults", n);
		ok(aliases_are(n, 1), "%u: one alias a frame", n);
		ok(find_vm_area((void *)va, &a) && a.start == va && a.pages == n && a.mapper &&
			   word_prot(atomic_read(&a.word)) == VM_W && a.mapped_at &&
			   !strcmp(a.name, "vmap"),
		   "%u: the area knows", n);
		ok(!find_vm_area((void *)(va + n * PAGE_SIZE), &a) &&
			   vmalloc_to_frame((void *)(va + (n - 1) * PAGE_SIZE)) == f[n - 1],
		   "%u: the guard is nobody's, the last page its frame's", n);
		is_u64(mm_check(false), 0, "%u: mm_check() agrees", n);
		vunmap((void *)va);
		ok(aliases_are(n, 0), "%u: no alias is left", n);
	}
	vm_unmap_aliases();
	frame_free_many(f, MANY);
}

static void test_rights(void)
{
	vaddr_t w, r, twice;
	struct frame *same[2];
	u64 v;

	sim_boot(&(struct sim_config){0});
	get_frames(1);
	same[0] = same[1] = f[0];
	w = (vaddr_t)vmap(f, 1, VM_W);
	r = (vaddr_t)vmap(f, 1, VM_R);
	twice = (vaddr_t)vmap(same, 2, VM_R | VM_LOCAL);
	is_u64(frame_aliases(f[0]), 4, "a frame can be mapped four times");
	ok(!sim_write(0, w, 77) && !sim_read(0, r, &v) && v == 77, "written here, read there");
	ok(!sim_read(0, twice + PAGE_SIZE, &v) && v == 77, "and there");
	is_u64(sim_write(0, r, 1), SIM_NOT_WRITABLE, "VM_R is not written");
	is_u64(sim_fetch(0, w), SIM_NOT_EXECUTABLE, "nothing is executed");
	sim_read(0, r, &v);
	sim_tlb_load_root(0, kernel_root);
	ok(sim_tlb_holders(r, 1).bits && !sim_tlb_holders(twice, 2).bits,
	   "VM_LOCAL alone is not global");
	vunmap((void *)twice);
	vunmap((void *)w);
	is_u64(frame_aliases(f[0]), 1, "one is left");
	EXPECT_PANIC("still mapped 1 times", frame_free(f[0], 0));
	vunmap((void *)r);
	frame_free(f[0], 0);
	EXPECT_PANIC("prot", (void)!vmap(f, 1, VM_X));
	for (unsigned local = 0; local <= VM_LOCAL; local += VM_LOCAL) {
		is_u64(ram_entry_bits[VM_R | local], pte_leaf_bits(VM_R | local, 1), "read-only");
		is_u64(ram_entry_bits[VM_W | local], pte_leaf_bits(VM_W | local, 1), "writable");
	}
}

/* Unmapped, waiting for nobody. */
static u64 kept_areas(void)
{
	struct area_stats st;

	area_stats(&st);
	KASSERT(!st.nr[AREA_LIVE] && st.nr[AREA_CLEARED] == st.kept, "areas wait or are live");
	return st.kept;
}

/* Policy off: gone when vunmap() returns. */
static void test_off(void)
{
	vaddr_t va;

	sim_boot(&(struct sim_config){.cpus = 3, .eager = true});
	get_frames(5);
	va = (vaddr_t)vmap(f, 5, VM_W);
	reads_right(1, va, f, 5);
	vunmap((void *)va);
	is_u64(sim_tlb_holders(va, 5).bits, 0, "no CPU remembers");
	ok(faults(0, va, 5) && faults(1, va, 5), "every access faults");
	ok(kept_areas() && state_of(va) == AREA_CLEARED, "the addresses may be used again");
	is_u64((vaddr_t)vmap(f, 5, VM_W), va, "and are, for the next");
	is_u64(counter_sum(CNT_shootdown), 1, "one shootdown each");
	vunmap((void *)va);
	frame_free_many(f, 5);
}

/* Policy tlb: the entries are gone at once, the rest when all have flushed. */
static void test_lazy(void)
{
	struct area a;
	vaddr_t va, next, again[64];
	u64 kept, carved, flushes;
	unsigned used = 0;

	sim_boot(&(struct sim_config){.cpus = 3});
	get_frames(5);
	va = (vaddr_t)vmap(f, 5, VM_W);
	sim.remember = false;
	reads_right(1, va, f, 5);
	vunmap((void *)va);
	ok(faults(0, va, 5), "a CPU that did not know it faults");
	ok(reads_right(1, va, f, 5), "one that did still reads through it");
	ok(area_find(va, &a) && state_of(va) == AREA_CLEARED && a.unmapper && a.stamp,
	   "the area is cleared");
	next = (vaddr_t)vmap(f, 5, VM_W);
	ok(next != va, "its addresses are not reissued");
	vunmap((void *)next);
	is_u64(counter_sum(CNT_shootdown), 0, "no shootdown so far");
	vm_unmap_aliases();
	ok(faults(1, va, 5), "after vm_unmap_aliases() all fault");
	is_u64(counter_sum(CNT_shootdown), 1, "by one shootdown");
	kept = kept_areas();
	ok(kept >= 2, "the addresses may be used again");
	vm_unmap_aliases();
	is_u64(counter_sum(CNT_shootdown), 1,
	       "a second purge has nothing to flush (Linux a09fad96ffb1)");
	carved = counter_sum(CNT_park_carve);
	KASSERT(kept <= ARRAY_SIZE(again), "%lu areas", kept);
	for (u64 i = 0; i < kept; i++) {
		again[i] = (vaddr_t)vmap(f, 5, VM_W);
		used += again[i] == va || again[i] == next;
	}
	ok(used == 2 && counter_sum(CNT_park_carve) == carved,
	   "and are, both, before others are carved");
	for (u64 i = 0; i < kept; i++)
		vunmap((void *)again[i]);
	flushes = counter_sum(CNT_shootdown);
	all_quiet();
	is_u64(kept_areas(), kept,
	       "it is forgotten for nothing when all have passed a quiet point");
	ok(faults(1, va, 5) && counter_sum(CNT_shootdown) == flushes, "with no shootdown");
	is_u64(park_drain(), kept, "and could go home");
	is_u64(state_of(va), AREA_FREE, "to the tree");
	frame_free_many(f, 5);
}

static void test_misuse(void)
{
	vaddr_t va;

	sim_boot(&(struct sim_config){0});
	get_frames(3);
	vunmap(NULL);
	EXPECT_PANIC("nothing is mapped", vunmap((void *)VMAP_BASE));
	va = (vaddr_t)vmap(f, 3, VM_W);
	EXPECT_PANIC("inside area 'vmap'", vunmap((void *)(va + PAGE_SIZE)));
	EXPECT_PANIC("inside area 'vmap'", vunmap((void *)(va + 3 * PAGE_SIZE)));
	EXPECT_PANIC("where nothing is mapped", vunmap((void *)(va + 4 * PAGE_SIZE)));
	EXPECT_PANIC("nothing is mapped", vunmap((void *)(va + 500 * PAGE_SIZE)));
	EXPECT_PANIC("nothing is mapped", vunmap(f));
	EXPECT_PANIC("interrupts off", {
		irq_disable();
		vm_unmap_aliases();
	});
	EXPECT_PANIC("vm_unmap_ram of area 'vmap'", vm_unmap_ram((void *)va, 3));
	EXPECT_PANIC("vfree of area 'vmap'", vfree((void *)va));
	EXPECT_PANIC("kunmap of area 'vmap'", kunmap((void *)va));
	EXPECT_PANIC("vm_area_free of area 'vmap'", vm_area_free((void *)va));
	EXPECT_PANIC("vmap_stack_free of area 'vmap'", vmap_stack_free((void *)va));
	EXPECT_PANIC("iounmap of area 'vmap'", iounmap((void *)va));
	vunmap((void *)va);
	EXPECT_PANIC("double unmap of area 'vmap'", vunmap((void *)va));
	vm_unmap_aliases();
	EXPECT_PANIC("double unmap of area 'vmap'", vunmap((void *)va));
	park_drain();
	EXPECT_PANIC("nothing is mapped", vunmap((void *)va));
	frame_free_many(f, 3);
}

static void test_misuse_of_others(void)
{
	void *ram, *local;

	sim_boot(&(struct sim_config){0});
	get_frames(3);
	ram = vm_map_ram(f, 3, VM_W);
	EXPECT_PANIC("vm_unmap_ram of 2 pages", vm_unmap_ram(ram, 2));
	EXPECT_PANIC("vm_unmap_ram of 0 pages", vm_unmap_ram(ram, 0));
	EXPECT_PANIC("which is for vm_unmap_ram", vunmap(ram));
	EXPECT_PANIC("inside area 'vm_map_ram'", vm_unmap_ram((char *)ram + PAGE_SIZE, 2));
	EXPECT_PANIC("nothing is mapped", vm_unmap_ram(f, 1));
	vm_unmap_ram(ram, 3);
	EXPECT_PANIC("double unmap", vm_unmap_ram(ram, 3));
	ram = kmap(f[0]);
	EXPECT_PANIC("which is for kunmap", vunmap(ram));
	kunmap(ram);
	EXPECT_PANIC("double unmap", kunmap(ram));
	EXPECT_PANIC("nothing is mapped", kunmap(f));
	local = kmap_local(f[0]);
	EXPECT_PANIC("not the last", kunmap_local((char *)local + PAGE_SIZE));
	EXPECT_PANIC("slots in use", {
		for (;;)
			(void)!kmap_local(f[0]);
	});
	EXPECT_PANIC("still mapped 1 times", frame_free(f[0], 0));
	kunmap_local(local);
	EXPECT_PANIC("not the last", kunmap_local(local));
	frame_free_many(f, 3);
	EXPECT_PANIC("which is cached", (void)!kmap_local(f[0]));
}

static void test_refused(void)
{
	struct sim_snapshot was;
	u64 purges;

	sim_boot(&(struct sim_config){0});
	get_frames(2);
	vunmap(vmap(f, 1, VM_W));
	was = sim_snapshot();
	purges = counter_sum(CNT_purge);
	sim_printed();
	ok(!vmap(f, 0, VM_W) && strstr(sim_printed(), "vmap of 0 pages"), "no pages");
	ok(!vm_map_ram(f, 0, VM_W) && strstr(sim_printed(), "vm_map_ram of 0 pages"), "nor there");
	ok(!vmap(f, 0x2001, VM_W) && strstr(sim_printed(), "frames of RAM"), "more than RAM");
	ok(!vmap(f, VMAP_SIZE / PAGE_SIZE, VM_W) && !vmap(f, ~0u, VM_W),
	   "more than there are addresses");
	ok(!vmap_pfn(pfn_make(SIM_PHYS_MAX >> PAGE_SHIFT), 0, VM_UC, "none"), "no device pages");
	is_u64(counter_sum(CNT_purge), purges, "for what can never fit nothing is purged");
	vunmap(vmap(f, 2, VM_W)); /* so that no memory is needed below */
	kunmap(kmap(f[0]));
	vm_unmap_aliases();
	frame_free(f[1], 0);
	ok(!vmap(f, 2, VM_W) && strstr(sim_printed(), "which is cached"), "a free frame");
	ok(!kmap(f[1]) && strstr(sim_printed(), "which is cached"), "nor by kmap");
	ok(!frame_aliases(f[0]), "the frame before it is not mapped");
	f[1] = pfn_frame(kernel_root);
	ok(!vmap(f, 2, VM_W) && strstr(sim_printed(), "a page table"), "a page table (I1)");
	f[1] = pfn_frame(pfn_make(0x100));
	ok(!vmap(f, 2, VM_W) && strstr(sim_printed(), "which is reserved"), "a reserved frame");
	vm_unmap_aliases();
	KASSERT(!frame_alloc_many(&f[1], 1, 0), "the frame");
	ok(sim_unchanged(&was, "refused"), "nothing is changed");
	vm_unmap_aliases();
	frame_free_many(f, 2);
}

static void test_device(void)
{
	vaddr_t va;
	struct pt_walk w;

	sim_boot(&(struct sim_config){0});
	va = (vaddr_t)vmap_pfn(pfn_make(0xfee00), 2, VM_W | VM_UC, "lapic");
	ok(va && pt_walk(kernel_root, va + PAGE_SIZE, &w), "a device is mapped");
	ok((w.step[1].entry.v & PTE_CACHE_UC) == PTE_CACHE_UC &&
		   pte_addr(w.step[1].entry, 1) == 0xfee01000,
	   "uncached, at its address");
	ok(!sim_write(0, va, 3) && *(u64 *)sim_ram(0xfee00000) == 3, "and written");
	is_u64(mm_check(false), 0, "mm_check() agrees");
	vunmap((void *)va);
	va = (vaddr_t)ioremap(0xfee00010, 8, VM_W | VM_UC, "ioapic");
	ok((va & 0xfff) == 0x10 && pt_walk(kernel_root, va, &w) &&
		   pte_addr(w.step[1].entry, 1) == 0xfee00000,
	   "ioremap keeps the offset");
	iounmap((void *)va);
	EXPECT_PANIC("double unmap", iounmap((void *)va));
	ok(!ioremap(0xfee00010, 0, VM_UC, "none") && !ioremap(0xfee00000, 0, VM_UC, "none") &&
		   !ioremap(0xfee00000, ~0ull, VM_UC, "all"),
	   "nothing and everything are refused");
	va = (vaddr_t)vmap_pfn(pfn_make(0xfd000), 1100, VM_W | VM_WC, "framebuffer");
	ok(va && pt_walk(kernel_root, va, &w) && w.level == 2 &&
		   (w.step[2].entry.v & PTE_CACHE_UC) == PTE_CACHE_WC,
	   "write-combining, a large page");
	ok(pt_walk(kernel_root, va + 599 * PAGE_SIZE, &w) && w.level == 2, "another");
	ok(pt_walk(kernel_root, va + 1099 * PAGE_SIZE, &w) && w.level == 1 &&
		   (w.step[1].entry.v & PTE_CACHE_UC) == PTE_CACHE_WC,
	   "and small ones for the rest");
	is_u64(mm_check(false), 0, "mm_check() agrees");
	ok(!sim_write(0, va + 100 * PAGE_SIZE, 5) && *(u64 *)sim_ram(0xfd064000) == 5,
	   "each where it should be");
	vunmap((void *)va);
	ok(!vmap_pfn(pfn_make(0x200), 1, VM_W | VM_UC, "ram"), "ram: refused");
	ok(!vmap_pfn(pfn_make(0xff), 2, VM_W | VM_UC, "into ram"), "into ram: refused");
	ok(!vmap_pfn(pfn_make(0x20ff), 2, VM_W | VM_UC, "out of ram"), "out of ram: refused");
	ok(!vmap_pfn(pfn_make(0xff), 0x3000, VM_W | VM_UC, "round ram"), "round ram: refused");
	ok(!vmap_pfn(paddr_to_pfn(mmu->phys_end), 1, VM_W | VM_UC, "far"), "too far: refused");
	ok(!vmap_pfn(pfn_make((mmu->phys_end >> PAGE_SHIFT) - 1), 2, VM_W | VM_UC, "edge"),
	   "over the edge: refused");
	ok(!vmap_pfn(pfn_make(~0ul), 2, VM_W | VM_UC, "wrap"), "round the end: refused");
	EXPECT_PANIC("prot", (void)!vmap_pfn(pfn_make(0xfd000), 1, VM_X | VM_UC, "code"));
	vm_unmap_aliases();
}

static void test_stacks(void)
{
	struct sim_snapshot was;
	vaddr_t a, b;
	struct area area;
	u64 k;

	sim_boot(&(struct sim_config){.direct_limit = 24 * MiB});
	a = (vaddr_t)vmap_stack_alloc(4, "first");
	b = (vaddr_t)vmap_stack_alloc(4, "second");
	ok(a && b && area_find(b, &area) && !strcmp(area.name, "second"), "stacks with names");
	for (unsigned i = 0; i < 4 * 512; i++)
		if (sim_write(0, a + i * 8, i) || sim_write(0, b + i * 8, ~(u64)i))
			ok(false, "word %u is not writable", i);
	ok(faults(0, a - PAGE_SIZE, 1) && faults(0, a + 4 * PAGE_SIZE, 1) &&
		   faults(0, b - PAGE_SIZE, 1) && faults(0, b + 4 * PAGE_SIZE, 1),
	   "with guards on both sides");
	vmap_stack_free((void *)b);
	EXPECT_PANIC("", vmap_stack_free((void *)b));
	EXPECT_PANIC("", vmap_stack_free((void *)(a + PAGE_SIZE)));
	vm_unmap_aliases();
	was = sim_snapshot();
	for (k = 1;; k++) {
		frame_inject_failure(k);
		b = (vaddr_t)vmap_stack_alloc(16, "third");
		if (frame_inject_failure(0) || b)
			break;
		if (!sim_unchanged(&was, "stack"))
			ok(false, "failure %lu changed something", k);
	}
	ok(k > 16 && b, "each of its frames can be missing");
	vmap_stack_free((void *)b);
	vmap_stack_free((void *)a);
	vm_unmap_aliases();
}

/*
 * A frame whose lazy alias is still in TLBs becomes a page table: the simulator watches
 * attach_table().
 */
static void test_frame_becomes_table(void)
{
	vaddr_t va;
	pfn_t table;

	sim_boot(&(struct sim_config){.cpus = 3});
	for (unsigned round = 0; round < 20; round++) {
		get_frames(3);
		va = (vaddr_t)vmap(f, 3, VM_W);
		vunmap((void *)va);
		frame_free_many(f, 3);
		if (pt_ensure_path(kernel_root, VMAP_BASE + (round + 5) * GiB, 1, &table))
			ok(false, "no memory");
	}
	ok(true, "a frame that was mapped lazily is forgotten by all before it is a page table");
}

static u64 seed;
static struct mapped {
	vaddr_t va;
	unsigned n;
	struct frame *f[24];
} live[40];

static void map_random(unsigned nr_live)
{
	struct mapped *m = &live[nr_live];

	m->n = 1 + sim_random(sim_random(4) ? 4 : 24);
	for (unsigned i = 0; i < m->n; i++)
		m->f[i] = f[sim_random(50)];
	m->va = (vaddr_t)vmap(m->f, m->n, VM_W);
	KASSERT(m->va, "no mapping");
}

static void test_random(void)
{
	unsigned n = 0, bad = 0;
	u64 at_hand;

	sim_boot(&(struct sim_config){.seed = seed,
				      .cpus = 4,
				      .lazy_max_pages = 60,
				      .eager = seed % 4 == 0,
				      .keep = seed % 4 == 1});
	at_hand = mm_frames_at_hand();
	get_frames(50);
	sim.speculate = 20;
	sim.ipi_at_once = seed % 2;
	for (unsigned step = 0; step < 1500 && !bad; step++) {
		unsigned cpu = sim_random(4), i = n ? sim_random(n) : 0;

		sim_on(sim_random(4));
		switch (sim_random(10)) {
		case 0 ... 2:
			if (n < ARRAY_SIZE(live))
				map_random(n++);
			break;
		case 3 ... 5:
			if (n) {
				vunmap((void *)live[i].va);
				live[i] = live[--n];
			}
			break;
		case 6:
			vm_unmap_aliases();
			break;
		case 7:
			sim_raise(cpu, SIM_TICK);
			sim_settle();
			break;
		case 8:
			if (!sim_random(10))
				lazy_set_policy((enum lazy_policy)sim_random(NR_LAZY_POLICIES));
			break;
		}
		i = n ? sim_random(n) : 0;
		bad += n && !reads_right(cpu, live[i].va, live[i].f, live[i].n);
		bad += n && !faults(cpu, live[i].va + live[i].n * PAGE_SIZE, 1);
		bad += step % 25 == 0 && mm_check(false);
	}
	ok(!bad, "seed %lu: 1500 random steps", seed);
	while (n)
		vunmap((void *)live[--n].va);
	frame_free_many(f, 50);
	vm_unmap_aliases();
	ok(mm_frames_at_hand() == at_hand, "seed %lu: nothing is left over", seed);
}

int main(void)
{
	sim_scenario("sizes", test_sizes);
	sim_scenario("rights", test_rights);
	sim_scenario("off", test_off);
	sim_scenario("lazy", test_lazy);
	sim_scenario("misuse", test_misuse);
	sim_scenario("misuse of others", test_misuse_of_others);
	sim_scenario("refused", test_refused);
	sim_scenario("device", test_device);
	sim_scenario("stacks", test_stacks);
	sim_scenario("frame becomes table", test_frame_becomes_table);
	for (seed = 1; seed <= 8; seed++)
		sim_scenario("random", test_random);
	return done_testing();
}
