// SPDX-License-Identifier: MIT
/*
 * mmu_ops of a PV guest. Xen lets the guest's page tables be the processor's, and so must look
 * at every entry before it counts: a frame has one type at a time (Xen: arch/x86/mm.c, the
 * comment at its head). As long as it is a page table no entry anywhere may map it writable; as
 * long as one does, it cannot become one. That is what makes lazy unmapping interesting here: an
 * entry that was left behind is a writable mapping, used or not.
 *
 * A frame that is to become a table is therefore sealed: its entry in the direct map loses W.
 * The other mappings it may have had are mm/'s business, which has purged them (pt_alloc_table).
 * Sealed tables are changed by hypercall; one that nobody has shown to Xen yet is memory like
 * any other and written as such, which is cheap: a whole tree is built that way and shown at
 * once, by pinning its root (xen_pin_root). So whether a table is sealed is all the state there
 * is, and the direct map has it.
 *
 *   set_leaf      queued; a batch is one hypercall, up to QUEUE_MAX entries
 *   attach_table  the direct map's entry and the link, in one hypercall
 *   empty_table   unhooked, zeroed, hooked up again and all TLBs flushed, in one hypercall
 *   flush         Xen knows which processors hold anything of a vCPU, and interrupts them itself
 *
 * Clearing an entry needs no flush before its frame is used as a table: Xen flushes by itself
 * when a frame's type changes. Flushing is for what mm/ uses addresses and frames for.
 *
 * Next: enter.c, how the builder's tables are left.
 */
#include "xen/mmu.h"
#include "mm/pagetable.h"
#include "mm/run_queued.h"
#include "mm/shootdown.h"
#include "mm/space.h"
#include "xen/explain.h"
#include "xen/hypercall.h"
#include "xen/p2m.h"

const u64 *xen_p2m;
u64 xen_nr_pfns;

/* --- the queue --- */

#define QUEUE_MAX (PT_ENTRIES + 2) /* what a run can be, and a little more */

static struct queue {
	unsigned nr;
	int err;       /* of what had to be issued before batch_end(), because it was too much */
	unsigned took; /* entries that took effect before */
	struct mmu_update refused; /* if err: the first that did not take effect */
	pfn_t table; /* that the last update was of; for as long as the batch is open */
	struct mmu_update update[QUEUE_MAX];
} __aligned_to(CACHE_LINE) queues[MAX_CPUS];

static void issue(struct queue *q)
{
	unsigned done = 0;
	long err = 0;

	if (q->nr && !q->err) {
		err = xen_mmu_update(q->update, q->nr, &done);
		count(xen_mmu_update);
		count_add(xen_mmu_entry, q->nr);
		q->err = (int)err;
		q->took += err ? done : q->nr;
		q->refused = q->update[MIN(done, q->nr - 1)];
	}
	q->nr = 0;
}

static void enqueue(pfn_t table, unsigned slot, u64 v)
{
	struct queue *q = &queues[cpu_id()];

	KASSERT(!irqs_enabled(), "a page-table batch with interrupts on");
	if (q->nr == QUEUE_MAX)
		issue(q);
	q->table = table;
	q->update[q->nr++] = (struct mmu_update){
		.ptr = (pfn_to_mfn(table).n << PAGE_SHIFT) + slot * sizeof(pte_t),
		.val = v,
	};
}

/* => as batch_end */
static int end_batch(unsigned *done)
{
	struct queue *q = &queues[cpu_id()];
	int err;

	issue(q);
	err = q->err;
	if (done)
		*done = q->took;
	q->err = 0;
	q->took = 0;
	return err;
}

static int xen_batch_end(unsigned *done)
{
	const struct mmu_update *u = &queues[cpu_id()].refused;
	int err = end_batch(done);

	if (err)
		xen_explain_entry(mfn_to_pfn((mfn_t){u->ptr >> PAGE_SHIFT}),
				  (unsigned)(u->ptr % PAGE_SIZE / sizeof(pte_t)),
				  entry_decode(u->val), err);
	return err;
}

/* --- tables --- */

pte_t *xen_direct_entry(pfn_t pfn)
{
	vaddr_t va = DIRECT_BASE + pfn_to_paddr(pfn);

	return &pt_entries(pt_leaf_table(kernel_root, va))[pt_index(va, 1)];
}

static bool own_tables; /* ours are loaded; written once, before there are other CPUs */

bool xen_is_sealed(pfn_t table)
{
	return own_tables && !(READ_ONCE(xen_direct_entry(table)->v) & PTE_W);
}

/* Until the batch ends, other frames' entries in the same table are nobody's business. */
static void enqueue_direct(pfn_t pfn, bool writable)
{
	pte_t *e = xen_direct_entry(pfn);
	u64 v = READ_ONCE(e->v);
	paddr_t pa = virt_to_phys(e);

	enqueue(paddr_to_pfn(pa), (unsigned)(pa % PAGE_SIZE / sizeof(*e)),
		writable ? v | PTE_W : v & ~PTE_W);
}

