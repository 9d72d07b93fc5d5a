// SPDX-License-Identifier: MIT
/*
 * Address spaces as the processor sees them: which CPU reads what at the same address, what is
 * left when a page, or a space, is gone; and that frames which were mapped a moment ago make good
 * tables. What a CPU might still remember is the host tests' to find out, on a machine that forgets
 * nothing.
 */
#include "mm/aspace.h"
#include "kernel/errno.h"
#include "kernel/string.h"
#include "kernel/thread.h"
#include "mm/check.h"
#include "mm/kmap.h"
#include "mm/vmap.h"
#include "tests/kernel/laziness.h"
#include "tests/kernel/support.h"
#include "tests/kernel/watch.h"

#define BASE  0x40000000ul
#define ABOVE (2 * BASE - PAGE_SIZE) /* the last page before the next level-2 table's */

static struct frame *pages[64];

/* => a space with n writable pages at BASE; or NULL, and the test has failed */
static struct aspace *space_with(u64 n)
{
	struct aspace *as = aspace_create("test");

	if (as && !aspace_map(as, BASE, n, VM_W))
		return as;
	NO_MEMORY;
	if (as)
		EXPECT_EQ(aspace_destroy(as), 0);
	return NULL;
}

static volatile u64 *word(u64 page)
{
	return (volatile u64 *)(BASE + page * PAGE_SIZE);
}

static void load_it(void *as)
{
	EXPECT_EQ(aspace_load(as), 0);
}

static void leave_it(void *arg __attribute__((unused)))
{
	aspace_leave();
}

static void on_all(void (*fn)(void *), void *arg)
{
	EXPECT_EQ(run_on_cpus(cpus_online().bits, fn, arg), 0);
}

KTEST(aspace, pages_are_zero_and_hold_what_is_written)
{
	struct aspace *as = space_with(3);
	volatile u64 *kernel_view;

	if (!as)
		return;
	EXPECT(probe_read((void *)BASE, NULL), "it is there before it is loaded");
	load_it(as);
	EXPECT_EQ(aspace_current(), as);
	EXPECT_EQ(*word(2), 0);
	*word(2) = 0x1234;
	kernel_view = kmap_local(aspace_frame(as, BASE + 2 * PAGE_SIZE));
	EXPECT_EQ(*kernel_view, 0x1234);
	kunmap_local((void *)kernel_view);
	EXPECT(probe_read((void *)(BASE + 3 * PAGE_SIZE), NULL), "there is a fourth page");
	EXPECT(probe_read((void *)8, NULL), "page 0 is mapped");
	aspace_leave();
	EXPECT(probe_read((void *)BASE, NULL), "it is there after it was left");
	EXPECT_EQ(aspace_destroy(as), 0);
}

KTEST(aspace, rights_are_kept)
{
	struct aspace *as = space_with(1);

	if (!as)
		return;
	EXPECT_EQ(aspace_map(as, ABOVE, 2, VM_R), 0);
	load_it(as);
	EXPECT(!probe_read((void *)ABOVE, NULL), "a page that cannot be read");
	EXPECT(probe_write((void *)ABOVE, 1), "a read-only page was written");
	EXPECT(!probe_write((void *)BASE, 1), "a writable page was not");
	aspace_leave();
	EXPECT_EQ(aspace_destroy(as), 0);
}

/* All at the same address. */
static void use_own_space(void *arg __attribute__((unused)))
{
	struct aspace *as = space_with(2);

	if (!as)
		return;
	load_it(as);
	for (u64 i = 0; i < 2000; i++) {
		*word(i % 2) = i << 8 | cpu_id();
		EXPECT_EQ(*word(i % 2), i << 8 | cpu_id());
		if (i % 100 == 0)
			thread_yield();
	}
	aspace_leave();
	EXPECT_EQ(aspace_destroy(as), 0);
}

KTEST(aspace, each_cpu_sees_its_own)
{
	on_all(use_own_space, NULL);
}

static void write_shared(void *arg __attribute__((unused)))
{
	word(0)[cpu_id()] = 0x100 + cpu_id();
}

static void read_shared(void *arg __attribute__((unused)))
{
	for (unsigned cpu = 0; cpu < nr_cpus; cpu++)
		EXPECT_EQ(word(0)[cpu], 0x100 + cpu);
}

