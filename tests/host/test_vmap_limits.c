// SPDX-License-Identifier: MIT
/*
 * mm/vmap.c where it must fail, and leave everything as it was: no memory at each allocation in
 * turn, no addresses, a platform that refuses an entry, and no interrupts, so that nobody can be
 * asked to forget.
 */
// links: mm/*.c tests/host/sim*.c
#include "mm/check.h"
#include "mm/pagetable.h"
#include "mm/park.h"
#include "mm/vmalloc.h"
#include "mm/vmap.h"
#include "tests/host/scarce.h"
#include "tests/host/mapping.h"

/* With interrupts off mapping and unmapping work as long as nobody need be asked to forget. */
static void test_irqs_off(void)
{
	struct sim_snapshot before;
	struct area area;
	static spinlock_t lock = SPINLOCK_INIT("test");
	struct area *rest;
	void *a, *b;

	sim_boot(&(struct sim_config){.cpus = 2, .eager = true});
	get_frames(3);
	irq_disable();
	a = vmap(f, 2, VM_W);
	ok(a && !irqs_enabled() && reads_right(0, (vaddr_t)a, f, 2), "mapped with interrupts off");
	vunmap(a);
	ok(!irqs_enabled() && !counter_sum(CNT_shootdown), "and unmapped, with no shootdown");
	is_u64(sim_tlb_holders((vaddr_t)a, 2).bits, 3, "others may remember it");
	b = vmap(f, 2, VM_W);
	ok(b != a, "so policy off does as tlb: its addresses wait");
	irq_enable();
	vunmap(b);
	vm_unmap_aliases();
	spin_lock(&lock);
	a = vmap(f, 2, VM_W);
	vunmap(a);
	spin_unlock(&lock);
	ok(a, "the same with a spinlock held");
	vm_unmap_aliases();
	park_drain();
	rest = take_addresses_but(4);
	a = vmap(f, 3, VM_W);
	vunmap(a);
	irq_disable();
	vunmap(vmap(f, 3, VM_W));
	ok(!vmap(f, 3, VM_W), "what only a purge could find is not to be had");
	irq_enable();
	a = vmap(f, 3, VM_W);
	ok(a, "then it is");
	vunmap(a);
	vm_unmap_aliases();
	park_drain();
	give_addresses(rest);
	irq_disable(); /* the frames of the next tables are those freed last */
	a = vmap(f, 3, VM_W);
	vunmap(a);
	frame_free_many(f, 3);
	get_frames(1);
	before = sim_snapshot();
	b = vmap_stack_alloc(600, "stack"); /* attach_table() panics if a CPU remembers the frame */
	if (b)
		ok(find_vm_area(b, &area), "it found frames that nobody remembers for its tables");
	else
		sim_unchanged(&before, "a frame that CPUs remember cannot become a table now");
	irq_enable();
	if (b)
		vmap_stack_free(b);
	frame_free_many(f, 1);
}

static void test_no_addresses(void)
{
	struct sim_snapshot was;
	struct area *rest;
	void *a, *b;
	u64 purges;

	sim_boot(&(struct sim_config){.cpus = 2});
	get_frames(3);
	rest = take_addresses_but(5);
	a = vmap(f, 1, VM_W);
	was = sim_snapshot();
	ok(!vmap(f, 3, VM_W), "no room for three pages and a guard");
	ok(!vmap_stack_alloc(3, "stack") && !vmalloc(3 * PAGE_SIZE) && !vm_map_ram(f, 3, VM_W) &&
		   !vm_area_reserve(3, 1, "sparse") &&
		   !vmap_pfn(pfn_make(0xfee00), 3, VM_UC, "device") && !vmalloc_huge(3 * PAGE_SIZE),
	   "by any call");
	ok(sim_unchanged(&was, "no addresses"), "nothing is changed");
	b = vmap(f, 2, VM_W);
	ok(b, "but for two");
	vunmap(b);
	vunmap(a);
	purges = counter_sum(CNT_purge);
	a = vmap(f, 3, VM_W);
	ok(a, "lazy addresses come home when they are needed");
	is_u64(counter_sum(CNT_purge), purges + 1, "by one purge");
	vunmap(a);
	for (unsigned cpu = 0; cpu < 2; cpu++)
		sim_raise(cpu, SIM_TICK);
	sim_settle();
	a = vmap(f, 3, VM_W);
	ok(a, "also when all CPUs had flushed by themselves");
	vunmap(a);
	vm_unmap_aliases();
	park_drain();
	give_addresses(rest);
	frame_free_many(f, 3);
}