static void xen_set_leaf(pfn_t table, unsigned slot, pte_t e)
{
	const struct queue *q = &queues[cpu_id()];
	u64 v = entry_encode(e.v);

	if ((q->nr && q->table.n == table.n) || xen_is_sealed(table))
		enqueue(table, slot, v);
	else
		WRITE_ONCE(pt_entries(table)[slot].v, v);
}

static int xen_attach_table(pfn_t parent, unsigned slot, int level __attribute__((unused)),
			    pfn_t table)
{
	u64 v = entry_encode(pfn_to_paddr(table) | PTE_TABLE_BITS);
	irqflags_t flags;
	int err;

	if (!xen_is_sealed(parent)) {
		WRITE_ONCE(pt_entries(parent)[slot].v, v);
		return 0;
	}
	flags = irq_save();
	if (!xen_is_sealed(table))
		enqueue_direct(table, false);
	enqueue(parent, slot, v);
	err = end_batch(NULL); /* refused, it stays sealed until it is released */
	irq_restore(flags);
	return err;
}

int xen_frame_op(unsigned cmd, pfn_t pfn)
{
	struct mmuext_op op = {.cmd = cmd, .arg1.mfn = pfn_to_mfn(pfn).n};
	unsigned done;

	count(xen_mmuext);
	return (int)xen_mmuext_op(&op, 1, &done);
}

/*
 * fn on every table of a tree that is (or is not) sealed, children first; what is below one of the
 * others is one of them too. `slots`: of the top level, how many are looked at.
 */
static void visit_tree(pfn_t table, int level, unsigned slots, bool sealed, void (*fn)(pfn_t table))
{
	if (xen_is_sealed(table) != sealed)
		return;
	for (unsigned slot = 0; level > 1 && slot < slots; slot++) {
		bool skip = level == PT_LEVELS && pt_slot_is_hole(slot);
		pte_t e = skip ? (pte_t){0} : pt_read(table, slot);

		if (pte_present(e) && !pte_leaf(e, level))
			visit_tree(paddr_to_pfn(pte_addr(e, level)), level - 1, PT_ENTRIES, sealed,
				   fn);
	}
	fn(table);
}

static void seal(pfn_t table)
{
	enqueue_direct(table, false);
}

/* Xen refuses it for what is in use as a table, by another root. */
static void unseal_if_free(pfn_t table)
{
	enqueue_direct(table, true);
	(void)end_batch(NULL);
}

/*
 * Tables are writable again. Who remembers the direct map's entry without W would fault at the
 * first store, so all vCPUs forget; it is one operation, however many tables there are, and so a
 * full flush that the shootdown clock may know of.
 */
static void forget_seals(void)
{
	struct mmuext_op op = {.cmd = MMUEXT_TLB_FLUSH_ALL};
	u64 clock = shootdown_tick();
	unsigned done;
	long err = xen_mmuext_op(&op, 1, &done);

	count(xen_mmuext);
	KASSERT(!err, "Xen refuses to flush: %ld", err);
	shootdown_publish(cpus_online(), clock);
}

static int xen_pin_root(pfn_t root)
{
	struct xen_refusal why;
	irqflags_t flags;

	xen_find_blockers(root, &why);
	flags = irq_save();
	visit_tree(root, PT_LEVELS, PT_ENTRIES, false, seal);
	why.err = end_batch(NULL);
	if (!why.err)
		why.err = xen_frame_op(MMUEXT_PIN_L4_TABLE, root);
	if (why.err) {
		visit_tree(root, PT_LEVELS, PT_ENTRIES / 2, true, unseal_if_free);
		forget_seals();
	}
	irq_restore(flags);
	count(xen_pin);
	if (why.err != why.expected)
		count(xen_mispredicted);
	if (why.err)
		xen_note_refusal(&why);
	return why.err;
}

/* Its tables lose their types with it, if no other root leads to them. */
static void xen_unpin_root(pfn_t root)
{
	int err = xen_frame_op(MMUEXT_UNPIN_TABLE, root);

	KASSERT(!err, "root %#lx cannot be unpinned: %d", root.n, err);
}

static void xen_release_tables(const pfn_t *tables, unsigned n)
{
	irqflags_t flags = irq_save();
	bool any = false;
	unsigned done;

	for (unsigned i = 0; i < n; i++)
		if (xen_is_sealed(tables[i])) {
			enqueue_direct(tables[i], true);
			any = true;
		}
	KASSERT(!end_batch(&done), "%u of %u tables are still in use", n - done, n);
	irq_restore(flags);
	if (any)
		forget_seals();
}

/*
 * Without its link the table is of no type, so Xen may zero it for us (it takes a writable
 * reference meanwhile, and there is no other). Xen flushes by itself when a level-2 entry changes,
 * but that is promised nowhere: it is asked to.
 */
