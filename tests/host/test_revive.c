// SPDX-License-Identifier: MIT
/*
 * Policy pte: a lazy mapping comes back to life, or a purge takes it away, but never both. The
 * random half has CPUs that map, unmap, purge all and purge frames, each of which may lose its turn
 * at any shared access; mm_check() afterwards counts every area on every list, so a LISTED bit that
 * was lost, or an area listed twice, is found.
 */
// links: mm/*.c tests/host/sim*.c
#include "mm/check.h"
#include "mm/chunk.h"
#include "mm/kmap.h"
#include "mm/park.h"
#include "mm/shootdown.h"
#include "mm/vmalloc.h"
#include "mm/vmap.h"
#include "tests/host/mapping.h"

static void test_kmap(void)
{
	vaddr_t a, b, c;

	sim_boot(&(struct sim_config){.cpus = 2, .keep = true, .direct_limit = 24 * MiB});
	KASSERT(!frame_alloc_many(f, 2, FRAME_HIGH) && f[0]->zone == ZONE_HIGH, "high frames");
	a = (vaddr_t)kmap(f[0]);
	sim_write(0, a, 42);
	kunmap((void *)a);
	is_u64(state_of(a), AREA_LAZY, "a kmap stays behind");
	is_u64((vaddr_t)kmap(f[0]), a, "and comes back");
	is_u64(counter_sum(CNT_revive), 1, "revived");
	b = (vaddr_t)kmap(f[0]);
	ok(b && b != a, "a second one at the same time has an address of its own");
	kunmap((void *)a);
	c = (vaddr_t)kmap(f[1]);
	ok(c && c != a && c != b, "another frame does not get it");
	kunmap((void *)b);
	EXPECT_PANIC("double unmap", kunmap((void *)b));
	kunmap((void *)c);
	is_u64(frame_aliases(f[0]), 2, "two lazy aliases");
	a = (vaddr_t)vmap(f, 1, VM_W);
	ok(a != b && state_of(b) == AREA_LAZY, "what was a kmap is not revived by vmap");
	vunmap((void *)a);
	lazy_purge(PURGE_PTES);
	ok(!frame_aliases(f[0]) && state_of(b) == AREA_CLEARED, "a purge ends it");
	c = counter_sum(CNT_revive);
	kunmap(kmap(f[0]));
	is_u64(counter_sum(CNT_revive), c, "then nothing is revived");
	vm_unmap_aliases();
	frame_free_many(f, 2);
}

static void test_vmap(void)
{
	vaddr_t a, b;

	sim_boot(&(struct sim_config){.cpus = 2, .keep = true});
	get_frames(6);
	a = (vaddr_t)vmap(f, 4, VM_W);
	vunmap((void *)a);
	is_u64((vaddr_t)vmap(f, 4, VM_W), a, "the same frames come back");
	vunmap((void *)a);
	b = (vaddr_t)vmap(f, 4, VM_R);
	ok(b != a && sim_write(0, b, 1) == SIM_NOT_WRITABLE, "not with other rights");
	vunmap((void *)b);
	b = (vaddr_t)vm_map_ram(f, 4, VM_W);
	ok(b != a, "nor by another call");
	vm_unmap_ram((void *)b, 4);
	b = (vaddr_t)vmap(f, 3, VM_W);
	ok(b != a && reads_right(1, b, f, 3), "nor fewer of them");
	vunmap((void *)b);
	a = (vaddr_t)vmap(f, 4, VM_W);
	vunmap((void *)a);
	f[4] = f[3];
	f[3] = f[5];
	b = (vaddr_t)vmap(f, 4, VM_W);
	ok(b != a && reads_right(0, b, f, 4), "nor if the last one is another");
	is_u64(state_of(a), AREA_LAZY, "that one is lazy as it was");
	vunmap((void *)b);
	f[3] = f[4];
	f[4] = frame_alloc(0, 0);
	b = (vaddr_t)vmap(f, 4, VM_W);
	is_u64(vm_protect((void *)b, VM_R), 0, "rights may change");
	vunmap((void *)b);
	a = (vaddr_t)vmap(f, 4, VM_W);
	ok(!sim_write(0, a, 1) && !sim_write(1, a + 3 * PAGE_SIZE, 1), "then it is not revived");
	vunmap((void *)a);
	is_u64(mm_check(false), 0, "mm_check() agrees");
	vm_unmap_aliases();
	frame_free_many(f, 6);
}

