// SPDX-License-Identifier: MIT
/*
 * vmap and vunmap on the real machine, under every policy. What other CPUs remember of a mapping is
 * test_stale.c's subject, what laziness does test_lazy.c's; here is what everybody expects of a
 * mapping: the right frames, in order, with the rights asked for, between guards.
 */
#include "kernel/string.h"
#include "kernel/thread.h"
#include "mm/check.h"
#include "mm/describe.h"
#include "mm/vmap.h"
#include "tests/kernel/laziness.h"
#include "tests/kernel/support.h"

#define MANY 600 /* more than one level-1 table's worth */

static struct frame *pages[MANY];

static void map_many(enum lazy_policy policy)
{
	u64 *va = vmap(pages, MANY, VM_W);

	EXPECT(va, "no mapping");
	for (unsigned i = 0; va && i < MANY; i++) {
		*(u64 *)frame_virt(pages[i]) = 1000 + i;
		EXPECT_EQ(va[i * PAGE_SIZE / 8], 1000 + i);
		va[i * PAGE_SIZE / 8] = i;
		EXPECT_EQ(*(u64 *)frame_virt(pages[i]), i);
		EXPECT(frame_mapped_live(pages[i]), "page %u", i);
		EXPECT_EQ(frame_aliases(pages[i]), 1);
	}
	vunmap(va);
	for (unsigned i = 0; i < MANY; i++) {
		EXPECT(!frame_mapped_live(pages[i]), "page %u", i);
		EXPECT_EQ(frame_aliases(pages[i]), policy == LAZY_PTE);
	}
	vm_unmap_aliases();
	for (unsigned i = 0; i < MANY; i++)
		EXPECT_EQ(frame_aliases(pages[i]), 0);
}

KTEST(vmap, shows_the_frames_in_order)
{
	enum lazy_policy policy;
	struct lazy_stats was;

	if (!take_frames(pages, MANY))
		return;
	for_each_policy(policy)
	{
		was = set_laziness(policy);
		lazy_set_max(~0ul); /* or the round may end, and a purge come, in between */
		map_many(policy);
		restore_laziness(&was);
	}
	frame_free_many(pages, MANY);
}

KTEST(vmap, guard_follows_and_precedes)
{
	u8 *a, *b;

	if (!take_frames(pages, 4))
		return;
	a = vmap(pages, 2, VM_W);
	b = vmap(pages + 2, 2, VM_W);
	EXPECT(a && b, "no mapping");
	EXPECT(!probe_write(a + 2 * PAGE_SIZE - 1, 1), "the last byte");
	EXPECT(probe_write(a + 2 * PAGE_SIZE, 1), "the guard after the area took a write");
	EXPECT(probe_read(b + 2 * PAGE_SIZE, NULL), "the guard after the second area was read");
	EXPECT(probe_read(a - 1, NULL), "what lies before the area was read");
	vunmap(a);
	vunmap(b);
	frame_free_many(pages, 4);
}

KTEST(vmap, read_only_means_it)
{
	u8 *va, got = 0;

	if (!take_frames(pages, 1))
		return;
	*byte_of(pages[0]) = 77;
	va = vmap(pages, 1, VM_R);
	EXPECT(va && !probe_read(va, &got) && got == 77, "read %u", got);
	EXPECT(va && probe_write(va, 1), "a read-only mapping took a write");
	EXPECT_EQ(*byte_of(pages[0]), 77);
	vunmap(va);
	frame_free_many(pages, 1);
}

/* A mapping that is local is dropped by a CR3 load; to its user it is like any other. */
KTEST(vmap, local_mappings_work_as_well)
{
	volatile u8 *va;

	if (!take_frames(pages, 1))
		return;
	va = vmap(pages, 1, VM_W | VM_LOCAL);
	EXPECT(va, "no mapping");
	if (va) {
		va[0] = 7;
		EXPECT_EQ(*byte_of(pages[0]), 7);
		EXPECT(!(entry_at((void *)va) & PTE_G), "the entry is global");
	}
	vunmap((void *)va);
	frame_free_many(pages, 1);
}

KTEST(vmap, one_frame_may_have_many_aliases)
{
	struct lazy_stats was;
	volatile u8 *va[5];

	if (!take_frames(pages, 1))
		return;
	was = set_laziness(LAZY_TLB);
	for (unsigned i = 0; i < ARRAY_SIZE(va); i++)
		va[i] = vmap(pages, 1, VM_W);
	EXPECT_EQ(frame_aliases(pages[0]), ARRAY_SIZE(va));
	va[0][5] = 99;
	for (unsigned i = 0; i < ARRAY_SIZE(va); i++)
		EXPECT_EQ(va[i][5], 99);
	EXPECT_EQ(mm_check(false), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(va); i++) /* from the middle outwards */
		vunmap((void *)va[(i + 2) % ARRAY_SIZE(va)]);
	EXPECT_EQ(frame_aliases(pages[0]), 0);
	restore_laziness(&was);
	frame_free_many(pages, 1);
}

