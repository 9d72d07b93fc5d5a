// SPDX-License-Identifier: MIT
/*
 * debug=poison: an address that was unmapped is not used again as long as there are others, and
 * every CPU forgets it at once. So whoever goes on using it faults, now or later, and the report
 * says which area it was, who unmapped it and how long ago.
 */
#include "kernel/string.h"
#include "mm/check.h"
#include "mm/describe.h"
#include "mm/vmalloc.h"
#include "tests/kernel/laziness.h"
#include "tests/kernel/support.h"
#include "tests/kernel/watch.h"

#define ROUNDS 200

static struct frame *pages[4];

static bool contains(const char *text, const char *word)
{
	for (; *text; text++)
		if (!strncmp(text, word, strlen(word)))
			return true;
	return false;
}

/* => what was set before, for end_poison() */
static struct lazy_stats begin_poison(enum lazy_policy policy)
{
	struct lazy_stats was = set_laziness(policy);

	lazy_set_poison(true);
	return was;
}

static void end_poison(const struct lazy_stats *was)
{
	struct lazy_stats st;

	lazy_set_poison(false);
	lazy_release_quarantine();
	lazy_stats(&st);
	EXPECT_EQ(st.quarantined, 0);
	restore_laziness(was);
}

KTEST(poison, no_address_comes_twice)
{
	static vaddr_t seen[ROUNDS];
	struct lazy_stats was, st;
	enum lazy_policy policy;

	if (!take_frames(pages, 4))
		return;
	for_each_policy(policy)
	{
		was = begin_poison(policy);
		for (unsigned i = 0; i < ROUNDS; i++) {
			seen[i] = (vaddr_t)vmap(pages, 1 + i % 4, VM_W);
			EXPECT(seen[i], "no mapping");
			vunmap((void *)seen[i]);
			for (unsigned k = 0; k < i; k++)
				EXPECT(seen[k] != seen[i], "%#lx came again", seen[i]);
			if (test_failed())
				break;
		}
		lazy_stats(&st);
		EXPECT(st.quarantined >= ROUNDS, "only %lu areas are held back", st.quarantined);
		end_poison(&was);
	}
	frame_free_many(pages, 4);
}

KTEST(poison, use_after_unmap_faults_on_every_cpu)
{
	enum lazy_policy policy;
	struct lazy_stats was;
	struct watch w;
	void *va;

	if (!take_frames(pages, 2))
		return;
	for_each_policy(policy)
	{
		was = begin_poison(policy);
		va = vmap(pages, 2, VM_W);
		watch_begin(&w, va);
		EXPECT_EQ(watch_read(&w), cpus_online().bits);
		vunmap(va);
		EXPECT_EQ(watch_read(&w), 0);
		EXPECT_EQ(watch_write(&w, 1), 0);
		watch_end(&w);
		end_poison(&was);
	}
	frame_free_many(pages, 2);
}

static __noinline void the_culprit(void *va)
{
	vunmap(va);
	__asm__ volatile("" ::: "memory"); /* not a tail call: it is to be seen in the report */
}

KTEST(poison, a_use_is_reported_with_area_unmapper_and_age)
{
	struct lazy_stats was;
	char text[200];
	u8 *va;

	if (!take_frames(pages, 2))
		return;
	was = begin_poison(LAZY_TLB);
	va = vmap(pages, 2, VM_W);
	the_culprit(va);
	for (unsigned i = 0; i < ROUNDS; i++) /* it is long ago, and much was mapped since */
		vunmap(vmap(pages, 2, VM_W));
	mm_describe((vaddr_t)va + PAGE_SIZE + 1, text, sizeof(text));
	EXPECT(contains(text, "use after unmap: page 1 of area 'vmap'"), "%s", text);
	EXPECT(contains(text, "unmapped by the_culprit"), "%s", text);
	EXPECT(contains(text, " us ago"), "%s", text);
	end_poison(&was);
	frame_free_many(pages, 2);
}

/* Addresses wait, but frames do not: poison costs no memory but the areas'. */
KTEST(poison, frames_are_not_held)
{
	struct lazy_stats was = begin_poison(LAZY_TLB);
	u64 before = mm_frames_at_hand();

	for (unsigned i = 0; i < 50; i++) {
		void *va = vmalloc(64 * PAGE_SIZE);

		EXPECT(va, "no memory in round %u", i);
		vfree(va);
	}
	EXPECT_EQ(mm_frames_at_hand(), before);
	end_poison(&was);
}
