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
 * Who need not be asked: who has flushed since (by the clock, next), and who is idle (further
 * down). Read then: mm/lazy.c, which decides when all this happens; arch/x86/mmu_native.c, what an
 * invalidation is.
 */
#include "mm/shootdown.h"
#include "mm/mmu_ops.h"

struct request {
	const struct gather *g; /* NULL: none */
	u64 id;			/* never used twice: it ties the records of a trace together */
};

#define REQUEST_CPU_SHIFT 48 /* the initiator's place in an id; below it a count of its requests */

struct tlb_cpu {
	/* written by any CPU */
	atomic_t inbox;	  /* bit i: CPU i's slot asks something of this CPU */
	atomic_t pending; /* bit i: CPU i has not acknowledged this CPU's slot */
	atomic_t idle;	  /* enum cpu_idle */

	/* written by this CPU alone */
	atomic_t flushed;    /* the clock of this CPU's last full flush; 0: none yet */
	struct request slot; /* what this CPU asks for; read by those in `pending` */
} __aligned_to(CACHE_LINE);

static struct tlb_cpu tlb[MAX_CPUS];
static enum shootdown_strategy strategy = SHOOTDOWN_FILTERED;

static const char *const strategy_names[] = {
	[SHOOTDOWN_BROADCAST] = "broadcast",
	[SHOOTDOWN_FILTERED] = "filtered",
};

struct shootdown_cpu shootdown_cpu(unsigned cpu)
{
	const struct tlb_cpu *t = &tlb[cpu];

	return (struct shootdown_cpu){
		.idle = (enum cpu_idle)atomic_read(&t->idle),
		.flushed = atomic_read(&t->flushed),
		.inbox = atomic_read(&t->inbox),
		.pending = atomic_read(&t->pending),
	};
}

enum shootdown_strategy shootdown_strategy(void)
{
	return READ_ONCE(strategy);
}

void shootdown_set_strategy(enum shootdown_strategy s)
{
	WRITE_ONCE(strategy, s);
}

const char *shootdown_strategy_name(enum shootdown_strategy s)
{
	return strategy_names[s];
}

int shootdown_strategy_parse(const char *s, enum shootdown_strategy *out)
{
	for (unsigned i = 0; i < ARRAY_SIZE(strategy_names); i++)
		if (!strcmp(s, strategy_names[i])) {
			*out = (enum shootdown_strategy)i;
			return 0;
		}
	return -EINVAL;
}

/* --- the clock -------------------------------------------------------------------------------- */

/*
 * It ticks at every full flush: a CPU that flushes everything does c := ++clock, flushes, then
 * publishes flushed := c. Who clears entries reads the clock afterwards: that is their stamp. If
 * stamp < c, the clock was read before the CPU's tick, so the entries were gone before that CPU
 * flushed: it cannot hold them. The converse is never assumed: stamp >= flushed means "may hold
 * them". The clock has 64 bits, so it does not wrap; it starts at 1, so that a CPU which has never
 * flushed, at 0, is behind every stamp.
 *
 * Only a full flush moves `flushed`, and only one that drops global entries too is one. A CPU
 * cannot catch up by invalidating exact ranges, as Linux lets it when it is one generation behind:
 * who unmaps lazily tells nobody the ranges, so no CPU knows to have been told all there is up to
 * some time. It would if every unmapping ticked the clock; but that is the shared write in the hot
 * path which this clock is made to avoid.
 */
struct flush_clock flush_clock = {.now = {1}};

u64 shootdown_tick(void)
{
	return atomic_fetch_add(&flush_clock.now, 1) + 1;
}

/*
 * The maximum, because a nested flush (of an interrupt or an NMI) publishes a later clock first;
 * ours would take it back.
 */
void shootdown_flush_local(void)
{
	u64 c = shootdown_tick();

	mmu->invalidate_all();
	atomic_max(&tlb[cpu_id()].flushed, c);
	count(tlb_full);
}

void shootdown_publish(cpumask_t on, u64 clock)
{
	unsigned cpu;

	cpumask_for_each (cpu, on)
		atomic_max(&tlb[cpu].flushed, clock);
}

