// SPDX-License-Identifier: MIT
/* Buffers and address spaces from the same frames on all CPUs: kernel/storm.c has the story. */
#include "kernel/cpu.h"
#include "kernel/demo.h"
#include "kernel/errno.h"
#include "kernel/printk.h"
#include "kernel/storm.h"
#include "mm/check.h"

#define PINS 400

static int show(enum purge_policy purge, enum lazy_policy lazy)
{
	const struct storm_setup setup = {purge, lazy, PINS};
	bool may_refuse = purge == PT_PURGE_NONE && lazy == LAZY_PTE;
	struct storm_result r;
	int err = storm(&setup, &r);

	if (err) {
		printk("storm: ended early: error %d\n", err);
		return err;
	}
	printk("storm: purge=%-5s lazy=%-3s %lu spaces and %lu buffers on %u CPUs in %lu ms, %lu hypercalls: %lu refused, %lu of them explained\n",
	       pt_purge_policy_name(purge), lazy_policy_name(lazy), r.pins, r.buffers, nr_cpus,
	       r.us / 1000, r.hypercalls, r.refused, r.explained);
	if (mm_check(false) || r.explained != r.refused)
		return -EIO;
	return !!r.refused == (may_refuse && mmu->tables_read_only) ? 0 : -EIO;
}

DEMO(storm, "buffers and address spaces made of the same frames, on all CPUs at once")
{
	int err = show(PT_PURGE_EXACT, LAZY_PTE);

	if (!err)
		err = show(PT_PURGE_EXACT, LAZY_TLB);
	return err ? err : show(PT_PURGE_NONE, LAZY_PTE);
}
