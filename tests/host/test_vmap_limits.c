// SPDX-License-Identifier: MIT
/*
 * mm/vmap.c where it must fail, and leave everything as it was: no memory at each allocation in
 * turn, no addresses, a platform that refuses an entry, and no interrupts, so that nobody can be
 * asked to forget.
 */
// links: mm/*.c tests/host/sim*.c
#include "mm/area.h"
#include "mm/check.h"
#include "mm/pagetable.h"
#include "mm/vmap.h"
#include "tests/host/mapping.h"

/* Before interrupts are on, vmap() works as long as nobody need be asked to forget anything. */
static void test_irqs_off(void)
{
	struct area *rest;
	void *a, *b;

	sim_boot(&(struct sim_config){.cpus = 2});
	get_frames(2);
	irq_disable();
	a = vmap(f, 2, VM_W);
	ok(a && !irqs_enabled() && reads_right(0, (vaddr_t)a, f, 2), "mapped with interrupts off");
	irq_enable();
	vunmap(a);
	frame_free_many(f, 2);
	irq_disable(); /* the frames of the next tables are those freed last */
	get_frames(1);
	rest = area_alloc(GiB / PAGE_SIZE, 1);
	b = vmap(f, 1, VM_W);
	ok(b || !b, "a frame that CPUs remember cannot become a table now: not a panic");
	irq_enable();
	vunmap(b);
	area_free(rest);
	frame_free_many(f, 1);
}

/* => the k at which it succeeded; every earlier one changed nothing but made tables, which stay */
static u64 fail_each_allocation(unsigned n, void *(*map)(unsigned n))
{
	struct sim_snapshot was = sim_snapshot();
	void *va;

	for (u64 k = 1;; k++) {
		frame_inject_failure(k);
		va = map(n);
		if (frame_inject_failure(0) || va) {
			KASSERT(va, "fails though no allocation did");
			vunmap(va);
			vm_unmap_aliases();
			return k;
		}
		if (!sim_unchanged(&was, "failed allocation") || mm_check(false))
			ok(false, "failure %lu changed something", k);
	}
}

static void *map_frames_of_test(unsigned n)
{
	return vmap(f, n, VM_W);
}

static void *map_device(unsigned n)
{
	return vmap_pfn(pfn_make(0xfe000), n, VM_W | VM_UC, "device");
}

static void test_no_memory(void)
{
	sim_boot(&(struct sim_config){0});
	get_frames(MANY);
	ok(fail_each_allocation(MANY, map_frames_of_test) > 2, "every table can be missing");
	ok(aliases_are(MANY, 0), "no alias is left behind");
	is_u64(fail_each_allocation(MANY, map_frames_of_test), 1, "tables that were made stay");
	frame_free_many(f, MANY);
}

static void test_no_memory_device(void)
{
	sim_boot(&(struct sim_config){0});
	ok(fail_each_allocation(MANY, map_device) > 2, "every table can be missing");
}

/* All addresses but `pages` are taken. */
static struct area *take_addresses_but(u64 pages)
{
	return area_alloc(VMAP_SIZE / PAGE_SIZE - pages - 1, 1);
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
	ok(!vmap_stack_alloc(3, "stack"), "nor for a stack");
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
	area_free(rest);
	frame_free_many(f, 3);
}

/* A platform whose batches can fail: the k-th entry of the batch is refused. */
static void test_batch_failure(void)
{
	struct sim_snapshot was;
	unsigned failures = 0;
	vaddr_t va;

	sim_boot(&(struct sim_config){.cpus = 2});
	get_frames(600);
	vunmap(vmap(f, 600, VM_W)); /* the tables are there from now on */
	vm_unmap_aliases();
	sim.deferred = true;
	was = sim_snapshot();
	for (u32 k = 1; k <= 520; k += 1 + sim_random(20)) {
		sim.fail_batch = k;
		va = (vaddr_t)vmap(f, 600, VM_W);
		if (va) { /* the first batch was shorter than k */
			ok(k > 512, "only a short batch escapes (%u)", k);
			vunmap((void *)va);
			vm_unmap_aliases();
			continue;
		}
		failures++;
		if (!sim_unchanged(&was, "batch") || !aliases_are(600, 0) || mm_check(false) ||
		    sim_tlb_holders(VMAP_BASE, 1200).bits)
			ok(false, "failure at entry %u left something behind", k);
		sim.fail_batch = k;
		if (vmap_pfn(pfn_make(0xf0000), 600, VM_W | VM_UC, "device") ||
		    !sim_unchanged(&was, "batch") || sim_tlb_holders(VMAP_BASE, 1200).bits)
			ok(false, "failure at device entry %u left something behind", k);
	}
	ok(failures > 20, "%u failures leave nothing behind", failures);
	va = (vaddr_t)vmap(f, 600, VM_W);
	ok(va && reads_right(1, va, f, 600), "and then it works");
	vunmap((void *)va);
	frame_free_many(f, 600);
}

int main(void)
{
	sim_scenario("interrupts off", test_irqs_off);
	sim_scenario("no memory", test_no_memory);
	sim_scenario("no memory, device", test_no_memory_device);
	sim_scenario("no addresses", test_no_addresses);
	sim_scenario("batch failure", test_batch_failure);
	return done_testing();
}
