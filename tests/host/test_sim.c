// SPDX-License-Identifier: MIT
/*
 * The simulated machine itself, before anything is trusted to it: a TLB that forgets too much or a
 * lock that asserts too little would make every other host test pass.
 *
 */
// links: mm/*.c tests/host/sim*.c
#include "mm/chunk.h"
#include "mm/kmap.h"
#include "mm/pagetable.h"
#include "mm/shootdown.h"
#include "mm/space.h"
#include "mm/vmap.h"
#include "tests/host/sim.h"

static vaddr_t map_one(struct frame **f)
{
	*f = frame_alloc(0, FRAME_ZERO);
	return (vaddr_t)vmap(f, 1, VM_W);
}

static void test_tlb(void)
{
	struct frame *f;
	vaddr_t va;
	u64 v = 0;

	sim_boot(&(struct sim_config){.cpus = 2});
	sim.remember = false;
	va = map_one(&f);
	is_u64(sim_write(0, va, 7), SIM_OK, "a mapped page is written");
	ok(!sim_read(1, va + 8, &v) && !sim_read(1, va, &v) && v == 7, "another CPU reads it");
	is_u64(*(u64 *)frame_virt(f), 7, "and so does the direct map");
	is_u64(sim_tlb_holders(va, 1).bits, 3, "both remember the translation");
	is_u64(sim_read(0, va + PAGE_SIZE, &v), SIM_NOT_PRESENT, "the guard page faults");
	is_u64(sim_read(0, 0, &v), SIM_NOT_PRESENT, "page 0 faults");
	is_u64(sim_read(0, 1ull << 47, &v), SIM_NOT_CANONICAL, "a non-canonical address faults");
	is_u64(sim_write(0, sim_image.text, 1), SIM_NOT_WRITABLE, "text is not written");
	is_u64(sim_fetch(0, sim_image.text), SIM_OK, "text is fetched");
	is_u64(sim_fetch(0, va), SIM_NOT_EXECUTABLE, "a mapping is not");
	ok(!sim_tlb_holders(va, 1).bits || sim_tlb_holders(va, 1).bits == 2,
	   "and the fault drops it");
	sim_read(0, va, &v);

	vunmap((void *)va);
	is_u64(sim_read(0, va, &v), SIM_OK, "unmapped, and yet read by who remembers");
	mmu->invalidate_page(va);
	is_u64(sim_read(0, va, &v), SIM_NOT_PRESENT, "not after INVLPG");
	is_u64(sim_read(1, va, &v), SIM_OK, "which is no business of the other CPU");
	sim_tlb_load_root(1, kernel_root);
	is_u64(sim_read(1, va, &v), SIM_OK, "a CR3 load keeps global entries");
	sim_tlb_invalidate_all(1);
	is_u64(sim_tlb_entries(1), 0, "a full flush drops everything");
	is_u64(sim_read(1, va, &v), SIM_NOT_PRESENT, "so it faults there as well");
	shootdown_quiet_point();
	frame_free(f, 0);
}

static void test_local_entries(void)
{
	struct frame *f = NULL;
	vaddr_t va;
	u64 v;

	sim_boot(&(struct sim_config){.cpus = 1, .eager = true});
	f = frame_alloc(0, FRAME_ZERO);
	va = (vaddr_t)vmap(&f, 1, VM_W | VM_LOCAL);
	sim_read(0, va, &v);
	is_u64(sim_tlb_holders(va, 1).bits, 1, "a local translation is held");
	sim_tlb_load_root(0, kernel_root);
	is_u64(sim_tlb_holders(va, 1).bits, 0, "a CR3 load drops it");
	vunmap((void *)va);
	frame_free(f, 0);
}

static void test_remember(void)
{
	struct frame *f;
	vaddr_t va;

	sim_boot(&(struct sim_config){.cpus = 3});
	va = map_one(&f);
	is_u64(sim_tlb_holders(va, 1).bits, 0, "nobody has touched it");
	vunmap((void *)va);
	is_u64(sim_tlb_holders(va, 1).bits, 7,
	       "speculation: all may hold what was present until now");
	vm_unmap_aliases();
	is_u64(sim_tlb_holders(va, 1).bits, 0, "until the flush");
	frame_free(f, 0);
}

