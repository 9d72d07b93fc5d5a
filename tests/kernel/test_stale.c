// SPDX-License-Identifier: MIT
/*
 * What no test of Linux's does: reading through mappings that are gone, on CPUs that still remember
 * them. The watchers keep their interrupts off, so they forget only what they are made to forget;
 * each test first asks whether this machine shows a stale entry at all (watch.h), and is skipped by
 * name where it does not.
 *
 *   PURGE_PTES    the entries are gone, and a CPU that remembers reads on: all that Xen's pin asks
 *   PURGE_FLUSH   and every CPU faults: what bare metal asks before frames are something else
 */
#include "kernel/cpu.h"
#include "kernel/thread.h"
#include "mm/vmap.h"
#include "tests/kernel/stage.h"
#include "tests/kernel/watch.h"

static struct frame *pages[40];

/* Maps n frames, has the watchers remember the last page, unmaps. */
static void remember(struct watch *w, unsigned n, unsigned prot)
{
	u8 *va = vmap(pages, n, prot);

	EXPECT(va, "no mapping");
	watch_begin(w, va + (n - 1) * PAGE_SIZE);
	EXPECT_EQ(watch_read(w), cpus_online().bits);
	if (prot & VM_W) /* what was only read may be walked to again when it is written */
		EXPECT_EQ(watch_write(w, 0), cpus_online().bits);
	vunmap(va);
}

static void purge_and_look(enum lazy_policy policy, unsigned n, void (*purge)(unsigned n))
{
	struct stage s;
	struct watch w;

	if (!watch_shows_stale() || !stage_begin(&s, pages, n, policy))
		return;
	remember(&w, n, VM_W);
	if (policy != LAZY_OFF)
		watch_remembers(watch_read(&w));
	purge(n);
	EXPECT_EQ(entry_at(w.va), 0);
	EXPECT_EQ(watch_read(&w), 0);
	watch_end(&w);
	stage_end(&s);
}

static void purge_nothing(unsigned n __attribute__((unused)))
{
}

static void purge_everything(unsigned n __attribute__((unused)))
{
	vm_unmap_aliases();
}

static void purge_the_frames(unsigned n)
{
	EXPECT_EQ(vm_unmap_frame_aliases(pages, n, PURGE_FLUSH), 0);
}

KTEST(stale, off_is_forgotten_when_vunmap_returns)
{
	purge_and_look(LAZY_OFF, 3, purge_nothing);
}

KTEST(stale, tlb_is_forgotten_after_the_purge)
{
	purge_and_look(LAZY_TLB, 3, purge_everything);
}

KTEST(stale, pte_is_forgotten_after_the_purge)
{
	purge_and_look(LAZY_PTE, 3, purge_everything);
}

KTEST(stale, tlb_is_forgotten_after_a_purge_of_the_frames)
{
	purge_and_look(LAZY_TLB, 3, purge_the_frames);
}

KTEST(stale, pte_is_forgotten_after_a_purge_of_the_frames)
{
	purge_and_look(LAZY_PTE, 3, purge_the_frames);
}

/* More than is invalidated page by page: everything is, then. */
KTEST(stale, pte_is_forgotten_after_a_purge_of_many_frames)
{
	purge_and_look(LAZY_PTE, ARRAY_SIZE(pages), purge_the_frames);
}

/* Lazy areas wait where they were unmapped, on a list of that CPU's: a purge takes all lists. */
static void map_and_unmap(void *va)
{
	*(void **)va = vmap(pages, 1, VM_W);
	vunmap(*(void **)va);
}

KTEST(stale, what_another_cpu_unmapped_is_purged_too)
{
	void *va = NULL;
	struct stage s;
	struct watch w;

	if (!watch_shows_stale() || !stage_begin(&s, pages, 1, LAZY_PTE))
		return;
	EXPECT_EQ(run_on_cpus(cpu_bit(other_cpu()), map_and_unmap, &va), 0);
	EXPECT(va, "no mapping");
	watch_begin(&w, va);
	EXPECT_EQ(watch_read(&w), cpus_online().bits); /* its entry stands still */
	vm_unmap_aliases();
	EXPECT_EQ(entry_at(va), 0);
	EXPECT_EQ(watch_read(&w), 0);
	watch_end(&w);
	stage_end(&s);
}

