// SPDX-License-Identifier: MIT
/*
 * Four levels of 512 entries (SDM vol. 3A, 4.5). Level 4 is the root; a leaf is at level 1, or a
 * large page at 2 or 3. Walks only read and need no lock: entries that link to tables are set once
 * and, in the kernel half, never cleared.
 *
 * Growing: the frame for a new table is taken before the lock, and if another CPU was faster it is
 * given back. One lock serves all tables; it is taken once per 2 MiB of address space ever used.
 *
 * Next: mm/space.c builds the static part with pt_map_span(), mm/chunk.c the rest.
 */
#include "mm/pagetable.h"
#include "mm/alias.h"
#include "mm/early.h"
#include "mm/frame.h"
#include "mm/shootdown.h"
#include "mm/space.h"
#include "mm/vmap.h"

static spinlock_t pt_lock = SPINLOCK_INIT("page tables"); /* attaching a table */
static bool early = true;
static atomic_t tables_held; /* typed FRAME_TABLE now */

static enum purge_policy purge_policy = PT_PURGE_EXACT;
static const char *const purge_policy_names[NR_PURGE_POLICIES] = {"none", "all", "exact", "unhook"};

enum purge_policy pt_purge_policy(void)
{
	return READ_ONCE(purge_policy);
}

void pt_set_purge_policy(enum purge_policy p)
{
	WRITE_ONCE(purge_policy, p);
}

const char *pt_purge_policy_name(enum purge_policy p)
{
	return purge_policy_names[p];
}

int pt_purge_policy_parse(const char *s, enum purge_policy *out)
{
	for (unsigned i = 0; i < NR_PURGE_POLICIES; i++)
		if (!strcmp(s, purge_policy_names[i])) {
			*out = (enum purge_policy)i;
			return 0;
		}
	return -EINVAL;
}

bool pt_walk(pfn_t root, vaddr_t va, struct pt_walk *w)
{
	pfn_t table = root;

	for (int level = PT_LEVELS;; level--) {
		struct pt_step *s = &w->step[level];

		w->level = level;
		*s = (struct pt_step){table, pt_index(va, level),
				      pt_read(table, pt_index(va, level))};
		if (!pte_present(s->entry))
			return false;
		if (pte_leaf(s->entry, level))
			return true;
		table = paddr_to_pfn(pte_addr(s->entry, level));
	}
}

bool pt_translate(pfn_t root, vaddr_t va, paddr_t *pa)
{
	struct pt_walk w;

	if (!va_canonical(va) || !pt_walk(root, va, &w))
		return false;
	*pa = pte_addr(w.step[w.level].entry, w.level) + (va & (pt_entry_size(w.level) - 1));
	return true;
}

/*
 * From now on nobody can map it, and its aliases go, from the tables and from every TLB: a page
 * table that somebody can write to by an old mapping is nobody's page table. After a purge of
 * everything it is looked at as well: another CPU may be in the middle of unmapping it.
 *   => false: that must be waited for, and we may not (in an interrupt handler not even for a
 *      purge, which may be what it has interrupted; nor with a spinlock held: mm/lazy.c)
 */
static bool make_private(struct frame *f)
{
	enum purge_policy policy = pt_purge_policy();

	frame_refuse_aliases(f);
	if (policy == PT_PURGE_NONE)
		return true;
	if (policy == PT_PURGE_ALL && may_wait())
		vm_unmap_aliases();
	if (policy == PT_PURGE_UNHOOK && may_wait())
		lazy_unhook();
	if (may_wait() || (mmu->forgets_tables && !in_interrupt() && !cpu_spinlocks_held())) {
		KASSERT(!vm_unmap_frame_aliases(&f, 1,
						mmu->forgets_tables ? PURGE_PTES : PURGE_FLUSH),
			"frame %#lx is mapped", frame_pfn(f).n);
		return true;
	}
	return mmu->forgets_tables ? !frame_aliases(f) : !frame_remembered(f);
}

int pt_alloc_table(int level, pfn_t *table)
{
	struct frame *f;

	if (early) {
		if (early_alloc(1, 1, MIN(mmu->early_end, space_direct_limit()), table))
			return -ENOMEM;
		memset(pt_entries(*table), 0, PAGE_SIZE);
		return 0;
	}
	f = frame_alloc(0, 0);
	if (!f)
		return -ENOMEM;
	if (!make_private(f)) {
		frame_allow_aliases(f);
		frame_free(f, 0);
		return -ENOMEM;
	}
	memset(frame_virt(f), 0, PAGE_SIZE); /* not before it is ours alone */
	WRITE_ONCE(f->type, FRAME_TABLE);
	f->level = (u8)level;
	*table = frame_pfn(f);
	atomic_fetch_add(&tables_held, 1);
	count(table_alloc);
	return 0;
}

static void free_table(pfn_t table)
{
	struct frame *f = pfn_frame(table);

	WRITE_ONCE(f->type, FRAME_USED);
	f->level = 0;
	atomic_fetch_add(&tables_held, -1ull);
	frame_allow_aliases(f);
	frame_free(f, 0);
}

void pt_free_tables(const pfn_t *tables, unsigned n)
{
	if (early || !n)
		return; /* nothing takes early memory back */
	for (unsigned i = 0; i < n; i++)
		KASSERT(pfn_frame(tables[i])->type == FRAME_TABLE, "frame %#lx is not a page table",
			tables[i].n);
	if (mmu->release_tables)
		mmu->release_tables(tables, n);
	for (unsigned i = 0; i < n; i++)
		free_table(tables[i]);
}

u64 pt_tables_held(void)
{
	return atomic_read(&tables_held);
}

