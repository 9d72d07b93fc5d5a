// SPDX-License-Identifier: MIT
/*
 * The platform's side of mm/mmu_ops.h on the simulated machine. Next: sim_boot.c.
 *
 * Every write of an entry passes through sim_entry_changes(), which knows from attach_table() what
 * address each table maps, and so can hold every write against all TLBs:
 *
 *   an entry comes to life    no CPU online may hold a translation of its address (I3), but
 *                             for those bound to flush first (sim_online())
 *   an entry is cleared       until then any CPU may have cached it, so (`remember`) every CPU has
 *   a frame becomes a table   no CPU may hold a translation of it but the direct map's (I1, I4),
 *                             and no entry maps it
 *   a table is released       no CPU runs on it, can walk to it, or has it in its
 *                             paging-structure caches
 *   any leaf                  is not writable and executable at once (I5), and no frame of RAM is
 *                             mapped that is free or a table
 */
#include "mm/area.h"
#include "mm/chunk.h"
#include "mm/frame.h"
#include "mm/shootdown.h"
#include "mm/space.h"
#include "tests/host/sim.h"

#define WHERE_SLOTS 65536
#define BATCH_MAX   4096
#define PINS_MAX    256

/*
 * What a table maps: a hash by pfn. Grows only; a frame that serves again is found and rewritten.
 */
static struct where {
	u64 pfn;
	vaddr_t va;
	int level; /* 0: unused; SIM_NO_TABLE: it is no table any more */
} where[WHERE_SLOTS];

static struct batch {
	unsigned nr;
	struct {
		pfn_t table;
		unsigned slot;
		pte_t e;
	} write[BATCH_MAX];
} batches[MAX_CPUS]; /* each CPU's own */

static pfn_t pinned[PINS_MAX];
static unsigned nr_pinned;

bool sim_mm_is_up;

static struct where *where_is(pfn_t table)
{
	u64 i = table.n * 0x9e3779b97f4a7c15ull >> 48;

	while (where[i].level && where[i].pfn != table.n)
		i = (i + 1) % WHERE_SLOTS;
	return &where[i];
}

static pte_t *entry(pfn_t table, unsigned slot)
{
	KASSERT(slot < PT_ENTRIES, "slot %u", slot);
	KASSERT(sim_is_ram(pfn_to_paddr(table)), "table %#lx is not RAM", table.n);
	return (pte_t *)sim_ram(pfn_to_paddr(table)) + slot;
}

static vaddr_t slot_va(const struct where *w, unsigned slot)
{
	vaddr_t va = w->va + slot * pt_entry_size(w->level);

	return (vaddr_t)((s64)(va << 16) >> 16);
}

int sim_table_level(pfn_t table)
{
	return where_is(table)->level;
}

void sim_table_is_at(pfn_t table, int level, vaddr_t va)
{
	*where_is(table) = (struct where){table.n, va, level};
}

vaddr_t sim_table_slot_va(pfn_t table, unsigned slot)
{
	return slot_va(where_is(table), slot);
}

/* Does CPU `cpu`, by the root it runs on, come to `table` on its way to `va`? */
static bool leads_to(unsigned cpu, vaddr_t va, pfn_t table)
{
	pfn_t at = sim_tlb_root(cpu);

	for (int level = PT_LEVELS; at.n && level > where_is(table)->level; level--)
		at = paddr_to_pfn(pte_addr(*entry(at, pt_index(va, level)), level));
	return at.n == table.n;
}

/*
 * May CPU `cpu` come to entries of `table`? Not where that is another CPU's or another space's; and
 * all that is neither, every CPU has.
 */
static bool can_walk(unsigned cpu, vaddr_t va, pfn_t table)
{
	if (sim_cpu_state(cpu) == SIM_CPU_ABSENT)
		return false;
	return (!in_local_slots(va) && !in_user_half(va)) || leads_to(cpu, va, table);
}

/*
 * What is mapped is memory of whoever maps it, not free and no table (I1), and its alias comes
 * before its entry (mm/alias.h).
 */
static void check_frame(vaddr_t va, u64 v)
{
	const struct frame *f = pfn_frame(paddr_to_pfn(v & PTE_ADDR));
	u64 word = f->alias.v;

	KASSERT(frame_is_memory(f), "%#lx maps frame %#lx, which is %s", va, frame_pfn(f).n,
		frame_type_name(f->type));
	KASSERT((word & ALIAS_CHAIN) || ((word & ALIAS_HEAD) && alias_va(alias_index(word)) == va),
		"entry of %#lx is written, but its frame's alias word is %#lx", va, word);
}

