// SPDX-License-Identifier: MIT
/*
 * What it costs to make page tables of frames that were unmapped a moment ago: for each purge
 * policy and each policy of unmapping, with few and with many other areas lying about lazily.
 * One pin is: four buffers of four pages are mapped, written, unmapped and freed (not measured);
 * an address space is made, two pages mapped in it, and it is loaded, which under Xen pins it.
 *
 * Under `exact` it must not matter how much lies about: the wish of 2007. The smallest of
 * several pins counts, for a tick in the middle is no part of it; under `all` the first is the
 * only one that finds the others there.
 */
#include "kernel/console.h"
#include "kernel/errno.h"
#include "kernel/printk.h"
#include "kernel/stray.h"
#include "kernel/test.h"
#include "tests/kernel/bench.h"

#define PINS	     8
#define FLAT_PERCENT 120
static const unsigned outstanding[] = {0, 100, 10000};

#define LEVELS ARRAY_SIZE(outstanding)

/* => 0 or -errno; *best: the cheapest of so many pins */
static int measure(const struct stray_setup *setup, struct stray_result *best)
{
	unsigned pins = setup->purge == PT_PURGE_EXACT || setup->purge == PT_PURGE_NONE ? PINS : 1;
	int err = stray_begin(setup);

	if (err)
		return err;
	best->ticks = ~0ul;
	for (unsigned i = 0; i < pins && !err; i++) {
		struct stray_result r;

		err = stray_pin(STRAY_VMAP, &r);
		if (!err && r.ticks < best->ticks)
			*best = r;
	}
	stray_end();
	return err;
}

static void print_row(const struct stray_setup *setup, const struct stray_result *r)
{
	printk("%-6s %-4s %6u | %-8s %9lu %8lu %8lu %11lu\n", pt_purge_policy_name(setup->purge),
	       lazy_policy_name(setup->lazy), setup->others, r->err ? "refused" : "accepted",
	       r->hypercalls, r->entries, r->purged, r->ticks);
	printk("BENCH {\"bench\":\"pin\",\"purge\":\"%s\",\"lazy\":\"%s\",\"outstanding\":%u,\"err\":%d,"
	       "\"hypercalls\":%lu,\"entries\":%lu,\"purged\":%lu,\"ticks\":%lu}\n",
	       pt_purge_policy_name(setup->purge), lazy_policy_name(setup->lazy), setup->others,
	       r->err, r->hypercalls, r->entries, r->purged, r->ticks);
}

/* => 0 or -errno; the row of one policy of each kind, for all levels */
static int measure_levels(enum purge_policy purge, enum lazy_policy lazy)
{
	u64 ticks[LEVELS];

	for (unsigned i = 0; i < LEVELS; i++) {
		const struct stray_setup setup = {purge, lazy, outstanding[i]};
		struct stray_result best = {0};
		int err = console_interrupted() ? -EINTR : measure(&setup, &best);

		if (err)
			return err;
		ticks[i] = best.ticks;
		print_row(&setup, &best);
	}
	if (purge == PT_PURGE_EXACT)
		printk("       exact, %s: with %u outstanding %lu %% of the cost with none (at most %u): %s\n",
		       lazy_policy_name(lazy), outstanding[LEVELS - 1],
		       per(100 * ticks[LEVELS - 1], ticks[0]), FLAT_PERCENT,
		       verdict(100 * ticks[LEVELS - 1] <= FLAT_PERCENT * ticks[0]));
	return 0;
}

KBENCH(pin,
       "page tables made of frames just unmapped: purge policies, lazy policies, what lies about")
{
	printk("purge  lazy others | Xen      hypercalls entries   purged  TSC per pin\n");
	for (unsigned p = 0; p < NR_PURGE_POLICIES; p++)
		for (unsigned l = 0; l < NR_LAZY_POLICIES; l++) {
			int err = measure_levels((enum purge_policy)p, (enum lazy_policy)l);

			if (err) {
				printk("pin: error %d\n", err);
				return err;
			}
		}
	return 0;
}