static void xen_empty_table(pfn_t parent, unsigned slot, pfn_t table)
{
	struct mmu_update unhook = {
		.ptr = (pfn_to_mfn(parent).n << PAGE_SHIFT) + slot * sizeof(pte_t),
	};
	struct mmu_update hook = {.ptr = unhook.ptr, .val = pt_entries(parent)[slot].v};
	struct mmuext_op op[] = {
		{.cmd = MMUEXT_CLEAR_PAGE, .arg1.mfn = pfn_to_mfn(table).n},
		{.cmd = MMUEXT_TLB_FLUSH_ALL},
	};
	struct multicall_entry call[] = {
		{.op = __HYPERVISOR_mmu_update, .args = {(u64)&unhook, 1, 0, DOMID_SELF}},
		{.op = __HYPERVISOR_mmuext_op, .args = {(u64)op, ARRAY_SIZE(op), 0, DOMID_SELF}},
		{.op = __HYPERVISOR_mmu_update, .args = {(u64)&hook, 1, 0, DOMID_SELF}},
	};
	long err = xen_multicall(call, ARRAY_SIZE(call));

	for (unsigned i = 0; i < ARRAY_SIZE(call) && !err; i++)
		err = (long)call[i].result;
	KASSERT(!err, "table %#lx cannot be emptied: %ld", table.n, err);
	count(xen_mmu_update);
	count_add(xen_mmu_entry, 2);
}

u64 xen_root_cr3(pfn_t root)
{
	return pfn_to_mfn(root).n
	       << PAGE_SHIFT; /* Xen: xen_pfn_to_cr3() is the identity on x86-64 */
}

static int xen_load_root(pfn_t root)
{
	int err;

	if (own_tables)
		return xen_frame_op(MMUEXT_NEW_BASEPTR, root);
	err = xen_enter_own_tables(root);
	own_tables = !err;
	return err;
}

/* --- forgetting --- */

static void flush_here(unsigned cmd, vaddr_t va)
{
	struct mmuext_op op = {.cmd = cmd, .arg1.linear_addr = va};
	unsigned done;
	long err = xen_mmuext_op(&op, 1, &done);

	count(xen_mmuext);
	KASSERT(!err, "Xen refuses to flush: %ld", err);
}

static void xen_invalidate_page(vaddr_t va)
{
	flush_here(MMUEXT_INVLPG_LOCAL, va);
}

static void xen_invalidate_all(void)
{
	flush_here(MMUEXT_TLB_FLUSH_LOCAL, 0);
}

/* => operations; one per page, or one for everything */
static unsigned fill_flush(struct mmuext_op *op, const struct gather *g, const cpumask_t *on)
{
	unsigned n = 0;

	if (g->full) {
		op[n].cmd = MMUEXT_TLB_FLUSH_MULTI;
		op[n++].arg2.vcpumask.p = on;
		return n;
	}
	for (unsigned r = 0; r < g->nr; r++)
		for (u64 p = 0; p < g->range[r].pages; p++) {
			op[n].cmd = MMUEXT_INVLPG_MULTI;
			op[n].arg1.linear_addr = g->range[r].start + (p << PAGE_SHIFT);
			op[n++].arg2.vcpumask.p = on;
		}
	return n;
}

/*
 * Xen flushes in the call, on every processor that holds anything of those vCPUs; so there is
 * nobody to wait for, and nothing to serve. Who runs is Xen's to know: a vCPU that does not may
 * have left translations all the same, on the processor it ran on last.
 */
static void xen_flush(const struct gather *g, cpumask_t on)
{
	const cpumask_t me = {cpu_bit(cpu_id()) & on.bits};
	struct mmuext_op op[GATHER_PAGES + 1];
	u64 clock = g->full ? shootdown_tick() : 0;
	unsigned n, done;
	long err;

	KASSERT(may_wait(), "a flush where nothing may be waited for");
	on = shootdown_targets(g, (cpumask_t){on.bits & ~me.bits});
	if (shootdown_flushed(cpu_id()) <= g->stamp || shootdown_strategy() == SHOOTDOWN_BROADCAST)
		on.bits |= me.bits;
	count(shootdown);
	count_add(shootdown_pages, g->pages);
	if (g->full)
		count(shootdown_full);
	if (!on.bits)
		return;
	n = fill_flush(op, g, &on);
	err = xen_mmuext_op(op, n, &done);
	count(xen_mmuext);
	KASSERT(!err, "Xen refuses to flush vCPUs %#lx: %ld", on.bits, err);
	if (g->full)
		shootdown_publish(on, clock);
}

struct mmu_ops xen_mmu_ops = {
	.name = "xen",
	.max_leaf_level = 1,
	.phys_end = 1ul << 46,
	.has_hole = true,
	.forgets_tables = true,
	.tables_read_only = true,
	.default_policy = LAZY_TLB,
	.decode = entry_decode,
	.set_run = run_set_queued,
	.clear_run = run_clear_queued,
	.clear_begin = run_clear_begin_queued,
	.clear_end = run_clear_end_queued,
	.empty_table = xen_empty_table,
	.set_leaf = xen_set_leaf,
	.batch_end = xen_batch_end,
	.attach_table = xen_attach_table,
	.load_root = xen_load_root,
	.pin_root = xen_pin_root,
	.unpin_root = xen_unpin_root,
	.release_tables = xen_release_tables,
	.flush = xen_flush,
	.invalidate_page = xen_invalidate_page,
	.invalidate_all = xen_invalidate_all,
};
