// SPDX-License-Identifier: MIT
/*
 * Running the cases of vmtest_cases.c. By hand:
 *
 *   vmtest threads=4 loops=1000 repeat=3 seed=7 case='random*'
 *
 * runs them on four CPUs at once, each in an order of its own that the seed decides (seed=0: as
 * listed), and prints for each case, over all CPUs, what Linux's module prints: loops passed and
 * failed, and the average time of one. As tests they run with few loops, on all CPUs and on one,
 * and the light ones under every policy.
 */
#include "tests/kernel/vmtest.h"
#include "kernel/atomic.h"
#include "kernel/console.h"
#include "kernel/cpu.h"
#include "kernel/errno.h"
#include "kernel/monitor.h"
#include "kernel/printk.h"
#include "kernel/string.h"
#include "kernel/test.h"
#include "kernel/thread.h"
#include "kernel/time.h"
#include "mm/frame.h"
#include "tests/kernel/laziness.h"
#include "tests/kernel/support.h"

#define MAX_CASES 16
#define FEWER	  20

struct result {
	atomic_t passed, failed, ticks; /* loops; TSC ticks of all of them */
};

struct vmtest {
	u64 threads, loops, repeat, seed; /* loops 0: each case's own */
	const char *glob;
	bool light; /* no heavy cases */
	bool few;   /* under policy off each loop is a shootdown: fewer of them */
	struct result result[MAX_CASES];
};

/* A permutation of 0..n-1 by chance (Fisher and Yates); seed 0: as they are. */
static void shuffle(unsigned *order, unsigned n, u64 *seed)
{
	for (unsigned i = 0; i < n; i++)
		order[i] = i;
	for (unsigned i = n - 1; *seed && i > 0; i--) {
		unsigned k = (unsigned)(test_random(seed) % (i + 1)), swap = order[i];

		order[i] = order[k];
		order[k] = swap;
	}
}

static void run_case(struct vmtest *t, unsigned i, u64 *seed)
{
	const struct vmtest_case *c = &vmtest_cases[i];
	u64 loops = t->loops ? t->loops : c->loops, start = tsc_now(), passed;

	if (t->few)
		loops = MAX(loops / FEWER, 1ul);

	passed = c->run(loops, seed);
	atomic_fetch_add(&t->result[i].ticks, tsc_now() - start);
	atomic_fetch_add(&t->result[i].passed, passed);
	atomic_fetch_add(&t->result[i].failed, loops - passed);
}

static bool is_wanted(const struct vmtest *t, const struct vmtest_case *c)
{
	return glob_match(t->glob, c->name) && !(t->light && c->heavy);
}

static void worker(void *arg)
{
	struct vmtest *t = arg;
	u64 seed = t->seed ? t->seed + cpu_id() : 0;
	unsigned order[MAX_CASES];

	for (u64 r = 0; r < t->repeat; r++) {
		shuffle(order, nr_vmtest_cases, &seed);
		for (unsigned i = 0; i < nr_vmtest_cases && !console_interrupted(); i++)
			if (is_wanted(t, &vmtest_cases[order[i]]))
				run_case(t, order[i], &seed);
	}
}

/* => 0 or -ENOMEM; the results are in t->result */
static int run(struct vmtest *t)
{
	KASSERT(nr_vmtest_cases <= MAX_CASES, "%u cases", nr_vmtest_cases);
	vmtest_area_limit = frame_free_total() / 2 / t->threads;
	memset(t->result, 0, sizeof(t->result));
	return run_on_cpus(~0ul >> (MAX_CPUS - t->threads), worker, t);
}

/* --- by hand --- */

/* "name=value". => the value if the word begins like that, or NULL */
static const char *value_of(const char *word, const char *name)
{
	size_t n = strlen(name);

	return strncmp(word, name, n) || word[n] != '=' ? NULL : word + n + 1;
}

