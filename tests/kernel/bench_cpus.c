// SPDX-License-Identifier: MIT
/*
 * Several CPUs map, read and unmap four pages each, all at once: how much they have to interrupt
 * each other (ipi), and how far they get together (scale). Each has frames of its own, so what
 * they share is the engine alone.
 *
 * All start together and nothing is counted before the last one is warm, so the figures are those
 * of a steady state; ticks go on as always. Counters are read by the last CPU to be ready and the
 * last to be done.
 */
#include "kernel/console.h"
#include "kernel/cpu.h"
#include "kernel/errno.h"
#include "kernel/printk.h"
#include "kernel/test.h"
#include "kernel/thread.h"
#include "mm/park.h"
#include "mm/shootdown.h"
#include "mm/vmap.h"
#include "tests/kernel/bench.h"

#define PAGES		4
#define WARM_UP_OPS	20000 /* of a CPU, or as many as are measured */
#define IPI_OPS		20000
#define IPI_OPS_OFF	500 /* policy off: each of them is a shootdown */
#define IPI_FULL_OPS	250000
#define SCALE_OPS	250000
#define OPS_PER_LOOK	1000 /* at Ctrl-C */
#define SPEED_UP_TENTHS 18   /* from 1 to 2 CPUs, where there are 2 cores to run them */

struct crowd {
	unsigned cpus;
	u64 ops; /* of each CPU */
	atomic_t ready, done;
	atomic_t begun; /* 1: go; all are ready */
	atomic_t failed;
	struct bench_moment start, end;
};

static bool map_and_unmap(struct crowd *c, struct frame *const *f, u64 ops)
{
	for (u64 i = 0; i < ops; i++) {
		void *va = vmap(f, PAGES, VM_W);

		if (!va || (i % OPS_PER_LOOK == 0 && console_interrupted())) {
			vunmap(va);
			atomic_set(&c->failed, 1);
			return false;
		}
		touch(va, PAGES);
		vunmap(va);
	}
	return true;
}

/* Who fails goes on to the gates all the same: the others wait there. */
static void crowd_member(void *arg)
{
	struct crowd *c = arg;
	struct frame *f[PAGES];
	bool ok = !frame_alloc_many(f, PAGES, FRAME_HIGH);

	if (!ok)
		atomic_set(&c->failed, 1);
	if (ok)
		map_and_unmap(c, f, MIN(WARM_UP_OPS, c->ops));
	if (atomic_fetch_add(&c->ready, 1) + 1 == c->cpus) {
		bench_now(&c->start);
		atomic_set(&c->begun, 1);
	}
	while (!atomic_read(&c->begun))
		cpu_relax();
	if (ok)
		map_and_unmap(c, f, c->ops);
	if (atomic_fetch_add(&c->done, 1) + 1 == c->cpus) {
		c->end.tsc = tsc_now();
		bench_now(&c->end);
	}
	if (ok)
		frame_free_many(f, PAGES);
}

/* The first n CPUs. => 0, -ENOMEM or -EINTR */
static int run_crowd(struct crowd *c, unsigned n, u64 ops)
{
	const u64 mask = n < MAX_CPUS ? cpu_bit(n) - 1 : ~0ul;

	*c = (struct crowd){.cpus = n, .ops = ops};
	vm_unmap_aliases();
	if (!run_on_cpus(mask, crowd_member, c) && !atomic_read(&c->failed))
		return 0;
	printk("bench: %s\n", console_interrupted() ? "interrupted" : "no memory, or no addresses");
	return console_interrupted() ? -EINTR : -ENOMEM;
}

/* --- Who interrupts whom --- */

static const char ipi_head[] =
	"policy  strategy      loops        IPIs  shootdowns     full     page  pages/flush  peak waiting\n";

/*
 * What may wait: as many looks as mm/park.h has checkpoints, and the one under way, see as many
 * pages as may be unmapped between two, and each CPU unmaps one area more before it looks.
 */
