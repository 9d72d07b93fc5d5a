// SPDX-License-Identifier: MIT
/*
 * Whole tables emptied at once (mm/unhook.c): those in which nothing but what the purge has claimed
 * is mapped, and no others; and nobody who maps and uses addresses in the same tables meanwhile
 * notices. The simulated platform lets the others run while a table is unhooked.
 */
// links: mm/*.c tests/host/sim*.c
#include "mm/check.h"
#include "mm/shootdown.h"
#include "mm/unhook.h"
#include "mm/vmap.h"
#include "tests/host/mapping.h"

#define CHUNK (1ul << 21)

static bool plain; /* entries are written, not asked for */

static void boot(unsigned nr)
{
	sim_boot(&(struct sim_config){.cpus = nr,
				      .keep = true,
				      .deferred = !plain,
				      .seed = 11,
				      .lazy_max_pages = 100000});
}

static void *va[MANY];

static void map_all(unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		KASSERT((va[i] = vmap(f + i, 1, VM_W)), "no memory");
}

static void unmap_all(unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (va[i])
			vunmap(va[i]);
}

/* => of n mappings the first that begins a chunk, and so many more of it */
static unsigned first_in_chunk(unsigned n)
{
	for (unsigned i = 1; i < n; i++)
		if ((vaddr_t)va[i] / CHUNK != (vaddr_t)va[i - 1] / CHUNK)
			return i;
	KASSERT(false, "all in one chunk");
	return 0;
}

static unsigned holders(unsigned n)
{
	unsigned bad = 0;

	for (unsigned i = 0; i < n; i++)
		bad += !!sim_tlb_frame_holders(frame_pfn(f[i])).bits;
	return bad;
}

static u64 flushed(void)
{
	return counter_sum(CNT_tlb_full) + counter_sum(CNT_tlb_page) + counter_sum(CNT_ipi_sent);
}

static void test_dense(void)
{
	u64 tables, batches, flushes;

	boot(3);
	get_frames(1280);
	map_all(1280);
	unmap_all(1280);
	tables = counter_sum(CNT_unhook);
	batches = sim.batches;
	flushes = flushed();
	is_u64(lazy_unhook(), 1280, "1280 lazy pages, 256 to a table,");
	tables = counter_sum(CNT_unhook) - tables;
	if (plain) {
		is_u64(tables, 0, "are cleared one by one where entries are written");
	} else {
		ok(tables >= 5 && tables <= 6, "are gone with %lu tables", tables);
		is_u64(sim.batches - batches, 0, "and no batch");
		is_u64(flushed() - flushes, 0, "nor another flush");
	}
	ok(aliases_are(1280, 0) && !mm_check(false), "none is left");
	is_u64(holders(1280), 0, "nor remembered");
	ok(shootdown_covered(atomic_read(&f[7]->alias) & ALIAS_LOW), "and the words say so");
	map_all(1280);
	ok(reads_right(1, (vaddr_t)va[700], f + 700, 1), "the tables serve again");
	unmap_all(1280);
	vm_unmap_aliases();
	frame_free_many(f, 1280);
}

/* One page that is used, in whatever way, keeps its table; the next table goes all the same. */
static void test_live(void)
{
	unsigned first;
	u64 tables;
	void *live;

	boot(2);
	get_frames(1280);
	map_all(1280);
	first = first_in_chunk(1280);
	live = va[first + 100];
	va[first + 100] = NULL;
	unmap_all(1280);
	tables = counter_sum(CNT_unhook);
	is_u64(lazy_unhook(), 1279, "all but one");
	tables = counter_sum(CNT_unhook) - tables;
	ok(tables >= 3 && tables <= 5, "%lu tables, not that of the one", tables);
	ok(reads_right(1, (vaddr_t)live, f + first + 100, 1), "which is as it was");
	ok(frame_aliases(f[first]) == 0 && frame_aliases(f[first + 1]) == 0, "though alone there");
	vunmap(live);
	vm_unmap_aliases();
	frame_free_many(f, 1280);
}

static void test_few(void)
{
	u64 tables;

	boot(2);
	get_frames(600);
	map_all(12);
	unmap_all(12);
	tables = counter_sum(CNT_unhook);
	is_u64(lazy_unhook(), 12, "12 pages in a table");
	is_u64(counter_sum(CNT_unhook), tables, "are cleared one by one");
	va[0] = vmap(f, 600, VM_W);
	vunmap(va[0]);
	is_u64(lazy_unhook(), 600, "as is an area in two tables");
	is_u64(counter_sum(CNT_unhook), tables, "for there it does not pay");
	vunmap(vmap(f, 200, VM_W));
	vm_unmap_frame_aliases(f + 10, 30, PURGE_PTES);
	is_u64(lazy_unhook(), 170, "one that has holes");
	is_u64(counter_sum(CNT_unhook), tables + 1, "goes with its table");
	va[0] = vmap(f, 200, VM_W);
	ok(reads_right(1, (vaddr_t)va[0], f, 200), "and serves again");
	vunmap(va[0]);
	is_u64(lazy_purge(PURGE_FLUSH), 200, "whole");
	frame_free_many(f, 600);
}

static unsigned misread, unhooked;

/* CPU 0 empties tables; the others use the same ones all the time, and purge as well. */
static void use_or_unhook(void *arg __attribute__((unused)))
{
	struct frame **mine = f + 200 + sim.cpu * 8;
	void *a;

	if (!sim.cpu) {
		for (unsigned i = 0; i < 3; i++)
			lazy_unhook();
		return;
	}
	for (unsigned i = 0; i < 8; i++) {
		unsigned n = 1 + sim_random(8);

		switch (sim_random(8)) {
		case 0:
			(void)vm_unmap_frame_aliases(mine, 8, PURGE_FLUSH);
			break;
		case 1:
			lazy_unhook();
			break;
		default:
			a = vmap(mine, n, VM_W);
			misread += !a || !reads_right(sim.cpu, (vaddr_t)a, mine, n);
			vunmap(a);
		}
	}
}

static void test_at_once(void)
{
	unsigned bad = 0;

	boot(4);
	get_frames(240);
	for (unsigned i = 0; i < 400; i++) {
		u64 tables = counter_sum(CNT_unhook);

		map_all(200);
		unmap_all(200);
		sim_run_all(4, 1 + i % 48, use_or_unhook, NULL);
		unhooked += counter_sum(CNT_unhook) != tables;
		lazy_unhook();
		bad += !aliases_are(240, 0) || holders(240);
		if (i % 20 == 0)
			bad += mm_check(false);
	}
	is_u64(misread, 0, "what others have mapped they can use all the time");
	is_u64(bad, 0, "and what was lazy is gone");
	ok(plain || unhooked > 100, "by tables, in %u rounds of 400", unhooked);
	frame_free_many(f, 240);
}

int main(void)
{
	sim_scenario("dense", test_dense);
	sim_scenario("live", test_live);
	sim_scenario("few", test_few);
	sim_scenario("at once", test_at_once);
	plain = true;
	sim_scenario("dense, natively", test_dense);
	sim_scenario("at once, natively", test_at_once);
	return done_testing();
}
