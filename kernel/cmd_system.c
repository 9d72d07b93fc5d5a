// SPDX-License-Identifier: MIT
/*
 * The monitor's commands about the machine and the kernel as a whole; those about mappings are in
 * kernel/cmd_mm.c. A command is a function with its usage beside it (kernel/monitor.h): it prints
 * why it fails and returns a status, and for wrong arguments it returns CMD_USAGE and has done
 * nothing.
 */
#include "arch/x86/cpu.h"
#include "kernel/console.h"
#include "kernel/counter.h"
#include "kernel/cpu.h"
#include "kernel/errno.h"
#include "kernel/main.h"
#include "kernel/monitor.h"
#include "kernel/panic.h"
#include "kernel/platform.h"
#include "kernel/printk.h"
#include "kernel/string.h"
#include "kernel/test.h"
#include "kernel/thread.h"
#include "kernel/time.h"
#include "kernel/trace.h"
#include "mm/lazy.h"
#include "mm/frame.h"
#include "mm/shootdown.h"

/* => the command after `name` in the alphabet, or NULL; the section itself is in link order */
static const struct command *command_after(const char *name)
{
	const struct command *next = NULL;

	for (const struct command *c = __start_commands; c < __stop_commands; c++) {
		if (strcmp(c->name, name) > 0 && (!next || strcmp(c->name, next->name) < 0))
			next = c;
	}
	return next;
}

COMMAND(help, "[command]", "list the commands, or explain one")
{
	const struct command *c = NULL;

	if (argc > 2)
		return CMD_USAGE;
	if (argc == 1) {
		while ((c = command_after(c ? c->name : "")))
			printk("  %-8s %-20s %s\n", c->name, c->usage, c->help);
		printk("Separate commands by ; and stop a running one with Ctrl-C.\n");
		return 0;
	}
	for (c = __start_commands; c < __stop_commands && strcmp(c->name, argv[1]); c++)
		;
	if (c == __stop_commands) {
		printk("help: no command is called '%s'; 'help' lists them\n", argv[1]);
		return -ENOENT;
	}
	printk("usage: %s%s%s\n%s\n", c->name, *c->usage ? " " : "", c->usage, c->help);
	return 0;
}

static void print_seconds(const char *what, u64 tsc)
{
	u64 us = tsc_to_us(tsc);

	printk("  %-12s %lu.%06lu s\n", what, us / 1000000, us % 1000000);
}

COMMAND(info, "", "processor, memory, boot loader, times")
{
	struct frame_stats st;
	char features[256];

	if (argc != 1)
		return CMD_USAGE;
	cpu_features_describe(features, sizeof(features));
	frame_stats(&st);
	printk("  %-12s %s\n", "processor", cpu_features.brand);
	printk("  %-12s %s\n", "", features);
	printk("  %-12s %u online of at most %d\n", "cpus", cpumask_count(cpus_online()), MAX_CPUS);
	printk("  %-12s %lu.%03lu MHz, by %s\n", "tsc", tsc_hz / 1000000, tsc_hz / 1000 % 1000,
	       platform->time_reference());
	printk("  %-12s %lu MiB in all, %lu MiB free\n", "memory", st.total * PAGE_SIZE / MiB,
	       (st.free + st.cached) * PAGE_SIZE / MiB);
	printk("  %-12s %s, by %s\n", "boot door", boot_info.door,
	       boot_info.loader[0] ? boot_info.loader : "an unnamed loader");
	printk("  %-12s ", "command line");
	console_write(boot_info.cmdline,
		      strlen(boot_info.cmdline)); /* may be longer than PRINTK_MAX */
	printk("\n");
	print_seconds("boot took", tsc_at_prompt - tsc_at_entry);
	print_seconds("up", tsc_now() - tsc_at_entry);
	return 0;
}

