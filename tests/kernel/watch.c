// SPDX-License-Identifier: MIT
/*
 * Watchers. An order is a number that grows, with what to do in its low bits; a watcher obeys each
 * once and counts itself into `done`. Whoever gave the order waits for all, bounded by the
 * watchdog, with its own interrupts on: it may have been asked to flush something itself.
 */
#include "tests/kernel/watch.h"
#include "kernel/cpu.h"
#include "kernel/irq.h"
#include "kernel/platform.h"
#include "kernel/test.h"
#include "kernel/thread.h"
#include "kernel/watchdog.h"
#include "mm/frame.h"
#include "mm/shootdown.h"
#include "mm/vmap.h"
#include "tests/kernel/laziness.h"

enum order {
	ORDER_READ,
	ORDER_WRITE,
	ORDER_END,
	ORDER_STEP = 4 /* from one order to the next */
};

static void access(struct watch *w, enum order what)
{
	bool faulted = what == ORDER_READ ? probe_read(w->va, &w->seen[cpu_id()])
					  : probe_write(w->va, w->value);

	if (!faulted)
		atomic_fetch_or(&w->through, cpu_bit(cpu_id()));
}

static void watcher(void *arg)
{
	struct watch *w = arg;
	irqflags_t flags = irq_save();
	u64 last = atomic_read(&w->order), now, start;

	atomic_fetch_add(&w->done, 1);
	do {
		for (start = tsc_now(); (now = atomic_read(&w->order)) == last; cpu_relax()) {
			shootdown_serve();
			if (watchdog_expired(start))
				cpu_unresponsive(0, "orders for a watcher");
		}
		last = now;
		if (now % ORDER_STEP != ORDER_END)
			access(w, (enum order)(now % ORDER_STEP));
		atomic_fetch_add(&w->done, 1);
	} while (now % ORDER_STEP != ORDER_END);
	irq_restore(flags);
}

static void wait_for_all(struct watch *w)
{
	u64 start = tsc_now();

	while (atomic_read(&w->done) < w->cpus) {
		cpu_relax();
		if (watchdog_expired(start))
			cpu_unresponsive(nr_cpus - 1, "a watcher");
	}
}

static void give_order(struct watch *w, enum order what)
{
	u64 last = atomic_read(&w->order);

	atomic_set(&w->done, 0);
	atomic_set(&w->through, 0);
	atomic_set(&w->order, last - last % ORDER_STEP + ORDER_STEP + what);
	if (what != ORDER_END)
		access(w, what);
	wait_for_all(w);
}

void watch_begin(struct watch *w, void *va)
{
	unsigned cpu;

	*w = (struct watch){.va = va};
	cpumask_for_each (cpu, cpus_online()) {
		if (cpu == cpu_id())
			continue;
		w->thread[cpu] = thread_create(cpu, "watch", watcher, w);
		if (w->thread[cpu])
			w->cpus++;
	}
	EXPECT(w->cpus == nr_cpus - 1, "no memory for the watchers");
	wait_for_all(w);
}

u64 watch_read(struct watch *w)
{
	give_order(w, ORDER_READ);
	return atomic_read(&w->through);
}

u64 watch_write(struct watch *w, u8 value)
{
	w->value = value;
	give_order(w, ORDER_WRITE);
	return atomic_read(&w->through);
}

bool watch_remembers(u64 through)
{
	u64 others = cpus_online().bits & ~cpu_bit(cpu_id());
	bool all = (through & others) == others;

	if (!all && platform == &native_platform)
		test_fail(__FILE__, __LINE__, "only CPUs %#lx of %#lx remember", through, others);
	else if (!all)
		test_skip("the hypervisor made a CPU forget before it was asked to");
	return all;
}

void watch_end(struct watch *w)
{
	give_order(w, ORDER_END);
	for (unsigned cpu = 0; cpu < nr_cpus; cpu++)
		if (w->thread[cpu])
			thread_join(w->thread[cpu]);
}

bool watch_shows_stale(void)
{
	struct lazy_stats was;
	struct frame *f;
	struct watch w;
	u64 remember;
	void *va;

	if (nr_cpus < 2) {
		test_skip("one CPU: no other can remember what this one unmaps");
		return false;
	}
	f = frame_alloc(0, FRAME_ZERO);
	was = set_laziness(LAZY_TLB);
	va = f ? vmap(&f, 1, VM_R) : NULL;
	EXPECT(va, "no memory");
	watch_begin(&w, va);
	watch_read(&w);
	vunmap(va);
	remember = watch_read(&w) & ~cpu_bit(cpu_id());
	watch_end(&w);
	restore_laziness(&was);
	if (f)
		frame_free(f, 0);
	if (!remember && !test_failed())
		test_skip("this machine shows no stale entry, so nothing can be proven");
	return remember;
}
