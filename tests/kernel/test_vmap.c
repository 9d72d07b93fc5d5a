// SPDX-License-Identifier: MIT
/*
 * vmap and vunmap on the real machine. What other CPUs remember is test_shootdown.c's subject;
 * what happens on this one is here.
 */
#include "kernel/cpu.h"
#include "kernel/string.h"
#include "kernel/test.h"
#include "kernel/thread.h"
#include "mm/check.h"
#include "mm/describe.h"
#include "mm/frame.h"
#include "mm/pagetable.h"
#include "mm/space.h"
#include "mm/vmap.h"
#include "tests/kernel/laziness.h"

#define MANY 600 /* more than one level-1 table's worth */

static struct frame *pages[MANY];

static bool take(unsigned n)
{
	bool ok = !frame_alloc_many(pages, n, FRAME_ZERO);

	EXPECT(ok, "no memory for %u frames", n);
	return ok;
}

KTEST(vmap, shows_the_frames_in_order)
{
	u64 *va;

	if (!take(MANY))
		return;
	for (unsigned i = 0; i < MANY; i++)
		*(u64 *)frame_virt(pages[i]) = 1000 + i;
	va = vmap(pages, MANY, VM_W);
	EXPECT(va, "no mapping");
	for (unsigned i = 0; va && i < MANY; i++) {
		EXPECT_EQ(va[i * PAGE_SIZE / 8], 1000 + i);
		va[i * PAGE_SIZE / 8] = i;
		EXPECT_EQ(*(u64 *)frame_virt(pages[i]), i);
		EXPECT_EQ(atomic_read(&pages[i]->aliases), 1);
	}
	vunmap(va);
	for (unsigned i = 0; i < MANY; i++)
		EXPECT_EQ(atomic_read(&pages[i]->aliases), 0);
	frame_free_many(pages, MANY);
}

KTEST(vmap, guard_follows_and_precedes)
{
	u8 *a, *b;

	if (!take(4))
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

	if (!take(1))
		return;
	*(u8 *)frame_virt(pages[0]) = 77;
	va = vmap(pages, 1, VM_R);
	EXPECT(va && !probe_read(va, &got) && got == 77, "read %u", got);
	EXPECT(va && probe_write(va, 1), "a read-only mapping took a write");
	EXPECT_EQ(*(u8 *)frame_virt(pages[0]), 77);
	vunmap(va);
	frame_free_many(pages, 1);
}

KTEST(vmap, one_frame_may_have_many_aliases)
{
	volatile u8 *va[5];

	if (!take(1))
		return;
	for (unsigned i = 0; i < ARRAY_SIZE(va); i++)
		va[i] = vmap(pages, 1, VM_W);
	EXPECT_EQ(atomic_read(&pages[0]->aliases), ARRAY_SIZE(va));
	va[0][5] = 99;
	for (unsigned i = 0; i < ARRAY_SIZE(va); i++)
		EXPECT_EQ(va[i][5], 99);
	EXPECT_EQ(mm_check(false), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(va); i++)
		vunmap((void *)va[i]);
	EXPECT_EQ(atomic_read(&pages[0]->aliases), 0);
	frame_free_many(pages, 1);
}

KTEST(vmap, impossible_sizes_give_null)
{
	if (!take(1))
		return;
	EXPECT(!vmap(pages, 0, VM_W), "no pages");
	EXPECT(!vmap(pages, ~0u, VM_W), "more pages than there are addresses");
	frame_free_many(pages, 1);
}

/*
 * Fails each allocation vmap makes, the first, the second, ... until it succeeds. Where the
 * failures fall depends on what is there already; the host's test_vmap fails every single one.
 */
KTEST(vmap, out_of_memory_changes_nothing)
{
	u64 before, nth;
	void *va = NULL, *live;

	if (!take(MANY))
		return;
	live = vmap(pages, MANY, VM_W);
	vm_unmap_aliases();
	for (nth = 1; !va && nth < 50; nth++) {
		before = mm_frames_at_hand();
		frame_inject_failure(nth);
		va = vmap(pages, MANY, VM_W);
		frame_inject_failure(0);
		if (!va)
			EXPECT_EQ(mm_frames_at_hand(), before);
		EXPECT_EQ(atomic_read(&pages[0]->aliases), 1 + !!va);
	}
	EXPECT(va, "never succeeded");
	vunmap(va);
	vunmap(live);
	EXPECT_EQ(mm_check(false), 0);
	frame_free_many(pages, MANY);
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
	struct lazy_stats was;
	vaddr_t va;

	if (!take(2))
		return;
	was = set_laziness(LAZY_TLB);
	va = (vaddr_t)vmap(pages, 2, VM_W);
	EXPECT(describes(va + 100, "live area 'vmap'"), "live");
	EXPECT(describes(va + 2 * PAGE_SIZE, "guard page after"), "guard");
	vunmap((void *)va);
	EXPECT(describes(va + 100, "use after unmap"), "cleared");
	vm_unmap_aliases();
	EXPECT(describes(va + 100, "free"), "free");
	restore_laziness(&was);
	frame_free_many(pages, 2);
}