/* => 0 or -EINVAL, with a message */
static int parse(struct vmtest *t, int argc, char **argv)
{
	const struct {
		const char *name;
		u64 *value, min, max;
	} numbers[] = {
		{"threads", &t->threads, 1, nr_cpus},
		{"loops", &t->loops, 1, ~0ul},
		{"repeat", &t->repeat, 1, ~0ul},
		{"seed", &t->seed, 0, ~0ul},
	};

	for (int i = 1; i < argc; i++) {
		const char *value = value_of(argv[i], "case");
		bool known = value;

		if (value)
			t->glob = value;
		for (unsigned k = 0; k < ARRAY_SIZE(numbers) && !known; k++) {
			value = value_of(argv[i], numbers[k].name);
			known = value && !parse_u64(value, numbers[k].value) &&
				*numbers[k].value >= numbers[k].min &&
				*numbers[k].value <= numbers[k].max;
		}
		if (!known) {
			printk("vmtest: '%s' is not one of threads=1..%u loops=N repeat=N seed=N case=GLOB\n",
			       argv[i], nr_cpus);
			return -EINVAL;
		}
	}
	return 0;
}

/* => cases with a failed loop; -ENOENT if none was run */
static int report(struct vmtest *t)
{
	int failed_cases = 0, cases = 0;

	for (unsigned i = 0; i < nr_vmtest_cases; i++) {
		const struct vmtest_case *c = &vmtest_cases[i];
		u64 passed = atomic_read(&t->result[i].passed);
		u64 failed = atomic_read(&t->result[i].failed);

		if (!is_wanted(t, c))
			continue;
		cases++;
		failed_cases += failed > 0;
		printk("%-18s passed %8lu failed %4lu  %10lu ticks each  %s\n", c->name, passed,
		       failed, atomic_read(&t->result[i].ticks) / MAX(passed + failed, 1ul),
		       c->what);
	}
	if (!cases)
		printk("vmtest: no case matches '%s'\n", t->glob);
	return cases ? failed_cases : -ENOENT;
}

COMMAND(vmtest, "[threads=N] [loops=N] [repeat=N] [seed=N] [case=GLOB]",
	"the cases of Linux's test_vmalloc, timed")
{
	static struct vmtest t;
	int err;

	t = (struct vmtest){.threads = nr_cpus, .repeat = 1, .glob = "*"};
	err = parse(&t, argc, argv);
	if (!err)
		err = run(&t);
	if (err)
		return err;
	printk("%lu CPUs, policy %s, at most %lu areas kept\n", t.threads,
	       lazy_policy_name(lazy_policy()), vmtest_area_limit);
	err = report(&t);
	return console_interrupted() ? -EINTR : err;
}

/* --- as tests --- */

static void run_as_test(struct vmtest t, enum lazy_policy policy)
{
	static struct vmtest running;
	struct lazy_stats was = set_laziness(policy);

	running = t;
	running.few = policy == LAZY_OFF;
	EXPECT_EQ(run(&running), 0);
	for (unsigned i = 0; i < nr_vmtest_cases; i++)
		EXPECT(!atomic_read(&running.result[i].failed),
		       "%s on %lu CPUs under %s: %lu loops failed", vmtest_cases[i].name, t.threads,
		       lazy_policy_name(policy), atomic_read(&running.result[i].failed));
	restore_laziness(&was);
}

static bool is_heavy(const char *name)
{
	for (unsigned i = 0; i < nr_vmtest_cases; i++)
		if (!strcmp(vmtest_cases[i].name, name))
			return vmtest_cases[i].heavy;
	return false;
}

static void test_case(const char *name)
{
	struct vmtest t = {.repeat = 1, .seed = 1, .glob = name};
	enum lazy_policy policy;

	for_each_policy(policy)
	{
		if (is_heavy(name) && policy != LAZY_TLB)
			continue;
		t.threads = 1;
		run_as_test(t, policy);
		t.threads = nr_cpus;
		if (nr_cpus > 1)
			run_as_test(t, policy);
	}
}

#define CASE(name)                \
	KTEST(vmtest, name)       \
	{                         \
		test_case(#name); \
	}

CASE(fix_size)
CASE(fix_size_huge)
CASE(full_fit)
CASE(long_busy_list)
CASE(random_size)
CASE(fix_align)
CASE(random_size_align)
CASE(align_shift)
CASE(vm_map_ram)
CASE(no_block)
CASE(vrealloc)

/* All light cases at once, in another order on each CPU: what one leaves behind meets another. */
KTEST(vmtest, shuffled)
{
	struct vmtest t = {
		.threads = nr_cpus, .repeat = 1, .seed = 2007, .glob = "*", .light = true};
	enum lazy_policy policy;

	for_each_policy(policy) run_as_test(t, policy);
}
