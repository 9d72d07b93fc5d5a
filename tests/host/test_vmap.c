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
#include "mm/frame.h"
#include "mm/lazy.h"
#include "mm/pagetable.h"
#include "mm/shootdown.h"
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
		ok(area_find(va, &a) && a.state == AREA_LIVE && a.pages == n && a.prot == VM_W &&
			   a.mapper && a.mapped_at && !strcmp(a.name, "vmap"),
		   "%u: the area knows", n);
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
	is_u64(atomic_read(&f[0]->aliases), 4, "a frame can be mapped four times");
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
	is_u64(atomic_read(&f[0]->aliases), 1, "one is left");
	EXPECT_PANIC("still mapped 1 times", frame_free(f[0], 0));
	vunmap((void *)r);
	frame_free(f[0], 0);
	EXPECT_PANIC("prot", (void)!vmap(f, 1, VM_X));
}

/* Policy off: gone when vunmap() returns. */
static void test_off(void)
{
	struct area_stats st;
	vaddr_t va;

	sim_boot(&(struct sim_config){.cpus = 3, .eager = true});
	get_frames(5);
	va = (vaddr_t)vmap(f, 5, VM_W);
	reads_right(1, va, f, 5);
	vunmap((void *)va);
	is_u64(sim_tlb_holders(va, 5).bits, 0, "no CPU remembers");
	ok(faults(0, va, 5) && faults(1, va, 5), "every access faults");
	area_stats(&st);
	ok(!st.nr[AREA_LIVE] && !st.nr[AREA_CLEARED], "the addresses are free");
	is_u64((vaddr_t)vmap(f, 5, VM_W), va, "and used for the next");
	is_u64(counter_sum(CNT_shootdown), 1, "one shootdown each");
	vunmap((void *)va);
	frame_free_many(f, 5);
}

/* Policy tlb: the entries are gone at once, the rest when all have flushed. */
static void test_lazy(void)
{
	struct area a;
	vaddr_t va, next;

	sim_boot(&(struct sim_config){.cpus = 3});
	get_frames(5);
	va = (vaddr_t)vmap(f, 5, VM_W);
	sim.remember = false;
	reads_right(1, va, f, 5);
	vunmap((void *)va);
	ok(faults(0, va, 5), "a CPU that did not know it faults");
	ok(reads_right(1, va, f, 5), "one that did still reads through it");
	ok(area_find(va, &a) && a.state == AREA_CLEARED && a.unmapper && a.stamp,
	   "the area is cleared");
	next = (vaddr_t)vmap(f, 5, VM_W);
	ok(next != va, "its addresses are not reissued");
	vunmap((void *)next);
	is_u64(counter_sum(CNT_shootdown), 0, "no shootdown so far");
	vm_unmap_aliases();
	ok(faults(1, va, 5), "after vm_unmap_aliases() all fault");
	is_u64(counter_sum(CNT_shootdown), 1, "by one shootdown");
	ok(area_find(va, &a) && a.state == AREA_FREE, "the addresses are free");
	vm_unmap_aliases();
	is_u64(counter_sum(CNT_shootdown), 1, "a second purge has nothing to flush");
	is_u64((vaddr_t)vmap(f, 5, VM_W), va, "the lowest address comes again");
	vunmap((void *)va);
	for (unsigned cpu = 0; cpu < 3; cpu++)
		sim_raise(cpu, SIM_TICK);
	sim_settle();
	is_u64(lazy_reclaim(), 5, "and comes home for nothing when all have passed a quiet point");
	ok(faults(1, va, 5) && counter_sum(CNT_shootdown) == 1, "with no shootdown");
	frame_free_many(f, 5);
}

static void test_misuse(void)
{
	static spinlock_t lock = SPINLOCK_INIT("test");
	vaddr_t va;

	sim_boot(&(struct sim_config){0});
	get_frames(3);
	vunmap(NULL);
	EXPECT_PANIC("nothing is mapped", vunmap((void *)VMAP_BASE));
	va = (vaddr_t)vmap(f, 3, VM_W);
	EXPECT_PANIC("inside area 'vmap'", vunmap((void *)(va + PAGE_SIZE)));
	EXPECT_PANIC("inside area 'vmap'", vunmap((void *)(va + 3 * PAGE_SIZE)));
	EXPECT_PANIC("nothing is mapped", vunmap((void *)(va + 4 * PAGE_SIZE)));
	EXPECT_PANIC("nothing is mapped", vunmap(f));
	EXPECT_PANIC("interrupts off", {
		irq_disable();
		vunmap((void *)va);
	});
	EXPECT_PANIC("spinlock", {
		spin_lock(&lock);
		(void)!vmap(f, 3, VM_W);
	});
	EXPECT_PANIC("interrupts off", {
		irq_disable();
		vm_unmap_aliases();
	});
	vunmap((void *)va);
	EXPECT_PANIC("double unmap of area 'vmap'", vunmap((void *)va));
	vm_unmap_aliases();
	EXPECT_PANIC("nothing is mapped", vunmap((void *)va));
	frame_free_many(f, 3);
	EXPECT_PANIC("", (void)!vmap(f, 1, VM_W)); /* of a free frame */
	f[0] = pfn_frame(kernel_root);
	EXPECT_PANIC("", (void)!vmap(f, 1, VM_W)); /* of a page table: I1 */
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
	ok(!vmap(f, 0, VM_W), "no pages");
	ok(!vmap(f, VMAP_SIZE / PAGE_SIZE, VM_W) && !vmap(f, ~0u, VM_W),
	   "more than there are addresses");
	ok(!vmap_pfn(pfn_make(SIM_PHYS_MAX >> PAGE_SHIFT), 0, VM_UC, "none"), "no device pages");
	ok(sim_unchanged(&was, "refused"), "nothing is changed");
	is_u64(counter_sum(CNT_purge), purges, "for what can never fit nothing is purged");
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
	va = (vaddr_t)vmap_pfn(pfn_make(0xfd000), 600, VM_W | VM_WC, "framebuffer");
	ok(va && pt_walk(kernel_root, va, &w) && (w.step[1].entry.v & PTE_CACHE_UC) == PTE_CACHE_WC,
	   "write-combining, across tables");
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

	sim_boot(&(struct sim_config){.cpus = 3});
	for (unsigned round = 0; round < 20; round++) {
		get_frames(3);
		va = (vaddr_t)vmap(f, 3, VM_W);
		vunmap((void *)va);
		frame_free_many(f, 3);
		if (pt_ensure(kernel_root, VMAP_BASE + (round + 5) * GiB, 1))
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

	sim_boot(&(struct sim_config){
		.seed = seed, .cpus = 4, .lazy_max_pages = 60, .eager = seed % 4 == 0});
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
				lazy_set_policy(sim_random(2) ? LAZY_OFF : LAZY_TLB);
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
	sim_scenario("refused", test_refused);
	sim_scenario("device", test_device);
	sim_scenario("stacks", test_stacks);
	sim_scenario("frame becomes table", test_frame_becomes_table);
	for (seed = 1; seed <= 8; seed++)
		sim_scenario("random", test_random);
	return done_testing();
}
