// SPDX-License-Identifier: MIT
/*
 * mm/ and xen/mmu.c as a PV guest: frames that were mapped a moment ago become page tables, under
 * every policy, on several vCPUs that lose their turns and are put to sleep. With a purge before it
 * the hypervisor refuses nothing; without, it refuses, and we have known; and what it refuses for
 * no reason of ours leaves nothing behind.
 */
// links: mm/*.c tests/host/sim*.c tests/host/xen_machine.c
// links: tests/host/typing_full.c xen/mmu.c xen/explain.c
#include "mm/kmap.h"
#include "mm/lazy.h"
#include "mm/vmap.h"
#include "tests/host/spaces.h"
#include "tests/host/xen_machine.h"

static u64 seed;
static enum purge_policy purge;
static enum lazy_policy lazy;

static void boot(unsigned nr)
{
	sim_boot(&(struct sim_config){.platform = xen_machine,
				      .cpus = nr,
				      .seed = seed,
				      .eager = lazy == LAZY_OFF,
				      .keep = lazy == LAZY_PTE,
				      .max_leaf_level = 1});
	pt_set_purge_policy(purge);
}

/* What must hold of every machine at its end. */
static void check_end(bool refusals)
{
	xen_machine_check();
	ok(!xen_machine_refusals == !refusals && !counter_sum(CNT_xen_mispredicted),
	   "purge %s, policy %s: %u refusals, %lu mispredicted", pt_purge_policy_name(purge),
	   lazy_policy_name(lazy), xen_machine_refusals, counter_sum(CNT_xen_mispredicted));
}

/* --- a purge before a table is made --- */

#define STRAYS 40

/* Frames with an alias left behind, which the allocator hands out next. */
static void leave_strays(void)
{
	struct frame *mine[STRAYS];

	KASSERT(!frame_alloc_many(mine, STRAYS, 0), "frames");
	for (unsigned i = 0; i < STRAYS; i += 4)
		vunmap(vmap(mine + i, 4, VM_W));
	kunmap(kmap(mine[0]));
	frame_free_many(mine, STRAYS);
}

static void test_purge_before(void)
{
	bool refused = purge == PT_PURGE_NONE && lazy == LAZY_PTE;
	unsigned good = 0;

	boot(1);
	for (unsigned i = 0; i < 6; i++) {
		struct aspace *as;

		leave_strays();
		as = aspace_create("made of strays");
		if (!as)
			continue;
		if (!aspace_map(as, BASE, 3, VM_W) && !aspace_load(as)) {
			KASSERT(!sim_write(0, BASE, i) && reads(0, BASE, i), "lost");
			aspace_leave();
			good++;
		}
		destroy(as);
		vm_unmap_aliases();
	}
	ok(good == 6 || (refused && good < 6), "%u of 6 spaces", good);
	check_end(refused);
}

/* Who holds a spinlock waits for nobody, and so cannot purge: the frame is passed over. */
static void test_locked(void)
{
	static spinlock_t lock = SPINLOCK_INIT("test");
	pfn_t table;

	purge = PT_PURGE_EXACT;
	lazy = LAZY_PTE;
	boot(1);
	leave_strays();
	spin_lock(&lock);
	is_u64((u64)pt_alloc_table(1, &table), (u64)-ENOMEM, "no table of a stray under a lock");
	spin_unlock(&lock);
	is_u64((u64)pt_alloc_table(1, &table), 0, "but without");
	pt_free_table(table);
}

/* --- refusals --- */

static void test_refused(void)
{
	struct frame *mine[8];
	struct aspace *as, *fresh;
	struct sim_snapshot was;
	unsigned refusals = 0;

	boot(1);
	KASSERT(!frame_alloc_many(mine, 8, 0), "frames");
	vunmap(vmap(mine, 8, VM_W));
	vm_unmap_aliases();
	as = new_space("refused");
	KASSERT(!aspace_map(as, BASE, 1, VM_W) && !aspace_unmap(as, BASE, 1), "no tables");
	KASSERT(!aspace_load(as), "not pinned"); /* Xen looks at no entry before */
	was = sim_snapshot();
	for (u32 nth = 1; nth <= 8; nth++) {
		void *va;

		sim.fail_batch = nth;
		va = vmap(mine, 8, VM_W);
		KASSERT(!sim.fail_batch && !va, "vmap: entry %u is refused", nth);
		vm_unmap_aliases();
		refusals += sim_unchanged(&was, "vmap");
		sim.fail_batch = nth;
		KASSERT(aspace_map(as, BASE, 8, VM_W) == -EINVAL, "aspace_map: entry %u", nth);
		refusals += sim_unchanged(&was, "aspace_map");
	}
	for (unsigned i = 0; i < 8; i++)
		refusals += !frame_aliases(mine[i]);
	is_u64(refusals, 24, "a refused batch leaves nothing behind");
	sim.fail_attach = 1;
	ok(aspace_map(as, 100 * BASE, 1, VM_W) == -EINVAL, "a refused table");
	ok(!aspace_map(as, 100 * BASE, 1, VM_W), "and then it is taken");
	fresh = new_space("fresh");
	sim.fail_pin = 1;
	ok(aspace_load(fresh) == -EINVAL && aspace_current() == as, "a refused pin");
	sim.fail_load = 1;
	ok(aspace_load(fresh) == -EINVAL && aspace_current() == as, "a refused load");
	ok(!aspace_load(fresh) && aspace_current() == fresh, "and then it runs there");
	aspace_leave();
	destroy(fresh);
	destroy(as);
	frame_free_many(mine, 8);
	xen_machine_check();
	is_u64(xen_machine_refusals, 0, "nothing else is refused");
}

