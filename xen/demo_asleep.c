// SPDX-License-Identifier: MIT
/*
 * Why a vCPU that does not run must be flushed too.
 *
 * Xen tells a guest of each vCPU whether it runs (its runstate). One that is blocked uses no
 * translation, so to leave it out of a flush, and let it flush when it wakes, looks like a
 * bargain; other hypervisors offer it. But they promise something for it: to flush on the
 * guest's behalf before the vCPU runs again. Xen does not. It is lazy itself: a processor that
 * idles keeps the page tables of the vCPU that ran there last, TLB and all, and if the same vCPU
 * wakes there, nothing is loaded anew (Xen: arch/x86/domain.c, context_switch()).
 *
 * The experiment: the last vCPU reads a page, and sleeps. Its runstate says so. The page's entry
 * is made to lead to another frame; nobody is flushed, "for who should be wrong?". The vCPU is
 * woken by an event, and in the handler, before anything of ours could flush, it reads the page
 * again.
 *
 * What is sound is the protocol of mm/shootdown.c, in which the sleeper itself has promised to
 * flush, and does so first thing when it wakes; or to ask Xen, which knows who holds what.
 */
#include "kernel/cpu.h"
#include "kernel/demo.h"
#include "kernel/errno.h"
#include "kernel/printk.h"
#include "kernel/smp.h"
#include "kernel/watchdog.h"
#include "mm/frame.h"
#include "mm/gather.h"
#include "mm/pagetable.h"
#include "mm/shootdown.h"
#include "mm/space.h"
#include "mm/vmap.h"
#include "xen/hypercall.h"

#define ROUNDS 5
#define OLD    'A'
#define NEW    'B'

struct experiment {
	struct frame *frame[2]; /* the first is mapped, the second comes in its place */
	u8 *va;
	unsigned sleeper;
	u8 seen; /* by the sleeper, at its last look */
};

static void look(void *arg)
{
	struct experiment *x = arg;

	x->seen = READ_ONCE(*x->va);
}

static void sleeper_looks(struct experiment *x)
{
	u64 start = tsc_now();

	smp_interrupt(x->sleeper, look, x);
	while (!smp_interrupt_over(x->sleeper)) {
		cpu_relax();
		if (watchdog_expired(start))
			cpu_unresponsive(x->sleeper, "a look at a page");
	}
}

static bool is_blocked(unsigned vcpu)
{
	struct vcpu_runstate_info info;

	return !xen_vcpu_op(VCPUOP_get_runstate_info, vcpu, &info) &&
	       info.state == RUNSTATE_blocked;
}

/* => false: it does not fall asleep */
static bool wait_asleep(unsigned vcpu)
{
	u64 start = tsc_now();

	while (!is_blocked(vcpu)) {
		xen_sched_op(SCHEDOP_yield, NULL);
		if (watchdog_expired(start))
			return false;
	}
	return true;
}

/* The entry of the page leads to frame[i] from now on. Nobody is told. */
static void lead_to(struct experiment *x, unsigned i)
{
	struct pt_walk w;
	irqflags_t flags;

	KASSERT(pt_walk(kernel_root, (vaddr_t)x->va, &w), "the page is gone");
	flags = irq_save();
	mmu->set_leaf(w.step[1].table, w.step[1].slot,
		      (pte_t){(w.step[1].entry.v & ~PTE_ADDR) | frame_paddr(x->frame[i])});
	KASSERT(!mmu->batch_end(NULL), "Xen refuses an entry of our own frame");
	irq_restore(flags);
}

static void flush(const struct experiment *x)
{
	struct gather g;

	gather_begin(&g);
	gather_add(&g, (vaddr_t)x->va, 1,
		   0); /* 0: nothing that anybody did before proves anything */
	gather_flush(&g);
	gather_end(&g);
}

/* => what the sleeper reads at waking; 0: it did not sleep when it should */
static u8 one_round(struct experiment *x, bool spare_it)
{
	lead_to(x, 0);
	flush(x);
	sleeper_looks(x);
	if (x->seen != OLD || !wait_asleep(x->sleeper))
		return 0;
	lead_to(x, 1);
	if (!spare_it)
		flush(x);
	if (!is_blocked(x->sleeper))
		return 0; /* a tick came in between: the round says nothing */
	sleeper_looks(x);
	return x->seen;
}

/* => how many of ROUNDS rounds read the old frame */
static unsigned rounds(struct experiment *x, bool spare_it)
{
	unsigned stale = 0, n = 0;
	u64 start = tsc_now();

	while (n < ROUNDS && !watchdog_expired(start)) {
		u8 seen = one_round(x, spare_it);

		n += !!seen;
		stale += seen == OLD;
	}
	lead_to(x, 0);
	flush(x);
	return n == ROUNDS ? stale : ~0u;
}

static int tell(struct experiment *x)
{
	unsigned spared, flushed;

	printk("asleep: vCPU %u reads 'A' at %p and sleeps; its runstate says blocked. Then the entry leads to a frame with 'B'.\n",
	       x->sleeper, (void *)x->va);
	spared = rounds(x, true);
	flushed = rounds(x, false);
	if (spared == ~0u || flushed == ~0u) {
		printk("asleep: vCPU %u never sleeps: the experiment was not made\n", x->sleeper);
		return -ETIMEDOUT;
	}
	printk("asleep: not flushed, because it is asleep: it wakes and reads the old 'A' in %u of %u rounds%s\n",
	       spared, ROUNDS,
	       spared ? ": unsound"
		      : " (this machine forgot by itself: XPTI, or another vCPU ran there)");
	printk("asleep: flushed by Xen all the same: the old 'A' in %u of %u rounds\n", flushed,
	       ROUNDS);
	return flushed ? -EIO : 0;
}

DEMO(asleep, "as a Xen guest: a vCPU that sleeps is spared its flush, and reads stale data")
{
	struct experiment x = {.sleeper = nr_cpus - 1};
	int err;

	if (!mmu->tables_read_only || nr_cpus < 2) {
		printk("asleep: this takes a Xen PV guest with two vCPUs or more\n");
		return 0;
	}
	err = frame_alloc_many(x.frame, 2, FRAME_ZERO);
	if (err)
		return err;
	*(u8 *)frame_virt(x.frame[0]) = OLD;
	*(u8 *)frame_virt(x.frame[1]) = NEW;
	x.va = vmap(x.frame, 1, VM_R);
	err = x.va ? tell(&x) : -ENOMEM;
	vunmap(x.va);
	vm_unmap_aliases();
	frame_free_many(x.frame, 2);
	return err;
}