/* A slot of kmap_local is in one CPU's tables: no other can remember it, by speculation or not. */
static void test_remember_local(void)
{
	pte_t *e;
	struct frame *f = NULL;
	vaddr_t va;
	u64 v;

	sim_boot(&(struct sim_config){.cpus = 3});
	e = kmap_local_entry(VMAP_PAGES + 1 + KMAP_LOCAL_SLOTS); /* CPU 1's first */
	f = frame_alloc(0, FRAME_ZERO);
	sim_on(1);
	va = (vaddr_t)kmap_local(f);
	is_u64(sim_read(0, va, &v), SIM_NOT_PRESENT, "its own CPU alone can read it");
	is_u64(sim_read(1, va, &v), SIM_OK, "and does");
	v = entry_clear(e);
	is_u64(sim_tlb_holders(va, 1).bits, 2, "it alone remembers, though all speculate");
	entry_restore(e, v);
	kunmap_local((void *)va);
	is_u64(sim_tlb_holders(va, 1).bits, 0, "until it has invalidated the page");
	sim_on(0);
	frame_free(f, 0);
}

/* The simulator's own watch: each rule broken once, by hand. */
static void test_watch(void)
{
	struct frame *f, *g;
	vaddr_t va;
	pfn_t table;
	pte_t *e;
	u64 bits = pte_leaf_bits(VM_W, 1);

	sim_boot(&(struct sim_config){.cpus = 2});
	va = map_one(&f);
	g = frame_alloc(0, FRAME_ZERO);
	table = pt_leaf_table(kernel_root, va);
	e = entry_of(va);
	EXPECT_PANIC("is written, but is 0x", entry_write(e, frame_paddr(f) | bits));
	EXPECT_PANIC("its frame's alias word is", entry_write(e + 1, frame_paddr(f) | bits));
	EXPECT_PANIC("its frame's alias word is", {
		entry_clear(e);
		entry_write(e, frame_paddr(g) | bits);
	});
	EXPECT_PANIC("is cleared, but is 0", entry_clear(e + 1));
	EXPECT_PANIC("is no level-1 table", entry_clear(frame_virt(g)));
	EXPECT_PANIC("maps frame", {
		f->type = FRAME_CACHED;
		entry_clear(e);
		sim_tlb_invalidate_all(0);
		sim_tlb_invalidate_all(1);
		entry_write(e, frame_paddr(f) | bits);
	});
	EXPECT_PANIC("W and X", mmu->set_leaf(table, 9, (pte_t){PTE_P | PTE_W}));
	EXPECT_PANIC("neither present nor zero", mmu->set_leaf(table, 9, (pte_t){PTE_W}));
	EXPECT_PANIC("attached nowhere", mmu->set_leaf(frame_pfn(g), 0, (pte_t){0}));
	EXPECT_PANIC("CPUs 0x3 remember its last mapping", {
		entry_clear(e);
		entry_write(e, frame_paddr(f) | bits);
	});
	EXPECT_PANIC("no matter", {
		entry_restore(e, entry_clear(e));
		panic("no matter");
	});
	EXPECT_PANIC("becomes a page table, but CPUs 0x3", {
		entry_clear(e);
		mmu->attach_table(kernel_root, 1, PT_LEVELS, frame_pfn(f));
	});
	EXPECT_PANIC("not empty", {
		*(u64 *)frame_virt(g) = 1;
		mmu->attach_table(kernel_root, 1, PT_LEVELS, frame_pfn(g));
	});
	EXPECT_PANIC("reaches frame", {
		frames[table.n].type = FRAME_USED;
		sim_read(0, va, &bits);
	});
	ok(!sim_read(0, va, &bits), "and none of this has happened here");
	vunmap((void *)va);
	frame_free(f, 0);
	frame_free(g, 0);
}

static spinlock_t a = SPINLOCK_INIT("a"), b = SPINLOCK_INIT("b");

