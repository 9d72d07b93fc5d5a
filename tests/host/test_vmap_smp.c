// SPDX-License-Identifier: MIT
/*
 * vmap, vunmap and purging by several CPUs at once, each of which may lose its turn at any shared
 * access. Besides what the simulator watches at every write of an entry, a CPU looks after its own
 * purge whether any TLB still maps a frame that it alone had mapped.
 */
// links: mm/*.c tests/host/sim*.c
#include "mm/check.h"
#include "mm/frame.h"
#include "mm/lazy.h"
#include "mm/pagetable.h"
#include "mm/park.h"
#include "mm/shootdown.h"
#include "mm/vmap.h"
#include "tests/host/scarce.h"
#include "tests/host/sim.h"

#define FRAMES 6 /* of each CPU */

static u64 seed;

static vaddr_t map_and_look(struct frame *const *f, unsigned n)
{
	vaddr_t va = (vaddr_t)vmap(f, n, VM_W);
	u64 v;

	KASSERT(va, "no mapping: %s", sim_printed());
	for (unsigned i = 0; i < n; i++) {
		u64 want = frame_pfn(f[i]).n << 8 | sim.cpu;

		KASSERT(!sim_write(sim.cpu, va + i * PAGE_SIZE, want), "page %u is not writable",
			i);
		KASSERT(!sim_read(sim.cpu, va + i * PAGE_SIZE, &v) && v == want, "page %u", i);
		KASSERT(*(u64 *)frame_virt(f[i]) == want, "page %u is not the frame", i);
	}
	return va;
}

static void worker(void *arg __attribute__((unused)))
{
	struct frame *f[FRAMES];
	vaddr_t live[4];
	unsigned n = 0;

	KASSERT(!frame_alloc_many(f, FRAMES, FRAME_ZERO), "no frames");
	for (unsigned step = 0; step < 40; step++) {
		switch (sim_random(7)) {
		case 0 ... 2:
			if (n < ARRAY_SIZE(live))
				live[n++] =
					map_and_look(f + sim_random(3), 1 + sim_random(FRAMES - 3));
			break;
		case 3 ... 4:
			if (n)
				vunmap((void *)live[--n]);
			break;
		case 5:
			sim_raise(sim_random(nr_cpus), SIM_TICK);
			if (sim_random(2))
				park_drain();
			break;
		default:
			while (n)
				vunmap((void *)live[--n]);
			vm_unmap_aliases();
			for (unsigned i = 0; i < FRAMES; i++)
				KASSERT(!(sim_tlb_frame_holders(frame_pfn(f[i])).bits &
					  sim_online().bits),
					"purged, yet CPUs %#lx map the frame",
					sim_tlb_frame_holders(frame_pfn(f[i])).bits);
		}
	}
	while (n)
		vunmap((void *)live[--n]);
	frame_free_many(f, FRAMES);
}

static void join_late(void *arg)
{
	for (unsigned i = sim_random(200); i; i--)
		cpu_relax();
	sim_cpu_join(sim.cpu);
	worker(arg);
}

static void set_hostile(void)
{
	sim.preempt = 1 + (u32)seed % 7;
	sim.store_buffer = seed % 3;
	sim.speculate = 30;
	sim.ipi_at_once = seed % 5 == 0;
}

static void test_workers(void)
{
	u64 at_hand;

	sim_boot(&(struct sim_config){.seed = seed,
				      .cpus = 4,
				      .lazy_max_pages = 8 + seed % 40,
				      .eager = seed % 6 == 0,
				      .keep = seed % 6 < 3});
	at_hand = mm_frames_at_hand();
	set_hostile();
	if (seed % 2) {
		sim_cpu_power(4);
		sim_tlb_load_root(4, kernel_root);
		sim_spawn(4, join_late, NULL);
	}
	for (unsigned cpu = 0; cpu < 4; cpu++)
		sim_spawn(cpu, worker, NULL);
	sim_run();
	sim_settle();
	sim.preempt = 0;
	vm_unmap_aliases();
	ok(mm_frames_at_hand() == at_hand && !mm_check(false),
	   "seed %lu: %lu steps, %lu purges, %lu forced, %lu refills, %lu revived, %lu skips: "
	   "nothing is left",
	   seed, sim.steps, counter_sum(CNT_purge), counter_sum(CNT_park_forced),
	   counter_sum(CNT_park_refill), counter_sum(CNT_revive), counter_sum(CNT_shootdown_skip));
}

