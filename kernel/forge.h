// SPDX-License-Identifier: MIT
/*
 * The experiment behind `demo forge` and its tests: can who once mapped a frame rewrite it, when it
 * has become a page table?
 */
#ifndef KERNEL_FORGE_H
#define KERNEL_FORGE_H

#include "mm/pagetable.h"

#define FORGE_SECRET "nobody's business" /* what a frame of the kernel's holds */

struct forge_result {
	u64 alias;	     /* where the table was mapped as a page of a buffer */
	u64 table;	     /* its frame; 0: the space's table is made of another frame */
	unsigned tables;     /* of the space's tables, those made of the buffer's frames */
	bool alias_faulted;  /* the buffer's old owner could not write there any more */
	u64 va;		     /* the program's address, */
	u64 entry, forged;   /*   its entry, before and after */
	u64 secret;	     /* the frame that the forged entry names */
	char seen[24];	     /* what the program reads at `va` then */
	unsigned faults;     /* contradictions the walker finds then, */
	unsigned faults_end; /*   and when all is cleaned up */
};

/*
 * forge_experiment: with page tables made under `purge`.
 *   => thread context, IRQs on; this CPU runs on no address space; nobody else maps meanwhile
 *   => 0; -errno: no memory, or a platform that looks after page tables has refused them
 */
int forge_experiment(enum purge_policy purge, struct forge_result *res) __must_check;

#endif