static int ipi_row(enum lazy_policy policy, enum shootdown_strategy strategy, u64 ops)
{
	struct lazy_stats was = bench_begin(policy), st;
	const char *by = lazy_policy_name(policy), *how = shootdown_strategy_name(strategy);
	enum shootdown_strategy strategy_was = shootdown_strategy();
	const u64 most = (PARK_CHECKPOINTS + 1) * (was.max_pages + nr_cpus * PAGES);
	u64 ipis, shootdowns, full, page, unmapped;
	struct crowd c;
	int err;

	shootdown_set_strategy(strategy);
	err = run_crowd(&c, nr_cpus, ops);
	lazy_stats(&st);
	shootdown_set_strategy(strategy_was);
	bench_end(&was);
	if (err)
		return err;
	ops *= nr_cpus;
	unmapped = ops * PAGES;
	ipis = bench_grew(&c.start, &c.end, CNT_ipi_sent);
	shootdowns = bench_grew(&c.start, &c.end, CNT_shootdown);
	full = bench_grew(&c.start, &c.end, CNT_tlb_full);
	page = bench_grew(&c.start, &c.end, CNT_tlb_page);
	printk("%-7s %-9s %9lu %11lu %11lu %8lu %8lu %12lu %13lu\n", by, how, ops, ipis, shootdowns,
	       full, page, unmapped / MAX(full + page, 1ul), st.peak_pages);
	printk("BENCH {\"bench\":\"ipi\",\"cpus\":%u,\"policy\":\"%s\",\"strategy\":\"%s\",\"pages\":%u,"
	       "\"ops\":%lu,\"ipis\":%lu,\"shootdowns\":%lu,\"full\":%lu,\"page\":%lu,\"peak_pages\":%lu}\n",
	       nr_cpus, by, how, PAGES, ops, ipis, shootdowns, full, page, st.peak_pages);
	if (policy == LAZY_TLB && strategy == SHOOTDOWN_FILTERED)
		printk("goals: no IPI in the steady state of the default policy: %s; at most %lu pages "
		       "ever waited: %s\n",
		       verdict(!ipis), most, verdict(st.peak_pages <= most));
	return 0;
}

KBENCH(ipi, "all CPUs vmap and vunmap: IPIs and flushes, by policy and strategy")
{
	static const enum lazy_policy policies[] = {LAZY_TLB, LAZY_PTE, LAZY_OFF};
	static const enum shootdown_strategy strategies[] = {SHOOTDOWN_FILTERED,
							     SHOOTDOWN_BROADCAST};
	int err = 0;

	printk("%s", ipi_head);
	for (unsigned p = 0; p < ARRAY_SIZE(policies) && !err; p++)
		for (unsigned s = 0; s < ARRAY_SIZE(strategies) && !err; s++)
			err = ipi_row(policies[p], strategies[s],
				      policies[p] == LAZY_OFF ? IPI_OPS_OFF : IPI_OPS);
	return err;
}

KBENCH(ipi_full, "the same for 250 000 loops a CPU, by the default policy and strategy")
{
	printk("%s", ipi_head);
	return ipi_row(LAZY_TLB, SHOOTDOWN_FILTERED, IPI_FULL_OPS);
}

/* --- How far they get --- */

/* => nanoseconds each CPU needs for a loop; 0 with *err set */
static u64 scale_row(unsigned n, u64 ns_of_one, int *err)
{
	u64 ticks, ops, ns, tenths, ipis, locks, waits;
	struct crowd c;

	*err = run_crowd(&c, n, SCALE_OPS);
	if (*err)
		return 0;
	ops = SCALE_OPS * n;
	ticks = c.end.tsc - c.start.tsc;
	ns = MAX(tsc_to_us(ticks * 1000) * n / ops, 1ul);
	tenths = 10 * n * (ns_of_one ? ns_of_one : ns) / ns;
	ipis = bench_grew(&c.start, &c.end, CNT_ipi_sent);
	locks = bench_grew(&c.start, &c.end, CNT_lock);
	waits = bench_grew(&c.start, &c.end, CNT_lock_wait);
	printk("%4u %9lu %8lu %5lu.%lu %8lu %10lu %8lu", n, ops, ns, tenths / 10, tenths % 10, ipis,
	       locks, waits);
	if (n == 2)
		printk("   at least 1.8 times one CPU: %s", verdict(tenths >= SPEED_UP_TENTHS));
	printk("\nBENCH {\"bench\":\"scale\",\"cpus\":%u,\"pages\":%u,\"ops\":%lu,\"ns_per_op\":%lu,"
	       "\"ipis\":%lu,\"locks\":%lu,\"lock_waits\":%lu}\n",
	       n, PAGES, ops, ns, ipis, locks, waits);
	return ns;
}

KBENCH(scale, "1, 2, 4... CPUs vmap and vunmap at once: speed, IPIs, locks")
{
	struct lazy_stats was = bench_begin(LAZY_TLB);
	u64 ns_of_one = 0, ns;
	int err = 0;

	printk("CPUs     loops  ns/loop speed-up    IPIs  spinlocks   waited\n");
	for (unsigned n = 1; n <= nr_cpus && !err; n *= 2) {
		ns = scale_row(n, ns_of_one, &err);
		if (n == 1)
			ns_of_one = ns;
	}
	bench_end(&was);
	return err;
}