/*
 * Its bit is in cpus_online() already. An initiator that read the set before that bit has cleared
 * its entries before this flush; one that reads it later asks us.
 */
void shootdown_cpu_online(void)
{
	KASSERT(cpumask_has(cpus_online(), cpu_id()), "CPU %u flushes before it is online",
		cpu_id());
	shootdown_flush_local();
}

void shootdown_quiet_point(void)
{
	u64 was = atomic_read(&tlb[cpu_id()].flushed);

	if (was > shootdown_newest())
		return;
	shootdown_flush_local();
	count(quiet_flush);
	trace(EV_quiet, atomic_read(&tlb[cpu_id()].flushed), was);
}

/* --- idle CPUs -------------------------------------------------------------------------------- */

/*
 * A halted CPU need not forget now, only before it uses anything. So it is not woken for that, and
 * not waited for: it is made to promise. There is a word for it per CPU:
 *
 *   idle CPU                                    initiator
 *   a idle := IDLE, halt                        1 entries are cleared (atomic exchange)
 *     ...                                       2 idle: IDLE -> MUST_FLUSH (compare-exchange),
 *   b in any trap, first of all:                  or found so: it is bound
 *     was := exchange(idle, WAKING)             3 any other state: ask by IPI, as ever
 *   c flush everything if was = MUST_FLUSH
 *   d idle := AWAKE; then the handler
 *
 * Why it is right:
 *  - 1 and b are locked, so in one total order, and 2 is between them: who read MUST_FLUSH, be it
 *    without writing anything, read it before b took it away, and its entries were gone before
 *    that. So they were gone when c dropped whatever this CPU had cached of them: before the halt,
 *    by speculation, in the halt, or on its way from there to c.
 *  - b is one operation: a read and then a write would lose the promise that is made in between.
 *  - a needs no fence to be safe. As long as others do not see it they send IPIs, and those end a
 *    halt. It is locked so that they see it now: a store may stay in this CPU's buffer.
 *  - Until c the CPU uses what has been mapped since before it halted, and nothing else: the image
 *    (text, IDT, GDT, TSS, its struct cpu, this file's words) and the stack the processor pushes
 *    its frame on, the idle thread's or the NMI's. For these it cannot hold anything stale. What it
 *    speculates beyond, it throws away: the flush is a serialising instruction (SDM vol. 3A, 8.3).
 *    But speculation may walk page tables, hence the warning at shootdown().
 *  - An NMI can come between b and c, when the promise is only known to the code it interrupts.
 *    Therefore b leaves WAKING and not AWAKE: to the others it is the same, but the NMI's own
 *    shootdown_idle_exit() sees it and flushes too. The interrupted code then flushes once more.
 */
void shootdown_idle_enter(void)
{
	KASSERT(!irqs_enabled(), "CPU %u goes idle with interrupts on", cpu_id());
	atomic_xchg(&tlb[cpu_id()].idle, CPU_IDLE);
}

void shootdown_idle_exit(void)
{
	atomic_t *idle = &tlb[cpu_id()].idle;

	if (likely(atomic_read(idle) == CPU_AWAKE)) /* nobody else leads to it or away from it */
		return;
	if (atomic_xchg(idle, CPU_WAKING) != CPU_IDLE) {
		shootdown_flush_local();
		count(idle_flush);
	}
	atomic_set(idle, CPU_AWAKE);
}

/* => CPU `cpu` will flush everything that was cleared before this call, before it does anything */
static bool promises_to_flush(unsigned cpu)
{
	atomic_t *idle = &tlb[cpu].idle;

	if (atomic_read(idle) == CPU_IDLE && atomic_cmpxchg(idle, CPU_IDLE, CPU_MUST_FLUSH))
		return true;
	return atomic_read(idle) == CPU_MUST_FLUSH; /* had from it by another initiator */
}

/* --- what is known without asking ------------------------------------------------------------- */

static bool has_flushed_since(unsigned cpu, u64 stamp)
{
	return atomic_read(&tlb[cpu].flushed) > stamp;
}

