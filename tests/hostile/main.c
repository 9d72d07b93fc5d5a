// SPDX-License-Identifier: MIT
/*
 * Options, worlds, figures. Every workload goes through worlds (a machine's shape each), each world
 * through its seeds, until the time or the number of schedules is used up. A failure is printed as
 * a run to be repeated (--replay), made smaller, and printed again with its steps.
 */
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/hostile/hostile.h"

enum which {
	RANDOM = 1,
	PCT = 2,
	EXHAUSTIVE = 4
};

static struct {
	u64 seed;
	u64 schedules; /* of each workload; 0: as many as the time is enough for */
	double seconds;
	unsigned which, depth, shrink_seconds;
	const struct workload *workload; /* NULL: all */
	const char *replay;
} options = {.seed = 1, .seconds = 10, .which = RANDOM | PCT, .shrink_seconds = 30};

/* Of one workload, in memory that its worlds share. */
static struct totals {
	u64 runs, steps, worlds;
	struct search search;
} * totals;

static const struct workload *const lists[] = {small_workloads, lazy_workloads, frame_workloads,
					       mixed_workloads};

const struct workload *workload_find(const char *name)
{
	for (unsigned i = 0; i < ARRAY_SIZE(lists); i++)
		for (const struct workload *w = lists[i]; w->name; w++)
			if (!strcmp(w->name, name))
				return w;
	return NULL;
}

static void help(void)
{
	printf("hostile: mm/ under schedules that look for trouble (tests/hostile/hostile.h)\n\n"
	       "  --workload=NAME     one of those below; all of them if not given\n"
	       "  --strategy=WHICH    random, pct, both (the default) or exhaustive\n"
	       "  --seed=N            the first seed (1); fresh: one of the time of day\n"
	       "  --schedules=N       of each workload; without it, as many as fit in\n"
	       "  --seconds=N         of each workload (10)\n"
	       "  --depth=N           exhaustive: events in a schedule, at most (by workload)\n"
	       "  --steps=N           a run with more steps has failed (20000000)\n"
	       "  --shrink=N          seconds to make a failure small (30); 0: do not\n"
	       "  --replay=RUN        repeat a run, as it was printed, and show every step\n\n"
	       "workloads (+: small, for exhaustive):\n");
	for (unsigned i = 0; i < ARRAY_SIZE(lists); i++)
		for (const struct workload *w = lists[i]; w->name; w++)
			printf("  %c %-16s %s\n", w->depth ? '+' : ' ', w->name, w->about);
}

/* --- a failure -------------------------------------------------------------------------------- */

static void print_failure(const char *what, struct plan *p)
{
	printf("# %s: %s\n#   hostile --replay='", what, outcome->text);
	print_plan(p);
	printf("'\n");
	fflush(stdout);
}

static void report(struct plan p)
{
	p.wants_alternatives = false;
	print_failure("failed", &p);
	if (!options.shrink_seconds)
		return;
	shrink(&p, options.shrink_seconds);
	p.wants_steps = true;
	run_plan(&p);
	print_failure("made smaller", &p);
	print_steps(false);
}

/* --- worlds ----------------------------------------------------------------------------------- */

static void count_runs(void)
{
	totals->runs += runs_made;
	totals->steps += steps_made;
	totals->worlds++;
}

static struct plan plan_of(const struct workload *w, u64 seed)
{
	struct plan p = {.work = w, .seed = seed};
	bool pct = options.which == (RANDOM | PCT) ? seed % 2 : options.which == PCT;

	p.strategy = pct ? BY_PCT : BY_RANDOM;
	memset(p.keep, 0xff, sizeof(p.keep));
	return p;
}

/* In a process of its own. => the exit status */
static int world(const struct workload *w, u64 seed, u64 end, double deadline)
{
	world_boot(w, seed);
	for (u64 s = seed; s < end && world_of(s) == world_of(seed) && seconds_now() < deadline;
	     s++) {
		struct plan p = plan_of(w, s);

		if (run_plan(&p))
			continue;
		count_runs();
		report(p);
		return 1;
	}
	count_runs();
	return 0;
}

static unsigned depth_of(const struct workload *w)
{
	return options.depth ? options.depth : MAX(w->depth, 1u);
}

static int searched(const struct workload *w)
{
	struct plan p = plan_of(w, options.seed), bad;

	world_boot(w, options.seed);
	if (!exhaust(&p, depth_of(w), (unsigned)options.seconds, &totals->search, &bad)) {
		count_runs();
		report(bad);
		return 1;
	}
	count_runs();
	return 0;
}

/* => its exit status */
static int in_a_process(int (*fn)(const struct workload *w, u64 a, u64 b, double c),
			const struct workload *w, u64 a, u64 b, double c)
{
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	KASSERT(pid >= 0, "cannot fork");
	if (!pid) {
		status = fn ? fn(w, a, b, c) : searched(w);
		fflush(NULL);
		_exit(status);
	}
	waitpid(pid, &status, 0);
	if (WIFSIGNALED(status) || WEXITSTATUS(status) > 1)
		printf("# the world of %s, seed %lu, died: %#x\n", w->name, a, (unsigned)status);
	fflush(stdout);
	return status;
}

