// SPDX-License-Identifier: MIT
/*
 * The explainer against Xen itself: what it finds before a pin must be what is in the way, no more
 * and no less; and what Xen then says must be what it has foretold.
 */
#include "kernel/stray.h"
#include "mm/aspace.h"
#include "mm/kmap.h"
#include "mm/vmap.h"
#include "tests/kernel/stage.h"
#include "tests/xen/guest.h"
#include "xen/explain.h"
#include "xen/hypercall.h"
#include "xen/mmu.h"
#include "xen/p2m.h"

#define PROGRAM 0x40000000ul

/* A space whose tables are taken as they are. => NULL: no memory */
static struct aspace *space_as_it_is(unsigned pages)
{
	enum purge_policy was = pt_purge_policy();
	struct aspace *as;

	pt_set_purge_policy(PT_PURGE_NONE);
	as = aspace_create("explained");
	if (as && aspace_map(as, PROGRAM, pages, VM_W)) {
		EXPECT_EQ(aspace_destroy(as), 0);
		as = NULL;
	}
	pt_set_purge_policy(was);
	EXPECT(as, "no memory");
	return as;
}

/* What Xen says to a root that leads to the space's tables. */
static int load(struct aspace *as)
{
	int err = aspace_load(as);

	aspace_leave();
	return err;
}

static void pins_as_foretold(enum stray_mapping how, enum purge_policy purge)
{
	const struct stray_setup setup = {purge, LAZY_PTE, 3};
	u64 wrong = counter_sum(CNT_xen_mispredicted), refused = counter_sum(CNT_xen_refused),
	    explained = counter_sum(CNT_xen_explained);
	struct stray_result r;

	EXPECT_EQ(stray_begin(&setup), 0);
	EXPECT_EQ(stray_pin(how, &r), 0);
	stray_end();
	EXPECT(r.tables, "no frame of the buffers became a table");
	EXPECT_EQ(r.err, purge == PT_PURGE_NONE ? -EINVAL : 0);
	EXPECT_EQ(counter_sum(CNT_xen_refused) - refused, purge == PT_PURGE_NONE);
	EXPECT_EQ(counter_sum(CNT_xen_explained) - explained, purge == PT_PURGE_NONE);
	EXPECT_EQ(counter_sum(CNT_xen_mispredicted), wrong);
}

KTEST(explain, stray_aliases_are_foretold)
{
	if (!xen_looks())
		return;
	for (unsigned p = 0; p < NR_PURGE_POLICIES; p++) {
		pins_as_foretold(STRAY_VMAP, (enum purge_policy)p);
		pins_as_foretold(STRAY_KMAP, (enum purge_policy)p);
	}
}

/* One frame, mapped at four places; a read-only one is in nobody's way. */
KTEST(explain, every_writable_alias_is_named_and_no_other)
{
	struct xen_refusal r;
	struct frame *f;
	void *va[4];
	struct stage s;
	struct pt_walk w;

	if (!xen_looks() || !stage_begin(&s, &f, 1, LAZY_TLB))
		return;
	va[0] = vmap(&f, 1, VM_W);
	va[1] = vmap(&f, 1, VM_R);
	va[2] = kmap(f);
	va[3] = kmap_local(f);
	xen_find_blockers(frame_pfn(f), &r); /* an empty root */
	EXPECT_EQ(r.nr, 3);
	EXPECT_EQ(r.expected, -EINVAL);
	for (unsigned i = 0; i < r.named; i++)
		EXPECT(r.blocker[i].table.n == frame_pfn(f).n &&
			       (r.blocker[i].va == (vaddr_t)va[0] ||
				r.blocker[i].va == (vaddr_t)va[2] ||
				r.blocker[i].va == (vaddr_t)va[3]) &&
			       pt_walk(r.blocker[i].root, r.blocker[i].va, &w),
		       "frame %#lx at %#lx is in the way", r.blocker[i].table.n, r.blocker[i].va);
	kunmap_local(va[3]);
	vunmap(va[0]);
	kunmap(va[2]);
	xen_find_blockers(frame_pfn(f), &r);
	EXPECT_EQ(r.nr, 0);
	vunmap(va[1]);
	stage_end(&s);
}

/* A leaf of the tree that maps one of its own tables writable: Xen says -EBUSY. */
KTEST(explain, a_table_mapped_by_a_leaf_is_foretold)
{
	u64 wrong = counter_sum(CNT_xen_mispredicted);
	struct aspace *as;
	struct pt_walk w;
	pte_t was;

	if (!xen_looks())
		return;
	as = space_as_it_is(1);
	if (!as)
		return;
	w.step[1].table = as->user; /* down by hand: no root leads to it yet */
	for (int level = 3; level > 1; level--)
		w.step[1].table = paddr_to_pfn(
			pte_addr(pt_read(w.step[1].table, pt_index(PROGRAM, level)), level));
	w.step[1].slot = pt_index(PROGRAM, 1);
	was = pt_read(w.step[1].table, w.step[1].slot);
	mmu->set_leaf(w.step[1].table, w.step[1].slot,
		      (pte_t){(was.v & ~PTE_ADDR) | pfn_to_paddr(as->user)});
	EXPECT_EQ(load(as), -EBUSY);
	EXPECT_EQ(xen_last_refusal()->nr, 1);
	EXPECT_EQ(xen_last_refusal()->blocker[0].va, PROGRAM);
	EXPECT_EQ(xen_last_refusal()->blocker[0].table.n, as->user.n);
	mmu->set_leaf(w.step[1].table, w.step[1].slot, was);
	EXPECT_EQ(load(as), 0);
	EXPECT_EQ(counter_sum(CNT_xen_mispredicted), wrong);
	EXPECT_EQ(aspace_destroy(as), 0);
}

/* A frame in use as a GDT: no entry of ours is in the way, and that is what must be said. */
KTEST(explain, what_no_entry_of_ours_holds_is_not_blamed_on_one)
{
	struct xen_refusal r;
	struct frame *f;
	struct stage s;
	u64 mfn, entry;
	vaddr_t va;

	if (!xen_looks() || !stage_begin(&s, &f, 1, LAZY_TLB))
		return;
	mfn = pfn_to_mfn(frame_pfn(f)).n;
	va = (vaddr_t)frame_virt(f);
	entry = READ_ONCE(xen_direct_entry(frame_pfn(f))->v);
	EXPECT_EQ(xen_update_va_mapping(va, entry & ~PTE_W, UVMF_INVLPG | UVMF_ALL), 0);
	EXPECT_EQ(hypercall2(__HYPERVISOR_set_gdt, (u64)&mfn, PAGE_SIZE / 8), 0);
	xen_find_blockers(frame_pfn(f), &r);
	EXPECT_EQ(r.nr, 0);
	EXPECT_EQ(xen_frame_op(MMUEXT_PIN_L4_TABLE, frame_pfn(f)), -EINVAL);
	mfn = 0;
	EXPECT_EQ(hypercall2(__HYPERVISOR_set_gdt, (u64)&mfn, 0), 0);
	EXPECT_EQ(xen_update_va_mapping(va, entry, UVMF_INVLPG | UVMF_ALL), 0);
	stage_end(&s);
}
