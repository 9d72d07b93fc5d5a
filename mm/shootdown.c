// SPDX-License-Identifier: MIT
/*
 * The shootdown protocol: how one CPU makes others forget translations.
 *
 * Every CPU has one request slot of its own to ask with (one shootdown at a time per initiator) and
 * one inbox, a word with a bit per CPU that asks something of it:
 *
 *   initiator                                   target
 *   1 entries are cleared (atomic exchange)
 *   2 slot := ranges; pending := targets
 *   3 inbox[target] |= me  (locked), IPI        4 bits := exchange(inbox[me], 0)
 *     if the inbox was empty                    5 invalidate what each asker's slot names
 *   7 wait until pending = 0                    6 slot[asker].pending &= ~me  (locked)
 *
 * Why it is right:
 *  - 1 happens before 3 before 4 before 5: all are locked operations, so in one total order. When
 *    the target invalidates, the entry is gone from memory; no later walk can load it again.
 *  - The acknowledgement (6) comes after the invalidation, and the initiator's slot is reused only
 *    after 7, so a target never reads a slot that is being rewritten.
 *  - An IPI is sent only when the inbox goes from empty to not empty. If it was not empty, the
 *    target has not yet done 4 for an IPI that is under way, and will see our bit as well.
 *  - No deadlock: an initiator waits with interrupts on and no spinlock held (asserted), and
 *    serves its own inbox while it waits; so two that ask each other both get their answer.
 *
 * Who need not be asked. A global clock ticks at every full flush: a CPU that flushes everything
 * does c := ++clock, flushes, then publishes flushed := c. Who clears entries reads the clock
 * afterwards: that is their stamp. If stamp < c, the clock was read before the CPU's tick, so the
 * entries were gone before that CPU flushed: it cannot hold them. The converse is never assumed:
 * stamp >= flushed means "may hold them". The clock has 64 bits, so it does not wrap; it starts at
 * 1, so that a stamp of 0 means "nothing was ever cleared".
 *
 * A CPU that comes online sets its bit in cpus_online first and flushes then. An initiator that
 * read the set before that bit has cleared its entries before the new CPU's flush; one that reads
 * it later asks the CPU.
 *
 * Read next: mm/lazy.c, which decides when all this happens; arch/x86/mmu_native.c, what an
 * invalidation is.
 */
#include "mm/shootdown.h"
#include "mm/mmu_ops.h"

struct tlb_cpu {
	/* written by any CPU */
	atomic_t inbox;	  /* bit i: CPU i's slot asks something of this CPU */
	atomic_t pending; /* bit i: CPU i has not acknowledged this CPU's slot */

	/* written by this CPU alone */
	atomic_t flushed;	/* the clock of this CPU's last full flush */
	const struct gather *g; /* the slot: what this CPU asks for; NULL: nothing */
} __aligned_to(CACHE_LINE);

static struct tlb_cpu tlb[MAX_CPUS];
static atomic_t flush_clock = {1};
static atomic_t
	newest_stamp; /* the largest stamp given out: who has flushed past it is not behind */

u64 shootdown_clock(void)
{
	return atomic_read(&flush_clock);
}

u64 shootdown_flushed(unsigned cpu)
{
	return atomic_read(&tlb[cpu].flushed);
}

/* The clock moves only at full flushes, so newest_stamp is rarely behind: two reads. */
u64 shootdown_stamp(void)
{
	u64 s = atomic_read(&flush_clock);

	atomic_max(&newest_stamp, s);
	return s;
}

bool shootdown_covered(u64 stamp)
{
	unsigned cpu;

	cpumask_for_each (cpu, cpus_online())
		if (atomic_read(&tlb[cpu].flushed) <= stamp)
			return false;
	return true;
}

/*
 * Interrupts are off from the tick to the publication: a nested full flush would publish a later
 * clock first, and ours would then take it back.
 */
void shootdown_flush_local(void)
{
	irqflags_t flags = irq_save();
	u64 c = atomic_fetch_add(&flush_clock, 1) + 1;

	mmu->invalidate_all();
	atomic_set(&tlb[cpu_id()].flushed, c);
	count(tlb_full);
	irq_restore(flags);
}

