// SPDX-License-Identifier: MIT OR GPL-2.0
/*
 * Our benchmarks' loops as a Linux module: map pages, read a byte of each, unmap, by Linux's vmap,
 * vm_map_ram and vmalloc. It says what it found in the same BENCH lines as our kernel, so that one
 * reader serves both (tools/compare/figures.py), and goes by the same rules:
 *
 *   - what=cost, on one CPU: TSC ticks a loop, which are instructions under QEMU's `-icount
 *     shift=0`. Loops are measured by the thousand, from one purge to another, so the purges that
 *     Linux makes when its own threshold is passed are in the figure, ticks too.
 *   - what=scale, on several: one bound thread a CPU, each with pages of its own, started together
 *     by a gate. Time, and the function-call interrupts that all CPUs took meanwhile: that is how
 *     Linux flushes kernel addresses elsewhere (CAL in /proc/interrupts).
 *
 * All is done while it is loaded: when init's call returns, the figures are on the console.
 */
#include <linux/completion.h>
#include <linux/cpumask.h>
#include <linux/gfp.h>
#include <linux/hardirq.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>
#include <asm/msr.h>

#define MAX_PAGES     256
#define PURGES	      5
#define THRESHOLD     (32UL * 1024 * 1024 / PAGE_SIZE) /* Linux's on one CPU, in pages */
#define SCALE_PAGES   4
#define SCALE_OPS     250000 /* each CPU's */
#define SCALE_WARM_UP 5000

static char *what = "cost";
module_param(what, charp, 0444);
MODULE_PARM_DESC(what, "cost (instructions on one CPU) or scale (1, 2, 4... CPUs at once)");

static __always_inline void touch(const volatile u8 *va, u64 pages)
{
	for (u64 i = 0; i < pages; i++)
		(void)va[i * PAGE_SIZE];
}

/* --- One loop each: 0 or -ENOMEM ---------------------------------------------------------- */

static int loop_vmap(struct page **page, unsigned pages)
{
	void *va = vmap(page, pages, VM_MAP, PAGE_KERNEL);

	if (!va)
		return -ENOMEM;
	touch(va, pages);
	vunmap(va);
	return 0;
}

static int loop_vm_map_ram(struct page **page, unsigned pages)
{
	void *va = vm_map_ram(page, pages, NUMA_NO_NODE);

	if (!va)
		return -ENOMEM;
	touch(va, pages);
	vm_unmap_ram(va, pages);
	return 0;
}

static int loop_vmalloc(struct page **page, unsigned pages)
{
	void *va = vmalloc(pages * PAGE_SIZE);

	if (!va)
		return -ENOMEM;
	touch(va, pages);
	vfree(va);
	return 0;
}

static void free_pages_of(struct page **page, unsigned pages)
{
	for (unsigned i = 0; i < pages; i++)
		__free_page(page[i]);
}

static int alloc_pages_of(struct page **page, unsigned pages)
{
	for (unsigned i = 0; i < pages; i++) {
		page[i] = alloc_page(GFP_KERNEL);
		if (!page[i]) {
			free_pages_of(page, i);
			return -ENOMEM;
		}
	}
	return 0;
}

/* --- What a loop costs on one CPU --------------------------------------------------------- */

typedef int loop_fn(struct page **page, unsigned pages);

static int cost_of(const char *name, loop_fn *loop, struct page **page, unsigned pages)
{
	/* A guard page waits with the others: this many loops pass the threshold PURGES times. */
	u64 ops = PURGES * THRESHOLD / (pages + 1);
	u64 start = 0;

	/* The first round makes page tables and fills caches of areas; the second is measured. */
	for (int round = 0; round < 2; round++) {
		vm_unmap_aliases();
		start = rdtsc_ordered();
		for (u64 i = 0; i < ops; i++) {
			int err = loop(page, pages);

			if (err)
				return err;
		}
		vm_unmap_aliases();
	}
	pr_notice(
		"BENCH {\"os\":\"linux\",\"bench\":\"%s\",\"pages\":%u,\"revival\":0,\"ops\":%llu,"
		"\"insns_per_op\":%llu}\n",
		name, pages, ops, (rdtsc_ordered() - start) / ops);
	return 0;
}