/* A platform whose batches can fail: the k-th entry of the batch is refused. */
static void test_batch_failure(void)
{
	struct sim_snapshot was;
	unsigned failures = 0;
	vaddr_t va;

	sim_boot(&(struct sim_config){.cpus = 2, .deferred = true});
	get_frames(600);
	vunmap(vmap(f, 600, VM_W)); /* the tables are there from now on */
	vunmap(vmap_pfn(pfn_make(0xf0001), 600, VM_UC, "device"));
	vm_unmap_aliases();
	was = sim_snapshot();
	for (u32 k = 1; k <= 600; k += 1 + sim_random(20)) {
		sim.fail_batch = k;
		va = (vaddr_t)vmap(f, 600, VM_W);
		KASSERT(!va, "entry %u was not refused", k);
		failures++;
		if (!sim_unchanged(&was, "batch") || !aliases_are(600, 0) || mm_check(false))
			ok(false, "failure at entry %u left something behind", k);
		vm_unmap_aliases();
		if (sim_tlb_holders(VMAP_BASE, 1300).bits)
			ok(false, "failure at entry %u is remembered", k);
		sim.fail_batch = k;
		if (vmap_pfn(pfn_make(0xf0001), 600, VM_W | VM_UC, "device") ||
		    !sim_unchanged(&was, "batch"))
			ok(false, "failure at device entry %u left something behind", k);
	}
	ok(failures > 20, "%u failures leave nothing behind", failures);
	va = (vaddr_t)vmap(f, 600, VM_W);
	ok(va && reads_right(1, va, f, 600), "and then it works");
	vunmap((void *)va);
	frame_free_many(f, 600);
}

/* A frame that has an alias is mapped by the long way, page by page; any of them may be refused. */
static void test_second_refused(void)
{
	struct frame *twice[3];
	struct sim_snapshot was;
	vaddr_t first, second;

	sim_boot(&(struct sim_config){.cpus = 2, .deferred = true});
	get_frames(2);
	twice[0] = twice[1] = f[0];
	twice[2] = f[1];
	first = (vaddr_t)vmap(f, 1, VM_W);
	vunmap(vmap(twice, 3, VM_W)); /* the tables are there from now on */
	vm_unmap_aliases();
	was = sim_snapshot();
	for (u32 k = 1; k <= 3; k++) {
		sim.fail_batch = k;
		ok(!vmap(twice, 3, VM_W), "entry %u is refused, and so all", k);
		sim.fail_batch = 0;
		ok(sim_unchanged(&was, "refused") && frame_aliases(f[0]) == 1 &&
			   !frame_aliases(f[1]) && !mm_check(false),
		   "and nothing is left of it");
		vm_unmap_aliases();
	}
	second = (vaddr_t)vmap(twice, 3, VM_W);
	ok(second && reads_right(1, second, twice, 3), "and then it works");
	vunmap((void *)second);
	vunmap((void *)first);
	frame_free_many(f, 2);
}

int main(void)
{
	sim_scenario("interrupts off", test_irqs_off);
	sim_scenario("no addresses", test_no_addresses);
	sim_scenario("batch failure", test_batch_failure);
	sim_scenario("second mapping refused", test_second_refused);
	return done_testing();
}