/* The two phases are two: after the first the entry is gone, after the second the memory of it. */
KTEST(stale, phases_of_a_purge_are_separate)
{
	struct stage s;
	struct watch w;
	u64 ipis;

	if (!watch_shows_stale() || !stage_begin(&s, pages, 1, LAZY_PTE))
		return;
	remember(&w, 1, VM_W);
	ipis = counter_sum(CNT_ipi_sent);
	EXPECT_EQ(vm_unmap_frame_aliases(pages, 1, PURGE_PTES), 0);
	EXPECT_EQ(counter_sum(CNT_ipi_sent), ipis);
	EXPECT_EQ(entry_at(w.va), 0);
	EXPECT_EQ(frame_aliases(pages[0]), 0);
	watch_remembers(watch_read(&w));
	EXPECT_EQ(vm_unmap_frame_aliases(pages, 1, PURGE_FLUSH), 0);
	EXPECT_EQ(watch_read(&w), 0);
	watch_end(&w);
	stage_end(&s);
}

/*
 * The point of it all: a writable translation that survives lets a stranger into the new owner's.
 */
KTEST(stale, nobody_writes_to_a_frame_after_its_purge)
{
	struct stage s;
	struct watch w;

	if (!watch_shows_stale() || !stage_begin(&s, pages, 1, LAZY_TLB))
		return;
	remember(&w, 1, VM_W);
	*byte_of(pages[0]) = 0x5e; /* the new owner's */
	if (watch_remembers(watch_write(&w, 0x0d)))
		EXPECT_EQ(*byte_of(pages[0]), 0x0d);
	vm_unmap_frame_aliases(pages, 1, PURGE_FLUSH);
	*byte_of(pages[0]) = 0x5e;
	EXPECT_EQ(watch_write(&w, 0x0d), 0);
	EXPECT_EQ(*byte_of(pages[0]), 0x5e);
	watch_end(&w);
	stage_end(&s);
}

/* Frames that are purged are free already: the caller may know no more than their numbers. */
KTEST(stale, free_frames_are_purged_too)
{
	struct lazy_stats was;
	struct watch w;

	if (!watch_shows_stale() || !take_frames(pages, 1))
		return;
	was = set_laziness(LAZY_PTE);
	remember(&w, 1, VM_W);
	frame_free_many(pages, 1);
	EXPECT_EQ(vm_unmap_frame_aliases(pages, 1, PURGE_FLUSH), 0);
	EXPECT_EQ(watch_read(&w), 0);
	EXPECT_EQ(frame_aliases(pages[0]), 0);
	watch_end(&w);
	restore_laziness(&was);
}

/* Every frame that is handed out as a page table has been forgotten: nobody can forge entries. */
KTEST(stale, page_tables_are_never_remembered_as_memory)
{
	struct lazy_stats was;
	struct frame *f;
	struct watch w;
	pfn_t table;
	bool taken = false;

	if (!watch_shows_stale() || !take_frames(pages, 1))
		return;
	was = set_laziness(LAZY_PTE);
	f = pages[0];
	remember(&w, 1, VM_W);
	frame_free_many(pages, 1); /* with its lazy, writable alias */
	if (pt_alloc_table(1, &table)) {
		NO_MEMORY;
	} else {
		taken = table.n == frame_pfn(f).n;
		EXPECT_EQ(frame_aliases(pfn_frame(table)), 0);
		if (taken && !mmu->forgets_tables)
			EXPECT_EQ(watch_write(&w, 0x0d), 0);
		pt_free_table(table);
	}
	if (mmu->forgets_tables && !test_failed())
		test_skip("when it becomes one, the hypervisor makes all CPUs forget");
	else if (!taken && !test_failed())
		test_skip("the frame freed last was not the one that became a page table");
	watch_end(&w);
	restore_laziness(&was);
}
