// SPDX-License-Identifier: MIT
/*
 * The demonstrations, narrated with the numbers of the moment:
 *
 *   story  the life of a mapping on all CPUs, from vmap to the shootdown; every boot shows it
 *   lazy   the policies side by side, and a purge of single frames (kernel/demo_lazy.c)
 *   forge  a stray alias rewrites a page table (kernel/demo_forge.c)
 *   stray, highmem  page tables made of frames that are still mapped (kernel/demo_stray.c)
 *   asleep  a Xen guest that spares a sleeping vCPU its flush (xen/demo_asleep.c)
 *   stale  a CPU reads through a mapping that is gone, until it is shot down (kernel/stale.c)
 */
#include "kernel/console.h"
#include "kernel/demo.h"
#include "kernel/cost.h"
#include "kernel/cpu.h"
#include "kernel/errno.h"
#include "kernel/monitor.h"
#include "kernel/printk.h"
#include "kernel/stale.h"
#include "kernel/string.h"
#include "kernel/thread.h"
#include "mm/frame.h"
#include "mm/lazy.h"
#include "mm/pagetable.h"
#include "mm/shootdown.h"
#include "mm/space.h"
#include "mm/vmap.h"

#define STORY_PAGES 6

struct story {
	struct frame *row[2 * STORY_PAGES];
	struct frame *scattered
		[STORY_PAGES]; /* every second one: what is mapped together need not lie together */
	const volatile u8 *va;
	atomic_t sum; /* of what all CPUs read */
};

static void read_all_pages(void *arg)
{
	struct story *s = arg;

	for (unsigned i = 0; i < STORY_PAGES; i++)
		atomic_fetch_add(&s->sum, s->va[i * PAGE_SIZE]);
}

static unsigned entries_left(const struct story *s)
{
	unsigned n = 0;
	paddr_t pa;

	for (unsigned i = 0; i < STORY_PAGES; i++)
		n += pt_translate(kernel_root, (vaddr_t)s->va + i * PAGE_SIZE, &pa);
	return n;
}

static unsigned bound_to_flush(void)
{
	unsigned cpu, n = 0;

	cpumask_for_each (cpu, cpus_online())
		n += shootdown_cpu(cpu).idle == CPU_MUST_FLUSH;
	return n;
}

/*
 * Printing is slow, and a tick in the meantime would do the purge's work: so first all, then the
 * tale.
 */
static void unmap_and_purge(struct story *s)
{
	struct cost from = cost_now(), unmap, purge;
	struct lazy_stats lz;
	unsigned left, bound;
	u64 served;

	vunmap((void *)s->va);
	unmap = cost_since(&from);
	left = entries_left(s);
	lazy_stats(&lz);
	served = counter_sum(CNT_shootdown_serve);
	from = cost_now();
	vm_unmap_aliases();
	bound = bound_to_flush();
	purge = cost_since(&from);
	served = counter_sum(CNT_shootdown_serve) - served;
	printk("story: vunmap (policy %s) left %u of %u entries; %lu pages wait to be forgotten (the "
	       "readers' stacks among them), %lu IPIs sent\n",
	       lazy_policy_name(lz.policy), left, STORY_PAGES, lz.pages, unmap.ipis);
	printk("story: purge: %lu IPIs sent, %lu requests served by other CPUs, %u CPUs idle and bound "
	       "to flush before they wake; the addresses may be used again\n",
	       purge.ipis, served, bound);
}

static int tell(struct story *s)
{
	u64 expect = 0;
	int err;

	for (unsigned i = 0; i < STORY_PAGES; i++) {
		s->scattered[i] = s->row[2 * i];
		*(volatile u8 *)frame_virt(s->scattered[i]) = (u8)(i + 1);
		expect += (i + 1) * nr_cpus;
	}
	s->va = vmap(s->scattered, STORY_PAGES, VM_R);
	if (!s->va)
		return -ENOMEM;
	printk("story: vmap put %u scattered frames (%#lx, %#lx, %#lx, ...) side by side at %p\n",
	       STORY_PAGES, frame_pfn(s->scattered[0]).n, frame_pfn(s->scattered[1]).n,
	       frame_pfn(s->scattered[2]).n, (const void *)s->va);
	err = run_on_cpus(cpus_online().bits, read_all_pages, s);
	if (!err)
		printk("story: %u CPUs read all pages there: sum %lu, expected %lu\n", nr_cpus,
		       atomic_read(&s->sum), expect);
	unmap_and_purge(s);
	return err ? err : atomic_read(&s->sum) == expect ? 0 : -EIO;
}

static int story(void)
{
	struct story s = {.sum = {0}};
	int err = frame_alloc_many(s.row, 2 * STORY_PAGES, FRAME_ZERO);

	if (err)
		return err;
	err = tell(&s);
	frame_free_many(s.row, 2 * STORY_PAGES);
	return err;
}

DEMO(story, "the life of a mapping, on all CPUs")
{
	return story();
}

void demo_boot_story(void)
{
	int err = story();

	if (err)
		printk("story: ended early: error %d\n", err);
}

DEMO(stale, "a stale TLB entry read on another CPU, and gone after the shootdown")
{
	struct stale_result r;
	unsigned reader = nr_cpus > 1 ? (cpu_id() + 1) % nr_cpus : cpu_id();
	int err = stale_experiment(reader, &r);

	if (err)
		return err;
	printk("stale: frame %#lx was mapped at %#lx; CPU %u read %#x there\n", r.pfn, r.va, reader,
	       r.before);
	printk("stale: CPU %u unmapped it lazily: the page-table entry is now %#lx\n", cpu_id(),
	       r.entry);
	printk("stale: the frame's next owner wrote %#x into it\n", STALE_NEW);
	if (r.after_faulted)
		printk("stale: CPU %u read again and faulted: this machine forgot the translation by itself\n",
		       reader);
	else
		printk("stale: CPU %u read again through the mapping that is gone: %#x%s\n", reader,
		       r.after, r.after == STALE_NEW ? ", the new owner's byte" : "");
	printk("stale: vm_unmap_aliases(): %lu IPIs\n", r.ipis);
	printk("stale: CPU %u read once more: %s\n", reader,
	       r.end_faulted ? "page fault, as it should be" : "NO FAULT, the shootdown failed");
	return r.end_faulted ? 0 : -EIO;
}

extern const struct demo __start_demos[], __stop_demos[];

/* => 0, or the first error; Ctrl-C ends it */
static int demo_all(void)
{
	int first = 0;

	for (const struct demo *d = __start_demos; d < __stop_demos; d++) {
		int err;

		printk("--- demo %s: %s\n", d->name, d->help);
		err = console_interrupted() ? -EINTR : d->fn();
		if (err == -EINTR)
			return err;
		if (err)
			printk("demo: %s ended with error %d\n", d->name, err);
		first = first ? first : err;
	}
	return first;
}

COMMAND(demo, "[name|all]", "run a demonstration, or all; without a name, list them")
{
	if (argc > 2)
		return CMD_USAGE;
	if (argc == 2 && !strcmp(argv[1], "all"))
		return demo_all();
	for (const struct demo *d = __start_demos; d < __stop_demos; d++) {
		if (argc == 1)
			printk("%-8s %s\n", d->name, d->help);
		else if (!strcmp(argv[1], d->name))
			return d->fn();
	}
	if (argc == 1)
		return 0;
	printk("demo: there is no '%s'; 'demo' lists them\n", argv[1]);
	return -ENOENT;
}
