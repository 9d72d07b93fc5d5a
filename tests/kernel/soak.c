// SPDX-License-Identifier: MIT
/*
 * The runner of the endurance test. It works in rounds. Each begins with policies by chance; then
 * every CPU does operations by chance, all at once; then everything is taken away, the invariant
 * walker looks at the machine at rest, and no frame may be missing. What is by chance comes from
 * the seed, which is printed; how the CPUs meet, and how much they get done, does not.
 *
 * What an operation may find out panics by name, where it is found.
 */
#include "tests/kernel/soak.h"
#include "kernel/console.h"
#include "kernel/counter.h"
#include "kernel/cpu.h"
#include "kernel/errno.h"
#include "kernel/monitor.h"
#include "kernel/printk.h"
#include "kernel/string.h"
#include "kernel/thread.h"
#include "kernel/time.h"
#include "mm/aspace.h"
#include "mm/check.h"
#include "mm/frame.h"
#include "mm/lazy.h"
#include "mm/pagetable.h"
#include "mm/shootdown.h"
#include "mm/vmap.h"
#include "tests/kernel/support.h"

#define OPS	   2000 /* of each worker in a round, or as many as it gets done in: */
#define ROUND_US   2000000
#define POST_BOXES 16 /* things on their way from one worker to another */
#define SAY_EVERY  10 /* seconds */
#define FEW_PAGES  64 /* as the threshold of laziness: purges all the time */

static struct soak_worker workers[MAX_CPUS];
static struct soak_thing things[MAX_CPUS * SOAK_SLOTS + POST_BOXES];
static atomic_t post[POST_BOXES]; /* struct soak_thing * */
static atomic_t tags;

/* --- for the operations --- */

u64 soak_random(struct soak_worker *w, u64 below)
{
	return test_random(&w->seed) % below;
}

static void end(struct soak_worker *w, struct soak_thing *t)
{
	if (t->end)
		t->end(w, t);
	t->end = NULL;
}

struct soak_thing *soak_take(struct soak_worker *w)
{
	struct soak_thing *t = w->slot[soak_random(w, SOAK_SLOTS)];

	end(w, t);
	t->tag = atomic_fetch_add(&tags, SOAK_PAGES);
	return t;
}

struct soak_thing *soak_find(struct soak_worker *w,
			     void (*wanted)(struct soak_worker *w, struct soak_thing *t))
{
	u64 first = soak_random(w, SOAK_SLOTS);

	for (u64 i = 0; i < SOAK_SLOTS; i++) {
		struct soak_thing *t = w->slot[(first + i) % SOAK_SLOTS];

		if (t->end == wanted)
			return t;
	}
	return NULL;
}

int soak_frames(struct soak_thing *t, u64 n)
{
	t->pages = n;
	return frame_alloc_many(t->f, (unsigned)n, 0);
}

void soak_write(const struct soak_thing *t, void *va)
{
	for (u64 i = 0; i < t->pages; i++)
		WRITE_ONCE(*(u64 *)((char *)va + i * PAGE_SIZE), t->tag + i);
}

void soak_read(const struct soak_thing *t, const void *va)
{
	for (u64 i = 0; i < t->pages; i++) {
		u64 v = READ_ONCE(*(const u64 *)((const char *)va + i * PAGE_SIZE));

		KASSERT(v == t->tag + i, "page %lu of %lu at %p holds %#lx instead of %#lx", i,
			t->pages, va, v, t->tag + i);
	}
}

SOAK(exchange)
{
	struct soak_thing **mine = &w->slot[soak_random(w, SOAK_SLOTS)];

	*mine = (struct soak_thing *)atomic_xchg(&post[soak_random(w, POST_BOXES)], (u64)*mine);
	return 0;
}

/* --- a round --- */

static void one_operation(struct soak_worker *w)
{
	u64 nr = (u64)(__stop_soak_ops - __start_soak_ops);
	const struct soak_op *op = &__start_soak_ops[soak_random(w, nr)];
	int err = op->fn(w);

	KASSERT(!err || err == -ENOMEM || err == -ENODEV || w->injecting, "%s ends with %d",
		op->name, err);
	if (!err)
		op->count[cpu_id()].done++;
	else if (err != -ENODEV)
		op->count[cpu_id()].refused++;
}

static void work(void *arg __attribute__((unused)))
{
	struct soak_worker *w = &workers[cpu_id()];
	u64 start = tsc_now();

	for (unsigned i = 0; i < OPS && tsc_to_us(tsc_now() - start) < ROUND_US; i++) {
		if (console_interrupted())
			break;
		one_operation(w);
		thread_yield();
	}
	for (unsigned i = 0; i < SOAK_SLOTS; i++)
		end(w, w->slot[i]);
	soak_end_work();
}

static void choose_policies(struct soak_worker *w)
{
	static const enum purge_policy purges[] = {PT_PURGE_ALL, PT_PURGE_EXACT, PT_PURGE_UNHOOK};

	lazy_set_policy((enum lazy_policy)soak_random(w, 3));
	pt_set_purge_policy(purges[soak_random(w, ARRAY_SIZE(purges))]);
	frame_set_hold(!soak_random(w, 4));
	lazy_set_poison(!soak_random(w, 8));
	shootdown_set_strategy(soak_random(w, 4) ? SHOOTDOWN_FILTERED : SHOOTDOWN_BROADCAST);
}

