// SPDX-License-Identifier: MIT
/*
 * Revival (policy pte): the same frames mapped again with the same rights while their lazy mapping
 * stands get it back: no entry is written, nothing is flushed. What must never happen is that a
 * mapping is revived that is not quite the one asked for, or one that a purge has begun to take
 * away; purges and revivals therefore race here on every CPU.
 */
#include "kernel/atomic.h"
#include "kernel/thread.h"
#include "mm/vmap.h"
#include "tests/kernel/stage.h"

static struct frame *pages[8];

/* Maps pages[0..n-1] and leaves them lazily mapped. => where */
static u8 *leave_lazy(unsigned n, unsigned prot)
{
	u8 *va = vmap(pages, n, prot);

	EXPECT(va, "no mapping");
	vunmap(va);
	return va;
}

KTEST(revival, gives_back_the_same_mapping)
{
	struct stage s;
	u64 revived = counter_sum(CNT_revive), ipis, entry;
	volatile u8 *first, *again;

	if (!stage_begin(&s, pages, 4, LAZY_PTE))
		return;
	first = leave_lazy(4, VM_W);
	entry = entry_at((void *)first);
	ipis = counter_sum(CNT_ipi_sent);
	for (unsigned i = 0; i < 10; i++) {
		again = vmap(pages, 4, VM_W);
		EXPECT_EQ(again, first);
		EXPECT_EQ(entry_at((void *)again), entry);
		EXPECT(frame_mapped_live(pages[3]), "revived, but not live");
		again[3 * PAGE_SIZE] = (u8)i;
		EXPECT_EQ(*byte_of(pages[3]), i);
		vunmap((void *)again);
	}
	EXPECT_EQ(counter_sum(CNT_revive), revived + 10);
	EXPECT_EQ(counter_sum(CNT_ipi_sent), ipis);
	stage_end(&s);
}

KTEST(revival, works_for_every_short_lived_mapping)
{
	struct stage s;
	void *va;

	if (!stage_begin(&s, pages, 2, LAZY_PTE))
		return;
	va = vm_map_ram(pages, 2, VM_W);
	vm_unmap_ram(va, 2);
	EXPECT_EQ(vm_map_ram(pages, 2, VM_W), va);
	vm_unmap_ram(va, 2);
	stage_end(&s);
}

/* Same first frame, but not the same mapping. */
KTEST(revival, wants_the_same_frames_and_rights)
{
	struct stage s;
	struct frame *other[2];
	u8 *lazy, *va;

	if (!stage_begin(&s, pages, 4, LAZY_PTE))
		return;
	lazy = leave_lazy(2, VM_W);
	va = vmap(pages, 2, VM_R);
	EXPECT(va != lazy && probe_write(va, 1), "a writable mapping revived as read-only");
	vunmap(va);
	lazy = leave_lazy(2, VM_W);
	va = vmap(pages, 1, VM_W);
	EXPECT(va != lazy && probe_read(va + PAGE_SIZE, NULL), "two pages revived as one");
	vunmap(va);
	lazy = leave_lazy(2, VM_W);
	va = vmap(pages, 3, VM_W);
	EXPECT(va != lazy && !probe_read(va + 2 * PAGE_SIZE, NULL), "two pages revived as three");
	vunmap(va);
	lazy = leave_lazy(2, VM_W);
	other[0] = pages[0];
	other[1] = pages[3];
	va = vmap(other, 2, VM_W);
	EXPECT_EQ(vmalloc_to_frame(va + PAGE_SIZE), pages[3]);
	vunmap(va);
	stage_end(&s);
}

