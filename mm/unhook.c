// SPDX-License-Identifier: MIT
/*
 * A purge that has many pages of one level-1 table to clear, and nothing else is mapped there, need
 * not have its entries changed one by one. The hypervisor counts only what hangs in the tree: with
 * the one level-2 entry that leads to the table all its references are gone. A table that nothing
 * leads to is plain memory; it is zeroed as such, and hooked up again, empty. Who has a pointer to
 * it (mm/chunk.h, struct area) need not know.
 *
 * In between no address of those 2 MiB is mapped, so nobody may use one or set an entry. Why that
 * is so:
 *
 *  - What is used has an entry, and its area is LIVE; a thread's stack is no exception, ours and
 *    those of the CPUs that wait for us included. So we look at all 512 entries: is each that is
 *    present one of an area that we have claimed, from LAZY to CLEARED? (AREA_UNHOOK; one purge at
 *    a time has such.) One that is not, whatever state its area is in, and the table is left alone:
 *    somebody uses it, or has just set it, or another purge is about to clear it.
 *  - That stays so while we are at it, because nobody sets an entry then. Who does says so, with
 *    interrupts off and for as long as the one call takes (`setting`); we say that the gate is
 *    shut, and wait until nobody is setting any; who comes then waits for us. Each side writes
 *    first and then looks at the other, by locked instructions, so not both can miss it. Nobody
 *    waits for anything in either place, and so not in a circle. That is why this is no rendezvous
 *    of all CPUs in an interrupt: one that spins with interrupts off on what a stopped one has
 *    begun would keep that from ever being complete.
 *  - Clearing needs no gate: there is nothing to clear but what is ours.
 *  - Nobody makes a table where there seems to be none: we hold the lock for that as well
 *    (pt_empty_table).
 *
 * The words of the frames and the areas change afterwards. The platform has made all CPUs forget
 * everything after the entries were gone, so it is a full flush at a tick of the clock that comes
 * before; what is stamped with the time before that tick is forgotten (mm/shootdown.c).
 *
 * All areas are claimed before the first table is looked at, so who needs one of them cleared waits
 * longer than for an ordinary purge. An area in two tables is not worth the trouble; it is purged
 * the ordinary way, as is a table with few entries.
 *
 * Next: xen/mmu.c, what the hypervisor is asked.
 */
#include "mm/unhook.h"
#include "mm/engine.h"
#include "mm/pagetable.h"

/* Entries that are cleared one by one for the price of a table (under Xen: `bench unhook`). */
#define TABLE_PAYS 64

static atomic_t at_work; /* 1: a CPU is between unhook_begin() and unhook_end() */
static atomic_t shut;	 /* 1: nobody begins to set entries */
static struct {
	atomic_t now;
} __aligned_to(CACHE_LINE) setting[MAX_CPUS]; /* 1: that CPU is setting entries */

/* Of the table we are at; at_work's owner's. */
static struct {
	unsigned n;
	bool others; /* it has entries that are not of our areas */
	struct area *area[PT_ENTRIES];
	struct frame *frame[PT_ENTRIES];
	u64 alias[PT_ENTRIES];
} found;

irqflags_t hooked_begin(void)
{
	irqflags_t flags = irq_save();
	atomic_t *mine = &setting[cpu_id()].now;

	if (!mmu->empty_table)
		return flags;
	while (atomic_xchg(mine, 1), atomic_read(&shut)) {
		atomic_set(mine, 0);
		while (atomic_read(&shut))
			cpu_relax();
	}
	return flags;
}

void hooked_end(irqflags_t flags)
{
	if (mmu->empty_table)
		atomic_set(&setting[cpu_id()].now, 0);
	irq_restore(flags);
}

static void shut_gate(void)
{
	atomic_xchg(&shut, 1);
	for (unsigned cpu = 0; cpu < nr_cpus; cpu++)
		while (atomic_read(&setting[cpu].now))
			cpu_relax();
}

bool unhook_begin(void)
{
	return mmu->empty_table && atomic_cmpxchg(&at_work, 0, 1);
}

void unhook_end(void)
{
	atomic_set(&at_work, 0);
}

/* What the table of the chunk at `va` maps. => the gate is shut */
static void look(vaddr_t va)
{
	const pte_t *e = entry_of(va);
	const struct alias_record *rec = record_of(va);

	found.n = 0;
	found.others = false;
	for (unsigned i = 0; i < PT_ENTRIES; i++) {
		u64 v = entry_read(e + i);
		struct area *a = v ? READ_PUBLISHED(rec[i].area) : NULL;

		if (!v)
			continue;
		if (!a || !(atomic_read(&a->word) & AREA_UNHOOK)) {
			found.others = true;
			continue;
		}
		found.area[found.n] = a;
		found.frame[found.n] = run_frame(v);
		found.alias[found.n++] = alias_of(va + ((vaddr_t)i << PAGE_SHIFT));
	}
}

/* => the stamp of what was mapped there */
static u64 empty_table(vaddr_t va)
{
	u64 clock = shootdown_tick();

	engine_count_clearing();
	pt_empty_table(va);
	shootdown_publish(cpus_online(), clock);
	count(unhook);
	return clock - 1;
}

/* The table of the chunk at `va`: emptied, or not; its areas need not be looked at again. */
static u64 unhook_chunk(vaddr_t va)
{
	irqflags_t flags = irq_save();
	u64 stamp = 0;

	shut_gate();
	look(va);
	if (!found.others && found.n >= TABLE_PAYS)
		stamp = empty_table(va);
	atomic_set(&shut, 0);
	for (unsigned i = 0; i < found.n; i++) {
		struct area *a = found.area[i];

		if (stamp)
			alias_drop(found.frame[i], found.alias[i], stamp);
		a->stamp = stamp;
		if (atomic_read(&a->word) & AREA_UNHOOK)
			atomic_fetch_and(&a->word, ~(AREA_UNHOOK | (stamp ? AREA_HOLED : 0)));
	}
	irq_restore(flags);
	return stamp ? found.n : 0;
}

struct area *unhook_areas(struct area *list, struct area **emptied, u64 *pages)
{
	struct area *left = NULL;

	for (struct area *a = list; a; a = a->parked) {
		a->stamp = 0;
		if (a->pte)
			atomic_fetch_or(&a->word, AREA_UNHOOK);
	}
	for (struct area *a = list; a; a = a->parked)
		if (atomic_read(&a->word) & AREA_UNHOOK) {
			*pages += unhook_chunk(ALIGN_DOWN(a->start, 1ul << CHUNK_SHIFT));
			atomic_fetch_and(&a->word, ~AREA_UNHOOK); /* if all of it are holes */
		}
	for (struct area *a = list, *next; a; a = next) {
		struct area **to = a->stamp ? emptied : &left;

		next = a->parked;
		a->parked = *to;
		*to = a;
	}
	return left;
}
