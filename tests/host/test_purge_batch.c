// SPDX-License-Identifier: MIT
/*
 * Purges where entries are asked for and not written (mm/run_queued.c): they ask seldom, whatever
 * the entries' areas, and nothing is said to be gone before it is. The simulated platform looks at
 * every entry of a batch for that (tests/host/sim_mmu.c).
 */
// links: mm/*.c tests/host/sim*.c
#include "mm/check.h"
#include "mm/kmap.h"
#include "mm/shootdown.h"
#include "mm/vmap.h"
#include "tests/host/mapping.h"

#define AREAS 700

static void boot(unsigned nr)
{
	sim_boot(&(struct sim_config){
		.cpus = nr, .keep = true, .deferred = true, .seed = 5, .lazy_max_pages = 100000});
}

/* Areas of 1, 2, 3, 1... pages, f in turn. => their pages */
static unsigned leave_lazy(unsigned areas)
{
	static void *va[AREAS];
	unsigned pages = 0;

	for (unsigned i = 0; i < areas; i++) {
		va[i] = vmap(f + pages, 1 + i % 3, VM_W);
		pages += 1 + i % 3;
	}
	for (unsigned i = 0; i < areas; i++)
		vunmap(va[i]);
	return pages;
}

static void test_all(void)
{
	unsigned pages;
	void *big;
	u64 was;

	boot(3);
	get_frames(MANY);
	pages = leave_lazy(AREAS);
	is_u64(pages, 1399, "700 lazy areas");
	was = sim.batches;
	is_u64(lazy_purge(PURGE_PTES), pages, "are purged");
	is_u64(sim.batches - was, 3, "by three batches");
	ok(aliases_are(pages, 0) && !mm_check(false), "and none is left");
	vm_unmap_aliases();
	big = vmap(f, MANY, VM_W);
	vunmap(vmap(f, 2, VM_R));
	vunmap(big);
	was = sim.batches;
	is_u64(lazy_purge(PURGE_FLUSH), MANY + 2, "an area of four tables, and a small one");
	ok(sim.batches - was <= 6, "are a batch a table and one more");
	ok(aliases_are(MANY, 0) && !mm_check(false), "and none is left");
	is_u64(sim_tlb_holders(VMAP_BASE, 8192).bits, 0, "nor remembered");
	frame_free_many(f, MANY);
}

/* After some pages of an area are gone. */
static void test_holed(void)
{
	u64 was;

	boot(2);
	get_frames(64);
	for (unsigned i = 0; i < 64; i += 8)
		vunmap(vmap(f + i, 8, VM_W));
	is_u64((u64)vm_unmap_frame_aliases(f + 4, 9, PURGE_PTES), 0, "9 of 64 pages");
	was = sim.batches;
	is_u64(lazy_purge(PURGE_PTES), 64 - 9, "the others");
	is_u64(sim.batches - was, 1, "by one batch");
	vunmap(vmap(f, 8, VM_W)); /* an area that had holes serves again */
	is_u64(lazy_purge(PURGE_FLUSH), 8, "and is whole");
	ok(aliases_are(64, 0), "none is left");
	frame_free_many(f, 64);
}

static u64 purge_by_batches(struct frame *const *list, unsigned n, int err)
{
	u64 was = sim.batches;

	is_u64((u64)vm_unmap_frame_aliases(list, n, PURGE_FLUSH), (u64)err, "%u frames", n);
	return sim.batches - was;
}

static void test_frames(void)
{
	struct frame *g[96];
	void *live;

	boot(3);
	get_frames(96);
	for (unsigned i = 0; i < 96; i += 4)
		vunmap(vmap(f + i, 4, VM_W));
	is_u64(purge_by_batches(f + 2, 90, 0), 1, "of 23 areas are one batch");
	ok(aliases_are(2, 1) && !frame_aliases(f[2]) && !frame_aliases(f[91]) &&
		   frame_aliases(f[92]),
	   "these and no others");
	vm_unmap_aliases();
	vunmap(vmap(f, 96, VM_W));
	for (unsigned i = 0; i < 96; i++)
		g[i] = f[95 - i];
	is_u64(purge_by_batches(g, 96, 0), 1, "backwards as well");
	vunmap(vmap(f, 96, VM_W));
	for (unsigned i = 0; i < 96; i++)
		g[i] = f[i / 2];
	is_u64(purge_by_batches(g, 96, 0), 48, "given twice, to be on the safe side, are one each");
	ok(aliases_are(48, 0), "and gone");
	vm_unmap_aliases();
	live = vmap(f, 2, VM_W);
	vunmap(vmap(f, 3, VM_W));
	kunmap(kmap(f[1]));
	is_u64(purge_by_batches(f, 3, -EBUSY), 1, "with live and with several aliases");
	ok(frame_aliases(f[0]) == 1 && frame_aliases(f[1]) == 1 && !frame_aliases(f[2]),
	   "the live ones are left");
	vunmap(live);
	vm_unmap_aliases();
	is_u64(sim_tlb_holders(VMAP_BASE, 4096).bits, 0, "nothing is remembered");
	frame_free_many(f, 96);
}

