// SPDX-License-Identifier: MIT
/*
 * Address spaces: what lies in the user half, slot 0 of the top level, where the kernel half is the
 * same for all. There is no user mode; a space is a tree of page tables that comes and goes, and
 * that is what it is for: its tables are made of frames that somebody unmapped a moment ago.
 *
 * A space owns its pages. Their frames come from the allocator when they are mapped, are typed
 * FRAME_SPACE and say whose they are, and go back when they are unmapped: so no frame is in two
 * spaces, none is freed under its space, and none becomes a page table while a space can write it.
 *
 * A CPU runs on one space, or on none. That is a matter of the CPU, not of threads: who loads a
 * space says when it ends, and other threads of that CPU run on it meanwhile, as does its idle
 * loop.
 *
 * One caller at a time for one space, but for loading: every CPU may load it and leave it at any
 * time, also while another maps and unmaps. To use a space that was destroyed panics by name.
 */
#ifndef MM_ASPACE_H
#define MM_ASPACE_H

#include "mm/mm_internal.h"

#define ASPACE_NAME 16 /* bytes, with the NUL */

struct frame;

struct aspace {
	struct list link; /* in the order of ids; guarded by aspaces_lock */
	u32 id;		  /* never used twice; 0: no space any more */
	char name[ASPACE_NAME];
	pfn_t user; /* the level-3 table that slot 0 of every root leads to */

	/* the one caller's */
	u64 pages;  /* mapped */
	u64 tables; /* of the user half; roots are not counted */

	/* held to write an entry of the user half, and while a platform looks at all of it */
	spinlock_t lock;

	atomic_t on; /* bit i: CPU i runs on it, or is on its way in or out */

	/* each written by its CPU alone: the top-level table it runs on; 0: it never has */
	pfn_t root[MAX_CPUS];
};

/*
 * aspace_create: an empty space. `name` is copied.
 *   => thread context, IRQs on, no spinlock held, as every call here; NULL with no memory
 */
struct aspace *aspace_create(const char *name) __must_check;

/*
 * aspace_map: n fresh pages of zeros at [va, va + n pages).
 *   => prot: VM_R, VM_W or VM_X
 *   => 0; with nothing changed: -EINVAL (with a message: not page aligned, page 0, beyond the user
 *      half, prot), -EEXIST (with a message: a page there is mapped), -ENOMEM
 *   => -errno if the platform refuses a table or an entry: no page is mapped; tables that it took
 *      before stay, empty, until the space is destroyed
 */
int aspace_map(struct aspace *as, vaddr_t va, u64 n, unsigned prot) __must_check;

/*
 * aspace_unmap: the pages are gone, no CPU can reach them, and their frames are free.
 *   => 0; -EINVAL with nothing changed, and a message: some page there is not mapped
 */
int aspace_unmap(struct aspace *as, vaddr_t va, u64 n) __must_check;

/* aspace_frame: the frame of the page at `va`; NULL: none. => any context */
struct frame *aspace_frame(const struct aspace *as, vaddr_t va);

/*
 * aspace_load: this CPU runs on the space from now on. The first time that takes a frame.
 *   => 0; -ENOMEM, or -errno from the platform: it runs on what it ran on before
 * aspace_leave: this CPU runs on no space.
 * aspace_current: what this CPU runs on; NULL: no space. => any context
 */
int aspace_load(struct aspace *as) __must_check;
void aspace_leave(void);
struct aspace *aspace_current(void);

/*
 * aspace_copy: another space with the same pages: tables and frames of its own, the same contents
 * and rights, as after a fork. What others write meanwhile is in the copy or is not.
 *   => NULL with no memory; or the platform refused
 */
struct aspace *aspace_copy(const struct aspace *as, const char *name) __must_check;

/*
 * aspace_destroy: its pages and tables are free.
 *   => 0; -EBUSY with nothing changed, and a message: a CPU runs on it
 */
int aspace_destroy(struct aspace *as) __must_check;

/* For listings. aspace_next: the space with the smallest id above `id`. => false: none */
struct aspace_info {
	u32 id;
	char name[ASPACE_NAME];
	u64 pages, tables;
	unsigned roots;
	u64 on; /* CPUs, bits */
};
bool aspace_next(u32 id, struct aspace_info *info);

/* For the walker: all there are. => nobody creates or destroys one meanwhile */
extern struct list aspaces;

#endif
