// SPDX-License-Identifier: MIT
/* CPUs, threads, locks, time: the ground the other tests stand on. */
#include "kernel/atomic.h"
#include "kernel/cpu.h"
#include "kernel/irq.h"
#include "kernel/spinlock.h"
#include "kernel/test.h"
#include "kernel/thread.h"
#include "kernel/watchdog.h"
#include "mm/types.h"

static void note_cpu(void *arg)
{
	atomic_fetch_or(arg, cpu_bit(cpu_id()));
}

KTEST(smp, a_thread_runs_on_the_cpu_it_was_made_for)
{
	atomic_t seen = {0};

	EXPECT_EQ(cpumask_count(cpus_online()), nr_cpus);
	EXPECT_EQ(run_on_cpus(cpus_online().bits, note_cpu, &seen), 0);
	EXPECT_EQ(atomic_read(&seen), cpus_online().bits);
	for (unsigned cpu = 0; cpu < nr_cpus; cpu++) {
		EXPECT_EQ(cpus[cpu].id, cpu);
		EXPECT_EQ((u64)cpus[cpu].self, (u64)&cpus[cpu]);
	}
}

KTEST(smp, every_cpu_ticks)
{
	u64 start = tsc_now(), first[MAX_CPUS];
	unsigned cpu;

	for (cpu = 0; cpu < nr_cpus; cpu++)
		first[cpu] = READ_ONCE(cpus[cpu].ticks);
	for (cpu = 0; cpu < nr_cpus; cpu++)
		while (READ_ONCE(cpus[cpu].ticks) == first[cpu] && !watchdog_expired(start))
			thread_yield();
	for (cpu = 0; cpu < nr_cpus; cpu++)
		EXPECT(READ_ONCE(cpus[cpu].ticks) > first[cpu], "CPU %u has stopped ticking", cpu);
}

#define ROUNDS 3000

static spinlock_t test_lock = SPINLOCK_INIT("test");
static volatile u64 plain; /* not atomic: only exclusion keeps it right */

static void add_under_spinlock(void *arg __attribute__((unused)))
{
	for (unsigned i = 0; i < ROUNDS; i++) {
		spin_lock(&test_lock);
		plain = plain + 1;
		spin_unlock(&test_lock);
	}
}

KTEST(smp, spinlock_excludes)
{
	plain = 0;
	EXPECT_EQ(run_on_cpus(cpus_online().bits, add_under_spinlock, NULL), 0);
	EXPECT_EQ(plain, (u64)ROUNDS * nr_cpus);
}

KTEST(smp, spinlock_keeps_and_restores_the_interrupt_flag)
{
	irqflags_t flags;

	EXPECT(irqs_enabled(), "tests run with interrupts on");
	spin_lock(&test_lock);
	EXPECT(!irqs_enabled() && spin_held(&test_lock) && this_cpu()->locks_held == 1, "inside");
	spin_unlock(&test_lock);
	EXPECT(irqs_enabled() && !spin_held(&test_lock) && this_cpu()->locks_held == 0, "after");
	flags = irq_save();
	spin_lock(&test_lock);
	spin_unlock(&test_lock);
	EXPECT(!irqs_enabled(), "a lock taken with interrupts off turned them on");
	irq_restore(flags);
}

struct ping {
	struct thread *a, *b;
	atomic_t turns;
};

static void ponger(void *arg)
{
	struct ping *p = arg;

	for (unsigned i = 0; i < 100; i++) {
		thread_block();
		atomic_fetch_add(&p->turns, 1);
		thread_wake(p->a);
	}
}

/*
 * Each turn is one wake-up in each direction: a lost one hangs, and whoever runs us tells.
 */
KTEST(smp, no_wake_up_is_lost)
{
	struct ping p = {.a = thread_current()};

	p.b = thread_create(nr_cpus - 1, "ponger", ponger, &p);
	EXPECT(p.b, "no thread");
	if (!p.b)
		return;
	for (unsigned i = 0; i < 100; i++) {
		thread_wake(p.b);
		thread_block();
		EXPECT_EQ(atomic_read(&p.turns), i + 1);
	}
	thread_join(p.b);
}

static void overflow_probe(void *arg)
{
	u8 here;
	vaddr_t bottom = ALIGN_DOWN((vaddr_t)&here, PAGE_SIZE);
	unsigned pages = 0;

	while (!probe_read((void *)bottom, NULL) && pages++ < 64)
		bottom -= PAGE_SIZE;
	*(unsigned *)arg = pages;
}

KTEST(smp, thread_stacks_end_in_a_guard)
{
	unsigned pages = 0;
	struct thread *t = thread_create(0, "probe", overflow_probe, &pages);

	EXPECT(t, "no thread");
	if (t)
		thread_join(t);
	EXPECT(pages > 0 && pages < 64, "%u pages below the stack pointer could be read", pages);
}

KTEST(smp, delay_is_at_least_what_was_asked)
{
	u64 start = tsc_now();

	delay_us(2000);
	EXPECT(tsc_to_us(tsc_now() - start) >= 2000, "%lu us", tsc_to_us(tsc_now() - start));
}