/* Loading is the CPU's, not the thread's: each step runs in threads of its own. */
KTEST(aspace, cpus_share_one)
{
	struct aspace *as = space_with(1);

	if (!as)
		return;
	on_all(load_it, as);
	on_all(write_shared, NULL);
	on_all(read_shared, NULL);
	EXPECT_EQ(-aspace_destroy(as), EBUSY);
	on_all(leave_it, NULL);
	EXPECT_EQ(aspace_destroy(as), 0);
}

/* What is mapped while CPUs run on it is there; what is unmapped is gone when that returns. */
KTEST(aspace, unmapping_is_seen_by_all_who_run_on_it)
{
	struct aspace *as = space_with(1);
	struct watch w;
	u64 ipis;

	if (!as)
		return;
	on_all(load_it, as);
	watch_begin(&w, (void *)(BASE + PAGE_SIZE));
	EXPECT_EQ(watch_read(&w), 0);
	EXPECT_EQ(aspace_map(as, BASE + PAGE_SIZE, 1, VM_W), 0);
	EXPECT_EQ(watch_write(&w, 0x77), cpus_online().bits);
	EXPECT_EQ(watch_read(&w), cpus_online().bits);
	ipis = counter_sum(CNT_ipi_sent);
	EXPECT_EQ(aspace_unmap(as, BASE + PAGE_SIZE, 1), 0);
	if (mmu->kick) /* else the hypervisor interrupts whom it must */
		EXPECT_EQ(counter_sum(CNT_ipi_sent) - ipis, nr_cpus - 1);
	EXPECT_EQ(watch_read(&w), 0);
	EXPECT_EQ(watch_write(&w, 1), 0);
	watch_end(&w);
	on_all(leave_it, NULL);
	EXPECT_EQ(aspace_destroy(as), 0);
}

/* Those that do not run on it are not asked, awake or not. */
KTEST(aspace, unmapping_disturbs_nobody_else)
{
	struct aspace *as = space_with(40);
	struct watch w;
	u64 ipis;

	if (!as)
		return;
	load_it(as);
	watch_begin(&w, (void *)BASE);
	EXPECT_EQ(watch_read(&w), cpu_bit(cpu_id()));
	ipis = counter_sum(CNT_ipi_sent);
	EXPECT_EQ(aspace_unmap(as, BASE, 1), 0);
	EXPECT_EQ(aspace_unmap(as, BASE + PAGE_SIZE, 39), 0);
	EXPECT_EQ(counter_sum(CNT_ipi_sent), ipis);
	EXPECT_EQ(watch_read(&w), 0);
	watch_end(&w);
	aspace_leave();
	EXPECT_EQ(aspace_destroy(as), 0);
}

KTEST(aspace, a_copy_is_independent)
{
	struct aspace *as = space_with(3), *copy;

	if (!as)
		return;
	load_it(as);
	for (u64 i = 0; i < 3; i++)
		*word(i) = 0x10 + i;
	copy = aspace_copy(as, "copy");
	EXPECT(copy, "no memory");
	*word(1) = 0x99;
	if (copy) {
		load_it(copy);
		EXPECT_EQ(*word(0) << 16 | *word(1) << 8 | *word(2), 0x101112);
		*word(2) = 0x77;
		load_it(as);
		EXPECT_EQ(*word(0) << 16 | *word(1) << 8 | *word(2), 0x109912);
		EXPECT_EQ(mm_check(false), 0);
		EXPECT_EQ(aspace_destroy(copy), 0);
	}
	aspace_leave();
	EXPECT_EQ(aspace_destroy(as), 0);
}

static u64 frames_out(void)
{
	return frame_free_total() + frame_held_total();
}

/* To the frame: what a space takes comes back when it goes. */
KTEST(aspace, destroying_gives_everything_back)
{
	struct aspace *as;
	u64 before, tables;

	as = space_with(1); /* what mm/ takes for good, it has taken now */
	if (!as)
		return;
	EXPECT_EQ(aspace_destroy(as), 0);
	vm_unmap_aliases();
	before = frames_out();
	tables = pt_tables_held();
	as = space_with(1500);
	if (!as)
		return;
	EXPECT_EQ(aspace_map(as, ABOVE, 2, VM_R), 0);
	load_it(as);
	EXPECT_EQ(pt_tables_held() - tables, 1 + 1 + 3 + 1 + 2 + 1); /* by level, and the root */
	EXPECT_EQ(before - frames_out(), pt_tables_held() - tables + 1502);
	EXPECT_EQ(aspace_unmap(as, BASE + 100 * PAGE_SIZE, 1300), 0);
	aspace_leave();
	EXPECT_EQ(aspace_destroy(as), 0);
	EXPECT_EQ(pt_tables_held(), tables);
	EXPECT_EQ(frames_out(), before);
}