static u64 walkers(vaddr_t va, pfn_t table)
{
	u64 bits = 0;

	for (unsigned cpu = 0; cpu < nr_cpus; cpu++)
		if (can_walk(cpu, va, table))
			bits |= cpu_bit(cpu);
	return bits;
}

void sim_entry_changes(pfn_t table, unsigned slot, pte_t e)
{
	const struct where *w = where_is(table);
	pte_t *p = entry(table, slot), old = *p;
	vaddr_t va = slot_va(w, slot);

	KASSERT(w->level > 0, "write to table %#lx, which is attached nowhere", table.n);
	KASSERT(pte_present(e) || !e.v, "entry of %#lx: %#lx is neither present nor zero", va, e.v);
	KASSERT(!pte_present(e) || !pte_writable(e) || !pte_executable(e), "%#lx: W and X", va);
	if (pte_present(e) && !pte_present(old)) {
		cpumask_t m = {sim_tlb_holders(va, w->level == 2 ? PT_ENTRIES : 1).bits &
			       sim_online().bits & walkers(va, table)};

		KASSERT(!m.bits, "%#lx is mapped anew, but CPUs %#lx remember its last mapping", va,
			m.bits);
	}
	for (unsigned cpu = 0; sim.remember && pte_present(old) && cpu < nr_cpus; cpu++)
		if (can_walk(cpu, va, table))
			sim_tlb_fill(cpu, va, w->level, old);
	*p = e;
}

static void issue_entry(pfn_t table, unsigned slot, pte_t e)
{
	struct batch *b;

	sim_full_barrier();
	if (!sim.deferred) {
		sim_entry_changes(table, slot, e);
		return;
	}
	b = &batches[sim.cpu];
	KASSERT(b->nr < BATCH_MAX, "a batch of more than %u entries", b->nr);
	KASSERT(!sim_mm_is_up || !irqs_enabled(), "a batch with interrupts on");
	b->write[b->nr].table = table;
	b->write[b->nr].slot = slot;
	b->write[b->nr++].e = e;
}

static void sim_set_leaf(pfn_t table, unsigned slot, pte_t e)
{
	const struct where *w = where_is(table);

	KASSERT(!pte_present(e) || pte_leaf(e, w->level), "%#lx is no leaf", e.v);
	KASSERT(!pte_present(e) || !pte_writable(e) || !in_user_half(slot_va(w, slot)) ||
			frame_is_memory(pfn_frame(paddr_to_pfn(e.v & PTE_ADDR))),
		"%#lx maps what is nobody's memory (%#lx)", slot_va(w, slot), e.v);
	if (sim.deferred && sim_mm_is_up && w->level == 1 && in_vmap_area(slot_va(w, slot)) &&
	    pte_present(e) && sim_is_ram(pte_addr(e, 1)))
		check_frame(slot_va(w, slot), e.v); /* it may be a run's */
	issue_entry(table, slot, e);
}

/* --- entries of level-1 tables: what mm/ writes by pointer ----------------------------------- */

static pfn_t table_of(const pte_t *e)
{
	return paddr_to_pfn(virt_to_phys(e));
}

static unsigned slot_of(const pte_t *e)
{
	return (unsigned)(virt_to_phys(e) % PAGE_SIZE / sizeof(*e));
}

/* => e is in a level-1 table; the address it maps */
static vaddr_t leaf_va(const pte_t *e)
{
	const struct where *w = where_is(table_of(e));

	KASSERT(w->level == 1, "%#lx is no level-1 table", table_of(e).n);
	return slot_va(w, slot_of(e));
}

void entry_write(pte_t *e, u64 v)
{
	sim_step_at(SIM_ENTRY, e, sizeof(*e), __builtin_return_address(0));
	sim_store_drain(sim.cpu);
	KASSERT(!e->v, "entry of %#lx is written, but is %#lx", leaf_va(e), e->v);
	check_frame(leaf_va(e), v);
	sim_entry_changes(table_of(e), slot_of(e), (pte_t){v});
}

u64 entry_clear(pte_t *e)
{
	u64 old;

	sim_step_at(SIM_ENTRY, e, sizeof(*e), __builtin_return_address(0));
	sim_store_drain(sim.cpu);
	old = e->v;
	KASSERT(old & PTE_P, "entry of %#lx is cleared, but is %#lx", leaf_va(e), old);
	sim_entry_changes(table_of(e), slot_of(e), (pte_t){0});
	return old;
}