/* A frame that is freed and used again is not revived for its new owner by what the old one had. */
static void test_freed(void)
{
	struct frame *again[1];
	vaddr_t a, b;

	sim_boot(&(struct sim_config){.cpus = 2, .keep = true});
	get_frames(1);
	a = (vaddr_t)kmap(f[0]);
	kunmap((void *)a);
	frame_free(f[0], 0);
	ok(!kmap(f[0]), "a free frame is not mapped, though a lazy mapping of it stands");
	is_u64(vm_unmap_frame_aliases(f, 1, PURGE_PTES), 0, "a purge of a free frame");
	ok(!frame_aliases(f[0]) && !mm_check(false), "takes its lazy mapping away");
	KASSERT(!frame_alloc_many(again, 1, 0) && again[0] == f[0], "another frame");
	b = (vaddr_t)kmap(f[0]);
	is_u64(frame_aliases(f[0]), 1, "it has one alias now");
	kunmap((void *)b);
	vm_unmap_aliases();
	frame_free(f[0], 0);
}

/* Nor is one of several frames: the others are looked at once the area is taken. */
static void test_one_of_several_freed(void)
{
	vaddr_t va;

	sim_boot(&(struct sim_config){.cpus = 2, .keep = true});
	get_frames(3);
	for (unsigned i = 0; i < 3; i++) {
		struct frame *gone = f[i];

		va = (vaddr_t)vmap(f, 3, VM_W);
		vunmap((void *)va);
		frame_free(gone, 0);
		ok(!vmap(f, 3, VM_W) && state_of(va) == AREA_LAZY, "frame %u is free: no revival",
		   i);
		is_u64(mm_check(false), 0, "mm_check() agrees");
		f[i] = frame_alloc(0, 0);
		ok(f[i] == gone && vmap(f, 3, VM_W) == (void *)va, "in use again: it is revived");
		vunmap((void *)va);
		vm_unmap_aliases();
	}
	frame_free_many(f, 3);
}

/* --- all at once --- */

#define SHARED 3
static u64 seed;
static struct frame *shared[SHARED];

static void map_one(unsigned i)
{
	void *va = kmap(shared[i]);
	u64 v;

	KASSERT(va, "no mapping: %s", sim_printed());
	KASSERT(!sim_write(sim.cpu, (vaddr_t)va, i), "not writable");
	KASSERT(!sim_read(sim.cpu, (vaddr_t)va, &v) && *(u64 *)frame_virt(shared[i]) == v,
		"not the frame");
	kunmap(va);
}

static void map_some(void)
{
	unsigned first = sim_random(SHARED), n = 1 + sim_random(SHARED - first);
	void *va = vmap(shared + first, n, VM_W);

	KASSERT(va, "no mapping: %s", sim_printed());
	for (unsigned i = 0; i < n; i++)
		KASSERT(!sim_write(sim.cpu, (vaddr_t)va + i * PAGE_SIZE, first + i),
			"not writable");
	for (unsigned i = 0; i < n; i++)
		KASSERT(*(u64 *)frame_virt(shared[first + i]) == first + i, "not the frame");
	vunmap(va);
}

/* What was unmapped before a purge is gone when it returns, though others purge as well. */
static void map_and_purge(void)
{
	struct frame *own = frame_alloc(0, 0);

	KASSERT(own, "no frame");
	kunmap(kmap(own));
	vm_unmap_aliases();
	KASSERT(!sim_tlb_frame_holders(frame_pfn(own)).bits, "purged, and remembered");
	KASSERT(!frame_aliases(own), "purged, and mapped");
	frame_free(own, 0);
}

static atomic_t mapping; /* mappers that are not done */

