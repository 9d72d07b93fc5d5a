// SPDX-License-Identifier: MIT
/*
 * The bodies of kernel/spinlock.h on the simulated machine. They assert what the real ones can
 * only hope for: that locks are released in reverse order, that nobody turns interrupts on while
 * one is held, and that no two locks are ever taken in both orders, whether or not it came to a
 * deadlock this time.
 *
 * A lock's word is plain memory here: whether somebody else runs is decided in sim_step() and
 * sim_relax() alone, so looking at it and taking it is one step.
 */
#include "tests/host/sim.h"

#define LOCKS_MAX   64
#define NESTING_MAX 8

static spinlock_t *held[MAX_CPUS][NESTING_MAX]; /* locks_held of them, in the order taken */

/* Which lock, by name, was taken while which was held: both ways round is a deadlock to come. */
static const char *lock_names[LOCKS_MAX];
static u64 taken_inside[LOCKS_MAX]; /* [outer]: bit per inner lock, also indirectly */

static unsigned lock_class(const char *name)
{
	unsigned i = 0;

	KASSERT(name, "a lock without a name");
	while (i < LOCKS_MAX && lock_names[i] && strcmp(lock_names[i], name))
		i++;
	KASSERT(i < LOCKS_MAX, "too many locks");
	lock_names[i] = name;
	return i;
}

static void check_order(const char *outer_name, const char *inner_name)
{
	unsigned outer = lock_class(outer_name), inner = lock_class(inner_name);

	KASSERT(outer != inner && !(taken_inside[inner] & (1ull << outer)),
		"lock '%s' is taken inside '%s', elsewhere it is the other way round", inner_name,
		outer_name);
	for (unsigned i = 0; i < LOCKS_MAX; i++)
		if (i == outer || (taken_inside[i] & (1ull << outer)))
			taken_inside[i] |= 1ull << inner | taken_inside[inner];
}

bool spin_held(const spinlock_t *l)
{
	return l->holder.v == sim.cpu + 1;
}

void spin_lock(spinlock_t *l)
{
	irqflags_t flags;
	u64 start = tsc_now();
	u32 n;

	KASSERT(!spin_held(l), "CPU %u takes spinlock '%s' twice", sim.cpu, l->name);
	flags = irq_save();
	sim_step_at(SIM_UPDATE, &l->holder, sizeof(l->holder), __builtin_return_address(0));
	sim_store_drain(sim.cpu);
	n = this_cpu()->locks_held;
	KASSERT(n < NESTING_MAX, "CPU %u holds too many locks", sim.cpu);
	if (n)
		check_order(held[sim.cpu][n - 1]->name, l->name);
	while (l->holder.v) {
		if (watchdog_expired(start))
			cpu_unresponsive((unsigned)l->holder.v - 1, l->name);
		sim_relax();
	}
	l->holder.v = sim.cpu + 1;
	count(lock);
	l->irqflags = flags;
	held[sim.cpu][n] = l;
	this_cpu()->locks_held = n + 1;
	sim_note(SIM_LOCKED, l, 0, NULL);
	sim_step_at(SIM_FLAG, NULL, 0, __builtin_return_address(0));
}

void spin_unlock(spinlock_t *l)
{
	u32 n = this_cpu()->locks_held;
	irqflags_t flags = l->irqflags;
	const spinlock_t *latest = n ? held[sim.cpu][n - 1] : NULL;

	KASSERT(spin_held(l), "CPU %u releases spinlock '%s' it does not hold", sim.cpu, l->name);
	KASSERT(latest == l, "spinlock '%s' released before '%s'", l->name, latest->name);
	KASSERT(!irqs_enabled(), "interrupts were turned on while '%s' was held", l->name);
	sim_step_at(SIM_UPDATE, &l->holder, sizeof(l->holder), __builtin_return_address(0));
	sim_store_drain(sim.cpu);
	sim_note(SIM_UNLOCKED, l, 0, NULL);
	l->holder.v = 0;
	this_cpu()->locks_held = n - 1;
	irq_restore(flags);
	sim_step_at(SIM_FLAG, NULL, 0, __builtin_return_address(0));
}

void sim_locks_at_rest(unsigned cpu)
{
	KASSERT(!cpus[cpu].locks_held, "CPU %u still holds a lock", cpu);
}
