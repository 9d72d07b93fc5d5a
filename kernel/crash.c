// SPDX-License-Identifier: MIT
/*
 * Ways to crash on purpose, each of which must end in a report that names its cause. For people who
 * want to see one, and for the harness, which reads them. Misuses of the mapping engine have a file
 * of their own, kernel/crash_mm.c.
 */
#include "kernel/crash.h"
#include "kernel/cpu.h"
#include "kernel/errno.h"
#include "kernel/irq.h"
#include "kernel/main.h"
#include "kernel/monitor.h"
#include "kernel/panic.h"
#include "kernel/printk.h"
#include "kernel/string.h"
#include "kernel/thread.h"
#include "mm/shootdown.h"
#include "mm/gather.h"
#include "mm/layout.h"

/* Volatile, or the compiler sees what is coming. */
static const volatile vaddr_t null_field = 16; /* as if a field of a struct at NULL were used */
static const volatile u64 no_end = ~0ul;

static void use_null(void)
{
	*(volatile u64 *)null_field = 1;
}

static void write_text(void)
{
	*(volatile u8 *)kernel_main = 0xcc;
}

static __noinline u64 recurse(u64 depth)
{
	volatile u64 here[32];

	here[depth % ARRAY_SIZE(here)] = depth;
	return depth == no_end ? 0 : recurse(depth + 1) + here[depth % ARRAY_SIZE(here)];
}

static void overflow(void *arg __attribute__((unused)))
{
	recurse(0);
}

static void overflow_stack(void)
{
	struct thread *t = thread_create(0, "deep", overflow, NULL);

	if (t)
		thread_join(t);
}

static void go_deaf(void *arg)
{
	irq_disable();
	atomic_set(arg, 1);
	for (;;)
		cpu_relax();
}

/* A CPU that takes no more interrupts is asked to flush: the watchdog must name it. */
static void deafen_cpu(void)
{
	struct gather g;
	atomic_t deaf = {0};

	if (nr_cpus < 2 || !thread_create(nr_cpus - 1, "deaf", go_deaf, &deaf))
		return;
	while (!atomic_read(&deaf))
		cpu_relax();
	gather_begin(&g);
	gather_add(&g, VMAP_BASE, 1, shootdown_stamp());
	gather_flush(&g);
}

static const struct crash_way ways[] = {
	{"null", "use a NULL pointer", use_null},
	{"text", "write to kernel text", write_text},
	{"stack", "overflow a thread's stack", overflow_stack},
	{"deaf", "shoot down on a CPU that takes no interrupts (10 s)", deafen_cpu},
};

/* => the i-th way of all, or NULL */
static const struct crash_way *way(unsigned i)
{
	if (i < ARRAY_SIZE(ways))
		return &ways[i];
	i -= ARRAY_SIZE(ways);
	return i < nr_crash_mm_ways ? &crash_mm_ways[i] : NULL;
}

COMMAND(crash, "[way]", "crash on purpose; without a way, list them")
{
	const struct crash_way *w;

	if (argc > 2)
		return CMD_USAGE;
	for (unsigned i = 0; (w = way(i)); i++) {
		if (argc == 1) {
			printk("%-12s %s\n", w->name, w->help);
		} else if (!strcmp(argv[1], w->name)) {
			w->fn();
			printk("crash: still alive\n");
			return -EIO;
		}
	}
	if (argc == 1)
		return 0;
	printk("crash: there is no way '%s'; 'crash' lists them\n", argv[1]);
	return -ENOENT;
}
