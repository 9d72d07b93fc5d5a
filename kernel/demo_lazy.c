// SPDX-License-Identifier: MIT
/*
 * What the thread of 2007 argued about, side by side: a file system maps buffers of several pages,
 * uses them, unmaps them, and soon somebody wants a few of the frames for something else. For each
 * policy the same is done, and counted:
 *
 *   all buffers are mapped, read by every CPU, and unmapped
 *   one of them is mapped again                        (under pte: revived)
 *   the frames of another are purged, and of no others (what the thread wished for)
 *   the frames of a third are purged in two phases     (the first is enough for a hypervisor)
 *
 * The other CPUs are kept busy, or they would be idle and need no IPI. Nothing is printed in the
 * middle: a line takes longer than a tick, and a tick flushes.
 */
#include "kernel/atomic.h"
#include "kernel/cost.h"
#include "kernel/cpu.h"
#include "kernel/demo.h"
#include "kernel/errno.h"
#include "kernel/panic.h"
#include "kernel/printk.h"
#include "kernel/thread.h"
#include "kernel/time.h"
#include "kernel/watchdog.h"
#include "mm/lazy.h"
#include "mm/pagetable.h"
#include "mm/space.h"
#include "mm/vmap.h"

#define BUFFERS	     8
#define BUFFER_PAGES 4
#define AGAIN	     0 /* the buffer that is mapped again */
#define WANTED	     3 /* those whose frames are wanted: at once */
#define WANTED_LATER 5 /*   and in two phases */

struct seen {
	struct cost unmap, once, ptes, flush;
	u64 revived;
	unsigned left; /* entries that still stood after unmapping */
};

struct show {
	struct frame *frame[BUFFERS * BUFFER_PAGES];
	u8 *va[BUFFERS];
	atomic_t round; /* the readers' order to read, or to end; written by the demonstrator */
	atomic_t read;	/* readers that have obeyed */
	unsigned demonstrator; /* the CPU that maps and unmaps; the others read */
	int err;
	struct seen seen[NR_LAZY_POLICIES];
};

#define END ~0ul

static void read_buffers(void *arg)
{
	struct show *s = arg;
	u64 done = 0, round;

	while ((round = atomic_read(&s->round)) != END) {
		if (round == done) {
			cpu_relax();
			continue;
		}
		done = round;
		for (unsigned i = 0; i < BUFFERS * BUFFER_PAGES; i++)
			(void)*(volatile u8 *)(s->va[i / BUFFER_PAGES] +
					       i % BUFFER_PAGES * PAGE_SIZE);
		atomic_fetch_add(&s->read, 1);
	}
}

static void let_all_read(struct show *s, u64 round)
{
	u64 start = tsc_now();

	atomic_set(&s->read, 0);
	atomic_set(&s->round, round);
	while (atomic_read(&s->read) != nr_cpus - 1) {
		cpu_relax();
		if (watchdog_expired(start))
			panic("demo lazy: a reader does not read");
	}
}

static unsigned entries_left(const struct show *s)
{
	unsigned n = 0;
	paddr_t pa;

	for (unsigned i = 0; i < BUFFERS * BUFFER_PAGES; i++)
		n += pt_translate(kernel_root,
				  (vaddr_t)s->va[i / BUFFER_PAGES] + i % BUFFER_PAGES * PAGE_SIZE,
				  &pa);
	return n;
}

/* => false: out of memory, nothing is mapped */
static bool map_buffers(struct show *s)
{
	for (unsigned i = 0; i < BUFFERS; i++) {
		s->va[i] = vmap(s->frame + i * BUFFER_PAGES, BUFFER_PAGES, VM_W);
		if (!s->va[i]) {
			while (i-- > 0)
				vunmap(s->va[i]);
			return false;
		}
	}
	return true;
}

static int purge_buffer(struct show *s, unsigned i, enum purge_phase phase, struct cost *c)
{
	struct cost from = cost_now();
	int err = vm_unmap_frame_aliases(s->frame + i * BUFFER_PAGES, BUFFER_PAGES, phase);

	*c = cost_since(&from);
	return err;
}

static void unmap_buffers(struct show *s, struct seen *seen)
{
	struct cost from = cost_now();

	for (unsigned i = 0; i < BUFFERS; i++)
		vunmap(s->va[i]);
	seen->unmap = cost_since(&from);
	seen->left = entries_left(s);
}

static int show_policy(struct show *s, enum lazy_policy policy, struct seen *seen)
{
	int err;

	lazy_set_policy(policy);
	if (!map_buffers(s))
		return -ENOMEM;
	let_all_read(s, policy + 1);
	unmap_buffers(s, seen);
	seen->revived = counter_sum(CNT_revive);
	vunmap(vmap(s->frame + AGAIN * BUFFER_PAGES, BUFFER_PAGES, VM_W));
	seen->revived = counter_sum(CNT_revive) - seen->revived;
	err = purge_buffer(s, WANTED, PURGE_FLUSH, &seen->once);
	err = err ? err : purge_buffer(s, WANTED_LATER, PURGE_PTES, &seen->ptes);
	return err ? err : purge_buffer(s, WANTED_LATER, PURGE_FLUSH, &seen->flush);
}

static void print_cost(const char *what, const struct cost *c)
{
	printk("lazy:   %-38s %7lu  %10lu  %4lu  %5lu  %4lu\n", what, c->cleared, c->shootdowns,
	       c->ipis, c->pages, c->full);
}

static void print_policy(enum lazy_policy policy, const struct seen *seen)
{
	printk("lazy: policy %s: after unmapping, %u of %u entries still stand; mapping one again "
	       "%s\n",
	       lazy_policy_name(policy), seen->left, BUFFERS * BUFFER_PAGES,
	       seen->revived ? "revived it" : "wrote new entries");
	print_cost("unmapping all", &seen->unmap);
	print_cost("purging 4 frames", &seen->once);
	print_cost("purging 4 others: entries first", &seen->ptes);
	print_cost("  and then the TLBs", &seen->flush);
}

/* On the demonstrator's CPU the demonstration, on the others its readers. */
static void take_part(void *arg)
{
	struct show *s = arg;

	if (cpu_id() != s->demonstrator) {
		read_buffers(s);
		return;
	}
	for (unsigned p = 0; p < NR_LAZY_POLICIES && !s->err; p++)
		s->err = show_policy(s, (enum lazy_policy)p, &s->seen[p]);
	atomic_set(&s->round, END);
}

DEMO(lazy, "the policies side by side: what unmapping, reviving and purging cost")
{
	struct show s = {.demonstrator = cpu_id()};
	enum lazy_policy before = lazy_policy();
	int err = frame_alloc_many(s.frame, BUFFERS * BUFFER_PAGES, 0);

	if (err)
		return err;
	err = run_on_cpus(cpus_online().bits, take_part, &s);
	lazy_set_policy(before);
	frame_free_many(s.frame, BUFFERS * BUFFER_PAGES);
	if (err || s.err)
		return err ? err : s.err;
	printk("lazy: %u buffers of %u pages, read by %u other CPUs. cleared: entries, by a purge; "
	       "pages, full: what all TLBs together were told to forget\n",
	       BUFFERS, BUFFER_PAGES, nr_cpus - 1);
	printk("lazy:   %-38s %7s  %10s  %4s  %5s  %4s\n", "", "cleared", "shootdowns", "IPIs",
	       "pages", "full");
	for (unsigned p = 0; p < NR_LAZY_POLICIES; p++)
		print_policy((enum lazy_policy)p, &s.seen[p]);
	return 0;
}
