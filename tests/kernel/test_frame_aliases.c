// SPDX-License-Identifier: MIT
/*
 * vm_unmap_frame_aliases(), the wish of the thread this kernel comes from: a call that shoots down
 * the lazy mappings of given pages, usable on any page, and expensive only where needed. So most of
 * these tests are about what it must not do: touch other mappings, interrupt anybody, flush twice.
 * What CPUs remember afterwards is test_stale.c's subject.
 */
#include "kernel/errno.h"
#include "kernel/irq.h"
#include "mm/check.h"
#include "mm/kmap.h"
#include "tests/kernel/stage.h"

static struct frame *pages[64];

/*
 * What a purge has cost so far, on all CPUs. Ticks may add full flushes; nobody else does anything.
 */
struct cost {
	u64 ipis, shootdowns, hits;
};

static struct cost cost_now(void)
{
	return (struct cost){counter_sum(CNT_ipi_sent), counter_sum(CNT_shootdown),
			     counter_sum(CNT_purge_hit)};
}

static void expect_free_of_charge(const struct cost *before)
{
	struct cost now = cost_now();

	EXPECT_EQ(now.ipis, before->ipis);
	EXPECT_EQ(now.shootdowns, before->shootdowns);
	EXPECT_EQ(now.hits, before->hits);
}

KTEST(frame_aliases, never_mapped_frames_cost_nothing)
{
	struct stage s;
	struct cost before;

	/* Fresh from the zone, a frame may still carry the stamp of its last owner: flush it. */
	if (!stage_begin(&s, pages, 16, LAZY_PTE))
		return;
	vm_unmap_frame_aliases(pages, 16, PURGE_FLUSH);
	before = cost_now();
	EXPECT_EQ(vm_unmap_frame_aliases(pages, 16, PURGE_PTES), 0);
	EXPECT_EQ(vm_unmap_frame_aliases(pages, 16, PURGE_FLUSH), 0);
	EXPECT_EQ(vm_unmap_frame_aliases(pages, 0, PURGE_FLUSH), 0);
	expect_free_of_charge(&before);
	stage_end(&s);
}

/* Fifty lazy areas, one of which maps the frame: forty-nine stay as they are. */
KTEST(frame_aliases, other_mappings_are_not_touched)
{
	struct stage s;
	void *va[50];

	if (!stage_begin(&s, pages, ARRAY_SIZE(va), LAZY_PTE))
		return;
	for (unsigned i = 0; i < ARRAY_SIZE(va); i++)
		va[i] = vmap(pages + i, 1, VM_W);
	for (unsigned i = 0; i < ARRAY_SIZE(va); i++)
		vunmap(va[i]);
	EXPECT_EQ(vm_unmap_frame_aliases(pages + 7, 1, PURGE_FLUSH), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(va); i++) {
		EXPECT_EQ(entry_at(va[i]) != 0, i != 7);
		EXPECT_EQ(frame_aliases(pages[i]), i != 7);
	}
	EXPECT_EQ(mm_check(false), 0);
	stage_end(&s);
}

/* Of one large area only the page of that frame. */
KTEST(frame_aliases, one_page_of_a_lazy_area)
{
	struct stage s;
	u8 *va;

	if (!stage_begin(&s, pages, 10, LAZY_PTE))
		return;
	va = vmap(pages, 10, VM_W);
	vunmap(va);
	EXPECT_EQ(vm_unmap_frame_aliases(pages + 4, 2, PURGE_PTES), 0);
	for (unsigned i = 0; i < 10; i++) {
		bool gone = i == 4 || i == 5;

		EXPECT_EQ(entry_at(va + i * PAGE_SIZE) == 0, gone);
		EXPECT_EQ(frame_aliases(pages[i]), !gone);
	}
	EXPECT_EQ(mm_check(false), 0);
	vm_unmap_aliases();
	for (unsigned i = 0; i < 10; i++)
		EXPECT_EQ(frame_aliases(pages[i]), 0);
	stage_end(&s);
}

/* Many lazy aliases of one frame, in areas of different sizes. */
KTEST(frame_aliases, all_aliases_of_a_frame)
{
	struct stage s;
	void *va[20];

	if (!stage_begin(&s, pages, 4, LAZY_PTE))
		return;
	for (unsigned i = 0; i < ARRAY_SIZE(va); i++)
		va[i] = vmap(pages, 1 + i % 4, VM_W);
	for (unsigned i = 0; i < ARRAY_SIZE(va); i++)
		vunmap(va[i]);
	EXPECT(frame_aliases(pages[0]) >= 4, "%u aliases", frame_aliases(pages[0]));
	EXPECT_EQ(vm_unmap_frame_aliases(pages, 1, PURGE_FLUSH), 0);
	EXPECT_EQ(frame_aliases(pages[0]), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(va); i++)
		EXPECT_EQ(entry_at(va[i]), 0);
	EXPECT_EQ(mm_check(false), 0);
	stage_end(&s);
}