static int cost(struct page **page)
{
	static const unsigned sizes[] = {1, 4, 16, 64, 256};
	static const struct {
		const char *name;
		loop_fn *loop;
	} loops[] = {
		{"vmap", loop_vmap},
		{"vm_map_ram", loop_vm_map_ram},
		{"vmalloc", loop_vmalloc},
	};

	for (unsigned l = 0; l < ARRAY_SIZE(loops); l++) {
		for (unsigned s = 0; s < ARRAY_SIZE(sizes); s++) {
			int err = cost_of(loops[l].name, loops[l].loop, page, sizes[s]);

			if (err)
				return err;
		}
	}
	return 0;
}

/* --- Several CPUs at once ----------------------------------------------------------------- */

struct worker {
	struct page *page[SCALE_PAGES];
	struct completion ready, done;
	int err;
};

static DECLARE_COMPLETION(gate);

static int work(void *arg)
{
	struct worker *w = arg;

	for (unsigned i = 0; i < SCALE_WARM_UP && !w->err; i++)
		w->err = loop_vmap(w->page, SCALE_PAGES);
	complete(&w->ready);
	wait_for_completion(&gate);
	for (unsigned i = 0; i < SCALE_OPS && !w->err; i++)
		w->err = loop_vmap(w->page, SCALE_PAGES);
	kthread_complete_and_exit(&w->done, 0); /* this code may be gone once `done` is seen */
}

/* => function-call interrupts taken by all CPUs since boot */
static u64 ipis_taken(void)
{
	u64 sum = 0;
	int cpu;

	for_each_online_cpu(cpu) sum += per_cpu(irq_stat, cpu).irq_call_count;
	return sum;
}

static int start_worker(struct worker *w, int cpu)
{
	struct task_struct *task;
	int err = alloc_pages_of(w->page, SCALE_PAGES);

	if (err)
		return err;
	init_completion(&w->ready);
	init_completion(&w->done);
	task = kthread_create(work, w, "lazybench/%d", cpu);
	if (IS_ERR(task)) {
		free_pages_of(w->page, SCALE_PAGES);
		return PTR_ERR(task);
	}
	kthread_bind(task, cpu);
	wake_up_process(task);
	wait_for_completion(&w->ready);
	return 0;
}

static int scale_to(struct worker *workers, unsigned cpus)
{
	u64 ops = (u64)SCALE_OPS * cpus;
	u64 start, ipis, ns;
	unsigned started;
	int err = 0;

	reinit_completion(&gate);
	for (started = 0; started < cpus && !err; started++)
		err = start_worker(&workers[started], started);
	if (err) /* the last one did not start; the others must end before their code goes */
		started--;
	vm_unmap_aliases();
	ipis = ipis_taken();
	start = ktime_get_ns();
	complete_all(&gate);
	for (unsigned i = 0; i < started; i++)
		wait_for_completion(&workers[i].done);
	ns = ktime_get_ns() - start;
	ipis = ipis_taken() - ipis;
	for (unsigned i = 0; i < started; i++) {
		err = err ?: workers[i].err;
		free_pages_of(workers[i].page, SCALE_PAGES);
	}
	if (err)
		return err;
	pr_notice(
		"BENCH {\"os\":\"linux\",\"bench\":\"scale\",\"cpus\":%u,\"pages\":%u,\"ops\":%llu,"
		"\"ns_per_op\":%llu,\"ipis\":%llu}\n",
		cpus, SCALE_PAGES, ops, ns * cpus / ops, ipis);
	return 0;
}

static int scale(void)
{
	struct worker *workers = kcalloc(num_online_cpus(), sizeof(*workers), GFP_KERNEL);
	int err = workers ? 0 : -ENOMEM;

	for (unsigned cpus = 1; cpus <= num_online_cpus() && !err; cpus *= 2)
		err = scale_to(workers, cpus);
	kfree(workers);
	return err;
}

static int __init lazybench_init(void)
{
	static struct page *page[MAX_PAGES];
	int err = -EINVAL;

	if (!strcmp(what, "scale"))
		return scale();
	if (!strcmp(what, "cost") && !(err = alloc_pages_of(page, MAX_PAGES))) {
		err = cost(page);
		free_pages_of(page, MAX_PAGES);
	}
	return err;
}

static void __exit lazybench_exit(void)
{
}

module_init(lazybench_init);
module_exit(lazybench_exit);
MODULE_DESCRIPTION("What Linux's vmap, vm_map_ram and vmalloc cost");
MODULE_LICENSE("Dual MIT/GPL");