/* The frames freed last, with a lazy writable alias each, are those that tables are made of. */
KTEST(aspace, lazily_mapped_frames_become_tables)
{
	struct lazy_stats was = set_laziness(LAZY_PTE);
	struct aspace *as;
	unsigned became = 0;

	if (!take_frames(pages, ARRAY_SIZE(pages)))
		return;
	for (unsigned i = 0; i < ARRAY_SIZE(pages); i += 4)
		vunmap(vmap(pages + i, 4, VM_W));
	for (unsigned i = 0; i < ARRAY_SIZE(pages); i++)
		EXPECT_EQ(frame_aliases(pages[i]), 1);
	frame_free_many(pages, ARRAY_SIZE(pages));
	as = space_with(1);
	for (u64 i = 1; as && i < 20; i++)
		EXPECT_EQ(aspace_map(as, BASE + i * 2 * MiB, 1, VM_W), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(pages); i++) {
		if (pages[i]->type != FRAME_TABLE)
			continue;
		became++;
		EXPECT_EQ(frame_aliases(pages[i]), 0);
	}
	EXPECT(became >= 10, "only %u of 22 tables are made of the frames freed last", became);
	EXPECT_EQ(mm_check(false), 0);
	if (as)
		EXPECT_EQ(aspace_destroy(as), 0);
	restore_laziness(&was);
}

/* --- no memory, at every allocation ---------------------------------------------------------- */

static struct aspace *made;

static int try_create(void)
{
	made = aspace_create("made");
	return made ? 0 : -ENOMEM;
}

static int try_map(void)
{
	return aspace_map(made, ABOVE - PAGE_SIZE, 4, VM_W);
}

static int try_load(void)
{
	return aspace_load(made);
}

static int try_copy(void)
{
	struct aspace *copy = aspace_copy(made, "copy");

	return copy ? aspace_destroy(copy) : -ENOMEM;
}

/* => how many allocations it takes */
static u64 starve(const char *name, int (*try)(void))
{
	u64 n = 0;
	int err;

	do {
		u64 before = frames_out(), tables = pt_tables_held();

		frame_inject_failure(++n);
		err = try();
		frame_inject_failure(0);
		if (!err)
			break;
		EXPECT_EQ(-err, ENOMEM);
		EXPECT(frames_out() == before && pt_tables_held() == tables,
		       "%s, without its %lu. frame: %lu frames and %lu tables, not %lu and %lu",
		       name, n, frames_out(), pt_tables_held(), before, tables);
		EXPECT_EQ(mm_check(false), 0);
	} while (n < 100);
	return n - 1;
}

KTEST(aspace, no_memory_changes_nothing)
{
	struct aspace *as = space_with(1); /* so that its pool has a frame */

	if (!as)
		return;
	EXPECT(starve("create", try_create) >= 1, "a space takes no frame");
	EXPECT_EQ(starve("map", try_map), 4 + 4); /* two tables of level 2, two of level 1 */
	EXPECT_EQ(starve("load", try_load), 1);
	EXPECT_EQ(starve("copy", try_copy), 1 + 4 + 4);
	aspace_leave();
	EXPECT_EQ(aspace_destroy(made), 0);
	EXPECT_EQ(aspace_destroy(as), 0);
}