COMMAND(cpus, "", "every CPU, and how far its TLB is behind")
{
	u64 clock = shootdown_clock();
	unsigned cpu;

	if (argc != 1)
		return CMD_USAGE;
	printk("  cpu  apic     ticks  spinlocks  flushed  behind  thread\n");
	cpumask_for_each (cpu, cpus_online()) {
		const struct cpu *c = &cpus[cpu];
		u64 flushed = shootdown_flushed(cpu);

		printk("  %3u  %4u  %8lu  %9u  %7lu  %6lu  %s%s\n", cpu, c->apic_id,
		       READ_ONCE(c->ticks), READ_ONCE(c->locks_held), flushed,
		       clock - MIN(flushed, clock), thread_name(READ_ONCE(c->current)),
		       READ_ONCE(c->current) == c->idle ? " (idle)" : "");
	}
	printk("The shootdown clock is %lu; a CPU that is behind may hold stale entries of cleared areas.\n",
	       clock);
	return 0;
}

COMMAND(stats, "[-a] [glob]", "event counters; -a: the zero ones too")
{
	bool all = argc > 1 && !strcmp(argv[1], "-a");
	const char *glob = argc > 1 + all ? argv[1 + all] : "*";
	unsigned matches = 0;

	if (argc > 2 + all)
		return CMD_USAGE;
	for (unsigned i = 0; i < NR_COUNTERS; i++) {
		u64 sum = counter_sum((enum counter)i);

		if (!glob_match(glob, counter_descs[i].name))
			continue;
		matches++;
		if (sum || all)
			printk("  %-16s %12lu  %s\n", counter_descs[i].name, sum,
			       counter_descs[i].desc);
	}
	if (!matches)
		printk("stats: no counter matches '%s'; 'stats -a' lists them\n", glob);
	return matches ? 0 : -ENOENT;
}

COMMAND(trace, "dump [n | json] | clear | on | off",
	"what the mapping engine did, the newest n; on: record each map and unmap, too")
{
	u64 max = MAX_CPUS * TRACE_RECORDS;

	if (argc == 2 && !strcmp(argv[1], "clear"))
		trace_clear();
	else if (argc == 2 && !strcmp(argv[1], "on"))
		lazy_set_trace(true);
	else if (argc == 2 && !strcmp(argv[1], "off"))
		lazy_set_trace(false);
	else if (argc < 2 || argc > 3 || strcmp(argv[1], "dump"))
		return CMD_USAGE;
	else if (argc == 3 && !strcmp(argv[2], "json"))
		trace_dump_json();
	else if (argc == 3 && parse_u64(argv[2], &max))
		return CMD_USAGE;
	else
		trace_dump(max);
	return console_interrupted() ? -EINTR : 0;
}

/* test and bench take the same arguments: [-l] [glob]. */
static int list_or_run(int argc, char **argv, unsigned (*list)(const char *),
		       int (*run)(const char *))
{
	bool only_list = argc > 1 && !strcmp(argv[1], "-l");
	const char *glob = argc > 1 + only_list ? argv[1 + only_list] : "*";
	int status;

	if (argc > 2 + only_list || glob[0] == '-')
		return CMD_USAGE;
	if (only_list)
		status = list(glob) ? 0 : -ENOENT;
	else
		status = run(glob);
	if (status == -ENOENT)
		printk("%s: nothing matches '%s'; '%s -l' lists what there is\n", argv[0], glob,
		       argv[0]);
	return status;
}

COMMAND(test, "[-l] [glob]", "run tests, by suite or suite/name; -l: list them")
{
	return list_or_run(argc, argv, test_list, test_run);
}

COMMAND(bench, "[-l] [glob]", "run benchmarks; -l: list them")
{
	return list_or_run(argc, argv, bench_list, bench_run);
}

COMMAND(panic, "[text]", "panic on purpose, to see what that looks like")
{
	if (argc > 2)
		return CMD_USAGE;
	panic("%s", argc == 2 ? argv[1] : "asked for by the panic command");
}

COMMAND(exit, "[status]", "leave the machine; 0, the default, is a pass")
{
	u64 status = 0;

	if (argc > 2 || (argc == 2 && (parse_u64(argv[1], &status) || status > INT32_MAX)))
		return CMD_USAGE;
	machine_exit((int)status);
}
