// SPDX-License-Identifier: MIT
/*
 * Ways to crash on purpose, each of which must end in a report that names its cause. For people who
 * want to see one, and for the harness, which reads them.
 */
#include "kernel/cpu.h"
#include "kernel/errno.h"
#include "kernel/irq.h"
#include "kernel/main.h"
#include "kernel/monitor.h"
#include "kernel/panic.h"
#include "kernel/printk.h"
#include "kernel/string.h"
#include "kernel/thread.h"
#include "mm/frame.h"
#include "mm/shootdown.h"
#include "mm/vmap.h"

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

/* Unmapped before it was ever used, so no TLB can know it. */
static void use_after_unmap(void)
{
	struct frame *f = frame_alloc(0, 0);
	volatile u8 *va = f ? vmap(&f, 1, VM_W) : NULL;

	vunmap((void *)va);
	if (va)
		*va = 1;
}

static void unmap_twice(void)
{
	struct frame *f = frame_alloc(0, 0);
	void *va = f ? vmap(&f, 1, VM_W) : NULL;

	vunmap(va);
	vunmap(va);
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

static const struct {
	const char *name, *help;
	void (*fn)(void);
} ways[] = {
	{"null", "use a NULL pointer", use_null},
	{"text", "write to kernel text", write_text},
	{"unmapped", "use an address after vunmap", use_after_unmap},
	{"twice", "vunmap twice", unmap_twice},
	{"stack", "overflow a thread's stack", overflow_stack},
	{"deaf", "shoot down on a CPU that takes no interrupts (10 s)", deafen_cpu},
};

COMMAND(crash, "[way]", "crash on purpose; without a way, list them")
{
	if (argc > 2)
		return CMD_USAGE;
	for (unsigned i = 0; i < ARRAY_SIZE(ways); i++) {
		if (argc == 1) {
			printk("%-9s %s\n", ways[i].name, ways[i].help);
		} else if (!strcmp(argv[1], ways[i].name)) {
			ways[i].fn();
			printk("crash: still alive\n");
			return -EIO;
		}
	}
	if (argc == 1)
		return 0;
	printk("crash: there is no way '%s'; 'crash' lists them\n", argv[1]);
	return -ENOENT;
}