static void mapper(void *arg __attribute__((unused)))
{
	for (unsigned i = 0; i < 60; i++)
		switch (sim_random(12)) {
		case 0:
			map_and_purge();
			break;
		case 1:
			vm_unmap_frame_aliases(shared + sim_random(SHARED), 1, PURGE_PTES);
			break;
		case 2 ... 4:
			map_some();
			break;
		default:
			map_one(sim_random(SHARED));
		}
	atomic_fetch_add(&mapping, -1ull);
}

/* Now and then, as long as there is somebody to disturb: to carve the first areas takes long. */
static void purger(void *arg __attribute__((unused)))
{
	while (atomic_read(&mapping))
		switch (sim_random(16)) {
		case 0:
			lazy_purge(PURGE_PTES);
			break;
		case 1:
			vm_unmap_aliases();
			break;
		case 2 ... 4:
			vm_unmap_frame_aliases(shared, 1 + sim_random(SHARED),
					       (enum purge_phase)sim_random(2));
			break;
		default:
			cpu_relax();
		}
}

static void test_storm(void)
{
	sim_boot(&(struct sim_config){
		.cpus = 3, .seed = seed, .keep = true, .lazy_max_pages = seed % 4 ? 1024 : 20});
	for (unsigned i = 0; i < SHARED; i++)
		shared[i] = frame_alloc(0, 0);
	atomic_set(&mapping, seed % 3 ? 2 : 1); /* while stores are seen at once */
	sim.preempt = 1 + (u32)seed % 4;
	sim.store_buffer = seed % 2;
	sim_spawn(0, mapper, NULL);
	sim_spawn(1, seed % 3 ? mapper : purger, NULL);
	sim_spawn(2, purger, NULL);
	sim_run();
	sim_settle();
	sim.preempt = 0;
	KASSERT(!mm_check(false), "%s", sim_printed());
	lazy_purge(PURGE_FLUSH);
	for (unsigned i = 0; i < SHARED; i++) {
		KASSERT(!frame_aliases(shared[i]), "left over");
		KASSERT(!sim_tlb_frame_holders(frame_pfn(shared[i])).bits, "remembered");
		frame_free(shared[i], 0);
	}
	ok(true, "seed %lu: %lu revived, %lu purges, %lu frames' aliases purged", seed,
	   counter_sum(CNT_revive), counter_sum(CNT_purge), counter_sum(CNT_purge_hit));
}

/*
 * CPU 0 unmaps; as soon as the mapping is lazy CPU 1 may revive it, unmap it again, and purge: then
 * its entry is gone, whether CPU 0 is done or not.
 */
static atomic_t leaving;

static void leave_or_follow(void *arg __attribute__((unused)))
{
	vaddr_t va;

	if (sim.cpu == 0) {
		va = (vaddr_t)kmap(f[0]);
		atomic_set(&leaving, 1);
		kunmap((void *)va);
		return;
	}
	while (!atomic_read(&leaving))
		cpu_relax();
	for (u32 n = sim_random(30); n; n--)
		sim_step();
	va = (vaddr_t)kmap(f[0]);
	kunmap((void *)va);
	lazy_purge(PURGE_PTES);
	KASSERT(!entry_of(va)->v, "unmapped and purged, and still there");
}

static void test_revived_at_once(void)
{
	sim_boot(&(struct sim_config){.cpus = 2, .keep = true, .seed = 1});
	get_frames(1);
	for (unsigned i = 0; i < 400; i++) {
		atomic_set(&leaving, 0);
		sim_run_all(2, 2, leave_or_follow, NULL);
	}
	ok(counter_sum(CNT_revive) > 50, "%lu of 400 were revived", counter_sum(CNT_revive));
	vm_unmap_aliases();
	frame_free(f[0], 0);
}

int main(void)
{
	sim_scenario("kmap", test_kmap);
	sim_scenario("vmap", test_vmap);
	sim_scenario("freed", test_freed);
	sim_scenario("one of several freed", test_one_of_several_freed);
	sim_scenario("revived at once", test_revived_at_once);
	for (seed = 1; seed <= 60; seed++)
		sim_scenario("storm", test_storm);
	return done_testing();
}
