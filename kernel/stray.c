// SPDX-License-Identifier: MIT
/*
 * Who unmapped lazily, and who pays. A file system maps buffers of several pages, uses them, unmaps
 * them, and frees the pages at once; the mappings are taken back some time later, many together,
 * because each time all CPUs must be told. Meanwhile a process is started, and its page tables are
 * made of pages that have just become free.
 *
 * On a bare machine nobody looks: at most the old owner's bug becomes everybody's (kernel/forge.c).
 * A hypervisor that lets its guests run on their real page tables does look, and a frame with a
 * writable mapping is refused. So it is for who makes page tables to see to it, or for who unmaps:
 *
 *   purge=none    nobody does
 *   purge=all     everything unmapped lazily is taken back: the simple answer
 *   purge=exact   what maps this very frame is: the wish
 *   purge=unhook  everything again, but whole page tables of lazy mappings are emptied at once
 */
#include "kernel/stray.h"
#include "kernel/counter.h"
#include "kernel/errno.h"
#include "kernel/string.h"
#include "kernel/time.h"
#include "mm/alias.h"
#include "mm/aspace.h"
#include "mm/frame.h"
#include "mm/kmap.h"
#include "mm/lazy.h"
#include "mm/vmap.h"

#define BUFFERS	     4
#define BUFFER_PAGES 4
#define PAGES	     (BUFFERS * BUFFER_PAGES)
#define PROGRAM	     0x40000000ul

static void dirty(u8 *va, unsigned pages)
{
	for (unsigned i = 0; i < pages; i++)
		memset(va + i * PAGE_SIZE, 0xf5, PAGE_SIZE);
}

/* => its entries stand, lazily; false: no memory */
static bool use(enum stray_mapping how, struct frame *const *f, unsigned pages)
{
	u8 *va;

	if (how == STRAY_KMAP) {
		for (unsigned i = 0; i < pages; i++) {
			va = kmap(f[i]);
			if (!va)
				return false;
			dirty(va, 1);
			kunmap(va);
		}
		return true;
	}
	va = vmap(f, pages, VM_W);
	if (!va)
		return false;
	dirty(va, pages);
	vunmap(va);
	return true;
}

/* Of one frame, all of them; it stays ours, so it becomes no table. */
static bool leave_others(struct frame *f, unsigned others)
{
	struct frame *twice[2] = {f, f}; /* kmap would revive the same area each time */

	while (others--) {
		void *va = vmap(twice, 1 + others % 2, VM_R);

		if (!va)
			return false;
		vunmap(va);
	}
	return true;
}

static u64 hypercalls(void)
{
	return counter_sum(CNT_xen_mmu_update) + counter_sum(CNT_xen_mmuext);
}

static u64 purged(void)
{
	return counter_sum(CNT_clear_pages) + counter_sum(CNT_purge_hit);
}

static void count_tables(struct frame *const *f, struct stray_result *res)
{
	for (unsigned i = 0; i < PAGES; i++)
		if (f[i]->type == FRAME_TABLE) {
			res->tables++;
			res->mapped += !!(atomic_read(&f[i]->alias) & ALIAS_HEAD);
		}
}

/* => 0, and res->err is what the platform says */
static int make_space(struct frame *const *f, struct stray_result *res)
{
	u64 start = tsc_now(), calls = hypercalls(), entries = counter_sum(CNT_xen_mmu_entry),
	    cleared = purged();
	struct aspace *as = aspace_create("program");
	int err = as ? aspace_map(as, PROGRAM, 2, VM_W) : -ENOMEM;

	if (!err) {
		res->err = aspace_load(as);
		res->ticks = tsc_now() - start;
		res->hypercalls = hypercalls() - calls;
		res->entries = counter_sum(CNT_xen_mmu_entry) - entries;
		res->purged = purged() - cleared;
		count_tables(f, res);
	}
	aspace_leave();
	if (as)
		KASSERT(!aspace_destroy(as), "somebody else runs on the program's space");
	return err;
}

int stray_pin(enum stray_mapping how, struct stray_result *res)
{
	struct frame *f[PAGES];
	int err = frame_alloc_many(f, PAGES, 0);
	bool used = !err;

	*res = (struct stray_result){0};
	for (unsigned b = 0; used && b < BUFFERS; b++)
		used = use(how, f + b * BUFFER_PAGES, BUFFER_PAGES);
	if (!err)
		frame_free_many(f, PAGES);
	return used ? make_space(f, res) : -ENOMEM;
}

static struct {
	enum purge_policy purge;
	struct lazy_stats lazy;
	bool poison, hold;
	struct frame *other;
} was;

int stray_begin(const struct stray_setup *setup)
{
	was.purge = pt_purge_policy();
	was.poison = lazy_poison(); /* with these two no alias is left behind */
	was.hold = frame_hold();
	lazy_stats(&was.lazy);
	lazy_set_max(~0ul); /* no purge may come between */
	lazy_set_policy(setup->lazy);
	lazy_set_poison(false);
	frame_set_hold(false);
	pt_set_purge_policy(setup->purge);
	was.other = frame_alloc(0, 0);
	if (was.other && leave_others(was.other, setup->others))
		return 0;
	stray_end();
	return -ENOMEM;
}

void stray_end(void)
{
	pt_set_purge_policy(was.purge);
	vm_unmap_aliases();
	if (was.other)
		frame_free(was.other, 0);
	frame_set_hold(was.hold);
	lazy_set_poison(was.poison);
	lazy_set_policy(was.lazy.policy);
	lazy_set_max(was.lazy.max_pages);
}
