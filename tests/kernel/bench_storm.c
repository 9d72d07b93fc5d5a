// SPDX-License-Identifier: MIT
/*
 * A hundred thousand pins in the storm of kernel/storm.c: under the exact purge none is refused;
 * without a purge, under policy pte, refusals come and each is explained.
 */
#include "kernel/console.h"
#include "kernel/cpu.h"
#include "kernel/errno.h"
#include "kernel/printk.h"
#include "kernel/storm.h"
#include "kernel/test.h"
#include "mm/check.h"
#include "tests/kernel/bench.h"

#define PINS	      100000
#define PIECE	      5000 /* after so many, a line of progress */
#define PINS_UNPURGED 2000

static void add(struct storm_result *sum, const struct storm_result *r)
{
	sum->pins += r->pins;
	sum->refused += r->refused;
	sum->explained += r->explained;
	sum->buffers += r->buffers;
	sum->hypercalls += r->hypercalls;
	sum->us += r->us;
}

static void print_result(const struct storm_setup *setup, const struct storm_result *r, bool met)
{
	printk("storm: purge=%s lazy=%s: %lu pins, %lu refused, %lu explained: %s; %lu buffers, %lu hypercalls a pin, %lu us a pin\n",
	       pt_purge_policy_name(setup->purge), lazy_policy_name(setup->lazy), r->pins,
	       r->refused, r->explained, verdict(met), r->buffers, per(r->hypercalls, r->pins),
	       per(r->us, r->pins));
	printk("BENCH {\"bench\":\"storm\",\"purge\":\"%s\",\"lazy\":\"%s\",\"cpus\":%u,\"pins\":%lu,"
	       "\"refused\":%lu,\"explained\":%lu,\"buffers\":%lu,\"hypercalls\":%lu,\"us\":%lu}\n",
	       pt_purge_policy_name(setup->purge), lazy_policy_name(setup->lazy), nr_cpus, r->pins,
	       r->refused, r->explained, r->buffers, r->hypercalls, r->us);
}

/* => 0 or -errno */
static int blow(enum purge_policy purge, enum lazy_policy lazy, u64 pins)
{
	struct storm_setup setup = {purge, lazy, PIECE};
	struct storm_result sum = {0};
	bool refuses = purge == PT_PURGE_NONE && mmu->tables_read_only;

	while (sum.pins < pins) {
		struct storm_result r;
		int err;

		setup.pins = MIN(pins - sum.pins, PIECE);
		err = storm(&setup, &r);
		if (err) {
			printk("storm: ended early: error %d\n", err);
			return err;
		}
		add(&sum, &r);
		printk("storm: %lu of %lu pins, %lu refused\n", sum.pins, pins, sum.refused);
	}
	print_result(&setup, &sum, sum.refused == sum.explained && !!sum.refused == refuses);
	return mm_check(false) ? -EIO : 0;
}

KBENCH(storm, "100 000 address spaces pinned while buffers of the same frames come and go")
{
	int err = blow(PT_PURGE_EXACT, LAZY_PTE, PINS);

	return err ? err : blow(PT_PURGE_NONE, LAZY_PTE, PINS_UNPURGED);
}