/* Whoever remembers it is right again. Its frame may be free, if the mapping is a lazy one. */
void entry_restore(pte_t *e, u64 v)
{
	sim_step_at(SIM_ENTRY, e, sizeof(*e), __builtin_return_address(0));
	sim_store_drain(sim.cpu);
	KASSERT(!e->v, "entry of %#lx is restored, but is %#lx", leaf_va(e), e->v);
	e->v = v;
}

/* What is cleared is still known to its frame, and nobody may revive it (mm/alias.h, mm/area.h). */
static void check_cleared(pfn_t table, unsigned slot)
{
	vaddr_t va = slot_va(where_is(table), slot);
	u64 v = entry(table, slot)->v, word;
	const struct area *a = area_of(va);

	if (!sim_mm_is_up || where_is(table)->level != 1 || !in_vmap_area(va) || !(v & PTE_P) ||
	    !sim_is_ram(v & PTE_ADDR))
		return;
	word = pfn_frame(paddr_to_pfn(v & PTE_ADDR))->alias.v;
	KASSERT((word & ALIAS_CHAIN) || ((word & ALIAS_HEAD) && alias_va(alias_index(word)) == va),
		"%#lx is cleared, but its frame's alias word is %#lx already", va, word);
	KASSERT(word_state(a->word.v) != AREA_LAZY || (a->word.v & AREA_BUSY),
		"%#lx is cleared, but its area is lazy and anybody's", va);
}

/* => how many are taken */
static unsigned taken_of(const struct batch *b)
{
	for (unsigned i = 0; sim.fail_batch && i < b->nr; i++)
		if ((b->write[i].e.v || !sim.fail_sets_only) && !--sim.fail_batch)
			return i;
	return b->nr;
}

static int sim_batch_end(unsigned *done)
{
	struct batch *b = &batches[sim.cpu];
	unsigned n = taken_of(b);
	bool failed = n < b->nr;

	sim.batches += !!b->nr;
	for (unsigned i = 0; i < n; i++) {
		if (!b->write[i].e.v)
			check_cleared(b->write[i].table, b->write[i].slot);
		sim_entry_changes(b->write[i].table, b->write[i].slot, b->write[i].e);
	}
	b->nr = 0;
	if (done)
		*done = n;
	return failed ? -EINVAL : 0;
}

static bool is_zeroed(pfn_t table)
{
	for (unsigned i = 0; i < PT_ENTRIES; i++)
		if (entry(table, i)->v)
			return false;
	return true;
}

static int sim_attach_table(pfn_t parent, unsigned slot, int level, pfn_t table)
{
	struct where *p = where_is(parent), *t = where_is(table);
	cpumask_t m;

	sim_full_barrier();
	if (sim.fail_attach && !--sim.fail_attach)
		return -EINVAL;
	if (p->level <= 0) /* the top of a tree that nobody has linked anything to yet */
		*p = (struct where){parent.n, 0, level};
	KASSERT(level >= 2 && p->level == level, "attach to table %#lx at level %d", parent.n,
		level);
	KASSERT(!entry(parent, slot)->v, "attach over entry %u of %#lx", slot, parent.n);
	KASSERT(is_zeroed(table) || (t->level == level - 1 && t->va == slot_va(p, slot)),
		"frame %#lx is attached as a table, but not empty", table.n);
	m.bits = sim_tlb_frame_holders(table).bits & sim_online().bits;
	KASSERT(!m.bits, "frame %#lx becomes a page table, but CPUs %#lx remember it mapped",
		table.n, m.bits);
	KASSERT(!sim_mm_is_up || !(pfn_frame(table)->alias.v & ALIAS_HEAD),
		"frame %#lx becomes a page table, but is mapped (alias word %#lx)", table.n,
		pfn_frame(table)->alias.v);
	*t = (struct where){table.n, slot_va(p, slot), level - 1};
	entry(parent, slot)->v = pfn_to_paddr(table) | PTE_TABLE_BITS;
	return 0;
}

/*
 * As a hypervisor does it: for a while nothing is linked there, and the others run on. Who then
 * writes an entry of it writes to no table, and who uses an address faults.
 */
void sim_empty_table(pfn_t parent, unsigned slot, pfn_t table)
{
	struct where *t = where_is(table);
	pte_t link = *entry(parent, slot);

	KASSERT(!irqs_enabled(), "a table is emptied with interrupts on");
	KASSERT(t->level == 1 && pte_addr(link, 2) == pfn_to_paddr(table),
		"entry %u of %#lx does not link to table %#lx", slot, parent.n, table.n);
	sim_full_barrier();
	for (unsigned i = 0; i < PT_ENTRIES; i++)
		if (entry(table, i)->v)
			check_cleared(table, i);
	entry(parent, slot)->v = 0;
	t->level = SIM_NO_TABLE;
	for (unsigned i = 0; i < PT_ENTRIES; i++) {
		entry(table, i)->v = 0;
		if (i % 64 == 0)
			sim_full_barrier();
	}
	KASSERT(is_zeroed(table), "table %#lx is written while it is none", table.n);
	for (unsigned cpu = 0; cpu < nr_cpus; cpu++)
		sim_tlb_invalidate_all(cpu);
	t->level = 1;
	*entry(parent, slot) = link;
	sim_full_barrier();
}