KTEST(revival, ends_with_a_purge)
{
	struct stage s;
	u64 revived;
	void *va;

	if (!stage_begin(&s, pages, 4, LAZY_PTE))
		return;
	leave_lazy(4, VM_W);
	lazy_purge(PURGE_PTES);
	revived = counter_sum(CNT_revive);
	vunmap(vmap(pages, 4, VM_W));
	EXPECT_EQ(counter_sum(CNT_revive), revived);
	/* One page of it is enough: what has a hole is no mapping of these frames any more. */
	vm_unmap_frame_aliases(pages + 2, 1, PURGE_PTES);
	va = vmap(pages, 4, VM_W);
	EXPECT_EQ(counter_sum(CNT_revive), revived);
	EXPECT_EQ(vmalloc_to_frame((u8 *)va + 2 * PAGE_SIZE), pages[2]);
	vunmap(va);
	stage_end(&s);
}

/* A frame that changes hands takes its lazy mapping along: the next owner's may revive it. */
KTEST(revival, survives_the_frames_being_freed)
{
	struct stage s;
	volatile u8 *va;

	if (!stage_begin(&s, pages, 1, LAZY_PTE))
		return;
	leave_lazy(1, VM_W);
	frame_free_many(pages, 1);
	if (!take_frames(pages, 1))
		return;
	va = vmap(pages, 1, VM_W);
	EXPECT(va, "no mapping");
	*va = 0x42;
	EXPECT_EQ(*byte_of(pages[0]), 0x42);
	vunmap((void *)va);
	stage_end(&s);
}

/* --- purge against revival --- */

#define RACE_ROUNDS 400

struct race {
	atomic_t next_cpu, mapping; /* a number for each CPU; those that still map */
};

/*
 * The frames are all CPUs': each may revive what another has left, and nobody's may be purged live.
 */
static void map_shared(struct race *r, unsigned me)
{
	for (unsigned i = 0; i < RACE_ROUNDS && !test_failed(); i++) {
		unsigned n = 1 + (i + me) % ARRAY_SIZE(pages), slot = 8 + me;
		u8 *va = vmap(pages, n, VM_W);

		if (!va) {
			EXPECT(va, "no mapping");
			break;
		}
		for (unsigned p = 0; p < n; p++) {
			volatile u8 *byte = va + p * PAGE_SIZE + slot;

			if (probe_write((u8 *)byte, (u8)i)) {
				EXPECT(false, "page %u of %u faulted while it was mapped", p, n);
				break;
			}
			EXPECT_EQ(byte_of(pages[p])[slot], (u8)i);
		}
		vunmap(va);
	}
	atomic_fetch_add(&r->mapping, ~0ul);
}

static void purge_shared(struct race *r, unsigned me)
{
	for (unsigned i = 0; atomic_read(&r->mapping); i++) {
		if (me)
			vm_unmap_frame_aliases(pages + i % ARRAY_SIZE(pages), 1,
					       i % 3 ? PURGE_PTES : PURGE_FLUSH);
		else if (i % 8)
			lazy_purge(PURGE_PTES);
		else
			vm_unmap_aliases();
		thread_yield();
	}
}

static void race(void *arg)
{
	struct race *r = arg;
	unsigned me = (unsigned)atomic_fetch_add(&r->next_cpu, 1);
	unsigned purgers = nr_cpus > 3 ? 2 : 1;

	if (me < purgers)
		purge_shared(r, me);
	else
		map_shared(r, me);
}

KTEST(revival, races_with_purges)
{
	struct stage s;
	struct race r = {.next_cpu = {0}};

	if (nr_cpus < 2) {
		test_skip("one CPU: there is nobody to race with");
		return;
	}
	if (!stage_begin(&s, pages, ARRAY_SIZE(pages), LAZY_PTE))
		return;
	atomic_set(&r.mapping, nr_cpus - (nr_cpus > 3 ? 2 : 1));
	EXPECT_EQ(run_on_cpus(cpus_online().bits, race, &r), 0);
	vm_unmap_aliases();
	for (unsigned i = 0; i < ARRAY_SIZE(pages); i++)
		EXPECT_EQ(frame_aliases(pages[i]), 0);
	stage_end(&s);
}