static void test_locks(void)
{
	sim_boot(&(struct sim_config){.cpus = 2});
	spin_lock(&a);
	ok(spin_held(&a) && !irqs_enabled() && cpu_spinlocks_held() == 1,
	   "a spinlock turns IRQs off");
	spin_lock(&b);
	spin_unlock(&b);
	ok(!irqs_enabled(), "which stay off until the outermost is released");
	EXPECT_PANIC("takes spinlock 'a' twice", spin_lock(&a));
	EXPECT_PANIC("released before", {
		spin_lock(&b);
		spin_unlock(&a);
	});
	EXPECT_PANIC("turned on while 'a' was held", {
		irq_enable();
		spin_unlock(&a);
	});
	EXPECT_PANIC("still holds a lock", sim_check());
	sim_on(1);
	ok(!spin_held(&a) && irqs_enabled(), "the other CPU neither holds it nor has IRQs off");
	EXPECT_PANIC("does not hold", spin_unlock(&a));
	EXPECT_PANIC("CPU 0 does not answer: a", spin_lock(&a));
	sim_on(0);
	spin_unlock(&a);
	ok(irqs_enabled(), "then they are on again");
	EXPECT_PANIC("the other way round", {
		spin_lock(&b);
		spin_lock(&a);
	});
}

/*
 * Dekker's litmus test: x := 1; r0 := y  ||  y := 1; r1 := x. Both zero is possible on x86
 * without a fence.
 */
static atomic_t x, y, elsewhere;
static bool fenced;
static u64 r[2];

static void dekker(void *which)
{
	bool first = !which;

	atomic_set(first ? &x : &y, 1);
	if (fenced)
		smp_mb();
	r[first] = atomic_read(first ? &y : &x);
	for (unsigned i = 0; i < 4;
	     i++) /* a CPU that idles has no stores left: stay busy a little */
		atomic_read(&elsewhere);
}

static unsigned dekker_both_zero(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < 2000; i++) {
		x.v = y.v = 0;
		sim_spawn(0, dekker, NULL);
		sim_spawn(1, dekker, (void *)1);
		sim_run();
		n += !r[0] && !r[1];
	}
	return n;
}

static void test_store_buffer(void)
{
	sim_boot(&(struct sim_config){.cpus = 2, .seed = 1});
	sim.preempt = 2;
	is_u64(dekker_both_zero(), 0, "without store buffers nothing is reordered");
	sim.store_buffer = true;
	ok(dekker_both_zero() > 0, "with them a load overtakes a store");
	fenced = true;
	is_u64(dekker_both_zero(), 0, "but not a fence");
}

static unsigned turns[4];
static atomic_t counter;

static void take_turns(void *arg)
{
	KASSERT(cpu_id() == (u64)arg, "on CPU %u", cpu_id());
	for (unsigned i = 0; i < 100; i++) {
		atomic_fetch_add(&counter, 1);
		KASSERT(cpu_id() == (u64)arg, "on CPU %u", cpu_id());
		turns[cpu_id()]++;
	}
}

static void test_turns(void)
{
	sim_boot(&(struct sim_config){.cpus = 4, .seed = 5});
	sim.preempt = 3;
	for (u64 cpu = 0; cpu < 4; cpu++)
		sim_spawn((unsigned)cpu, take_turns, (void *)cpu);
	sim_run();
	ok(turns[0] == 100 && turns[3] == 100 && counter.v == 400, "four CPUs do their work");
	sim_raise(2, SIM_TICK);
	sim.deaf.bits = 4;
	sim_settle();
	ok(sim_pending(2, SIM_TICK), "a deaf CPU takes no interrupt");
	sim.deaf.bits = 0;
	sim_settle();
	ok(!sim_pending(2, SIM_TICK), "an idle one does");
}

static void test_memory(void)
{
	struct frame *f;

	sim_boot(&(struct sim_config){.ram = {{1 * MiB, 20 * MiB}, {64 * MiB, 80 * MiB}}});
	f = frame_alloc(0, FRAME_ZERO);
	*(u64 *)frame_virt(f) = 42;
	EXPECT_PANIC("x", {
		*(u64 *)frame_virt(f) = 1;
		panic("x");
	});
	is_u64(*(u64 *)frame_virt(f), 42, "what a forked copy writes does not come back");
	ok(sim_is_ram(64 * MiB) && !sim_is_ram(20 * MiB), "RAM has a hole");
	frame_free(f, 0);
}

int main(void)
{
	sim_scenario("tlb", test_tlb);
	sim_scenario("local entries", test_local_entries);
	sim_scenario("remember", test_remember);
	sim_scenario("remember local", test_remember_local);
	sim_scenario("watch", test_watch);
	sim_scenario("locks", test_locks);
	sim_scenario("store buffer", test_store_buffer);
	sim_scenario("turns", test_turns);
	sim_scenario("memory", test_memory);
	return done_testing();
}
