// SPDX-License-Identifier: MIT
/*
 * mm/lazy.c against mm/lazy.h: who waits how long under which policy, what brings addresses back,
 * and at what price in flushes; settings changed while the machine runs. What a purge and a revival
 * do to each other: test_revive.c. The lists themselves: test_park.c.
 */
// links: mm/*.c tests/host/sim*.c
#include "mm/check.h"
#include "mm/kmap.h"
#include "mm/park.h"
#include "mm/shootdown.h"
#include "mm/vmalloc.h"
#include "mm/vmap.h"
#include "tests/host/mapping.h"

static struct lazy_stats stats(void)
{
	struct lazy_stats st;

	lazy_stats(&st);
	return st;
}

/* n pages are mapped and unmapped. => where they were */
static vaddr_t pass(unsigned n)
{
	void *va = vmap(f, n, VM_W);

	KASSERT(va, "no mapping");
	vunmap(va);
	return (vaddr_t)va;
}

static void test_names(void)
{
	enum lazy_policy p = LAZY_TLB;

	ok(!lazy_policy_parse("off", &p) && p == LAZY_OFF, "off");
	ok(!lazy_policy_parse("pte", &p) && p == LAZY_PTE, "pte");
	ok(!lazy_policy_parse("tlb", &p) && p == LAZY_TLB, "tlb");
	ok(lazy_policy_parse("", &p) == -EINVAL && lazy_policy_parse("tlbx", &p) == -EINVAL &&
		   lazy_policy_parse("OFF", &p) == -EINVAL && p == LAZY_TLB,
	   "anything else is -EINVAL and sets nothing");
	is_str(lazy_policy_name(LAZY_OFF), "off", "the name of off");
	is_str(lazy_policy_name(LAZY_TLB), "tlb", "the name of tlb");
	is_str(lazy_policy_name(LAZY_PTE), "pte", "the name of pte");
}

static void test_waiting(void)
{
	vaddr_t a, b;

	sim_boot(&(struct sim_config){.cpus = 2, .lazy_max_pages = 1000});
	get_frames(200);
	ok(stats().policy == LAZY_TLB && stats().max_pages == 1000 && !stats().areas &&
		   !stats().pages,
	   "at first nothing waits");
	is_u64(lazy_purge(PURGE_FLUSH), 0, "nothing comes home");
	is_u64(counter_sum(CNT_shootdown), 0, "and costs nothing");
	a = pass(10);
	ok(stats().areas == 1 && stats().pages == 10, "one area waits");
	b = pass(200);
	ok(stats().areas == 2 && stats().pages == 210 && stats().peak_pages >= 210, "two do");
	ok(pass(10) != a && stats().pages == 220, "none is used before all CPUs have flushed");
	sim_raise(1, SIM_TICK);
	sim_settle();
	is_u64(stats().areas, 3, "one CPU is not all");
	all_quiet();
	is_u64(stats().areas, 0, "then none waits");
	is_u64(counter_sum(CNT_shootdown) + counter_sum(CNT_ipi_sent), 0, "with no shootdown");
	is_u64(pass(200), b, "and the addresses are used again");
	is_u64(lazy_purge(PURGE_PTES), 0, "no entry was left to clear");
	is_u64(counter_sum(CNT_shootdown), 0, "nor a flush asked for");
	lazy_purge(PURGE_FLUSH);
	ok(!stats().pages && counter_sum(CNT_shootdown) == 1, "now it was");
	lazy_purge(PURGE_FLUSH);
	is_u64(counter_sum(CNT_shootdown), 1, "the same is not flushed twice (Linux a09fad96ffb1)");
	EXPECT_PANIC("interrupts off", {
		irq_disable();
		lazy_purge(PURGE_FLUSH);
	});
	irq_disable();
	is_u64(lazy_purge(PURGE_PTES), 0, "the first phase is for any IRQ state");
	irq_enable();
	frame_free_many(f, 200);
}

static u64 keep;

/* What the CPU has ready is taken without a look at anything else. */
static void test_ready(void)
{
	u64 misses, locks;

	sim_boot(&(struct sim_config){.keep = keep});
	get_frames(6);
	pass(3); /* and more of the size are carved */
	misses = counter_sum(CNT_park_miss);
	locks = counter_sum(CNT_lock);
	vunmap(vmap(f + 3, 3, VM_W)); /* other frames: nothing to revive */
	is_u64(counter_sum(CNT_park_miss), misses, "one of those is taken");
	is_u64(counter_sum(CNT_lock), locks, "without a lock, and left without one");
	vm_unmap_aliases();
	frame_free_many(f, 6);
}

/* Nobody looks at what waits until a share, or a page, has been unmapped: half of the bound. */
static void test_share(void)
{
	static const u64 bounds[] = {64, 3, 2, 1, 0};

	sim_boot(&(struct sim_config){.cpus = 2});
	get_frames(1);
	for (unsigned k = 0; k < ARRAY_SIZE(bounds); k++) {
		u64 flushes = counter_sum(CNT_quiet_flush), i;

		lazy_set_max(bounds[k]);
		for (i = 0; counter_sum(CNT_quiet_flush) == flushes; i++)
			pass(1);
		is_u64(i, MAX(bounds[k] / 2, 1ul) + 1, "the page too much, of %lu", bounds[k]);
	}
	vm_unmap_aliases();
	frame_free_many(f, 1);
}

