// SPDX-License-Identifier: MIT
/*
 * A TLB and paging-structure caches per simulated CPU, as hostile as SDM vol. 3A, 4.10 permits:
 * there is no capacity and no eviction, so what was once cached is dropped only by an executed
 * invalidation; walks start from cached paging-structure entries where there are any; and a CPU may
 * at any time walk somewhere nobody asked for (sim_tlb_speculate).
 *
 * What is dropped, and nothing else (4.10.4.1):
 *   INVLPG va      translations of va, global ones too; all paging-structure entries
 *   full           everything (CR4.PGE toggled, or INVPCID type 2)
 *   CR3 load       translations that are not global; all paging-structure entries
 *   a page fault   translations of the faulting address
 *
 * There are no PCIDs: natively CR4.PCIDE may be on, but every root is loaded with PCID 0 and with
 * bit 63 clear (arch/x86/mmu_native.c), so that INVLPG and CR3 loads drop what they drop here.
 *
 * Translations of 4 KiB pages hang in a hash table by page number, larger ones in one list.
 */
#include <stdlib.h>

#include "mm/frame.h"
#include "tests/host/sim.h"

#define BUCKETS	    4096
#define LARGE	    BUCKETS /* the list of large pages */
#define WALK_CACHES 32

struct translation {
	struct translation *next;
	vaddr_t va; /* aligned to the page */
	int level;
	pte_t e;
};

/* A paging-structure entry: at `level`, addresses with this prefix go on in `table`. */
struct link {
	bool valid;
	int level;
	u64 prefix;
	pfn_t table;
};

struct tlb {
	struct translation *bucket[BUCKETS + 1];
	u64 entries;
	struct link link[WALK_CACHES];
	unsigned next_link;
	pfn_t root;
};

static struct tlb tlbs[MAX_CPUS];

static struct translation **list_of(struct tlb *t, vaddr_t va, int level)
{
	u64 n = va >> PAGE_SHIFT;

	return &t->bucket[level > 1 ? LARGE : (n ^ n >> 12) % BUCKETS];
}

static bool covers(const struct translation *tr, vaddr_t va)
{
	return va - tr->va < pt_entry_size(tr->level);
}

static struct translation *find(struct tlb *t, vaddr_t va)
{
	for (int level = 1; level <= 2; level++)
		for (struct translation *tr = *list_of(t, va, level); tr; tr = tr->next)
			if (covers(tr, va))
				return tr;
	return NULL;
}

/* Drops those of a list that hold va and, if only_local, are not global. */
static void drop(struct tlb *t, struct translation **p, bool all, vaddr_t va, bool keep_global)
{
	while (*p) {
		struct translation *tr = *p;

		if ((all || covers(tr, va)) && !(keep_global && (tr->e.v & PTE_G))) {
			*p = tr->next;
			free(tr);
			t->entries--;
		} else {
			p = &tr->next;
		}
	}
}

void sim_tlb_invalidate_page(unsigned cpu, vaddr_t va)
{
	struct tlb *t = &tlbs[cpu];

	drop(t, list_of(t, va, 1), false, va, false);
	drop(t, &t->bucket[LARGE], false, va, false);
	memset(t->link, 0, sizeof(t->link));
}

static void drop_all(struct tlb *t, bool keep_global)
{
	for (unsigned i = 0; t->entries && i <= BUCKETS; i++)
		drop(t, &t->bucket[i], true, 0, keep_global);
	memset(t->link, 0, sizeof(t->link));
}

void sim_tlb_invalidate_all(unsigned cpu)
{
	drop_all(&tlbs[cpu], false);
}

void sim_tlb_forget_frame(pfn_t pfn)
{
	for (unsigned cpu = 0; cpu < nr_cpus; cpu++)
		for (unsigned i = 0; tlbs[cpu].entries && i < BUCKETS; i++)
			for (struct translation **p = &tlbs[cpu].bucket[i]; *p;)
				if (pte_addr((*p)->e, 1) == pfn_to_paddr(pfn))
					drop(&tlbs[cpu], p, false, (*p)->va, false);
				else
					p = &(*p)->next;
}