/* Makes sure entry `slot` of `parent` links to a table. => 0 or -ENOMEM; *table is it */
static int ensure_table(pfn_t parent, unsigned slot, int level, pfn_t *table)
{
	pte_t e = pt_read(parent, slot);
	pfn_t fresh;
	bool mine;
	int err;

	if (!pte_present(e)) {
		err = pt_alloc_table(level - 1, &fresh);
		if (err)
			return err;
		spin_lock(&pt_lock);
		e = pt_read(parent, slot);
		mine = !pte_present(e);
		if (mine)
			err = mmu->attach_table(parent, slot, level, fresh);
		e = pt_read(parent, slot); /* later it may be unhooked, for a moment */
		spin_unlock(&pt_lock);
		if (err || !mine)
			pt_free_table(fresh);
		if (err)
			return err;
	}
	KASSERT(!pte_leaf(e, level), "entry %u at level %d is a large page (%#lx)", slot, level,
		e.v);
	*table = paddr_to_pfn(pte_addr(e, level));
	return 0;
}

int pt_ensure_path(pfn_t root, vaddr_t va, int level, pfn_t *table)
{
	*table = root;
	for (int l = PT_LEVELS; l > level; l--) {
		int err = ensure_table(*table, pt_index(va, l), l, table);

		if (err)
			return err;
	}
	return 0;
}

/* Below the direct map, which is the first region of ours, are the hypervisor's slots. */
int pt_copy_kernel_half(pfn_t root, pfn_t from)
{
	for (unsigned slot = pt_index(DIRECT_BASE, PT_LEVELS); slot < PT_ENTRIES; slot++) {
		pte_t e = pt_read(from, slot);
		int err = 0;

		if (pte_present(e))
			err = mmu->attach_table(root, slot, PT_LEVELS,
						paddr_to_pfn(pte_addr(e, PT_LEVELS)));
		if (err)
			return err;
	}
	return 0;
}

int pt_pin_root(pfn_t root)
{
	return mmu->pin_root ? mmu->pin_root(root) : 0;
}

void pt_unpin_root(pfn_t root)
{
	if (mmu->unpin_root)
		mmu->unpin_root(root);
}

void pt_empty_table(vaddr_t va)
{
	struct pt_walk w;

	spin_lock(&pt_lock);
	pt_walk(kernel_root, va, &w);
	KASSERT(w.level == 1, "no level-1 table for %#lx", va);
	mmu->empty_table(w.step[2].table, w.step[2].slot, w.step[1].table);
	spin_unlock(&pt_lock);
}

pfn_t pt_leaf_table(pfn_t root, vaddr_t va)
{
	pfn_t table = root;

	for (int level = PT_LEVELS; level > 1; level--) {
		pte_t e = pt_read(table, pt_index(va, level));

		KASSERT(pte_present(e) && !pte_leaf(e, level),
			"no table for %#lx at level %d (%#lx)", va, level, e.v);
		table = paddr_to_pfn(pte_addr(e, level));
	}
	return table;
}

int pt_map_span(pfn_t root, vaddr_t va, paddr_t pa, u64 len, unsigned prot, int max_level)
{
	KASSERT(IS_ALIGNED(va | pa | len, PAGE_SIZE), "map %#lx to %#lx+%#lx", va, pa, len);
	while (len) {
		int level = max_level;
		pfn_t table;
		int err;

		while (!IS_ALIGNED(va | pa, pt_entry_size(level)) || len < pt_entry_size(level))
			level--; /* a page fits always */
		err = pt_ensure_path(root, va, level, &table);
		if (err)
			return err;
		KASSERT(!pt_read(table, pt_index(va, level)).v, "%#lx is mapped already", va);
		mmu->set_leaf(table, pt_index(va, level), (pte_t){pa | pte_leaf_bits(prot, level)});
		va += pt_entry_size(level);
		pa += pt_entry_size(level);
		len -= pt_entry_size(level);
	}
	return mmu->batch_end(NULL);
}

void pt_visit(pfn_t table, int level, vaddr_t va, pt_visitor fn, void *arg)
{
	for (unsigned slot = 0; slot < PT_ENTRIES; slot++) {
		bool skip = level == PT_LEVELS && pt_slot_is_hole(slot);
		pte_t e = skip ? (pte_t){0} : pt_read(table, slot);
		vaddr_t at = va + slot * pt_entry_size(level);

		if (!e.v)
			continue;
		if (level == PT_LEVELS)
			at = (vaddr_t)((s64)(at << 16) >> 16); /* canonical */
		if (fn(arg, at, level, table, slot, e) && pte_present(e) && !pte_leaf(e, level))
			pt_visit(paddr_to_pfn(pte_addr(e, level)), level - 1, at, fn, arg);
	}
}

void pt_adopt_table(pfn_t table, int level)
{
	struct frame *f = pfn_frame(table);

	if (f->type != FRAME_TABLE)
		atomic_fetch_add(&tables_held, 1);
	WRITE_ONCE(f->type, FRAME_TABLE);
	f->level = (u8)level;
}

/* An empty table has no entry to be visited by, so each is adopted by its link. */
static bool adopt_linked(void *arg __attribute__((unused)), vaddr_t va __attribute__((unused)),
			 int level, pfn_t table __attribute__((unused)),
			 unsigned slot __attribute__((unused)), pte_t e)
{
	if (pte_present(e) && !pte_leaf(e, level))
		pt_adopt_table(paddr_to_pfn(pte_addr(e, level)), level - 1);
	return true;
}

void pt_leave_early(pfn_t root)
{
	pt_adopt_table(root, PT_LEVELS);
	pt_visit(root, PT_LEVELS, 0, adopt_linked, NULL);
	early = false;
}
