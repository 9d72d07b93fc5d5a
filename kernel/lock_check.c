// SPDX-License-Identifier: MIT
/*
 * Locks looked at while they are used, in a checked build (UBSAN=1). A deadlock needs bad luck to
 * happen; what makes one possible happens every time:
 *
 *   order       a lock is taken only under locks of a lower rank (kernel/lock_rank.h)
 *   reverse     the lock taken last is released first
 *   interrupts  stay off while a lock is held: a handler might want it
 *   handlers    leave as many locks as they found
 *
 * That the holder releases, and that nobody takes a lock twice, the lock itself asserts, always.
 *
 * What is held is kept for each CPU, not thread: the run queue's lock is taken by one thread and
 * released by the next, on the same CPU (kernel/thread.c). A CPU that panics is let alone.
 *
 * `locks` lists the order; `locks WAY` breaks a rule, so that the harness can see that it is
 * noticed.
 */
#include "kernel/lock_check.h"
#include "kernel/console.h"
#include "kernel/cpu.h"
#include "kernel/errno.h"
#include "kernel/lock_rank.h"
#include "kernel/monitor.h"
#include "kernel/panic.h"
#include "kernel/printk.h"
#include "kernel/spinlock.h"
#include "kernel/string.h"

#define HELD_MAX 8

static const char *const ranks[] = {
#define X(name) name,
	LOCK_RANKS(X)
#undef X
};

static const spinlock_t *held[MAX_CPUS][HELD_MAX]; /* locks_held of them, in the order taken */

static bool is_named(const char *name, const char *pattern)
{
	size_t n = strlen(pattern);

	return pattern[n - 1] == '*' ? !strncmp(name, pattern, n - 1) : !strcmp(name, pattern);
}

static unsigned rank_of(const spinlock_t *l)
{
	unsigned i = 0;

	KASSERT(l->name, "a lock without a name");
	while (i < ARRAY_SIZE(ranks) && !is_named(l->name, ranks[i]))
		i++;
	KASSERT(i < ARRAY_SIZE(ranks), "lock '%s' has no rank: kernel/lock_rank.h", l->name);
	return i;
}

static const spinlock_t *latest(void)
{
	u32 n = this_cpu()->locks_held;

	return n ? held[cpu_id()][n - 1] : NULL;
}

void lock_check_take(const spinlock_t *l)
{
	const spinlock_t *outer = latest();
	unsigned rank = rank_of(l);

	KASSERT(!outer || rank_of(outer) < rank, "lock '%s' is taken inside '%s': wrong order",
		l->name, outer->name);
}

void lock_check_held(const spinlock_t *l)
{
	u32 n = this_cpu()->locks_held;

	KASSERT(n < HELD_MAX, "lock '%s' is the %uth on CPU %u", l->name, n + 1, cpu_id());
	held[cpu_id()][n] = l;
}

void lock_check_drop(const spinlock_t *l)
{
	KASSERT(!irqs_enabled(), "interrupts were turned on while lock '%s' was held", l->name);
	KASSERT(latest() == l, "lock '%s' is released before '%s', which was taken later", l->name,
		latest()->name);
}

u32 lock_check_enter(void)
{
	return this_cpu()->locks_held;
}

void lock_check_leave(u32 locks)
{
	KASSERT(this_cpu()->locks_held == locks, "a handler began with %u locks and left %u ('%s')",
		locks, this_cpu()->locks_held, latest() ? latest()->name : "none");
	KASSERT(!irqs_enabled(), "a handler left interrupts on");
}

/* --- the rules broken ------------------------------------------------------------------------- */

static spinlock_t outer = SPINLOCK_INIT("test outer"), inner = SPINLOCK_INIT("zone test");
static spinlock_t unknown = SPINLOCK_INIT("of no rank");

static void break_order(void)
{
	spin_lock(&inner);
	spin_lock(&outer);
}

static void break_reverse(void)
{
	spin_lock(&outer);
	spin_lock(&inner);
	spin_unlock(&outer);
}

static void break_interrupts(void)
{
	spin_lock(&outer);
	irq_enable();
	spin_unlock(&outer);
}

static void break_handler(void)
{
	u32 locks;

	irq_disable();
	locks = lock_check_enter();
	spin_lock(&outer);
	lock_check_leave(locks);
}

static void break_rank(void)
{
	spin_lock(&unknown);
}

static const struct {
	const char *name;
	void (*fn)(void);
} ways[] = {
	{"order", break_order},	    {"reverse", break_reverse}, {"interrupts", break_interrupts},
	{"handler", break_handler}, {"rank", break_rank},
};

COMMAND(locks, "[WAY]", "the order of locks; break a rule (order reverse interrupts handler rank)")
{
	for (unsigned i = 0; argc == 1 && i < ARRAY_SIZE(ranks); i++)
		printk("%2u %s\n", i, ranks[i]);
	if (argc == 1)
		return 0;
	for (unsigned i = 0; argc == 2 && i < ARRAY_SIZE(ways); i++)
		if (!strcmp(argv[1], ways[i].name)) {
			ways[i].fn();
			printk("locks: nobody noticed\n");
			return -EIO;
		}
	return CMD_USAGE;
}
