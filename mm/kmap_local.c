// SPDX-License-Identifier: MIT
/*
 * kmap_local: a mapping that one CPU uses for a moment. Why it needs no shootdown, speculation
 * included:
 *
 * Any processor may load a translation into its TLB, at any time, from any entry that its own
 * tables lead to (SDM vol. 3A, 4.10.2.3): a slot in shared tables, used by one CPU only, may be
 * remembered by all of them. So the slots are not in shared tables. Each CPU runs on a top-level
 * table of its own; all its entries are the same as kernel_root's but one, KMAP_LOCAL_BASE's, below
 * which are this CPU's slots and nothing else. No other CPU's walker can come there, so no other
 * TLB can hold what is found there, and the INVLPG on this CPU (which drops what its own
 * speculation has loaded, too, and comes after the entry is zero) is all there is to forget.
 *
 * It costs three frames of tables and a root per CPU. Top-level entries of kernel_root never change
 * after boot (mm/space.c), so the copies need no upkeep.
 *
 * Slots are a stack, because what is mapped for a moment nests: an interrupt handler that maps in
 * between has given its slots back when it returns. They have alias indices after those of the vmap
 * area, so a frame mapped here counts as mapped.
 */
#include "mm/engine.h"
#include "mm/kmap.h"
#include "mm/pagetable.h"
#include "mm/space.h"

static struct local {
	pfn_t root; /* fixed after kmap_local_init_cpu() */
	pte_t *pte;
	unsigned depth; /* slots in use; this CPU's alone */
	struct alias_record record[KMAP_LOCAL_SLOTS];
} locals[MAX_CPUS];

#define FIRST_INDEX (VMAP_PAGES + 1) /* of CPU 0's slot 0; mm/alias.h */

static u64 index_of(unsigned cpu, unsigned slot)
{
	return FIRST_INDEX + cpu * KMAP_LOCAL_SLOTS + slot;
}

static vaddr_t slot_va(unsigned cpu, unsigned slot)
{
	return KMAP_LOCAL_BASE + ((u64)(cpu * KMAP_LOCAL_SLOTS + slot) << PAGE_SHIFT);
}

unsigned kmap_local_cpu(u64 index)
{
	return (unsigned)(index - FIRST_INDEX) / KMAP_LOCAL_SLOTS;
}

vaddr_t kmap_local_va(u64 index)
{
	return slot_va(kmap_local_cpu(index), (index - FIRST_INDEX) % KMAP_LOCAL_SLOTS);
}

struct alias_record *kmap_local_record(u64 index)
{
	return &locals[kmap_local_cpu(index)].record[(index - FIRST_INDEX) % KMAP_LOCAL_SLOTS];
}

pte_t *kmap_local_entry(u64 index)
{
	return locals[kmap_local_cpu(index)].pte + (index - FIRST_INDEX) % KMAP_LOCAL_SLOTS;
}

/* The frame has other aliases, or may have none. */
static __noinline void set_slow(pte_t *e, struct frame *f, u64 alias)
{
	pfn_t table = paddr_to_pfn(virt_to_phys(e));
	irqflags_t flags;

	KASSERT(alias_add(f, alias), "kmap_local of frame %#lx, which is %s", frame_pfn(f).n,
		frame_type_name(f->type));
	flags = irq_save();
	mmu->set_leaf(table, (unsigned)((vaddr_t)e % PAGE_SIZE / sizeof(*e)),
		      (pte_t){frame_paddr(f) | ram_bits(VM_W | VM_LOCAL)});
	KASSERT(!mmu->batch_end(NULL), "%s refused a kmap_local entry", mmu->name);
	irq_restore(flags);
}

void *kmap_local(struct frame *f)
{
	unsigned cpu = cpu_id(), slot;
	struct local *l = &locals[cpu];
	u64 alias;

	KASSERT(l->pte && l->depth < KMAP_LOCAL_SLOTS, "kmap_local: %u slots in use on CPU %u",
		l->depth, cpu);
	slot = l->depth++;
	alias = ALIAS_BUSY | ALIAS_HEAD | index_of(cpu, slot);
	if (set_run(l->pte + slot, &f, 1, ram_bits(VM_W | VM_LOCAL), alias) != 1)
		set_slow(l->pte + slot, f, alias);
	count(kmap_local);
	return (void *)slot_va(cpu, slot);
}

void kunmap_local(void *va)
{
	unsigned cpu = cpu_id();
	struct local *l = &locals[cpu];

	KASSERT(l->depth && slot_va(cpu, l->depth - 1) == (vaddr_t)va,
		"kunmap_local of %p on CPU %u, which is not the last of its %u mappings", va, cpu,
		l->depth);
	engine_clear_run(l->pte + l->depth - 1, 1,
			 ALIAS_BUSY | ALIAS_HEAD | index_of(cpu, l->depth - 1));
	mmu->invalidate_page((vaddr_t)va);
	l->depth--;
}

pfn_t kmap_local_root(unsigned cpu)
{
	return locals[cpu].pte ? locals[cpu].root : kernel_root;
}

int kmap_local_init_cpu(unsigned cpu)
{
	struct local *l = &locals[cpu];
	pfn_t table;
	int err = pt_alloc_table(PT_LEVELS, &l->root);

	if (!err)
		err = pt_copy_kernel_half(l->root, kernel_root);
	if (!err)
		err = pt_ensure_path(l->root, slot_va(cpu, 0), 1, &table);
	if (!err)
		l->pte = pt_entries(table) + pt_index(slot_va(cpu, 0), 1);
	return err ? err : pt_pin_root(l->root);
}
