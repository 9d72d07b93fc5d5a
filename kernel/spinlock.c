// SPDX-License-Identifier: MIT
/*
 * One word, exchanged from 0 to the taker's name. Not fair, on purpose: a ticket lock hands over in
 * order of arrival, and where CPUs are virtual the next in line is often not running; everyone then
 * waits for the hypervisor to schedule that one (four emulated CPUs on two real ones: hundreds of
 * times slower). Our sections are a few dozen instructions, so nobody starves in practice, and
 * who does is reported: a wait is bounded, and the holder that does not let go is named in a panic.
 *
 * A waiter reads until the word is free and only then tries to take it, so waiting costs the holder
 * no cache line.
 */
#include "kernel/spinlock.h"
#include "kernel/cpu.h"
#include "kernel/lock_check.h"
#include "kernel/panic.h"
#include "kernel/watchdog.h"

static void wait_until_free(const spinlock_t *l)
{
	u64 start = tsc_now(), holder;

	while ((holder = atomic_read(&l->holder))) {
		cpu_relax();
		if (watchdog_expired(start))
			cpu_unresponsive((unsigned)holder - 1, l->name);
	}
}

static void __noinline wait_and_take(spinlock_t *l, unsigned me)
{
	count(lock_wait);
	do
		wait_until_free(l);
	while (!atomic_cmpxchg(&l->holder, 0, me + 1));
}

void spin_lock(spinlock_t *l)
{
	irqflags_t flags = irq_save();
	struct cpu *c = this_cpu();

	KASSERT(atomic_read(&l->holder) != c->id + 1, "lock '%s' taken twice by cpu %u", l->name,
		c->id);
	lock_check_take(l);
	count(lock);
	if (unlikely(!atomic_cmpxchg(&l->holder, 0, c->id + 1)))
		wait_and_take(l, c->id);
	l->irqflags = flags;
	lock_check_held(l);
	c->locks_held++;
}

void spin_unlock(spinlock_t *l)
{
	irqflags_t flags = l->irqflags;

	KASSERT(spin_held(l), "lock '%s' released by cpu %u, holder is %d (cpu + 1)", l->name,
		cpu_id(), (int)atomic_read(&l->holder));
	lock_check_drop(l);
	this_cpu()->locks_held--;
	atomic_set(&l->holder, 0);
	irq_restore(flags);
}

bool spin_held(const spinlock_t *l)
{
	return atomic_read(&l->holder) == cpu_id() + 1;
}
