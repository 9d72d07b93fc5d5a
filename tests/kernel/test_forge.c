// SPDX-License-Identifier: MIT
/*
 * Page tables that somebody can still write: what the purge policies are about. Under `none` one is
 * forged, and the walker must see it; under the others it must not be possible.
 */
#include "kernel/forge.h"
#include "kernel/string.h"
#include "mm/vmap.h"
#include "tests/kernel/laziness.h"
#include "tests/kernel/support.h"

static struct forge_result forge_under(enum purge_policy purge)
{
	struct forge_result r;

	EXPECT_EQ(forge_experiment(purge, &r), 0);
	EXPECT(r.table, "no frame of the buffer became the table");
	EXPECT_EQ(r.tables, 4); /* one of each level */
	EXPECT_EQ(r.faults_end, 0);
	return r;
}

KTEST(forge, without_a_purge_a_table_is_forged_and_that_is_found)
{
	struct forge_result r;

	if (mmu->tables_read_only) {
		test_skip("the hypervisor refuses such a table: see stray/*");
		return;
	}
	r = forge_under(PT_PURGE_NONE);
	EXPECT(!r.alias_faulted, "the stray alias is gone");
	EXPECT(!strcmp(r.seen, FORGE_SECRET), "the program reads '%s'", r.seen);
	/* the tables that are mapped writable, and the entry that names another's frame */
	EXPECT_EQ(r.faults, 4 + 1);
}

KTEST(forge, the_exact_purge_prevents_it)
{
	struct forge_result r = forge_under(PT_PURGE_EXACT);

	EXPECT(r.alias_faulted, "a page table can be written by a mapping that is gone");
	EXPECT_EQ(r.forged, 0);
}

KTEST(forge, a_purge_of_everything_prevents_it)
{
	static const enum purge_policy all[] = {PT_PURGE_ALL, PT_PURGE_UNHOOK};

	for (unsigned i = 0; i < ARRAY_SIZE(all); i++) {
		struct forge_result r = forge_under(all[i]);

		EXPECT(r.alias_faulted, "a page table can be written by a mapping that is gone");
		EXPECT_EQ(r.forged, 0);
	}
}

/* => aliases that a lazily unmapped frame, of no concern to the table, has after one is made */
static unsigned left_by(enum purge_policy purge, struct frame *f)
{
	enum purge_policy was = pt_purge_policy();
	unsigned left;
	pfn_t table;

	vunmap(vmap(&f, 1, VM_W));
	pt_set_purge_policy(purge);
	EXPECT_EQ(pt_alloc_table(1, &table), 0);
	pt_set_purge_policy(was);
	left = frame_aliases(f);
	pt_free_table(table);
	vm_unmap_aliases();
	return left;
}

KTEST(forge, only_all_purges_what_is_of_no_concern)
{
	struct lazy_stats was;
	struct frame *f;

	if (!take_frames(&f, 1))
		return;
	was = set_laziness(LAZY_PTE);
	EXPECT_EQ(left_by(PT_PURGE_NONE, f), 1);
	EXPECT_EQ(left_by(PT_PURGE_EXACT, f), 1);
	EXPECT_EQ(left_by(PT_PURGE_ALL, f), 0);
	EXPECT_EQ(left_by(PT_PURGE_UNHOOK, f), 0);
	restore_laziness(&was);
	frame_free(f, 0);
}