void sim_tlb_load_root(unsigned cpu, pfn_t root)
{
	tlbs[cpu].root = root;
	drop_all(&tlbs[cpu], true);
}

pfn_t sim_tlb_root(unsigned cpu)
{
	return tlbs[cpu].root;
}

void sim_tlb_fill(unsigned cpu, vaddr_t va, int level, pte_t e)
{
	struct tlb *t = &tlbs[cpu];
	struct translation **p, *tr;

	va = ALIGN_DOWN(va, pt_entry_size(level));
	tr = find(t, va);
	if (tr && tr->va == va && tr->level == level && tr->e.v == e.v)
		return;
	p = list_of(t, va, level);
	tr = malloc(sizeof(*tr));
	*tr = (struct translation){*p, va, level, e};
	*p = tr;
	t->entries++;
}

u64 sim_tlb_entries(unsigned cpu)
{
	return tlbs[cpu].entries;
}

cpumask_t sim_tlb_holders(vaddr_t va, u64 pages)
{
	cpumask_t m = {0};

	for (unsigned cpu = 0; cpu < nr_cpus; cpu++)
		for (u64 i = 0; i < pages && tlbs[cpu].entries; i++)
			if (find(&tlbs[cpu], va + (i << PAGE_SHIFT))) {
				m.bits |= cpu_bit(cpu);
				break;
			}
	return m;
}

cpumask_t sim_tlb_mappers(vaddr_t va, pfn_t pfn)
{
	cpumask_t m = {0};

	for (unsigned cpu = 0; cpu < nr_cpus; cpu++)
		for (struct translation *tr = *list_of(&tlbs[cpu], va, 1); tr; tr = tr->next)
			if (covers(tr, va) && pte_addr(tr->e, 1) == pfn_to_paddr(pfn))
				m.bits |= cpu_bit(cpu);
	return m;
}

cpumask_t sim_tlb_frame_holders(pfn_t pfn)
{
	cpumask_t m = {0};

	for (unsigned cpu = 0; cpu < nr_cpus; cpu++)
		for (unsigned i = 0; tlbs[cpu].entries && i < BUCKETS; i++)
			for (struct translation *tr = tlbs[cpu].bucket[i]; tr; tr = tr->next)
				if ((in_vmap_area(tr->va) || in_user_half(tr->va)) &&
				    pte_addr(tr->e, 1) == pfn_to_paddr(pfn))
					m.bits |= cpu_bit(cpu);
	return m;
}

cpumask_t sim_tlb_walkers(pfn_t table)
{
	cpumask_t m = {0};

	for (unsigned cpu = 0; cpu < nr_cpus; cpu++) {
		bool may = tlbs[cpu].root.n == table.n;

		for (unsigned i = 0; i < WALK_CACHES; i++)
			may |= tlbs[cpu].link[i].valid && tlbs[cpu].link[i].table.n == table.n;
		if (may)
			m.bits |= cpu_bit(cpu);
	}
	return m;
}

/* --- walks ----------------------------------------------------------------------------------- */

static pte_t entry_of(pfn_t table, unsigned slot)
{
	KASSERT(sim_is_ram(pfn_to_paddr(table)), "a page walk reaches %#lx, which is not RAM",
		table.n);
	KASSERT(!sim_mm_is_up || frames[table.n].type == FRAME_TABLE,
		"a page walk reaches frame %#lx, which is not a page table", table.n);
	return ((pte_t *)sim_ram(pfn_to_paddr(table)))[slot];
}

bool sim_walk(pfn_t table, vaddr_t va, int *level, pte_t *leaf)
{
	for (*level = PT_LEVELS; *level; --*level) {
		*leaf = entry_of(table, pt_index(va, *level));
		if (!pte_present(*leaf))
			return false;
		if (pte_leaf(*leaf, *level))
			return true;
		table = paddr_to_pfn(pte_addr(*leaf, *level));
	}
	return false;
}

static u64 prefix_of(vaddr_t va, int level)
{
	return va >> (PAGE_SHIFT + 9 * (level - 1));
}

/* When there is no room the one remembered for longest goes. */
static void remember_link(struct tlb *t, int level, u64 prefix, pfn_t table)
{
	t->link[t->next_link++ % WALK_CACHES] = (struct link){true, level, prefix, table};
}

