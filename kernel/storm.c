// SPDX-License-Identifier: MIT
/*
 * The thread's complaint was not one buffer but a busy file server: buffers come and go on all
 * CPUs, and so do processes. Here each CPU maps buffers of four pages, writes to them, unmaps
 * them lazily and frees their frames, and then makes an address space, whose tables are thus
 * made of frames that a lazy mapping may still reach: its own, or, by way of the zone, another
 * CPU's. Each space is loaded (which under Xen pins it) and destroyed. Every other CPU uses more
 * buffers than it makes spaces.
 *
 * Under the exact purge none may be refused, however many. Without a purge, under policy pte, many
 * are; then each must be explained (xen/explain.c).
 */
#include "kernel/storm.h"
#include "kernel/console.h"
#include "kernel/counter.h"
#include "kernel/cpu.h"
#include "kernel/errno.h"
#include "kernel/thread.h"
#include "kernel/time.h"
#include "mm/aspace.h"
#include "mm/frame.h"
#include "mm/vmap.h"

#define BUFFER_PAGES 4
#define MANY_BUFFERS 8
#define PROGRAM	     0x40000000ul

struct weather {
	u64 pins; /* to be made */
	atomic_t begun, made, refused, buffers;
	atomic_t err; /* what ended it early: -errno, as a u64 */
};

static bool over(const struct weather *w)
{
	return atomic_read(&w->made) >= w->pins || atomic_read(&w->err);
}

static void fail(struct weather *w, int err)
{
	atomic_cmpxchg(&w->err, 0, (u64)err);
}

static void use_buffer(struct weather *w)
{
	struct frame *f[BUFFER_PAGES];
	u8 *va;

	if (frame_alloc_many(f, BUFFER_PAGES, 0)) {
		fail(w, -ENOMEM);
		return;
	}
	va = vmap(f, BUFFER_PAGES, VM_W);
	for (unsigned i = 0; va && i < BUFFER_PAGES; i++)
		WRITE_ONCE(va[i * PAGE_SIZE], (u8)i);
	vunmap(va);
	frame_free_many(f, BUFFER_PAGES);
	if (!va)
		fail(w, -ENOMEM);
	atomic_fetch_add(&w->buffers, 1);
}

static void make_space(struct weather *w)
{
	struct aspace *as = aspace_create("storm");
	int err = as ? aspace_map(as, PROGRAM, 1, VM_W) : -ENOMEM;

	if (err)
		fail(w, err);
	else if (aspace_load(as))
		atomic_fetch_add(&w->refused, 1);
	else
		WRITE_ONCE(*(u8 *)PROGRAM, 1);
	aspace_leave();
	if (as)
		KASSERT(!aspace_destroy(as), "somebody else runs on a space of the storm");
	atomic_fetch_add(&w->made, 1);
}

static void blow(void *arg)
{
	struct weather *w = arg;
	unsigned buffers = cpu_id() % 2 ? MANY_BUFFERS : 1;

	while (!over(w)) {
		for (unsigned i = 0; i < buffers; i++)
			use_buffer(w);
		if (atomic_fetch_add(&w->begun, 1) < w->pins)
			make_space(w);
		if (console_interrupted())
			fail(w, -EINTR);
		thread_yield();
	}
}

static u64 hypercalls(void)
{
	return counter_sum(CNT_xen_mmu_update) + counter_sum(CNT_xen_mmuext);
}

int storm(const struct storm_setup *setup, struct storm_result *res)
{
	u64 start = tsc_now(), calls = hypercalls(), explained = counter_sum(CNT_xen_explained);
	enum purge_policy was_purge = pt_purge_policy();
	struct weather w = {.pins = setup->pins};
	struct lazy_stats was;
	int err;

	lazy_stats(&was);
	lazy_set_policy(setup->lazy);
	pt_set_purge_policy(setup->purge);
	err = run_on_cpus(cpus_online().bits, blow, &w);
	pt_set_purge_policy(was_purge);
	vm_unmap_aliases();
	lazy_set_policy(was.policy);
	*res = (struct storm_result){
		.pins = atomic_read(&w.made),
		.refused = atomic_read(&w.refused),
		.explained = counter_sum(CNT_xen_explained) - explained,
		.buffers = atomic_read(&w.buffers),
		.hypercalls = hypercalls() - calls,
		.us = tsc_to_us(tsc_now() - start),
	};
	return err ? err : (int)(s64)atomic_read(&w.err);
}
