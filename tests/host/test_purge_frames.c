// SPDX-License-Identifier: MIT
/*
 * vm_unmap_frame_aliases(): of the frames given, and of no others, no lazy alias is left; by how
 * many flushes, and how exact. Linux's counterpart walks all there is and flushes all CPUs; the
 * counts here say what that saves.
 */
// links: mm/*.c tests/host/sim*.c
#include "mm/check.h"
#include "mm/kmap.h"
#include "mm/park.h"
#include "mm/shootdown.h"
#include "mm/vmap.h"
#include "tests/host/mapping.h"

static u64 costs(void)
{
	return counter_sum(CNT_shootdown) + counter_sum(CNT_ipi_sent) + counter_sum(CNT_purge_hit);
}

static void test_never_mapped(void)
{
	u64 steps, before;

	sim_boot(&(struct sim_config){.cpus = 3, .keep = true});
	get_frames(40);
	steps = sim.steps;
	is_u64(vm_unmap_frame_aliases(f, 4, PURGE_FLUSH), 0, "four frames that were never mapped");
	steps = sim.steps - steps;
	is_u64(costs(), 0, "cost nothing");
	for (unsigned i = 4; i < 40; i++)
		kunmap(kmap(f[i]));
	before = sim.steps;
	is_u64(vm_unmap_frame_aliases(f, 4, PURGE_FLUSH), 0, "beside 36 lazy mappings");
	is_u64(sim.steps - before, steps, "not a step more");
	is_u64(costs(), 0, "nor a flush");
	vm_unmap_aliases();
	frame_free_many(f, 40);
}

/* Exactly the page of the frame, in an area of several: the others keep their entries. */
static void test_exact(void)
{
	vaddr_t va, other;
	u64 v;

	sim_boot(&(struct sim_config){.cpus = 3, .keep = true});
	get_frames(8);
	va = (vaddr_t)vmap(f, 5, VM_W);
	other = (vaddr_t)vmap(f + 4, 4, VM_W);
	reads_right(1, va, f, 5);
	vunmap((void *)va);
	vunmap((void *)other);
	is_u64(vm_unmap_frame_aliases(&f[2], 1, PURGE_PTES), 0, "the third frame");
	is_u64(frame_aliases(f[2]), 0, "has no entry any more");
	ok(frame_remembered(f[2]) && sim_tlb_holders(va + 2 * PAGE_SIZE, 1).bits,
	   "but CPUs remember");
	is_u64(vm_unmap_frame_aliases(&f[2], 1, PURGE_FLUSH), 0, "phase two");
	ok(!frame_remembered(f[2]) && !sim_tlb_frame_holders(frame_pfn(f[2])).bits,
	   "not after the flush");
	ok(reads_right(0, va, f, 2) && reads_right(0, va + 3 * PAGE_SIZE, f + 3, 2) &&
		   faults(0, va + 2 * PAGE_SIZE, 1),
	   "the area has a hole, and is as it was elsewhere");
	is_u64(mm_check(false), 0, "mm_check() agrees");
	ok(vmap(f, 5, VM_W) != (void *)va, "it is not revived");
	vunmap((void *)(vaddr_t)this_park()->last->start);
	v = counter_sum(CNT_tlb_page);
	is_u64(vm_unmap_frame_aliases(&f[7], 1, PURGE_FLUSH), 0, "a frame with one lazy alias");
	is_u64(counter_sum(CNT_tlb_page) - v, 3, "is one page on each CPU");
	is_u64(vm_unmap_frame_aliases(&f[4], 1, PURGE_FLUSH), 0, "one with three");
	ok(!frame_aliases(f[4]) && !sim_tlb_frame_holders(frame_pfn(f[4])).bits, "all are gone");
	is_u64(lazy_purge(PURGE_FLUSH), 3 + 4 + 2, "the rest is the next purge's");
	is_u64(mm_check(false), 0, "mm_check() agrees");
	frame_free_many(f, 8);
}

/* What a live area maps is not ours to take; the lazy ones go all the same. */
static void test_busy(void)
{
	void *live, *lazy, *local;

	sim_boot(&(struct sim_config){.cpus = 2, .keep = true});
	get_frames(2);
	live = vmap(f, 2, VM_W);
	lazy = kmap(f[0]);
	kunmap(lazy);
	is_u64((u64)vm_unmap_frame_aliases(f, 2, PURGE_FLUSH), (u64)-EBUSY, "a live alias");
	ok(frame_aliases(f[0]) == 1 && frame_aliases(f[1]) == 1 && faults(1, (vaddr_t)lazy, 1),
	   "the lazy one is gone");
	ok(reads_right(1, (vaddr_t)live, f, 2), "the live one is not");
	vunmap(live);
	vm_unmap_aliases();
	local = kmap_local(f[0]);
	is_u64((u64)vm_unmap_frame_aliases(f, 1, PURGE_PTES), (u64)-EBUSY, "as is a kmap_local");
	kunmap_local(local);
	is_u64(vm_unmap_frame_aliases(f, 1, PURGE_FLUSH), 0, "until it ends");
	irq_disable();
	is_u64(vm_unmap_frame_aliases(f, 2, PURGE_PTES), 0, "phase one is for any IRQ state");
	irq_enable();
	frame_free_many(f, 2);
}