/* What was unmapped under one bound counts under the next. */
static void test_bound_changed(void)
{
	sim_boot(&(struct sim_config){.cpus = 2, .lazy_max_pages = 64});
	get_frames(20);
	pass(20);
	lazy_set_max(1000);
	is_u64(stats().peak_pages, 20, "20 pages wait");
	pass(7);
	is_u64(stats().peak_pages, 27, "and 7");
	vm_unmap_aliases();
	frame_free_many(f, 20);
}

/* Each time a share is used up, what was unmapped before the share before it is forgotten. */
static void test_shares_forgotten(void)
{
	sim_boot(&(struct sim_config){.cpus = 2, .lazy_max_pages = 64});
	get_frames(33);
	for (unsigned i = 1; i <= 6; i++) {
		pass(33);
		is_u64(stats().pages, 33, "share %u waits, and no other does", i);
		sim_raise(1, SIM_TICK);
		sim_settle();
	}
	is_u64(stats().peak_pages, 66, "two did just before the second was looked at");
	vm_unmap_aliases();
	frame_free_many(f, 33);
}

/* A CPU that never passes a quiet point: what waits is bounded all the same. */
static void test_bounded(void)
{
	u64 most = 0;

	sim_boot(&(struct sim_config){.cpus = 2, .lazy_max_pages = 64});
	get_frames(4);
	for (unsigned i = 0; i < 2000; i++) {
		pass(4);
		most = MAX(most, stats().pages);
	}
	ok(most <= (PARK_CHECKPOINTS + 1) * (32 + 4), "at most %lu pages waited", most);
	ok(counter_sum(CNT_park_forced) > 10, "for too much did %lu times",
	   counter_sum(CNT_park_forced));
	ok(counter_sum(CNT_ipi_sent) <= counter_sum(CNT_park_forced),
	   "each of which cost one interrupt");
	is_u64(stats().peak_pages, (PARK_CHECKPOINTS + 1) * (32 + 4), "no peak is higher");
	lazy_set_max(0);
	pass(4);
	is_u64(stats().max_pages, 0, "a bound of 0 still lets the next two looks pass");
	vm_unmap_aliases();
	frame_free_many(f, 4);
}

static u64 kind;

/* So is what waits of each other kind, and of areas that stay until they are cleared. */
static void test_bounded_kinds(void)
{
	u64 most = 0;

	sim_boot(&(struct sim_config){.cpus = 2, .lazy_max_pages = 64, .keep = kind % 2});
	get_frames(4);
	for (unsigned i = 0; i < 1000; i++) {
		void *va;

		switch (kind / 2) {
		case 0:
			vfree(vmalloc(4 * PAGE_SIZE));
			break;
		case 1:
			vm_unmap_ram(vm_map_ram(f, 4, VM_W), 4);
			break;
		case 2:
			kunmap(kmap(f[0]));
			break;
		default:
			va = vmap_pfn(pfn_make(0xfe000), 4, VM_W | VM_UC, "device");
			KASSERT(va, "no mapping");
			vunmap(va);
		}
		most = MAX(most, stats().pages);
	}
	ok(most <= (PARK_CHECKPOINTS + 1) * (32 + 4), "at most %lu pages waited", most);
	vm_unmap_aliases();
	frame_free_many(f, 4);
}

/* What was revived is on the list, and nothing else: no CPU is given cause to flush. */
static void test_nothing_lazy(void)
{
	u64 newest;
	void *va;

	sim_boot(&(struct sim_config){.cpus = 2, .keep = true});
	get_frames(3);
	pass(3);
	va = vmap(f, 3, VM_W);
	is_u64(counter_sum(CNT_revive), 1, "a revival");
	shootdown_flush_local();
	newest = shootdown_newest();
	is_u64(lazy_purge(PURGE_PTES), 0, "a purge of nothing");
	is_u64(shootdown_newest(), newest, "gives out no stamp");
	vunmap(va);
	is_u64(lazy_purge(PURGE_PTES), 3, "a purge of three pages");
	ok(shootdown_newest() > newest, "does");
	vm_unmap_aliases();
	frame_free_many(f, 3);
}