KTEST(frame_aliases, live_mappings_are_busy_and_stay)
{
	enum lazy_policy policy;
	struct lazy_stats was;
	u8 *live, *lazy;

	if (!take_frames(pages, 3))
		return;
	for_each_policy(policy)
	{
		was = set_laziness(policy);
		live = vmap(pages, 2, VM_W);
		lazy = vmap(pages + 1, 2, VM_R);
		vunmap(lazy);
		EXPECT_EQ(-vm_unmap_frame_aliases(pages, 3, PURGE_PTES), EBUSY);
		EXPECT_EQ(-vm_unmap_frame_aliases(pages, 3, PURGE_FLUSH), EBUSY);
		EXPECT_EQ(entry_at(lazy), 0);
		EXPECT_EQ(frame_aliases(pages[1]), 1);
		EXPECT(!probe_write(live + PAGE_SIZE, 0x77), "a live mapping was taken away");
		EXPECT_EQ(*byte_of(pages[1]), 0x77);
		EXPECT_EQ(vm_unmap_frame_aliases(pages + 2, 1, PURGE_FLUSH), 0);
		vunmap(live);
		EXPECT_EQ(vm_unmap_frame_aliases(pages, 3, PURGE_FLUSH), 0);
		restore_laziness(&was);
	}
	frame_free_many(pages, 3);
}

/*
 * With nothing unmapped in between, a purge has nothing to do. The second may flush once more: the
 * frame's stamp cannot tell whose exact pages were named by the first.
 */
KTEST(frame_aliases, what_is_purged_is_not_purged_for_ever)
{
	struct stage s;
	struct cost before;

	if (!stage_begin(&s, pages, 8, LAZY_PTE))
		return;
	vunmap(vmap(pages, 8, VM_W));
	EXPECT_EQ(vm_unmap_frame_aliases(pages, 8, PURGE_FLUSH), 0);
	EXPECT_EQ(vm_unmap_frame_aliases(pages, 8, PURGE_FLUSH), 0);
	before = cost_now();
	EXPECT_EQ(vm_unmap_frame_aliases(pages, 8, PURGE_FLUSH), 0);
	expect_free_of_charge(&before);
	stage_end(&s);
}

/* The first phase waits for nobody, so it may be asked for where nobody may be waited for. */
KTEST(frame_aliases, entries_are_purged_with_interrupts_off)
{
	struct stage s;
	irqflags_t flags;
	void *va;

	if (!stage_begin(&s, pages, 4, LAZY_PTE))
		return;
	va = vmap(pages, 4, VM_W);
	vunmap(va);
	flags = irq_save();
	EXPECT_EQ(vm_unmap_frame_aliases(pages, 4, PURGE_PTES), 0);
	irq_restore(flags);
	EXPECT_EQ(entry_at(va), 0);
	stage_end(&s);
}

/* From now on nobody maps the frame: what a purge before a page table's birth relies on. */
KTEST(frame_aliases, refused_frames_cannot_be_mapped)
{
	if (!take_frames(pages, 2))
		return;
	frame_refuse_aliases(pages[1]);
	EXPECT(!vmap(pages, 2, VM_R), "a refused frame was mapped");
	EXPECT(!vm_map_ram(pages + 1, 1, VM_R), "a refused frame was mapped");
	EXPECT_EQ(frame_aliases(pages[0]), 0);
	frame_allow_aliases(pages[1]);
	vunmap(vmap(pages, 2, VM_R));
	frame_free_many(pages, 2);
}

/*
 * Refused while a lazy mapping of it stands: that is not to be revived, by no call and as no part
 * of a larger one, or the purge that follows would find it live.
 */
KTEST(frame_aliases, refused_frames_are_not_revived)
{
	struct stage s;

	if (!stage_begin(&s, pages, 2, LAZY_PTE))
		return;
	kunmap(kmap(pages[0]));
	kunmap(kmap(pages[0])); /* revived once */
	vunmap(vmap(pages, 2, VM_W));
	vm_unmap_ram(vm_map_ram(pages + 1, 1, VM_W), 1);
	frame_refuse_aliases(pages[0]);
	frame_refuse_aliases(pages[1]);
	EXPECT(!kmap(pages[0]), "kmap");
	EXPECT(!vmap(pages, 2, VM_W), "vmap");
	EXPECT(!vm_map_ram(pages + 1, 1, VM_W), "vm_map_ram");
	frame_allow_aliases(pages[0]);
	EXPECT(!vmap(pages, 2, VM_W), "vmap, with the second refused");
	frame_refuse_aliases(pages[0]);
	EXPECT_EQ(vm_unmap_frame_aliases(pages, 2, PURGE_FLUSH), 0);
	EXPECT_EQ(frame_aliases(pages[0]) + frame_aliases(pages[1]), 0);
	frame_allow_aliases(pages[0]);
	frame_allow_aliases(pages[1]);
	stage_end(&s);
}

/*
 * The same for a frame that was freed: what its lazy mapping shows is somebody else's, or nobody's.
 */
KTEST(frame_aliases, freed_frames_are_not_revived)
{
	struct lazy_stats was;

	if (!take_frames(pages, 2))
		return;
	was = set_laziness(LAZY_PTE);
	vunmap(vmap(pages, 2, VM_W));
	frame_free(pages[1], 0);
	EXPECT(!vmap(pages, 2, VM_W), "a mapping was revived whose second frame is free");
	frame_free(pages[0], 0);
	EXPECT(!vmap(pages, 2, VM_W), "a mapping was revived whose frames are free");
	restore_laziness(&was);
}