static void print_counters(void)
{
	printf("#   %lu shootdowns, %lu IPIs, %lu skipped by proof, %lu by promise, %lu purges, %lu "
	       "revived, %lu flushes at wake\n",
	       outcome->counters[CNT_shootdown], outcome->counters[CNT_ipi_sent],
	       outcome->counters[CNT_shootdown_skip], outcome->counters[CNT_idle_skip],
	       outcome->counters[CNT_purge], outcome->counters[CNT_revive],
	       outcome->counters[CNT_idle_flush]);
}

static void by_chance(const struct workload *w)
{
	double start = seconds_now(), deadline = start + options.seconds, took;
	u64 end = options.schedules ? options.seed + options.schedules : ~0ull;
	bool good = true;

	for (u64 s = options.seed; good && s < end && seconds_now() < deadline; s = next_world(s))
		good = !in_a_process(world, w, s, end, deadline);
	took = seconds_now() - start;
	ok(good,
	   "%s: seeds from %lu: %lu schedules in %lu worlds, %lu steps, %.1f million a second",
	   w->name, options.seed, totals->runs, totals->worlds, totals->steps,
	   (double)totals->steps / took / 1e6);
	print_counters();
}

static void by_search(const struct workload *w)
{
	bool good = !in_a_process(NULL, w, options.seed, 0, 0);
	const struct search *s = &totals->search;

	ok(good && s->complete,
	   "%s: %s%lu schedules with up to %u events, %lu shared words, %lu steps", w->name,
	   s->complete ? "all " : "only ", s->schedules, depth_of(w), s->words, totals->steps);
}

static void one_workload(const struct workload *w)
{
	memset(totals, 0, sizeof(*totals));
	memset(outcome->counters, 0, sizeof(outcome->counters));
	if (options.which & EXHAUSTIVE)
		by_search(w);
	else
		by_chance(w);
}

static int replay(void)
{
	struct plan p;

	if (!parse_plan(options.replay, &p))
		return 2;
	p.wants_steps = true;
	world_boot(p.work, p.seed);
	run_plan(&p);
	print_steps(true);
	if (outcome->good)
		printf("# no failure\n");
	else
		print_failure("failed", &p);
	return !outcome->good;
}

/* --- options ---------------------------------------------------------------------------------- */

static const char *value(const char *arg, const char *name)
{
	size_t n = strlen(name);

	return !strncmp(arg, name, n) && arg[n] == '=' ? arg + n + 1 : NULL;
}

static bool parse_strategy(const char *v)
{
	static const struct {
		const char *name;
		unsigned which;
	} all[] = {{"random", RANDOM},
		   {"pct", PCT},
		   {"both", RANDOM | PCT},
		   {"exhaustive", EXHAUSTIVE}};

	for (unsigned i = 0; i < ARRAY_SIZE(all); i++)
		if (!strcmp(v, all[i].name)) {
			options.which = all[i].which;
			return true;
		}
	return false;
}

static bool parse_number(const char *v, u64 *n)
{
	char *end;

	*n = strtoul(v, &end, 0);
	return *v && !*end;
}

static bool parse_option(const char *arg)
{
	const char *v;
	u64 n;

	if ((v = value(arg, "--workload")))
		return (options.workload = workload_find(v));
	if ((v = value(arg, "--strategy")))
		return parse_strategy(v);
	if ((v = value(arg, "--replay")))
		return (options.replay = v);
	if ((v = value(arg, "--seed")) && !strcmp(v, "fresh")) {
		options.seed = (u64)time(NULL) << 10;
		return true;
	}
	if ((v = value(arg, "--seed")))
		return parse_number(v, &options.seed);
	if ((v = value(arg, "--steps")))
		return parse_number(v, &steps_max);
	if ((v = value(arg, "--schedules")))
		return parse_number(v, &options.schedules);
	if ((v = value(arg, "--seconds")) && parse_number(v, &n)) {
		options.seconds = (double)n;
		return true;
	}
	if ((v = value(arg, "--depth")) && parse_number(v, &n)) {
		options.depth = (unsigned)n;
		return true;
	}
	if ((v = value(arg, "--shrink")) && parse_number(v, &n)) {
		options.shrink_seconds = (unsigned)n;
		return true;
	}
	return false;
}

static bool is_for_all(const struct workload *w)
{
	return !w->planted && (w->depth || !(options.which & EXHAUSTIVE));
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--help")) {
			help();
			return 0;
		}
		if (!parse_option(argv[i])) {
			fprintf(stderr, "hostile: '%s' is not understood; see --help\n", argv[i]);
			return 2;
		}
	}
	outcome = zeroed(sizeof(*outcome) + SEEN_MAX * sizeof(struct seen), MAP_SHARED);
	totals = zeroed(sizeof(*totals), MAP_SHARED);
	if (options.replay)
		return replay();
	for (unsigned i = 0; i < ARRAY_SIZE(lists); i++)
		for (const struct workload *w = lists[i]; w->name; w++)
			if (options.workload ? w == options.workload : is_for_all(w))
				one_workload(w);
	return done_testing();
}
