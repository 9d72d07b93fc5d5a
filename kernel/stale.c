// SPDX-License-Identifier: MIT
/*
 * One frame, one mapping, two CPUs:
 *
 *   this CPU                             the reader
 *   map the frame                        look: the old byte; its TLB now has the translation
 *   vunmap: the entry is zero
 *   the frame's next owner writes        look: no entry, yet it reads the next owner's byte
 *   vm_unmap_aliases: shootdown          (IPI: invalidate, acknowledge)
 *                                        look: page fault, as it should be
 *
 * The reader keeps interrupts off to the end, or its tick might flush and hide what we want to
 * see, be it the stale entry or a shootdown that does not work. That is allowed for once: until
 * the second look the other side does nothing that waits for it (vunmap is lazy, and the threshold
 * out of reach), and from then on it serves its inbox by polling.
 */
#include "kernel/stale.h"
#include "kernel/atomic.h"
#include "kernel/cpu.h"
#include "kernel/errno.h"
#include "kernel/irq.h"
#include "kernel/test.h"
#include "kernel/thread.h"
#include "kernel/watchdog.h"
#include "mm/frame.h"
#include "mm/lazy.h"
#include "mm/pagetable.h"
#include "mm/shootdown.h"
#include "mm/space.h"
#include "mm/vmap.h"

enum step {
	STEP_MAPPED,
	STEP_LOOKED,
	STEP_UNMAPPED,
	STEP_LOOKED_AGAIN,
	STEP_PURGED
};

struct experiment {
	atomic_t step; /* who writes it hands over to the other */
	unsigned reader, author;
	struct stale_result *res;
	struct frame *frame;
	u8 *va;
};

static void wait_for(struct experiment *x, enum step step, unsigned cpu)
{
	u64 start = tsc_now();

	while (atomic_read(&x->step) != step) {
		cpu_relax();
		if (watchdog_expired(start))
			cpu_unresponsive(cpu, "stale experiment");
	}
}

/* The same, with interrupts off: so it must look into its inbox by itself. */
static void serve_until(struct experiment *x, enum step step, unsigned cpu)
{
	u64 start = tsc_now();

	while (atomic_read(&x->step) != step) {
		shootdown_serve();
		cpu_relax();
		if (watchdog_expired(start))
			cpu_unresponsive(cpu, "stale experiment");
	}
}

static void unmap_and_reuse(struct experiment *x)
{
	struct pt_walk w;

	vunmap(x->va);
	pt_walk(kernel_root, (vaddr_t)x->va, &w);
	x->res->entry = w.step[1].entry.v;
	*(volatile u8 *)frame_virt(x->frame) = STALE_NEW;
}

/* The other CPU's side. */
static void reader(void *arg)
{
	struct experiment *x = arg;
	irqflags_t flags = irq_save();

	x->res->before_faulted = probe_read(x->va, &x->res->before);
	atomic_set(&x->step, STEP_LOOKED);
	wait_for(x, STEP_UNMAPPED, x->author);
	x->res->after_faulted = probe_read(x->va, &x->res->after);
	atomic_set(&x->step, STEP_LOOKED_AGAIN);
	serve_until(x, STEP_PURGED, x->author);
	x->res->end_faulted = probe_read(x->va, NULL);
	irq_restore(flags);
}

static void finish(struct experiment *x)
{
	u64 ipis = counter_sum(CNT_ipi_sent);

	vm_unmap_aliases();
	x->res->ipis = counter_sum(CNT_ipi_sent) - ipis;
}

static int with_other_cpu(struct experiment *x)
{
	struct thread *t = thread_create(x->reader, "stale reader", reader, x);

	if (!t) {
		vunmap(x->va);
		return -ENOMEM;
	}
	wait_for(x, STEP_LOOKED, x->reader);
	unmap_and_reuse(x);
	atomic_set(&x->step, STEP_UNMAPPED);
	wait_for(x, STEP_LOOKED_AGAIN, x->reader);
	finish(x);
	atomic_set(&x->step, STEP_PURGED);
	thread_join(t);
	return 0;
}

/*
 * The reader is this CPU: no hand-over, but a tick may come between and flush; then it shows
 * nothing.
 */
static int alone(struct experiment *x)
{
	x->res->before_faulted = probe_read(x->va, &x->res->before);
	unmap_and_reuse(x);
	x->res->after_faulted = probe_read(x->va, &x->res->after);
	finish(x);
	x->res->end_faulted = probe_read(x->va, NULL);
	return 0;
}

int stale_experiment(unsigned reader_cpu, struct stale_result *res)
{
	struct experiment x = {.reader = reader_cpu, .author = cpu_id(), .res = res};
	struct lazy_stats before;
	bool poison = lazy_poison();
	int err = -ENOMEM;

	*res = (struct stale_result){0};
	x.frame = frame_alloc(0, FRAME_ZERO);
	if (!x.frame)
		return -ENOMEM;
	lazy_stats(&before);
	lazy_set_max(~0ul); /* no purge may come between */
	lazy_set_policy(LAZY_TLB);
	lazy_set_poison(false); /* it would flush at once */
	*(volatile u8 *)frame_virt(x.frame) = STALE_OLD;
	x.va = vmap(&x.frame, 1, VM_R);
	if (x.va) {
		res->va = (vaddr_t)x.va;
		res->pfn = frame_pfn(x.frame).n;
		err = reader_cpu == cpu_id() ? alone(&x) : with_other_cpu(&x);
	}
	lazy_set_poison(poison);
	lazy_set_policy(before.policy);
	lazy_set_max(before.max_pages);
	frame_free(x.frame, 0);
	return err;
}