/* Under tlb there are stamps only: covered, nothing happens; else the late CPUs flush, once. */
static void test_stamps(void)
{
	sim_boot(&(struct sim_config){.cpus = 3});
	get_frames(4);
	vunmap(vmap(f, 4, VM_W));
	is_u64(vm_unmap_frame_aliases(f, 4, PURGE_PTES), 0, "nothing to clear");
	is_u64(costs(), 0, "so nothing is done");
	ok(frame_remembered(f[3]) && sim_tlb_frame_holders(frame_pfn(f[3])).bits == 7, "though");
	is_u64(vm_unmap_frame_aliases(f, 4, PURGE_FLUSH), 0, "and flush");
	ok(!sim_tlb_frame_holders(frame_pfn(f[3])).bits && counter_sum(CNT_shootdown) == 1,
	   "one shootdown for all four");
	is_u64(vm_unmap_frame_aliases(f, 4, PURGE_FLUSH), 0, "once more");
	is_u64(counter_sum(CNT_shootdown), 1, "not flushed again");
	vunmap(vmap(f, 4, VM_W));
	all_quiet();
	vm_unmap_frame_aliases(f, 4, PURGE_FLUSH);
	is_u64(counter_sum(CNT_shootdown), 1, "nor what all have flushed by themselves");
	frame_free_many(f, 4);
	is_u64(vm_unmap_frame_aliases(f, 4, PURGE_FLUSH), 0, "free frames as well");
}

/* => after a purge and flush of f[0] no CPU can reach it */
static bool forgotten_by_purge(void)
{
	return !vm_unmap_frame_aliases(f, 1, PURGE_FLUSH) &&
	       !sim_tlb_frame_holders(frame_pfn(f[0])).bits;
}

/*
 * The stamp of an alias that ended before the lazy one began is in no word any more, yet a CPU may
 * remember it: exact pages would not be enough (area->older).
 */
static void test_older(void)
{
	vaddr_t old, live;

	sim_boot(&(struct sim_config){.cpus = 3, .keep = true});
	get_frames(1);
	old = (vaddr_t)kmap(f[0]);
	kunmap((void *)old);
	is_u64(vm_unmap_frame_aliases(f, 1, PURGE_PTES), 0, "the first is cleared");
	kunmap(kmap(f[0]));
	ok(sim_tlb_holders(old, 1).bits, "and remembered, though its stamp is gone");
	ok(forgotten_by_purge(), "a purge of the second makes all forget both");
	old = (vaddr_t)kmap(f[0]);
	live = (vaddr_t)kmap(f[0]);
	kunmap((void *)old);
	is_u64((u64)vm_unmap_frame_aliases(f, 1, PURGE_PTES), (u64)-EBUSY, "one of two goes");
	kunmap((void *)live);
	ok(forgotten_by_purge(), "then the other, and neither is remembered");
	frame_free(f[0], 0);
}

static void map_and_purge(void *arg __attribute__((unused)))
{
	kunmap(kmap(f[0]));
	if (sim.cpu)
		vm_unmap_frame_aliases(f, 1, PURGE_PTES);
}

/*
 * One CPU's alias begins and ends between another's look at the frame and its own alias: that takes
 * long turns, at the right moment.
 */
static void test_older_at_once(void)
{
	unsigned bad = 0;

	sim_boot(&(struct sim_config){.cpus = 2, .keep = true, .seed = 1});
	get_frames(1);
	for (unsigned i = 0; i < 12000; i++) {
		sim_run_all(2, 1 + i % 64, map_and_purge, NULL);
		bad += !forgotten_by_purge();
	}
	is_u64(bad, 0, "two CPUs' aliases of a frame, and all are forgotten");
	frame_free(f[0], 0);
}

