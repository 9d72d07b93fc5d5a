// SPDX-License-Identifier: MIT
/*
 * How many hypercalls things cost: that entries are asked for many at once, and that what is lazy
 * costs none.
 */
#include "kernel/counter.h"
#include "kernel/irq.h"
#include "kernel/thread.h"
#include "mm/aspace.h"
#include "mm/gather.h"
#include "mm/kmap.h"
#include "mm/shootdown.h"
#include "mm/vmap.h"
#include "tests/kernel/stage.h"
#include "tests/xen/guest.h"

#define MANY	1100u /* pages: parts of three or four level-1 tables */
#define PROGRAM 0x40000000ul
#define PIECE	256 /* tables released in one go: mm/aspace.c */

static struct frame *f[MANY];

static u64 updates(void)
{
	return counter_sum(CNT_xen_mmu_update);
}

/* Those that flush too: any tick may bring one. */
static u64 hypercalls(void)
{
	return updates() + counter_sum(CNT_xen_mmuext);
}

/* Without those that attach page tables, which are made once for each address and stay. */
static u64 cost_of_vmap(unsigned n)
{
	u64 before = updates(), tables = counter_sum(CNT_table_alloc), cost;
	void *va = vmap(f, n, VM_W);

	cost = updates() - before - (counter_sum(CNT_table_alloc) - tables);
	EXPECT(va, "no memory");
	vunmap(va);
	vm_unmap_aliases();
	return cost;
}

KTEST(hypercalls, mapping_costs_one_for_512_pages)
{
	static const unsigned sizes[] = {1, 4, 16, 256, 512, 513, MANY};
	struct stage s;

	if (!xen_looks() || !stage_begin(&s, f, MANY, LAZY_TLB))
		return;
	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
		u64 cost = cost_of_vmap(sizes[i]), most = (sizes[i] + 511) / 512 + 1;

		EXPECT(cost && cost <= most, "vmap of %u pages: %lu hypercalls, at most %lu",
		       sizes[i], cost, most);
	}
	stage_end(&s);
}

KTEST(hypercalls, lazy_unmapping_and_reviving_cost_none)
{
	struct stage s;
	irqflags_t flags;
	void *va, *one;
	u64 before;

	if (!xen_looks() || !stage_begin(&s, f, 5, LAZY_PTE))
		return;
	va = vmap(f, 4, VM_W);
	one = kmap(f[4]);
	flags = irq_save();
	before = hypercalls();
	vunmap(va);
	EXPECT(vmap(f, 4, VM_W) == va, "it was not revived");
	vunmap(va);
	kunmap(one);
	EXPECT(kmap(f[4]) == one, "it was not revived");
	kunmap(one);
	EXPECT_EQ(hypercalls(), before);
	irq_restore(flags);
	stage_end(&s);
}

/* => hypercalls to destroy a space with pages in so many level-1 tables, which was loaded once */
static u64 cost_of_destroying(unsigned tables)
{
	struct aspace *as = aspace_create("cost");
	u64 before, cost;

	EXPECT(as, "no memory");
	for (unsigned i = 0; as && i < tables; i++)
		EXPECT_EQ(aspace_map(as, PROGRAM + i * 2 * MiB, 1, VM_W), 0);
	if (!as)
		return 0;
	EXPECT_EQ(aspace_load(as), 0);
	aspace_leave();
	before = hypercalls();
	EXPECT_EQ(aspace_destroy(as), 0);
	cost = hypercalls() - before;
	return cost;
}

/* A tick that flushes may come in between, but not every time. */
static u64 least_cost_of_destroying(unsigned tables)
{
	u64 least = ~0ul;

	for (unsigned i = 0; i < 8; i++) {
		u64 cost = cost_of_destroying(tables);

		least = MIN(least, cost);
	}
	return least;
}

KTEST(hypercalls, destroying_a_space_costs_by_the_batch)
{
	u64 small, large;

	if (!xen_looks())
		return;
	small = least_cost_of_destroying(2);
	large = least_cost_of_destroying(2 * PIECE - 16); /* still two pieces */
	EXPECT(cost_of_destroying(2 * PIECE + 16), "more tables to be sealed than a batch holds");
	EXPECT(small <= 3, "destroying a small space takes %lu hypercalls", small);
	EXPECT(large <= small + 2, "with %u tables it takes %lu, with 2 %lu", 2 * PIECE - 16, large,
	       small);
}

static atomic_t deaf;

/* Passes no quiet point meanwhile, so that its clock stands still. */
static void be_deaf(void *arg __attribute__((unused)))
{
	irqflags_t flags = irq_save();

	atomic_set(&deaf, 1);
	while (atomic_read(&deaf))
		cpu_relax();
	irq_restore(flags);
}

/* Xen flushes without asking the vCPU, so it may be deaf. */
KTEST(hypercalls, an_exact_flush_proves_nothing_else)
{
	struct thread *t;
	struct gather g;
	u64 flushed;

	if (!xen_looks())
		return;
	if (nr_cpus < 2) {
		test_skip("needs two CPUs");
		return;
	}
	t = thread_create(1, "deaf", be_deaf, NULL);
	if (!t) {
		NO_MEMORY;
		return;
	}
	while (!atomic_read(&deaf))
		thread_yield();
	flushed = shootdown_flushed(1);
	gather_begin(&g);
	gather_add(&g, VMAP_BASE, 1, 0);
	gather_flush(&g);
	EXPECT_EQ(shootdown_flushed(1), flushed);
	gather_begin(&g);
	gather_add_all(&g, 0);
	gather_flush(&g);
	EXPECT(shootdown_flushed(1) > flushed, "a full one does");
	atomic_set(&deaf, 0);
	thread_join(t);
}
