// SPDX-License-Identifier: MIT
/*
 * Address spaces on several CPUs, each of which may lose its turn at any shared access: some come
 * and go while another maps and unmaps, or all make and destroy spaces of their own.
 */
// links: mm/*.c tests/host/sim*.c
#include "mm/shootdown.h"
#include "mm/vmap.h"
#include "tests/host/spaces.h"

static u64 seed;
static struct aspace *shared;
static atomic_t over;

/*
 * Page 0 always is mapped; the others come and go. What a CPU reads there is what CPU 0 wrote when
 * it mapped them, or a fault; that no translation outlives an unmapping is CPU 0's to look at.
 */
#define PAGES 6

static void visitor(void *arg __attribute__((unused)))
{
	while (!atomic_read(&over)) {
		u64 v = 0;

		if (!aspace_current())
			KASSERT(!aspace_load(shared), "not loaded");
		else if (!sim_random(4))
			aspace_leave();
		if (aspace_current())
			KASSERT(reads(sim.cpu, BASE, 0x5eed), "page 0");
		(void)!sim_read(sim.cpu, BASE + (1 + sim_random(PAGES - 1)) * PAGE_SIZE, &v);
	}
	aspace_leave();
}

static void look_forgotten(vaddr_t va, u64 n)
{
	u64 bits = sim_tlb_holders(va, n).bits & sim_online().bits;

	KASSERT(!bits, "%#lx+%lu is unmapped, but CPUs %#lx remember it", va, n, bits);
}

static void owner(void *arg __attribute__((unused)))
{
	for (unsigned i = 0; i < 60; i++) {
		vaddr_t va = BASE + (1 + sim_random(PAGES - 1)) * PAGE_SIZE;
		u64 n = 1 + sim_random((u32)(PAGES - (va - BASE) / PAGE_SIZE));
		int err = aspace_map(shared, va, n, VM_W);

		KASSERT(!err, "not mapped: %d", err);
		for (unsigned k = sim_random(6); k; k--)
			cpu_relax();
		KASSERT(!aspace_unmap(shared, va, n), "not unmapped");
		look_forgotten(va, n);
	}
	atomic_set(&over, 1);
}

static void test_on_and_off(void)
{
	struct rest before;

	sim_boot(&(struct sim_config){.seed = seed, .cpus = 4, .keep = seed % 2});
	destroy(new_space("the pool's frame"));
	before = rest();
	shared = new_space("shared");
	KASSERT(!aspace_map(shared, BASE, 1, VM_W), "page 0");
	*(u64 *)frame_virt(aspace_frame(shared, BASE)) = 0x5eed;
	sim.preempt = 1 + (u32)seed % 7;
	sim.store_buffer = seed % 3;
	sim.speculate = 20;
	sim.idles = seed % 4 == 0;
	sim.ipi_at_once = seed % 5 == 0;
	sim_spawn(0, owner, NULL);
	for (unsigned cpu = 1; cpu < 4; cpu++)
		sim_spawn(cpu, visitor, NULL);
	sim_run();
	sim_settle();
	sim.preempt = 0;
	sim.speculate = 0;
	destroy(shared);
	vm_unmap_aliases();
	ok(at_rest(&before), "seed %lu: %lu steps, %lu IPIs: no page outlives its unmapping", seed,
	   sim.steps, counter_sum(CNT_ipi_sent));
}

/* Each CPU makes, runs on and destroys spaces of its own, out of frames others just unmapped. */
static void maker(void *arg __attribute__((unused)))
{
	for (unsigned i = 0; i < 8; i++) {
		struct frame *mine[4];
		struct aspace *as;

		KASSERT(!frame_alloc_many(mine, 4, 0), "frames");
		vunmap(vmap(mine, 4, VM_W));
		frame_free_many(mine, 4);
		as = new_space("made");
		KASSERT(!aspace_map(as, BASE, 2, VM_W) && !aspace_load(as), "not loaded");
		KASSERT(!sim_write(sim.cpu, BASE, sim.cpu) && reads(sim.cpu, BASE, sim.cpu),
			"lost");
		aspace_leave();
		destroy(as);
	}
}

static void test_makers(void)
{
	struct aspace_info info;

	sim_boot(&(struct sim_config){.seed = seed, .cpus = 3, .keep = seed % 2});
	sim.preempt = 1 + (u32)seed % 7;
	sim.speculate = 20;
	for (unsigned cpu = 0; cpu < 3; cpu++)
		sim_spawn(cpu, maker, NULL);
	sim_run();
	sim_settle();
	sim.preempt = 0;
	vm_unmap_aliases();
	ok(!aspace_next(0, &info) && !mm_check(false), "seed %lu: 24 spaces came and went", seed);
}

int main(void)
{
	for (seed = 1; seed <= 24; seed++)
		sim_scenario("on and off", test_on_and_off);
	for (seed = 1; seed <= 8; seed++)
		sim_scenario("makers", test_makers);
	return done_testing();
}
