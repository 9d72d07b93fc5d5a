// SPDX-License-Identifier: MIT
/*
 * One run. A world is a process with a booted machine at rest; each run is a copy of it, so that
 * all begin the same, and one that crashes or hangs harms nobody. What comes of it is left in
 * memory that both have.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/hostile/hostile.h"

#define RUN_SECONDS	60
#define SEEDS_PER_WORLD 32

struct outcome *outcome;
u64 runs_made, steps_made;

double seconds_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

void *zeroed(u64 bytes, int sharing)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, sharing | MAP_ANONYMOUS | MAP_NORESERVE,
		       -1, 0);

	KASSERT(p != MAP_FAILED, "no memory");
	return p;
}

u64 world_of(u64 seed)
{
	return seed / SEEDS_PER_WORLD;
}

u64 next_world(u64 seed)
{
	return (world_of(seed) + 1) * SEEDS_PER_WORLD;
}

/* What every machine here can be. The simulator's own chances are not used: choose() decides. */
static void shape(struct sim_config *c, u64 world)
{
	struct rng r = {world};

	*c = (struct sim_config){
		.seed = world,
		.cpus = 2 + rng_below(&r, 3),
		.ram = {{1 * MiB, 7 * MiB}},
		.dirty_bytes = 256 * KiB,
		.lazy_max_pages = 32u << rng_below(&r, 6),
		.eager = !rng_below(&r, 4),
		.keep = rng_below(&r, 2),
		.deferred = !rng_below(&r, 4),
	};
	sim.idles = rng_below(&r, 2);
	sim.store_buffer = rng_below(&r, 4);
}

void world_boot(const struct workload *w, u64 seed)
{
	struct sim_config c;

	shape(&c, world_of(seed));
	if (w->shape)
		w->shape(&c);
	sim_boot(&c);
	if (w->prepare)
		w->prepare();
	sim_settle();
}

static void panicked(const char *text)
{
	snprintf(outcome->text, sizeof(outcome->text), "CPU %u, step %lu: %s", sim.cpu, sim.steps,
		 text);
	outcome->steps = sim.steps;
	_exit(3);
}

static void live(const struct plan *p)
{
	u64 before[NR_COUNTERS];

	alarm(RUN_SECONDS);
	sim_panicked = panicked;
	for (enum counter c = 0; c < NR_COUNTERS; c++)
		before[c] = counter_sum(c);
	sim.steps = 0;
	choose_init(p);
	outcome->steps = 0;
	races_init();
	sim_choose = choose;
	p->work->run();
	sim_choose = NULL;
	sim_saw = NULL;
	outcome->steps = sim.steps;
	choose_done();
	sim_settle();
	p->work->finish();
	sim_settle();
	sim_check();
	for (enum counter c = 0; c < NR_COUNTERS; c++)
		outcome->counters[c] += counter_sum(c) - before[c];
	outcome->good = true;
	_exit(0);
}

static void run_once(const struct plan *p)
{
	int status;
	pid_t pid;

	outcome->good = false;
	outcome->race[0] = outcome->race[1] = 0;
	outcome->text[0] = 0;
	outcome->nr = outcome->nr_alternatives = 0;
	outcome->nr_seen = 0;
	pid = sim_fork();
	if (!pid)
		live(p);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (!outcome->good && !outcome->text[0])
		snprintf(outcome->text, sizeof(outcome->text), "%s (status %#x)",
			 WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM ? "no end in a minute"
			 : WIFSIGNALED(status) ? strsignal(WTERMSIG(status))
					       : "died",
			 (unsigned)status);
}

bool run_plan(const struct plan *p)
{
	run_once(p);
	if (outcome->race[0])
		race_tell();
	runs_made++;
	steps_made += outcome->steps;
	return outcome->good;
}