KTEST(aspace, bad_input_changes_nothing)
{
	static const struct {
		vaddr_t va;
		u64 n;
		unsigned prot;
		int err;
	} bad[] = {
		{0, 1, VM_W, EINVAL},
		{BASE + 1, 1, VM_W, EINVAL},
		{VMAP_BASE, 1, VM_W, EINVAL},
		{0x800000000000, 1, VM_W, EINVAL},
		{USER_SIZE - PAGE_SIZE, 2, VM_W, EINVAL},
		{ABOVE, 0, VM_W, EINVAL},
		{ABOVE, 1, VM_W | VM_X, EINVAL},
		{ABOVE, 1, VM_UC, EINVAL},
		{BASE - PAGE_SIZE, 2, VM_W, EEXIST},
		{2 * BASE, USER_SIZE / PAGE_SIZE / 2, VM_W, ENOMEM},
	};
	struct aspace *as = space_with(2);
	u64 before = frames_out();

	if (!as)
		return;
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
		EXPECT_EQ(-aspace_map(as, bad[i].va, bad[i].n, bad[i].prot), bad[i].err);
	EXPECT_EQ(-aspace_unmap(as, BASE + PAGE_SIZE, 2), EINVAL);
	EXPECT_EQ(-aspace_unmap(as, VMAP_BASE, 1), EINVAL);
	load_it(as);
	EXPECT_EQ(-aspace_destroy(as), EBUSY);
	EXPECT(!probe_write((void *)(BASE + PAGE_SIZE), 1), "a page is gone");
	aspace_leave();
	EXPECT_EQ(as->pages, 2);
	EXPECT_EQ(before - frames_out(), 1); /* the root */
	EXPECT_EQ(aspace_destroy(as), 0);
}

/* --- all CPUs at once ------------------------------------------------------------------------ */

#define STORM_SPACES 60 /* of all CPUs together: where a hypervisor pins them each takes a while */

/* Buffers are mapped, written, unmapped and freed; what is made next is made of their frames. */
static void storm(void *arg __attribute__((unused)))
{
	u64 x = cpu_id() + 7;

	for (unsigned i = 0; i < STORM_SPACES / nr_cpus && !test_failed(); i++) {
		unsigned n = 1 + (unsigned)(test_random(&x) % 8);
		struct frame *f[8];
		struct aspace *as;
		u8 *va;

		if (frame_alloc_many(f, n, 0)) {
			NO_MEMORY;
			return;
		}
		va = vmap(f, n, VM_W);
		if (va) {
			memset(va, 0xff, n * PAGE_SIZE);
			vunmap(va);
		}
		frame_free_many(f, n);
		as = space_with(n);
		if (!as)
			return;
		load_it(as);
		for (u64 p = 0; p < n; p++) {
			EXPECT_EQ(*word(p), 0);
			*word(p) = cpu_id();
		}
		EXPECT_EQ(aspace_unmap(as, BASE, 1 + i % n), 0);
		aspace_leave();
		EXPECT_EQ(aspace_destroy(as), 0);
	}
}

/*
 * A CPU that loads a space for the first time has a hypervisor look at all of it, while another
 * CPU makes tables and entries. All start together; how far the mapping has got when the others
 * load is different in each round.
 */
#define RACE_ROUNDS 40u
#define RACE_PAGES  16u

static struct race {
	struct aspace *as;
	unsigned round;
	atomic_t here;
} race;

static void race_for_space(void *arg __attribute__((unused)))
{
	atomic_fetch_add(&race.here, 1);
	while (atomic_read(&race.here) < nr_cpus)
		thread_yield();
	if (cpu_id()) {
		for (unsigned i = 0; i < race.round * 50; i++)
			cpu_relax();
		load_it(race.as);
		aspace_leave();
		return;
	}
	for (u64 i = 0; i < RACE_PAGES; i++) /* each needs tables of its own */
		EXPECT_EQ(aspace_map(race.as, (i + 1) * BASE, 1, VM_W), 0);
	load_it(race.as);
	EXPECT_EQ(*(u64 *)(RACE_PAGES * BASE), 0);
	aspace_leave();
}

KTEST(aspace, it_is_loaded_while_it_grows)
{
	for (race.round = 0; race.round < RACE_ROUNDS; race.round++) {
		race.as = aspace_create("race");
		if (!race.as) {
			NO_MEMORY;
			return;
		}
		atomic_set(&race.here, 0);
		on_all(race_for_space, NULL);
		EXPECT_EQ(aspace_destroy(race.as), 0);
	}
}

KTEST(aspace, storm_on_all_cpus)
{
	enum lazy_policy policy;

	for_each_policy(policy)
	{
		struct lazy_stats was = set_laziness(policy);

		on_all(storm, NULL);
		restore_laziness(&was);
	}
}
