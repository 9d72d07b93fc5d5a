// SPDX-License-Identifier: MIT
/*
 * The monitor's window into the shootdown protocol: the clock and how each CPU stands to it
 * (mm/shootdown.c explains the words), and the switch between its strategies, so that they can be
 * compared in one run: shootdown broadcast; bench ipi; shootdown filtered; bench ipi; stats ipi*
 */
#include "arch/x86/cpu.h"
#include "kernel/cpu.h"
#include "kernel/monitor.h"
#include "kernel/printk.h"
#include "mm/shootdown.h"

static const char *const idle_names[] = {
	[CPU_AWAKE] = "awake",
	[CPU_IDLE] = "idle",
	[CPU_MUST_FLUSH] = "idle, must flush",
	[CPU_WAKING] = "waking",
};

static void print_cpus(void)
{
	u64 newest = shootdown_newest();
	unsigned cpu;

	printk("  cpu  flushed  behind  state             inbox  pending\n");
	cpumask_for_each (cpu, cpus_online()) {
		const struct shootdown_cpu c = shootdown_cpu(cpu);

		printk("  %3u  %7lu  %-6s  %-16s  %#lx  %#lx\n", cpu, c.flushed,
		       c.flushed > newest ? "no" : "yes", idle_names[c.idle], c.inbox, c.pending);
	}
}

COMMAND(shootdown, "[broadcast|filtered]", "who is asked to forget, and how far each CPU has")
{
	enum shootdown_strategy s;

	if (argc > 2 || (argc == 2 && shootdown_strategy_parse(argv[1], &s)))
		return CMD_USAGE;
	if (argc == 2)
		shootdown_set_strategy(s);
	printk("strategy %s; clock %lu, newest stamp %lu\n",
	       shootdown_strategy_name(shootdown_strategy()), shootdown_clock(),
	       shootdown_newest());
	printk("a full flush is %s, PCIDs are %s\n",
	       cpu_features.invpcid ? "INVPCID type 2" : "a change of CR4.PGE",
	       cpu_features.pcid ? "on" : "off");
	print_cpus();
	/* last, because it has the idle CPUs promise to flush */
	printk("whatever was stamped below %lu is forgotten\n", shootdown_horizon());
	return 0;
}