KTEST(vmap, lazy_list_grows_and_comes_home)
{
	struct lazy_stats was;
	struct lazy_stats st;

	if (!take(3))
		return;
	was = set_laziness(LAZY_TLB);
	for (unsigned i = 0; i < 10; i++)
		vunmap(vmap(pages, 3, VM_W));
	lazy_stats(&st);
	EXPECT_EQ(st.areas, 10);
	EXPECT_EQ(st.pages, 30);
	EXPECT_EQ(mm_check(false), 0);
	EXPECT_EQ(lazy_purge(), 30);
	lazy_stats(&st);
	EXPECT_EQ(st.areas, 0);
	EXPECT_EQ(lazy_purge(), 0);
	restore_laziness(&was);
	frame_free_many(pages, 3);
}

KTEST(vmap, threshold_bounds_what_waits)
{
	struct lazy_stats was;
	struct lazy_stats st;

	if (!take(4))
		return;
	was = set_laziness(LAZY_TLB);
	lazy_set_max(64);
	for (unsigned i = 0; i < 100; i++) {
		vunmap(vmap(pages, 4, VM_W));
		lazy_stats(&st);
		EXPECT(st.pages <= 64, "%lu pages wait", st.pages);
	}
	restore_laziness(&was);
	frame_free_many(pages, 4);
}

/*
 * The lowest address is given first, so under `off` the same one comes again, under `tlb` it must
 * not.
 */
KTEST(vmap, addresses_are_reissued_only_after_the_flush)
{
	struct lazy_stats was;
	void *first, *second, *third;

	if (!take(1))
		return;
	was = set_laziness(LAZY_TLB);
	first = vmap(pages, 1, VM_W);
	vunmap(first);
	second = vmap(pages, 1, VM_W);
	EXPECT(second != first, "%p was reissued while it was on the lazy list", first);
	vunmap(second);
	vm_unmap_aliases();
	third = vmap(pages, 1, VM_W);
	EXPECT_EQ(third, first);
	vunmap(third);
	lazy_set_policy(LAZY_OFF);
	second = vmap(pages, 1, VM_W);
	vunmap(second);
	EXPECT_EQ(vmap(pages, 1, VM_W), second);
	vunmap(second);
	restore_laziness(&was);
	frame_free_many(pages, 1);
}

KTEST(vmap, high_frames_are_reached_through_it)
{
	struct frame *f = frame_alloc(0, FRAME_HIGH);
	volatile u64 *va;

	if (!f || frame_paddr(f) < space_direct_limit()) {
		if (f)
			frame_free(f, 0);
		test_skip("no memory above the direct map (boot with directmap=SIZE)");
		return;
	}
	EXPECT(probe_read(frame_virt(f), NULL), "a high frame is in the direct map");
	va = vmap(&f, 1, VM_W);
	*va = 0x1234;
	EXPECT_EQ(*va, 0x1234);
	vunmap((void *)va);
	frame_free(f, 0);
}

/* *arg: rounds */
static void map_and_unmap(void *arg)
{
	struct frame *f[8];
	u64 x = cpu_id() + 12345;

	if (frame_alloc_many(f, ARRAY_SIZE(f), FRAME_ZERO)) {
		test_fail(__FILE__, __LINE__, "no memory on CPU %u", cpu_id());
		return;
	}
	for (unsigned i = 0; i < *(const unsigned *)arg && !test_failed(); i++) {
		unsigned n;
		volatile u64 *va;

		x = x * 6364136223846793005ul + 1442695040888963407ul;
		n = 1 + (x >> 50) % ARRAY_SIZE(f);
		va = vmap(f, n, VM_W);
		if (!va) {
			EXPECT(va, "no mapping of %u pages", n);
			break;
		}
		for (unsigned p = 0; p < n; p++)
			va[p * PAGE_SIZE / 8] = x + p;
		for (unsigned p = 0; p < n; p++)
			EXPECT_EQ(*(u64 *)frame_virt(f[p]), x + p);
		vunmap((void *)va);
		if (i % 97 == 0)
			vm_unmap_aliases();
	}
	frame_free_many(f, ARRAY_SIZE(f));
}

KTEST(vmap, all_cpus_at_once_lazily)
{
	struct lazy_stats was;

	was = set_laziness(LAZY_TLB);
	EXPECT_EQ(run_on_cpus(cpus_online().bits, map_and_unmap, &(unsigned){2000}), 0);
	restore_laziness(&was);
}

KTEST(vmap, all_cpus_at_once_eagerly)
{
	struct lazy_stats was;

	was = set_laziness(LAZY_OFF); /* every unmap a shootdown: fewer rounds */
	EXPECT_EQ(run_on_cpus(cpus_online().bits, map_and_unmap, &(unsigned){100}), 0);
	restore_laziness(&was);
}
