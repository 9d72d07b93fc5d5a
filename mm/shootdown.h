// SPDX-License-Identifier: MIT
/*
 * Making other CPUs forget translations: the protocol. Its essay and its argument are in
 * shootdown.c.
 *
 * Whoever unmaps pays for one thing only, the stamp: it is inline here, three instructions in the
 * common case, because the mapping engine takes one for each unmapping.
 */
#ifndef MM_SHOOTDOWN_H
#define MM_SHOOTDOWN_H

#include "mm/gather.h"

struct flush_clock {
	atomic_t now;	 /* ticks at every full flush of any CPU */
	atomic_t newest; /* the largest stamp given out: who has flushed past it is not behind */
} __aligned_to(CACHE_LINE);

extern struct flush_clock flush_clock;

static inline u64 shootdown_clock(void)
{
	return atomic_read(&flush_clock.now);
}

/* The largest stamp given out so far. => one that another CPU is just taking may not count yet */
static inline u64 shootdown_newest(void)
{
	return atomic_read(&flush_clock.newest);
}

/*
 * shootdown_stamp: the time to write on something whose entries have just been cleared.
 *   => any context; call it after the entries were cleared, by locked instructions or with a
 *      smp_mb() in between: the clock must be read when they are gone from memory
 *   => never 0, which is left to mean "nothing was ever cleared"
 */
static inline u64 shootdown_stamp(void)
{
	u64 s = shootdown_clock();

	if (unlikely(shootdown_newest() < s)) /* the first since somebody flushed */
		atomic_max(&flush_clock.newest, s);
	return s;
}

/*
 * shootdown: after it returns no CPU of `on` uses a translation named by `g` any more (this one
 * included, if named). CPUs that have proved to hold none are not disturbed; idle ones may still
 * hold some, but are bound to flush before they do anything.
 *   => thread context, IRQs on, no spinlock held (asserted); waits for acknowledgements and serves
 *      others' requests meanwhile; a CPU that does not answer is named in a panic
 *   => not enough to free a page-table frame: an idle CPU may walk it by speculation until it
 *      flushes. Tables of the vmap area are never freed.
 */
void shootdown(const struct gather *g, cpumask_t on);

/*
 * For a platform whose hypervisor flushes CPUs at one word from us (mmu->flush is its own then):
 *   shootdown_targets: those of `on` that have to forget what `g` names; as in shootdown()
 *   shootdown_tick:    the clock moves on, before a full flush; => its value
 *   shootdown_publish: every CPU of `on` has flushed everything since the clock had that value
 */
cpumask_t shootdown_targets(const struct gather *g, cpumask_t on);
u64 shootdown_tick(void);
void shootdown_publish(cpumask_t on, u64 clock);

/*
 * Serves what other CPUs have asked of this one. => from the IPI, and from waiting loops; any IRQ
 * state
 */
void shootdown_serve(void);

/* Flushes everything on this CPU and publishes that it did. => any context, NMI included */
void shootdown_flush_local(void);

/*
 * shootdown_quiet_point: the CPU passes here on its own (tick, idle): if anything was cleared that
 * it has not flushed since, it flushes now, so that nobody need interrupt it for that later.
 *   => any context in which no stale translation is relied upon, that is: any
 */
void shootdown_quiet_point(void);

/*
 * shootdown_covered: has every online CPU flushed everything since `stamp`? An idle one that has
 * not is made to promise that it will before it wakes, and then counts.
 *   => any context; false may become true at any time; true stays true, but for the moment between
 *      a CPU's coming online and its flush, in which it uses nothing that could be stale
 *   => it may wait for the moment that a waking CPU needs to flush
 */
bool shootdown_covered(u64 stamp);

/*
 * shootdown_horizon: whatever was stamped below it is forgotten by every online CPU, as
 * shootdown_covered() means it. One look at all CPUs, for many stamps.
 *   => any context; goes back only while a CPU comes online; it may wait, both as for
 *      shootdown_covered()
 */
u64 shootdown_horizon(void);

/*
 * shootdown_idle_enter: this CPU is about to halt; until shootdown_idle_exit() it does nothing
 * that could be wrong by a stale translation.
 *   => IRQs off, next comes the halt; what is pending or comes in between ends the halt as ever
 */
void shootdown_idle_enter(void);

/*
 * shootdown_idle_exit: this CPU may be coming out of a halt: keeps the promise to flush, if
 * somebody has had it from us.
 *   => the first thing in every trap, interrupt and NMI, and after every halt; any context
 *   => until it returns, only what has been mapped since before the CPU went idle is touched
 */
void shootdown_idle_exit(void);

/*
 * shootdown_cpu_online: this CPU joins.
 *   => IRQs off, after it is in cpus_online() and before it uses any lazily unmapped address
 */
void shootdown_cpu_online(void);

/* Who is asked: may change at any time, for shootdowns that begin from then on. */
enum shootdown_strategy {
	SHOOTDOWN_BROADCAST, /* every CPU, by IPI, and each does all it is asked: the baseline */
	SHOOTDOWN_FILTERED,  /* who has neither flushed since nor promised to */
};

void shootdown_set_strategy(enum shootdown_strategy s);
enum shootdown_strategy shootdown_strategy(void);

/* "broadcast", "filtered"; _parse => 0 or -EINVAL */
const char *shootdown_strategy_name(enum shootdown_strategy s);
int shootdown_strategy_parse(const char *s, enum shootdown_strategy *out);

/* How a CPU stands to the protocol, for the monitor and the tests. => a glance, not a snapshot */
enum cpu_idle {
	CPU_AWAKE,
	CPU_IDLE,
	CPU_MUST_FLUSH, /* idle, and bound to flush everything before it does anything */
	CPU_WAKING,	/* about to keep that promise */
};

struct shootdown_cpu {
	enum cpu_idle idle;
	u64 flushed; /* the clock of its last full flush; 0: none yet */
	u64 inbox;   /* bit i: CPU i asks something of it */
	u64 pending; /* bit i: CPU i has not answered it yet */
};

struct shootdown_cpu shootdown_cpu(unsigned cpu);

static inline u64 shootdown_flushed(unsigned cpu)
{
	return shootdown_cpu(cpu).flushed;
}

#endif