static void test_refused(void)
{
	boot(1);
	get_frames(4);
	vunmap(vmap(f, 4, VM_W));
	sim.fail_batch = 2;
	EXPECT_PANIC("refused to clear 4 entries", lazy_purge(PURGE_PTES));
	EXPECT_PANIC("refused to clear 4 entries", vm_unmap_frame_aliases(f, 4, PURGE_PTES));
	sim.fail_batch = 0;
	vm_unmap_aliases();
	frame_free_many(f, 4);
}

static void map_and_purge(void *arg __attribute__((unused)))
{
	struct frame **mine = f + 8 * sim_random(4);

	for (unsigned i = 0; i < 6; i++) {
		unsigned at = sim_random(6), n = 1 + sim_random(8 - at);

		switch (sim_random(4)) {
		case 0:
			lazy_purge(PURGE_PTES);
			break;
		case 1:
			(void)vm_unmap_frame_aliases(mine + at, n, PURGE_FLUSH);
			break;
		default:
			vunmap(vmap(mine + at, n, VM_W));
		}
	}
}

static void test_at_once(void)
{
	unsigned bad = 0;

	boot(4);
	get_frames(32);
	for (unsigned i = 0; i < 1500; i++) {
		sim_run_all(4, 1 + i % 48, map_and_purge, NULL);
		bad += vm_unmap_frame_aliases(f, 32, PURGE_FLUSH) || !aliases_are(32, 0);
		for (unsigned k = 0; k < 32; k++)
			bad += !!sim_tlb_frame_holders(frame_pfn(f[k])).bits;
		if (i % 50 == 0)
			bad += mm_check(false);
	}
	is_u64(bad, 0, "four CPUs map and purge the same frames, and all are forgotten");
	vm_unmap_aliases();
	frame_free_many(f, 32);
}

static unsigned remembered;

static void purge_or_flush(void *arg __attribute__((unused)))
{
	if (!sim.cpu) {
		(void)vm_unmap_frame_aliases(f, 8, PURGE_FLUSH);
		for (unsigned i = 0; i < 8; i++)
			remembered += !!sim_tlb_frame_holders(frame_pfn(f[i])).bits;
	} else if (sim.cpu == 1) {
		lazy_purge(PURGE_PTES);
	} else {
		shootdown_flush_local();
	}
}

/*
 * What another CPU's purge has cleared just before us, it may be yet to flush; and who flushes
 * while our batch is open does so too soon.
 */
static void test_between(void)
{
	boot(3);
	get_frames(8);
	for (unsigned i = 0; i < 6000; i++) {
		vunmap(vmap(f, 5, VM_W));
		vunmap(vmap(f + 5, 3, VM_W));
		if (i % 2)
			vm_unmap_frame_aliases(f, i % 4, PURGE_PTES);
		sim_run_all(3, 1 + i % 48, purge_or_flush, NULL);
		vm_unmap_aliases();
		for (unsigned cpu = 0; cpu < 3; cpu++) {
			sim_on(cpu);
			shootdown_flush_local(); /* so that exact pages are enough */
		}
		sim_on(0);
	}
	is_u64(remembered, 0, "with others at it, a frame purged is forgotten when we return");
	frame_free_many(f, 8);
}

int main(void)
{
	sim_scenario("everything", test_all);
	sim_scenario("holed", test_holed);
	sim_scenario("frames", test_frames);
	sim_scenario("refused", test_refused);
	sim_scenario("at once", test_at_once);
	sim_scenario("between", test_between);
	return done_testing();
}