/* A CPU's own walk, by way of its paging-structure caches, which it fills as it goes. */
static bool cpu_walk(unsigned cpu, vaddr_t va, int *level, pte_t *leaf)
{
	struct tlb *t = &tlbs[cpu];
	pfn_t table = t->root;
	int start = PT_LEVELS;

	for (unsigned i = 0; i < WALK_CACHES; i++) {
		struct link *l = &t->link[i];

		if (l->valid && l->level <= start && l->prefix == prefix_of(va, l->level)) {
			start = l->level - 1;
			table = l->table;
		}
	}
	for (*level = start; *level; --*level) {
		*leaf = entry_of(table, pt_index(va, *level));
		if (!pte_present(*leaf))
			return false;
		if (pte_leaf(*leaf, *level))
			return true;
		table = paddr_to_pfn(pte_addr(*leaf, *level));
		remember_link(t, *level, prefix_of(va, *level), table);
	}
	return false;
}

void sim_tlb_speculate(unsigned cpu, u32 where)
{
	pfn_t table = tlbs[cpu].root;
	vaddr_t va = 0;

	if (!table.n || sim_cpu_state(cpu) == SIM_CPU_ABSENT)
		return;
	for (int level = PT_LEVELS; level; level--) {
		unsigned slot, first = (where = where * 0x9e3779b1 + 1) >> 23;
		pte_t e = {0};

		for (unsigned i = 0; i < PT_ENTRIES && !pte_present(e); i++) {
			slot = (first + i) % PT_ENTRIES;
			e = entry_of(table, slot);
		}
		if (!pte_present(e))
			return;
		va |= (u64)slot << (PAGE_SHIFT + 9 * (level - 1));
		if (pte_leaf(e, level))
			break;
		table = paddr_to_pfn(pte_addr(e, level));
	}
	int level;
	pte_t leaf;

	va = (u64)((s64)(va << 16) >> 16);
	if (cpu_walk(cpu, va, &level, &leaf))
		sim_tlb_fill(cpu, va, level, leaf);
}

/* --- accesses -------------------------------------------------------------------------------- */

static enum sim_fault permitted(pte_t e, bool write, bool fetch)
{
	if (write && !pte_writable(e))
		return SIM_NOT_WRITABLE;
	if (fetch && !pte_executable(e))
		return SIM_NOT_EXECUTABLE;
	return SIM_OK;
}

static enum sim_fault access(unsigned cpu, vaddr_t va, bool write, bool fetch, u64 **word)
{
	struct tlb *t = &tlbs[cpu];
	struct translation *tr = find(t, va);
	enum sim_fault fault;
	int level;
	pte_t e;

	KASSERT(IS_ALIGNED(va, 8), "access to %#lx", va);
	if (!va_canonical(va))
		return SIM_NOT_CANONICAL;
	if (tr) {
		level = tr->level;
		e = tr->e;
	} else {
		if (!cpu_walk(cpu, va, &level, &e))
			return SIM_NOT_PRESENT;
		sim_tlb_fill(cpu, va, level, e);
	}
	fault = permitted(e, write, fetch);
	if (fault)
		sim_tlb_invalidate_page(cpu, va);
	*word = sim_ram(pte_addr(e, level) + (va & (pt_entry_size(level) - 1)));
	return fault;
}

enum sim_fault sim_read(unsigned cpu, vaddr_t va, u64 *value)
{
	u64 *word;
	enum sim_fault fault = access(cpu, va, false, false, &word);

	if (!fault)
		*value = *word;
	return fault;
}

enum sim_fault sim_write(unsigned cpu, vaddr_t va, u64 value)
{
	u64 *word;
	enum sim_fault fault = access(cpu, va, true, false, &word);

	if (!fault)
		*word = value;
	return fault;
}

enum sim_fault sim_fetch(unsigned cpu, vaddr_t va)
{
	u64 *word;

	return access(cpu, va, false, true, &word);
}

void *mapped_page(vaddr_t va)
{
	u64 *word;
	enum sim_fault fault = access(sim.cpu, va, false, false, &word);

	KASSERT(!fault, "CPU %u faults at %#lx (%d)", sim.cpu, va, fault);
	return word;
}