/* => faults found, each printed */
static unsigned at_rest(u64 before)
{
	unsigned faults;
	u64 at_hand;

	frame_inject_failure(0);
	lazy_set_poison(false);
	frame_set_hold(false);
	vm_unmap_aliases();
	faults = mm_check(false);
	at_hand = mm_frames_at_hand();
	if (at_hand != before) {
		printk("soak: %lu frames at hand, %lu before\n", at_hand, before);
		faults++;
	}
	return faults;
}

struct settings {
	struct lazy_stats lazy;
	enum purge_policy purge;
	enum shootdown_strategy strategy;
	bool hold, poison;
};

static struct settings take_settings(void)
{
	struct settings s = {.purge = pt_purge_policy(),
			     .strategy = shootdown_strategy(),
			     .hold = frame_hold(),
			     .poison = lazy_poison()};

	lazy_stats(&s.lazy);
	return s;
}

static void restore_settings(const struct settings *s)
{
	lazy_set_policy(s->lazy.policy);
	lazy_set_max(s->lazy.max_pages);
	pt_set_purge_policy(s->purge);
	shootdown_set_strategy(s->strategy);
	frame_set_hold(s->hold);
	lazy_set_poison(s->poison);
}

/* => faults, or -errno */
static int round(struct soak_worker *w, u64 max_pages)
{
	u64 at_hand = mm_frames_at_hand();
	int err;

	choose_policies(w);
	lazy_set_max(soak_random(w, 2) ? max_pages : FEW_PAGES);
	soak_begin_round();
	err = run_on_cpus(cpus_online().bits, work, NULL);
	for (unsigned i = 0; i < POST_BOXES; i++)
		end(&workers[cpu_id()], (struct soak_thing *)atomic_read(&post[i]));
	return err ? err : (int)at_rest(at_hand);
}

/* --- the command --- */

static void begin(u64 seed)
{
	struct soak_thing *t = things;

	memset(things, 0, sizeof(things));
	for (unsigned cpu = 0; cpu < nr_cpus; cpu++) {
		workers[cpu] = (struct soak_worker){.seed = seed + cpu};
		for (unsigned i = 0; i < SOAK_SLOTS; i++)
			workers[cpu].slot[i] = t++;
	}
	for (unsigned i = 0; i < POST_BOXES; i++)
		atomic_set(&post[i], (u64)t++);
	for (const struct soak_op *op = __start_soak_ops; op < __stop_soak_ops; op++)
		memset(op->count, 0, MAX_CPUS * sizeof(*op->count));
}

static struct soak_count sum(const struct soak_op *op)
{
	struct soak_count s = {0};

	for (unsigned cpu = 0; cpu < nr_cpus; cpu++) {
		s.done += op->count[cpu].done;
		s.refused += op->count[cpu].refused;
	}
	return s;
}

static struct soak_count total(void)
{
	struct soak_count all = {0};

	for (const struct soak_op *op = __start_soak_ops; op < __stop_soak_ops; op++) {
		struct soak_count s = sum(op);

		all.done += s.done;
		all.refused += s.refused;
	}
	return all;
}

static void report(u64 rounds, u64 us)
{
	struct soak_count all = total();

	printk("soak: %-16s %12s %12s\n", "operation", "done", "refused");
	for (const struct soak_op *op = __start_soak_ops; op < __stop_soak_ops; op++) {
		struct soak_count s = sum(op);

		if (s.done || s.refused)
			printk("soak: %-16s %12lu %12lu\n", op->name, s.done, s.refused);
	}
	printk("soak: %-16s %12lu %12lu\n", "all", all.done, all.refused);
	printk("soak: %lu rounds in %lu s on %u CPUs; after each the walker found nothing and no frame was missing\n",
	       rounds, us / 1000000, nr_cpus);
}

static int soak(u64 seconds, u64 seed)
{
	struct settings was = take_settings();
	u64 start = tsc_now(), said = 0, rounds = 0, us = 0;
	int err = 0;

	printk("soak: %lu s, seed %lu: random work on %u CPUs, in rounds\n", seconds, seed,
	       nr_cpus);
	begin(seed);
	while (!err && us < seconds * 1000000 && !console_interrupted()) {
		err = round(&workers[0], was.lazy.max_pages);
		rounds++;
		us = tsc_to_us(tsc_now() - start);
		if (us / 1000000 >= said + SAY_EVERY) {
			said = us / 1000000;
			printk("soak: %lu s, %lu rounds, %lu operations, %lu refused\n", said,
			       rounds, total().done, total().refused);
		}
	}
	restore_settings(&was);
	if (err)
		printk("soak: round %lu ends with %d: `soak %lu %lu` does the same work again\n",
		       rounds, err, seconds, seed);
	else
		report(rounds, us);
	return err;
}

COMMAND(soak, "SECONDS [SEED]", "random work of all kinds on all CPUs, checked after each round")
{
	u64 seconds, seed = tsc_now() >> 8 & 0xffffff;

	if (argc < 2 || argc > 3 || parse_u64(argv[1], &seconds) || !seconds ||
	    (argc == 3 && parse_u64(argv[2], &seed)))
		return CMD_USAGE;
	return soak(seconds, seed);
}