/* Policies change while areas of each kind wait and live. */
static void test_policy(void)
{
	static const enum lazy_policy order[] = {LAZY_PTE, LAZY_OFF, LAZY_TLB, LAZY_PTE,
						 LAZY_TLB, LAZY_OFF, LAZY_PTE};
	vaddr_t va, old;

	sim_boot(&(struct sim_config){.cpus = 2});
	get_frames(3);
	for (unsigned i = 0; i < ARRAY_SIZE(order); i++) {
		old = (vaddr_t)vmap(f, 3, VM_W);
		lazy_set_policy(order[i]);
		ok(lazy_policy() == order[i] && stats().policy == order[i] && !stats().areas,
		   "a change to %s purges first", lazy_policy_name(order[i]));
		ok(reads_right(1, old, f, 3), "and leaves what is live");
		va = pass(2);
		is_u64(state_of(va), order[i] == LAZY_PTE ? AREA_LAZY : AREA_CLEARED, "unmapped");
		is_u64(sim_tlb_holders(va, 2).bits, order[i] == LAZY_TLB ? 3 : 0, "remembered");
		is_u64(stats().uncleared_areas, order[i] == LAZY_PTE, "with its entries");
		ok(order[i] == LAZY_OFF ? !stats().areas && !stats().pages
					: stats().areas == 1 && stats().pages == 2,
		   "and counted unless under off");
		is_u64(faults(0, va, 2), order[i] == LAZY_OFF, "faults at once under off alone");
		vunmap((void *)old);
		is_u64(mm_check(false), 0, "mm_check() agrees");
	}
	is_u64(lazy_purge(PURGE_PTES), 2, "two entries were there to be cleared");
	ok(!stats().uncleared_areas && faults(1, va, 2) == false, "they are, and remembered");
	vm_unmap_aliases();
	ok(faults(0, va, 2) && faults(1, va, 2), "then not");
	frame_free_many(f, 3);
}

/* Every address is used once, and faults from then on, until there is no other. */
static void test_poison(void)
{
	vaddr_t seen[20];
	u64 carved;

	sim_boot(&(struct sim_config){.cpus = 2});
	get_frames(3);
	lazy_set_poison(true);
	carved = counter_sum(CNT_park_carve);
	for (unsigned i = 0; i < 20; i++) {
		seen[i] = pass(3);
		for (unsigned k = 0; k < i; k++)
			KASSERT(seen[i] != seen[k], "%#lx again", seen[i]);
		if (!faults(0, seen[i], 3) || !faults(1, seen[i], 3))
			ok(false, "a use after unmapping is not noticed");
	}
	is_u64(stats().quarantined, 20, "all are in quarantine");
	is_u64(counter_sum(CNT_park_carve), carved + 20,
	       "and none was carved that nobody asked for");
	EXPECT_PANIC("double unmap of area 'vmap'", vunmap((void *)seen[3]));
	is_u64(mm_check(false), 0, "mm_check() agrees");
	lazy_set_poison(false);
	is_u64(stats().quarantined, 0, "until it ends");
	is_u64(state_of(seen[0]), AREA_FREE, "then they are free");
	frame_free_many(f, 3);
}

static u64 seed;

static void worker(void *arg __attribute__((unused)))
{
	struct frame *mine[6];
	void *va[4];
	unsigned n = 0;

	KASSERT(!frame_alloc_many(mine, 6, 0), "frames");
	for (unsigned i = 0; i < 60; i++) {
		switch (sim_random(8)) {
		case 0:
			lazy_purge((enum purge_phase)sim_random(2));
			break;
		case 1:
			shootdown_quiet_point();
			break;
		case 2:
			lazy_set_policy((enum lazy_policy)sim_random(NR_LAZY_POLICIES));
			break;
		case 3:
			lazy_set_max(sim_random(60));
			break;
		default:
			if (n < ARRAY_SIZE(va) && sim_random(2))
				va[n++] = vmap(mine, 1 + sim_random(6), VM_W);
			else if (n)
				vunmap(va[--n]);
		}
	}
	while (n)
		vunmap(va[--n]);
	vm_unmap_aliases();
	for (unsigned i = 0; i < 6; i++)
		KASSERT(!frame_aliases(mine[i]), "purged, yet mapped");
	for (unsigned i = 0; i < 6; i++)
		KASSERT(!(sim_tlb_frame_holders(frame_pfn(mine[i])).bits & sim_online().bits),
			"purged, yet mapped by a TLB");
	frame_free_many(mine, 6);
}

static void test_concurrent(void)
{
	u64 at_hand;

	sim_boot(&(struct sim_config){.cpus = 3, .seed = seed, .lazy_max_pages = 1 + seed % 30});
	at_hand = mm_frames_at_hand();
	sim.store_buffer = seed % 2;
	sim_run_all(3, 1 + (u32)seed % 5, worker, NULL);
	vm_unmap_aliases();
	ok(!stats().areas && !mm_check(false) && mm_frames_at_hand() == at_hand,
	   "seed %lu: 3 CPUs, policies and bounds changed at any time", seed);
}

int main(void)
{
	sim_scenario("names", test_names);
	sim_scenario("waiting", test_waiting);
	for (keep = 0; keep < 2; keep++)
		sim_scenario("ready", test_ready);
	sim_scenario("share", test_share);
	sim_scenario("bound changed", test_bound_changed);
	sim_scenario("shares forgotten", test_shares_forgotten);
	sim_scenario("bounded", test_bounded);
	for (kind = 0; kind < 8; kind++)
		sim_scenario("bounded, of each kind", test_bounded_kinds);
	sim_scenario("nothing lazy", test_nothing_lazy);
	sim_scenario("policy", test_policy);
	sim_scenario("poison", test_poison);
	for (seed = 1; seed <= 20; seed++)
		sim_scenario("concurrent", test_concurrent);
	return done_testing();
}