/* --- whole tables --- */

#define UNHOOKED 120

static void test_unhooked(void)
{
	struct frame *mine[UNHOOKED];
	vaddr_t va[UNHOOKED / 4];
	u64 bits = 0;

	purge = PT_PURGE_UNHOOK;
	lazy = LAZY_PTE;
	boot(2);
	KASSERT(!frame_alloc_many(mine, UNHOOKED, 0), "frames");
	for (unsigned i = 0; i < UNHOOKED / 4; i++)
		va[i] = (vaddr_t)vmap(mine + 4 * i, 4, VM_W);
	for (unsigned i = 0; i < UNHOOKED / 4; i++) {
		KASSERT(va[i] && !sim_write(1, va[i], i), "not mapped");
		vunmap((void *)va[i]);
	}
	lazy_unhook();
	for (unsigned i = 0; i < UNHOOKED / 4; i++)
		bits |= sim_tlb_holders(va[i], 4).bits;
	ok(counter_sum(CNT_unhook) && !bits, "%lu tables are emptied; CPUs %#lx remember pages",
	   counter_sum(CNT_unhook), bits);
	frame_free_many(mine, UNHOOKED);
	check_end(false);
}

/* --- many vCPUs --- */

#define FRAMES 6

static void map_and_unmap(struct frame *const *mine)
{
	unsigned first = sim_random(3), n = 1 + sim_random(FRAMES - 3);
	vaddr_t va = (vaddr_t)vmap(mine + first, n, VM_W);
	u64 v;

	KASSERT(va, "no mapping: %s", sim_printed());
	for (unsigned i = 0; i < n; i++) {
		u64 want = frame_pfn(mine[first + i]).n << 8 | sim.cpu;

		KASSERT(!sim_write(sim.cpu, va + i * PAGE_SIZE, want), "not writable");
		KASSERT(!sim_read(sim.cpu, va + i * PAGE_SIZE, &v) && v == want, "page %u", i);
	}
	vunmap((void *)va);
}

static void use_a_space(void)
{
	struct aspace *as = new_space("of one vCPU");

	KASSERT(!aspace_map(as, BASE, 2, VM_W) && !aspace_load(as), "not loaded: %s",
		sim_printed());
	KASSERT(!sim_write(sim.cpu, BASE, sim.cpu) && reads(sim.cpu, BASE, sim.cpu), "lost");
	KASSERT(!aspace_unmap(as, BASE + PAGE_SIZE, 1), "not unmapped");
	aspace_leave();
	destroy(as);
}

static void worker(void *arg __attribute__((unused)))
{
	for (unsigned round = 0; round < 5; round++) {
		struct frame *mine[FRAMES];

		KASSERT(!frame_alloc_many(mine, FRAMES, 0), "no frames");
		for (unsigned i = 0; i < FRAMES; i++) /* it may have been a table a moment ago */
			KASSERT(!sim_write(sim.cpu, DIRECT_BASE + frame_paddr(mine[i]), i),
				"frame %#lx is still sealed", frame_pfn(mine[i]).n);
		for (unsigned i = 0; i < 3; i++)
			map_and_unmap(mine);
		if (!sim_random(3)) {
			vm_unmap_aliases();
			for (unsigned i = 0; i < FRAMES; i++)
				KASSERT(!(sim_tlb_frame_holders(frame_pfn(mine[i])).bits &
					  sim_online().bits),
					"purged, yet CPUs %#lx map the frame",
					sim_tlb_frame_holders(frame_pfn(mine[i])).bits);
		}
		frame_free_many(mine, FRAMES);
		use_a_space();
	}
}

static void test_workers(void)
{
	struct rest before;

	purge = seed % 2 ? PT_PURGE_EXACT : seed % 4 ? PT_PURGE_ALL : PT_PURGE_UNHOOK;
	lazy = (enum lazy_policy)(seed % 3);
	boot(3);
	destroy(new_space("the pool's frame"));
	vm_unmap_aliases();
	before = rest();
	sim.preempt = 1 + (u32)seed % 7;
	sim.speculate = 60;
	sim.store_buffer = seed % 3;
	sim.sleepy = 4;
	for (unsigned cpu = 0; cpu < 3; cpu++)
		sim_spawn(cpu, worker, NULL);
	sim_run();
	sim.sleepy = 0;
	sim.asleep.bits = 0;
	sim_settle();
	sim.preempt = sim.speculate = 0;
	vm_unmap_aliases();
	ok(rest().at_hand == before.at_hand, "seed %lu: %lu steps: nothing is left", seed,
	   sim.steps);
	check_end(false);
}

int main(void)
{
	for (purge = 0; purge < NR_PURGE_POLICIES; purge++)
		for (lazy = 0; lazy < NR_LAZY_POLICIES; lazy++)
			sim_scenario("purge before", test_purge_before);
	purge = PT_PURGE_EXACT;
	for (lazy = 0; lazy < NR_LAZY_POLICIES; lazy++)
		sim_scenario("refused", test_refused);
	sim_scenario("locked", test_locked);
	sim_scenario("unhooked", test_unhooked);
	for (seed = 1; seed <= 12; seed++)
		sim_scenario("workers", test_workers);
	return done_testing();
}
