// SPDX-License-Identifier: MIT
/* The monitor's view of address spaces: which there are, how large, and who runs on them. */
#include "kernel/console.h"
#include "kernel/errno.h"
#include "kernel/monitor.h"
#include "kernel/printk.h"
#include "mm/aspace.h"

COMMAND(aspace, "", "address spaces: their pages, tables, roots, and the CPUs that run on them")
{
	struct aspace_info as = {.id = 0};
	unsigned n = 0;

	if (argc != 1)
		return CMD_USAGE;
	for (; aspace_next(as.id, &as); n++) {
		if (console_interrupted())
			return -EINTR;
		if (!n)
			printk("%6s  %-15s  %10s  %8s  %6s  CPUs on it\n", "id", "name", "pages",
			       "tables", "roots");
		printk("%6u  %-15s  %10lu  %8lu  %6u  %#lx\n", as.id, as.name, as.pages, as.tables,
		       as.roots, as.on);
	}
	printk("%u address spaces\n", n);
	return 0;
}
