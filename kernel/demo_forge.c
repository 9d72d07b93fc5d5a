// SPDX-License-Identifier: MIT
/*
 * Why a hypervisor refuses a page table that somebody can still write: what happens where nobody
 * refuses it (kernel/forge.c is the experiment), and what the exact purge does about it.
 */
#include "kernel/demo.h"
#include "kernel/errno.h"
#include "kernel/forge.h"
#include "kernel/printk.h"
#include "kernel/string.h"

static void tell_tables(const struct forge_result *r, enum purge_policy purge)
{
	printk("forge: purge=%s: a buffer was unmapped lazily and its frames freed; %u of them are page tables of a new address space now\n",
	       pt_purge_policy_name(purge), r->tables);
	printk("forge: frame %#lx is the level-1 table of the program's page %#lx; to the buffer's old owner it is the page at %#lx\n",
	       r->table, r->va, r->alias);
}

static void tell_forged(const struct forge_result *r)
{
	printk("forge: the owner writes there once more: the program's entry is %#lx, was %#lx; it names frame %#lx, which is the kernel's\n",
	       r->forged, r->entry, r->secret);
	printk("forge: the program reads at %#lx: \"%s\"\n", r->va, r->seen);
	printk("forge: the invariant walker: %u contradictions (above); Xen would have refused the table: demo stray, as its guest\n",
	       r->faults);
}

/* => 0 if it went as `purge` lets it go, and left nothing behind */
static int show(enum purge_policy purge)
{
	struct forge_result r;
	int err = forge_experiment(purge, &r);

	if (err || !r.table) {
		printk("forge: purge=%s: %s (error %d)\n", pt_purge_policy_name(purge),
		       err ? "no memory, or the platform refused the tables"
			   : "no frame of the buffer became the table",
		       err);
		return err ? err : -EAGAIN;
	}
	tell_tables(&r, purge);
	if (r.alias_faulted)
		printk("forge: the owner's access there: page fault; the entry is as it was, %#lx\n",
		       r.entry);
	else
		tell_forged(&r);
	printk("forge: cleaned up, the walker finds %u\n", r.faults_end);
	if (r.faults_end || r.alias_faulted != (purge == PT_PURGE_EXACT))
		return -EIO;
	return r.alias_faulted || (r.faults && !strcmp(r.seen, FORGE_SECRET)) ? 0 : -EIO;
}

DEMO(forge, "a page table rewritten by a mapping that is gone; and with the exact purge, not")
{
	int err;

	if (mmu->tables_read_only) {
		printk("forge: not here: the hypervisor refuses such a table. See demo stray, and this one on a bare machine\n");
		return 0;
	}
	err = show(PT_PURGE_NONE);
	return err ? err : show(PT_PURGE_EXACT);
}
