// SPDX-License-Identifier: MIT
/*
 * The lock under which one may wait for other CPUs. Its waiters spin with interrupts on and so
 * serve shootdown requests in the meantime: that is the whole difference to a spinlock, and why the
 * holder may shoot down while others want the lock. Not fair; its uses are rare and long.
 */
#include "kernel/mutex.h"
#include "kernel/cpu.h"
#include "kernel/irq.h"
#include "kernel/panic.h"
#include "kernel/watchdog.h"

bool mutex_held(const mutex_t *m)
{
	return atomic_read(&m->holder) == cpu_id() + 1;
}

bool mutex_trylock(mutex_t *m)
{
	KASSERT(!this_cpu()->irq_depth, "mutex '%s' wanted in an interrupt handler", m->name);
	return atomic_cmpxchg(&m->holder, 0, cpu_id() + 1);
}

void mutex_lock(mutex_t *m)
{
	u64 start = tsc_now(), holder;

	KASSERT(irqs_enabled(), "mutex '%s' wanted with interrupts off", m->name);
	KASSERT(!this_cpu()->locks_held, "mutex '%s' wanted with %u spinlocks held", m->name,
		this_cpu()->locks_held);
	KASSERT(!mutex_held(m), "mutex '%s' taken twice by cpu %u", m->name, cpu_id());
	while (!mutex_trylock(m)) {
		cpu_relax();
		holder = atomic_read(&m->holder);
		if (holder && watchdog_expired(start))
			cpu_unresponsive((unsigned)holder - 1, m->name);
	}
}

void mutex_unlock(mutex_t *m)
{
	KASSERT(mutex_held(m), "mutex '%s' released by cpu %u, holder is %d (cpu + 1)", m->name,
		cpu_id(), (int)atomic_read(&m->holder));
	atomic_set(&m->holder, 0);
}