/* The same frame several times in one mapping: a ring buffer that need not wrap, for one. */
KTEST(vmap, one_frame_may_be_mapped_twice_in_a_row)
{
	struct frame *twice[2];
	volatile u8 *va;

	if (!take_frames(pages, 1))
		return;
	twice[0] = twice[1] = pages[0];
	va = vmap(twice, 2, VM_W);
	EXPECT(va, "no mapping");
	EXPECT_EQ(frame_aliases(pages[0]), 2);
	if (va) {
		va[1] = 0x77;
		EXPECT_EQ(va[PAGE_SIZE + 1], 0x77);
	}
	vunmap((void *)va);
	vm_unmap_aliases();
	EXPECT_EQ(frame_aliases(pages[0]), 0);
	frame_free_many(pages, 1);
}

KTEST(vmap, areas_and_frames_are_found_by_address)
{
	struct area a;
	u8 *va;

	if (!take_frames(pages, 3))
		return;
	va = vmap(pages, 3, VM_W);
	EXPECT(va, "no mapping");
	for (unsigned i = 0; va && i < 3; i++) {
		EXPECT_EQ(vmalloc_to_frame(va + i * PAGE_SIZE + 123), pages[i]);
		EXPECT(find_vm_area(va + i * PAGE_SIZE, &a), "page %u", i);
		EXPECT_EQ(a.start, va);
		EXPECT_EQ(a.pages, 3);
		EXPECT_EQ(strcmp(a.name, "vmap"), 0);
	}
	EXPECT(!find_vm_area(va + 3 * PAGE_SIZE, &a), "the guard is no part of the area");
	EXPECT(!vmalloc_to_frame(va + 3 * PAGE_SIZE), "the guard has no frame");
	vunmap(va);
	EXPECT(!find_vm_area(va, &a), "found after vunmap");
	EXPECT(!vmalloc_to_frame(va), "a frame after vunmap");
	EXPECT(!find_vm_area((void *)DIRECT_BASE, &a) && !find_vm_area(NULL, &a), "elsewhere");
	frame_free_many(pages, 3);
}

static bool describes(vaddr_t va, const char *word)
{
	char text[200];

	mm_describe(va, text, sizeof(text));
	for (const char *p = text; *p; p++)
		if (!strncmp(p, word, strlen(word)))
			return true;
	return false;
}

KTEST(vmap, addresses_are_described_in_each_state)
{
	enum lazy_policy policy;
	struct lazy_stats was;
	vaddr_t va;

	if (!take_frames(pages, 2))
		return;
	for_each_policy(policy)
	{
		was = set_laziness(policy);
		va = (vaddr_t)vmap(pages, 2, VM_W);
		EXPECT(describes(va + 100, "live area 'vmap'"), "live");
		EXPECT(describes(va + 2 * PAGE_SIZE, "guard page after"), "guard");
		vunmap((void *)va);
		EXPECT(describes(va + 100, "use after unmap"), "policy %u", policy);
		restore_laziness(&was);
	}
	frame_free_many(pages, 2);
}

/* *arg: rounds */
static void map_and_unmap(void *arg)
{
	u64 x = cpu_id() + 12345;
	struct frame *f[8];

	if (frame_alloc_many(f, ARRAY_SIZE(f), FRAME_ZERO)) {
		NO_MEMORY;
		return;
	}
	for (unsigned i = 0; i < *(const unsigned *)arg && !test_failed(); i++) {
		unsigned n = 1 + test_random(&x) % ARRAY_SIZE(f);
		volatile u64 *va = i % 2 ? vmap(f, n, VM_W) : vm_map_ram(f, n, VM_W);

		if (!va) {
			EXPECT(va, "no mapping of %u pages", n);
			break;
		}
		for (unsigned p = 0; p < n; p++)
			va[p * PAGE_SIZE / 8] = x + p;
		for (unsigned p = 0; p < n; p++)
			EXPECT_EQ(*(u64 *)frame_virt(f[p]), x + p);
		if (i % 2)
			vunmap((void *)va);
		else
			vm_unmap_ram((void *)va, n);
		if (i % 97 == 0)
			vm_unmap_aliases();
	}
	frame_free_many(f, ARRAY_SIZE(f));
}

static void all_cpus_at_once(enum lazy_policy policy, unsigned rounds)
{
	struct lazy_stats was = set_laziness(policy);

	EXPECT_EQ(run_on_cpus(cpus_online().bits, map_and_unmap, &rounds), 0);
	restore_laziness(&was);
}

KTEST(vmap, all_cpus_at_once_eagerly)
{
	all_cpus_at_once(LAZY_OFF, 30); /* every unmap a shootdown: fewer rounds */
}

KTEST(vmap, all_cpus_at_once_lazily)
{
	all_cpus_at_once(LAZY_TLB, 1000);
}

KTEST(vmap, all_cpus_at_once_reviving)
{
	all_cpus_at_once(LAZY_PTE, 1000);
}