void shootdown_cpu_online(void)
{
	KASSERT(cpumask_has(cpus_online(), cpu_id()), "CPU %u flushes before it is online",
		cpu_id());
	shootdown_flush_local();
}

void shootdown_quiet_point(void)
{
	u64 was = atomic_read(&tlb[cpu_id()].flushed);

	if (was > atomic_read(&newest_stamp))
		return;
	shootdown_flush_local();
	count(quiet_flush);
	trace(EV_quiet, atomic_read(&tlb[cpu_id()].flushed), was);
}

static void invalidate_here(const struct gather *g)
{
	if (atomic_read(&tlb[cpu_id()].flushed) > g->stamp)
		return; /* it has flushed everything since */
	if (g->full) {
		shootdown_flush_local();
		return;
	}
	for (unsigned i = 0; i < g->nr; i++)
		for (u64 p = 0; p < g->range[i].pages; p++)
			mmu->invalidate_page(g->range[i].start + (p << PAGE_SHIFT));
	count_add(tlb_page, g->pages);
}

void shootdown_serve(void)
{
	unsigned me = cpu_id(), asker;
	cpumask_t askers;

	if (!atomic_read(&tlb[me].inbox))
		return;
	askers.bits = atomic_xchg(&tlb[me].inbox, 0);
	trace(EV_ipi_recv, askers.bits, shootdown_clock());
	cpumask_for_each (asker, askers) {
		invalidate_here(tlb[asker].g);
		count(shootdown_serve);
		trace(EV_ack, asker, shootdown_clock());
		atomic_fetch_and(&tlb[asker].pending, ~cpu_bit(me));
	}
}

/* Leaves out who has proved not to need it. */
static cpumask_t filter(const struct gather *g, cpumask_t on)
{
	cpumask_t need = {0};
	unsigned cpu;

	cpumask_for_each (cpu, on)
		if (atomic_read(&tlb[cpu].flushed) <= g->stamp)
			need.bits |= cpu_bit(cpu);
	count_add(shootdown_skip, cpumask_count(on) - cpumask_count(need));
	return need;
}

static void issue(cpumask_t targets)
{
	cpumask_t kick = {0};
	unsigned me = cpu_id(), cpu;

	atomic_set(&tlb[me].pending, targets.bits);
	cpumask_for_each (cpu, targets)
		if (!atomic_fetch_or(&tlb[cpu].inbox, cpu_bit(me)))
			kick.bits |= cpu_bit(cpu);
	if (!kick.bits)
		return;
	count_add(ipi_sent, cpumask_count(kick));
	trace(EV_ipi_send, kick.bits, shootdown_clock());
	mmu->kick(kick);
}

static void wait_for_acks(unsigned me)
{
	u64 start = tsc_now(), left;

	while ((left = atomic_read(&tlb[me].pending))) {
		shootdown_serve();
		cpu_relax();
		if (watchdog_expired(start) && (left = atomic_read(&tlb[me].pending)))
			cpu_unresponsive((unsigned)__builtin_ctzll(left), "shootdown");
	}
}

void shootdown(const struct gather *g, cpumask_t on)
{
	unsigned me = cpu_id();
	cpumask_t others = filter(g, (cpumask_t){on.bits & ~cpu_bit(me)});

	KASSERT(irqs_enabled(),
		"shootdown with interrupts off would wait for CPUs that wait for us");
	KASSERT(!cpu_spinlocks_held(), "shootdown while holding %u spinlocks",
		cpu_spinlocks_held());
	KASSERT(!tlb[me].g, "shootdown inside a shootdown on CPU %u", me);
	count(shootdown);
	count_add(shootdown_pages, g->pages);
	if (g->full)
		count(shootdown_full);
	trace(EV_flush, on.bits, g->pages);
	if (others.bits) {
		WRITE_ONCE(tlb[me].g, g);
		issue(others);
	}
	if (cpumask_has(on, me))
		invalidate_here(g); /* while the others do theirs */
	if (others.bits) {
		wait_for_acks(me);
		WRITE_ONCE(tlb[me].g, NULL);
	}
}
