// SPDX-License-Identifier: MIT
/*
 * Operations of the endurance test (soak.h): hard times. Memory that runs out, allocations that
 * fail, CPUs that idle, interrupts that nobody has asked for.
 */
#include "kernel/cpu.h"
#include "kernel/errno.h"
#include "kernel/thread.h"
#include "mm/frame.h"
#include "mm/mmu_ops.h"
#include "tests/kernel/soak.h"

#define RARELY 64 /* one in so many takes all the memory there is */
#define SOON   20 /* allocations from now: when one fails */

/* --- memory --- */

/* Frames of a hoard hang together by their second words. */
static struct frame **next_of(struct frame *f)
{
	return (struct frame **)((u64 *)frame_virt(f) + 1);
}

static void end_hoard(struct soak_worker *w __attribute__((unused)), struct soak_thing *t)
{
	struct frame *f = t->f[0];

	while (f) {
		struct frame *next = *next_of(f);

		frame_free(f, 0);
		f = next;
	}
}

/* All frames that can be had, seldom; else a part of what is there. */
SOAK(hoard)
{
	struct soak_thing *t = soak_take(w);
	u64 n = soak_random(w, RARELY) ? soak_random(w, 300) : ~0ul;
	struct frame *f;

	t->f[0] = NULL;
	t->end = end_hoard;
	while (n-- && (f = frame_alloc(0, 0))) {
		*next_of(f) = t->f[0];
		t->f[0] = f;
	}
	return 0;
}

SOAK(no_memory)
{
	struct soak_thing *t = soak_take(w);

	frame_inject_failure(1 + soak_random(w, SOON));
	return soak_make_any(w, t);
}

/* --- interrupts --- */

/* The shootdown's, with nothing in the inbox, or twice for the same request. */
SOAK(spurious_ipi)
{
	cpumask_t to = {soak_random(w, ~0ul) & cpus_online().bits & ~cpu_bit(cpu_id())};

	if (!mmu->kick)
		return -ENODEV; /* a hypervisor flushes, and interrupts whom it wants */
	for (unsigned i = 0; i < 2; i++)
		mmu->kick(to);
	return 0;
}

/* --- idling --- */

static struct {
	atomic_t asleep;		 /* bit i: the worker of CPU i sleeps, or is about to */
	atomic_t done;			 /* bit i: it never will again, nor wake anybody */
	struct thread *thread[MAX_CPUS]; /* that worker's */
} sleepers;

static void wake(unsigned cpu)
{
	if (atomic_fetch_and(&sleepers.asleep, ~cpu_bit(cpu)) & cpu_bit(cpu))
		thread_wake(sleepers.thread[cpu]);
}

static void wake_all(void)
{
	for (unsigned cpu = 0; cpu < nr_cpus; cpu++)
		wake(cpu);
}

void soak_begin_round(void)
{
	atomic_set(&sleepers.asleep, 0);
	atomic_set(&sleepers.done, 0);
}

void soak_end_work(void)
{
	atomic_fetch_or(&sleepers.done, cpu_bit(cpu_id()));
	wake_all();
}

/*
 * Somebody must stay awake to wake the others: who finds them all asleep or done, does. Both words
 * are written by locked instructions, own word first: of two that look at the same time one sees
 * the other, and who is about to sleep when another is done is seen, and woken, by that one.
 */
SOAK(idle)
{
	unsigned me = cpu_id();
	u64 others = cpus_online().bits & ~cpu_bit(me), away;

	sleepers.thread[me] = thread_current();
	away = atomic_fetch_or(&sleepers.asleep, cpu_bit(me));
	away |= atomic_read(&sleepers.done);
	if ((away & others) == others)
		atomic_fetch_and(&sleepers.asleep, ~cpu_bit(me));
	while (atomic_read(&sleepers.asleep) & cpu_bit(me))
		thread_block();
	return 0;
}

SOAK(wake)
{
	wake_all();
	return 0;
}