/* Addresses for two areas and two CPUs that use one each, lazily: there is always one to be had. */
static void scarce_worker(void *arg)
{
	struct frame *f = arg;

	for (unsigned i = 0; i < 30; i++) {
		void *va = vmap(&f, 1, VM_W);

		KASSERT(va, "no addresses, though the lazy ones are enough");
		vunmap(va);
	}
}

static void test_scarce(void)
{
	struct frame *f[2];
	struct area *rest;

	sim_boot(&(struct sim_config){.seed = seed, .cpus = 2});
	KASSERT(!frame_alloc_many(f, 2, 0), "no frames");
	rest = take_addresses_but(4);
	set_hostile();
	for (unsigned cpu = 0; cpu < 2; cpu++)
		sim_spawn(cpu, scarce_worker, f[cpu]);
	sim_run();
	ok(true, "seed %lu: two CPUs share addresses for two", seed);
	vm_unmap_aliases();
	park_drain();
	give_addresses(rest);
	frame_free_many(f, 2);
}

/*
 * CPU 0 unmaps many frames, and loses its turn after it has read the clock for their stamp and
 * before it has written it everywhere. Meanwhile all CPUs flush, and CPU 1 takes away another
 * alias of the last of those frames. The frame's stamp must not be covered while a TLB still maps
 * it.
 */
#define SHARED 60
static struct frame *shared[SHARED];

static void unmap_slowly(void *va)
{
	vunmap(va);
}

static void flush_and_unmap(void *va)
{
	shootdown_quiet_point();
	vunmap(va);
}

static void shared_frame_round(void)
{
	struct frame *last = shared[SHARED - 1];
	void *many = vmap(shared, SHARED, VM_W), *one = vmap(&shared[SHARED - 1], 1, VM_W);

	sim.preempt = 2;
	sim_on(3);
	sim_spawn(0, unmap_slowly, many);
	sim_run_for(sim_random(500));
	for (unsigned cpu = 0; cpu < 4; cpu++)
		sim_raise(cpu, SIM_TICK);
	sim_spawn(1, flush_and_unmap, one);
	sim_run();
	sim_settle();
	sim.preempt = 0;
	if (!frame_remembered(last) && sim_tlb_frame_holders(frame_pfn(last)).bits)
		panic("word %#lx: nobody remembers it, yet CPUs %#lx still map the frame",
		      atomic_read(&last->alias), sim_tlb_frame_holders(frame_pfn(last)).bits);
	if (sim_random(2))
		vm_unmap_aliases();
}

static void test_shared_frame(void)
{
	sim_boot(&(struct sim_config){.seed = seed, .cpus = 4});
	KASSERT(!frame_alloc_many(shared, SHARED, 0), "no frames");
	for (unsigned round = 0; round < 60; round++)
		shared_frame_round();
	ok(true, "seed %lu: a frame's stamp is that of its last alias", seed);
	vm_unmap_aliases();
	frame_free_many(shared, SHARED);
}

/* Frames go round between lazy mappings and page tables on all CPUs; attach_table() is watched. */
static void table_worker(void *arg)
{
	struct frame *f[2];
	vaddr_t va = VMAP_BASE + (u64)arg * 64 * GiB;
	pfn_t table;

	for (unsigned i = 0; i < 12; i++) {
		KASSERT(!frame_alloc_many(f, 2, 0), "no frames");
		vunmap(vmap(f, 2, VM_W));
		frame_free_many(f, 2);
		KASSERT(!pt_ensure_path(kernel_root, va + (i / 2) * GiB, 1, &table), "no memory");
	}
}

static void test_tables(void)
{
	sim_boot(&(struct sim_config){.seed = seed, .cpus = 3});
	set_hostile();
	for (u64 cpu = 0; cpu < 3; cpu++)
		sim_spawn((unsigned)cpu, table_worker,
			  (void *)(cpu / 2 + 1)); /* two of them on the same */
	sim_run();
	ok(true, "seed %lu: frames become tables while others unmap", seed);
}

int main(void)
{
	for (seed = 1; seed <= 40; seed++)
		sim_scenario("workers", test_workers);
	for (seed = 1; seed <= 10; seed++) {
		sim_scenario("scarce", test_scarce);
		sim_scenario("shared frame", test_shared_frame);
		sim_scenario("tables", test_tables);
	}
	return done_testing();
}