static bool is_pinned(pfn_t root)
{
	for (unsigned i = 0; i < nr_pinned; i++)
		if (pinned[i].n == root.n)
			return true;
	return false;
}

/* A space's, as a hypervisor would have it: pinned as long as anybody may load it. */
static int sim_pin_root(pfn_t root)
{
	sim_full_barrier();
	KASSERT(!is_pinned(root) && nr_pinned < PINS_MAX, "root %#lx is pinned twice", root.n);
	KASSERT(where_is(root)->level == PT_LEVELS, "%#lx is pinned, and is no root", root.n);
	if (sim.fail_pin && !--sim.fail_pin)
		return -EINVAL;
	pinned[nr_pinned++] = root;
	return 0;
}

static void sim_unpin_root(pfn_t root)
{
	sim_full_barrier();
	KASSERT(is_pinned(root), "root %#lx is unpinned, but was not pinned", root.n);
	KASSERT(!sim_tlb_walkers(root).bits, "root %#lx is unpinned, but CPUs %#lx run on it",
		root.n, sim_tlb_walkers(root).bits);
	for (unsigned i = 0; i < nr_pinned; i++)
		if (pinned[i].n == root.n)
			pinned[i] = pinned[--nr_pinned];
}

/*
 * Also for a CPU that idles, which may walk by speculation: no promise to flush is enough here. Who
 * can walk there now may have done so a moment ago, and have it in a paging-structure cache.
 */
static void sim_release_tables(const pfn_t *tables, unsigned n)
{
	sim_full_barrier();
	for (unsigned i = 0; i < n; i++) {
		const struct where *w = where_is(tables[i]);
		u64 bits = sim_tlb_walkers(tables[i]).bits;

		for (unsigned cpu = 0; cpu < nr_cpus; cpu++)
			if (w->level > 0 && leads_to(cpu, w->va, tables[i]))
				bits |= cpu_bit(cpu);
		KASSERT(!is_pinned(tables[i]), "table %#lx is released, but pinned", tables[i].n);
		KASSERT(!bits, "table %#lx is released, but CPUs %#lx may walk it", tables[i].n,
			bits);
		if (where_is(tables[i])->level)
			where_is(tables[i])->level = SIM_NO_TABLE;
	}
}

static int sim_load_root(pfn_t root)
{
	static bool memory_follows;

	sim_full_barrier();
	KASSERT(!pte_present(*entry(root, 0)) || is_pinned(root), "root %#lx is not pinned",
		root.n);
	if (sim.fail_load && !--sim.fail_load)
		return -EINVAL;
	sim_tlb_load_root(sim.cpu, root);
	if (!memory_follows)
		sim_memory_map_as(root);
	memory_follows = true;
	return 0;
}

static void sim_invalidate_page(vaddr_t va)
{
	sim_full_barrier();
	sim_tlb_invalidate_page(sim.cpu, va);
}

static void sim_invalidate_all(void)
{
	sim_full_barrier();
	sim_tlb_invalidate_all(sim.cpu);
}

struct mmu_ops sim_mmu_ops = {
	.name = "simulated",
	.max_leaf_level = 3,
	.phys_end = 1ul << 46,
	.early_end = 4 * GiB,
	.default_policy = LAZY_TLB,
	.set_leaf = sim_set_leaf,
	.batch_end = sim_batch_end,
	.attach_table = sim_attach_table,
	.load_root = sim_load_root,
	.pin_root = sim_pin_root,
	.unpin_root = sim_unpin_root,
	.release_tables = sim_release_tables,
	.flush = shootdown,
	.invalidate_page = sim_invalidate_page,
	.invalidate_all = sim_invalidate_all,
	.kick = sim_kick,
};

const struct mmu_ops *mmu = &sim_mmu_ops;

void sim_mmu_at_rest(void)
{
	for (unsigned cpu = 0; cpu < MAX_CPUS; cpu++)
		KASSERT(!batches[cpu].nr, "%u entries were issued and never ended",
			batches[cpu].nr);
}
