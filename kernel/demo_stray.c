// SPDX-License-Identifier: MIT
/*
 * The mail thread that this kernel grew out of, live: kernel/stray.c is the experiment. As a guest
 * of Xen it is the hypervisor who answers; a bare machine takes every table, and `demo forge` shows
 * what that may lead to.
 */
#include "kernel/demo.h"
#include "kernel/errno.h"
#include "kernel/printk.h"
#include "kernel/stray.h"
#include "kernel/time.h"
#include "mm/check.h"

#define OTHERS 200

static const char *answer(const struct stray_result *r)
{
	if (r->err)
		return "REFUSED";
	return mmu->tables_read_only ? "accepted" : "taken, unseen";
}

/* => 0 if it went as `purge` lets it go */
static int show(const char *who, enum stray_mapping how, enum purge_policy purge)
{
	const struct stray_setup setup = {purge, LAZY_PTE, OTHERS};
	struct stray_result r;
	int err = stray_begin(&setup);
	bool strays = purge == PT_PURGE_NONE;

	if (!err) {
		err = stray_pin(how, &r);
		stray_end();
	}
	if (err) {
		printk("%s: purge=%s: no memory (error %d)\n", who, pt_purge_policy_name(purge),
		       err);
		return err;
	}
	printk("%s: purge=%-6s %u tables of the buffers' frames, %u of them still mapped writable: %s",
	       who, pt_purge_policy_name(purge), r.tables, r.mapped, answer(&r));
	if (r.err)
		printk(" (%d)", r.err);
	printk("\n%s:              cost: %lu lazy entries cleared, %lu hypercalls with %lu entries, %lu us%s\n",
	       who, r.purged, r.hypercalls, r.entries, tsc_to_us(r.ticks),
	       r.err ? ", printing the reason included" : "");
	if (mm_check(false) || !r.tables || !!r.mapped != strays)
		return -EIO;
	return !!r.err == (strays && mmu->tables_read_only) ? 0 : -EIO;
}

static int show_all(const char *who, enum stray_mapping how)
{
	static const enum purge_policy order[] = {PT_PURGE_NONE, PT_PURGE_ALL, PT_PURGE_EXACT,
						  PT_PURGE_UNHOOK};
	int err = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(order) && !err; i++)
		err = show(who, how, order[i]);
	return err;
}

DEMO(stray,
     "buffers unmapped lazily, page tables made of their pages: who is refused, at what cost")
{
	printk("stray: 16 pages of 4 buffers are vmapped, written, vunmapped lazily (policy pte) and freed;\n");
	printk("stray: a new address space takes its tables from them. %u other areas lie about lazily too.\n",
	       OTHERS);
	return show_all("stray", STRAY_VMAP);
}

DEMO(highmem, "the same with pages that were mapped by kmap, one by one")
{
	printk("highmem: 16 pages are kmapped one by one, written, kunmapped and freed; kmap keeps its mappings.\n");
	printk("highmem: a new address space takes its tables from them. %u other areas lie about lazily too.\n",
	       OTHERS);
	return show_all("highmem", STRAY_KMAP);
}