/* hold=on: a freed frame is nobody's until no CPU can reach it. */
static void test_hold(void)
{
	struct frame *g, *h;

	sim_boot(&(struct sim_config){.cpus = 2});
	get_frames(2);
	frame_set_hold(true);
	ok(frame_hold(), "hold=on");
	vunmap(vmap(f, 1, VM_W));
	frame_free(f[0], 0);
	ok(f[0]->type == FRAME_HELD && frame_held_total() == 1, "held while CPUs remember it");
	frame_free(f[1], 0);
	ok(f[1]->type == FRAME_CACHED, "one that nobody remembers is not");
	EXPECT_PANIC("double free", frame_free(f[0], 0));
	is_u64(frame_release_held(), 0, "it stays");
	is_u64(mm_check(false), 0, "mm_check() agrees");
	all_quiet();
	is_u64(frame_release_held(), 1, "until all have flushed");
	ok(f[0]->type == FRAME_CACHED && !frame_held_total(), "then it is free");
	lazy_set_policy(LAZY_PTE);
	g = frame_alloc(0, 0);
	kunmap(kmap(g));
	frame_free(g, 0);
	all_quiet();
	ok(!frame_release_held() && g->type == FRAME_HELD, "a lazy entry holds it as well");
	h = frame_alloc(2, 0);
	frame_free(h, 2);
	ok(h->type == FRAME_FREE, "a block that was never mapped is free at once");
	h = frame_alloc(1, 0);
	KASSERT(h, "no block");
	kunmap(kmap(h + 1));
	frame_free(h, 1);
	ok(h->type == FRAME_HELD && h[1].type == FRAME_HELD, "of a block one frame is enough");
	vm_unmap_frame_aliases((struct frame *[]){h + 1}, 1, PURGE_FLUSH);
	is_u64(vm_unmap_frame_aliases(&g, 1, PURGE_FLUSH), 0, "a purge of that frame");
	all_quiet(); /* the flush was of one page, which no CPU's clock counts */
	is_u64(frame_release_held(), 3, "releases it, and the block");
	g = frame_alloc(0, 0);
	kunmap(kmap(g));
	frame_free(g, 0);
	frame_set_hold(false);
	ok(g->type == FRAME_CACHED && frame_aliases(g) == 1,
	   "off: as it is, the stray alias and all");
	vm_unmap_frame_aliases(&g, 1, PURGE_FLUSH);
}

static bool keep;

/* Memory that is held is not lost: who finds none makes all forget it, where he may wait. */
static void test_held_and_none_left(void)
{
	static struct frame *rest[8192];
	unsigned n = 0;

	sim_boot(&(struct sim_config){.cpus = 3, .keep = keep});
	get_frames(4);
	frame_set_hold(true);
	vunmap(vmap(f, 4, VM_W));
	frame_free_many(f, 4);
	irq_disable();
	while ((rest[n] = frame_alloc(0, 0)))
		n++;
	irq_enable();
	ok(n > 1000 && frame_held_total() == 4, "with interrupts off nobody is waited for");
	is_u64((u64)frame_alloc_many(f, 4, 0), 0, "else what is held is found");
	for (unsigned i = 0; i < 4; i++)
		ok(!frame_held_total() && !frame_aliases(f[i]) &&
			   !sim_tlb_frame_holders(frame_pfn(f[i])).bits,
		   "and can be reached by nobody");
	ok(!frame_alloc(0, 0), "then there is none");
	frame_free_many(f, 4);
	frame_free_many(rest, n);
}

/* The stamp that a kmap_local leaves is later than any that others have cause to flush by. */
static void test_held_since_a_slot(void)
{
	static struct frame *rest[8192];
	unsigned n = 0;

	sim_boot(&(struct sim_config){.cpus = 3});
	get_frames(2);
	vunmap(vmap(f + 1, 1, VM_W));
	all_quiet();
	kunmap_local(kmap_local(f[0]));
	frame_set_hold(true);
	frame_free(f[0], 0);
	is_u64(frame_held_total(), 1, "held: it was mapped a moment ago");
	all_quiet();
	is_u64(frame_release_held(), 0, "and nobody has cause to flush");
	while ((rest[n] = frame_alloc(0, 0)))
		n++;
	ok(n && rest[n - 1] == f[0] && !frame_held_total(), "but who finds none, finds it");
	frame_free_many(rest, n);
	frame_free(f[1], 0);
}

int main(void)
{
	sim_scenario("never mapped", test_never_mapped);
	sim_scenario("exact", test_exact);
	sim_scenario("busy", test_busy);
	sim_scenario("stamps", test_stamps);
	sim_scenario("older", test_older);
	sim_scenario("older, at once", test_older_at_once);
	sim_scenario("hold", test_hold);
	sim_scenario("held and none left, under tlb", test_held_and_none_left);
	keep = true;
	sim_scenario("held and none left, under pte", test_held_and_none_left);
	sim_scenario("held since a slot", test_held_since_a_slot);
	return done_testing();
}