/*
 * A CPU that is just waking may be about to keep the very promise we had from it, and what was
 * forgotten once is to stay so: hence the wait. It is short and waits for nobody: the CPU flushes,
 * and that is all.
 */
static u64 flushed_when_awake(unsigned cpu)
{
	u64 start = tsc_now();

	while (atomic_read(&tlb[cpu].idle) == CPU_WAKING) {
		cpu_relax();
		if (watchdog_expired(start))
			cpu_unresponsive(cpu, "flush at wake");
	}
	return atomic_read(&tlb[cpu].flushed);
}

bool shootdown_covered(u64 stamp)
{
	unsigned cpu;

	cpumask_for_each (cpu, cpus_online())
		if (!has_flushed_since(cpu, stamp) && !promises_to_flush(cpu) &&
		    flushed_when_awake(cpu) <= stamp)
			return false;
	return true;
}

/*
 * A promise is as good as a flush at the clock's next value, because it is kept by a tick and a
 * flush that are still to come. So the clock is read first.
 */
u64 shootdown_horizon(void)
{
	u64 horizon = shootdown_clock() + 1, flushed;
	unsigned cpu;

	cpumask_for_each (cpu, cpus_online()) {
		if (has_flushed_since(cpu, horizon - 1) || promises_to_flush(cpu))
			continue;
		flushed = flushed_when_awake(cpu);
		horizon = MIN(horizon, flushed);
	}
	return horizon;
}

cpumask_t shootdown_targets(const struct gather *g, cpumask_t on)
{
	cpumask_t need = {0};
	unsigned cpu;

	if (shootdown_strategy() == SHOOTDOWN_BROADCAST)
		return on;
	cpumask_for_each (cpu, on) {
		if (has_flushed_since(cpu, g->stamp))
			count(shootdown_skip);
		else if (promises_to_flush(cpu))
			count(idle_skip);
		else
			need.bits |= cpu_bit(cpu);
	}
	return need;
}

/* --- asking and answering --------------------------------------------------------------------- */

static void invalidate_here(const struct gather *g)
{
	if (shootdown_strategy() != SHOOTDOWN_BROADCAST && has_flushed_since(cpu_id(), g->stamp))
		return;
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
		const struct request r = tlb[asker].slot;

		trace(EV_serve, asker, r.id);
		invalidate_here(r.g);
		count(shootdown_serve);
		trace(EV_ack, asker, r.id);
		atomic_fetch_and(&tlb[asker].pending, ~cpu_bit(me));
	}
}

static void post(unsigned me, cpumask_t targets)
{
	cpumask_t kick = {0};
	unsigned cpu;

	atomic_set(&tlb[me].pending, targets.bits);
	cpumask_for_each (cpu, targets)
		if (!atomic_fetch_or(&tlb[cpu].inbox, cpu_bit(me)))
			kick.bits |= cpu_bit(cpu);
	if (!kick.bits)
		return;
	count_add(ipi_sent, cpumask_count(kick));
	trace(EV_ipi_send, kick.bits, tlb[me].slot.id);
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
	struct request *slot = &tlb[me].slot;
	cpumask_t targets;

	KASSERT(irqs_enabled(),
		"shootdown with interrupts off would wait for CPUs that wait for us");
	KASSERT(!cpu_spinlocks_held(), "shootdown while holding %u spinlocks",
		cpu_spinlocks_held());
	KASSERT(!slot->g, "shootdown inside a shootdown on CPU %u", me);
	*slot = (struct request){g, slot->id + 1};
	slot->id |= (u64)me << REQUEST_CPU_SHIFT;
	targets = shootdown_targets(g, (cpumask_t){on.bits & ~cpu_bit(me)});
	count(shootdown);
	count_add(shootdown_pages, g->pages);
	if (g->full)
		count(shootdown_full);
	trace(EV_flush, targets.bits, g->pages);
	if (targets.bits)
		post(me, targets);
	if (cpumask_has(on, me))
		invalidate_here(g); /* while the others do theirs */
	if (targets.bits)
		wait_for_acks(me);
	slot->g = NULL;
	trace(EV_flush_end, targets.bits, slot->id);
}
