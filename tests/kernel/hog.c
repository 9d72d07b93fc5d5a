// SPDX-License-Identifier: MIT
/*
 * A wait that is long and yet no error, for tests that stop the machine in the middle of it: CPU 1
 * keeps a spinlock, CPU 2 waits for it, both with interrupts off, and CPU 0 measures the time until
 * it is enough. A step of the clock that is larger than STEP_US counts as that: the machine was
 * stopped, and nobody has waited.
 */
#include "kernel/atomic.h"
#include "kernel/console.h"
#include "kernel/cpu.h"
#include "kernel/errno.h"
#include "kernel/monitor.h"
#include "kernel/printk.h"
#include "kernel/spinlock.h"
#include "kernel/string.h"
#include "kernel/thread.h"
#include "kernel/watchdog.h"

#define STEP_US 1000000
#define HOLDER	1
#define WAITER	2

static spinlock_t lock = SPINLOCK_INIT("hog");

static enum step {
	WANTED,
	HELD,
	WAITED_FOR,
	ENOUGH
} step;

static void hold(void *arg __attribute__((unused)))
{
	spin_lock(&lock);
	WRITE_ONCE(step, HELD);
	while (READ_ONCE(step) != ENOUGH)
		cpu_relax();
	spin_unlock(&lock);
}

static void wait(void *arg __attribute__((unused)))
{
	while (READ_ONCE(step) != HELD)
		thread_yield();
	WRITE_ONCE(step, WAITED_FOR);
	spin_lock(&lock);
	spin_unlock(&lock);
}

static void measure(u64 us)
{
	u64 waited = 0, last;

	while (READ_ONCE(step) != WAITED_FOR)
		thread_yield();
	printk("hog: CPU %u keeps a lock, CPU %u waits for it\n", HOLDER, WAITER);
	last = tsc_now();
	while (waited < us && !console_interrupted()) {
		u64 now = tsc_now(), stepped = tsc_to_us(now - last);

		waited += MIN(stepped, (u64)STEP_US);
		last = now;
		thread_yield();
	}
	WRITE_ONCE(step, ENOUGH);
}

COMMAND(hog, "SECONDS", "a CPU waits for a lock so long, less than the watchdog's 10 s: no error")
{
	struct thread *holder, *waiter;
	u64 seconds;

	if (argc != 2 || parse_u64(argv[1], &seconds) || seconds >= WATCHDOG_SECONDS)
		return CMD_USAGE;
	if (nr_cpus <= WAITER) {
		printk("hog: it takes three CPUs\n");
		return -ENODEV;
	}
	step = WANTED;
	holder = thread_create(HOLDER, "holder", hold, NULL);
	waiter = holder ? thread_create(WAITER, "waiter", wait, NULL) : NULL;
	if (waiter)
		measure(seconds * 1000000);
	WRITE_ONCE(step, ENOUGH);
	if (holder)
		thread_join(holder);
	if (!waiter)
		return -ENOMEM;
	thread_join(waiter);
	printk("hog: CPU %u has had it\n", WAITER);
	return 0;
}
