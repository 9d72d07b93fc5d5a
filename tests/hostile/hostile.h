// SPDX-License-Identifier: MIT
/*
 * The hostile machine: mm/ under schedules that look for trouble. The simulator of the host tests
 * (tests/host/sim.h) is the machine; what is added here is who decides what happens, and when.
 *
 * mm/ is compiled a second time, with the instrumentation of ThreadSanitizer but without its
 * library: access.c has the functions that the compiler calls before each access, and makes a step
 * of every one that touches what CPUs share. So a CPU can lose its turn, or be interrupted, before
 * any access at all, plain ones included, and races.c can tell which two of them nothing orders.
 *
 * A run is: a workload, a seed (which gives the machine's shape and the workload's choices), and a
 * list of events, each of which says "at this CPU's so-many-th step that happens". Without events
 * each CPU runs until it waits, and takes interrupts when it waits or lets them in. A strategy
 * makes up the events:
 *
 *   random      each step has its chances; the chances are drawn anew for each run
 *   pct         priorities, and a few points at which the running CPU's drops below all others
 *               (Burckhardt et al., ASPLOS 2010)
 *   exhaustive  all lists of up to so many events, tried one by one (exhaust.c)
 *   list        given: a replay, or what is left of a failure while it is shrunk (shrink.c)
 *
 * Whatever strategy made them up, they are recorded, so each failure is a list, can be replayed
 * step by step, and made shorter.
 *
 *   main.c      options; worlds and their runs; figures
 *   run.c       one run, in a process of its own
 *   choose.c    the strategies
 *   exhaust.c   the search through all schedules
 *   shrink.c    making a failure small
 *   report.c    runs as text: what is printed, and read again
 *   access.c    every access of mm/ a step; races.c  which of them are ordered by nothing
 *   work_*.c    workloads: small ones, to be searched through, and everything at once
 *
 * Where the invariants of docs/verification.md are looked at. I3 (no address reissued early) and I5
 * (W^X): at every write of an entry; I1 (no mapping of a table): when a frame becomes one; that
 * walks meet only tables, and nobody can walk to one that is released: at every walk and release
 * (sim_mmu.c, sim_tlb.c). I4 (no stale way to a frame): after all that promises it (promise.h), and
 * where frames are held back, at allocations. I2, I6, I8, I9: at the end of each run by the walker
 * mm_check(), and that nothing leaked. I7 (a failed call changes nothing) is not looked at here but
 * in tests/host/test_failures.c.
 *
 * Less hostile than a processor: only atomic_set() is ever late, plain stores and WRITE_ONCE are
 * visible at once; a CPU whose TLB has two translations for an address uses the newer; and memcpy
 * and memset are one step with what comes before them.
 *
 * A hypervisor is another table of mmu_ops, and another shape(): the workload `guest` runs
 * xen/mmu.c, instrumented too, above the simulated Xen of the host tests, which types pages,
 * refuses what Xen would, and takes vCPUs off between two hypercalls (tests/host/xen_machine.h).
 */
#ifndef TESTS_HOSTILE_H
#define TESTS_HOSTILE_H

#include "tests/host/sim.h"

#define CPUS_MAX   6
#define EVENTS_MAX 200000
#define OPS_MAX	   64 /* of a CPU */

/* What happens at the `at`-th step of CPU `by`. */
struct event {
	u32 at;
	u8 by;
	u8 what; /* enum sim_what */
	u8 cpu;
	u32 arg;
};

enum strategy {
	BY_RANDOM,
	BY_PCT,
	BY_LIST
};

struct workload {
	const char *name, *about;
	unsigned depth; /* it has few steps: events of a search; 0: too many steps for one */
	bool planted;	/* wrong on purpose: to see that it is found; not among all of them */
	void (*shape)(struct sim_config *c); /* more than a default machine; may be NULL */
	void (*prepare)(void);		     /* once a world, on the booted machine, at rest */
	void (*run)(void);		     /* spawns work and sim_run()s it, events come */
	void (*finish)(void);		     /* no events any more; what must hold at the end */
};

extern const struct workload small_workloads[]; /* one without a name ends it */
extern const struct workload lazy_workloads[];
extern const struct workload frame_workloads[];
extern const struct workload mixed_workloads[];
const struct workload *workload_find(const char *name);

/* A run to be made. Its events are `list` for BY_LIST, else they are made up from the seed. */
struct plan {
	const struct workload *work;
	u64 seed;
	enum strategy strategy;
	u64 keep[CPUS_MAX]; /* bit per operation that a CPU does; all ones: all */
	const struct event *list;
	u32 nr;
	bool wants_alternatives, wants_steps; /* for exhaust.c, and to be printed */
};

/* A step, for a report. */
struct seen {
	struct sim_point point;
	struct event event; /* what happened before the access; what: SIM_NOTHING */
	u8 cpu;
};

/* What comes of it, written by the run's process, read by its parent. */
struct outcome {
	bool good;
	char text[1024]; /* else what is wrong */
	u64 race[2];	 /* if it is a race: where, in mm/ */
	u64 steps;
	u64 counters[NR_COUNTERS];
	u32 nr;	    /* events that happened */
	u32 unused; /* of a list: those whose step never came */
	struct event event[EVENTS_MAX];
	u32 nr_alternatives; /* what could have happened after the last event of the list */
	struct event alternative[EVENTS_MAX];
	u64 nr_seen; /* steps; the last SEEN_MAX of them are in seen[] */
	struct seen seen[];
};

#define SEEN_MAX 65536

extern struct outcome *outcome; /* of the latest run */

/*
 * world_boot: the machine that plans with this seed run on. => once a process
 * run_plan: one run, in a copy of this process. => outcome->good
 */
u64 world_of(u64 seed);	  /* seeds with the same world have the same machine */
u64 next_world(u64 seed); /* the first seed of the next */
void world_boot(const struct workload *w, u64 seed);
bool run_plan(const struct plan *p);
extern u64 runs_made, steps_made;
extern u64 steps_max; /* a run with more has failed */
double seconds_now(void);
void *zeroed(u64 bytes, int sharing); /* memory; MAP_SHARED: with the runs to come, too */

/* choose.c; in the run's process. => for sim_choose */
void choose_init(const struct plan *p);
struct sim_choice choose(const struct sim_point *at);
void choose_done(void);

/* A stream of numbers from a seed. */
struct rng {
	u64 state;
};
u64 rng_next(struct rng *r);
u32 rng_below(struct rng *r, u32 n);

/*
 * For workloads: operation `op` of this CPU is to be done? and its own stream of numbers, which is
 * the same whatever other operations are done.
 */
bool op_wanted(unsigned op);
struct rng op_rng(unsigned op);
extern u64 run_seed;

/* exhaust.c: all runs of `p` with up to `depth` events. => false: one failed, and is in *failed */
struct search {
	u64 schedules, words; /* tried; on which CPUs conflict */
	bool complete;	      /* else the time ran out */
};
bool exhaust(const struct plan *p, unsigned depth, unsigned seconds, struct search *s,
	     struct plan *failed);
/* Are two CPUs known to use the word, one of them writing? Learns of this use. */
bool conflict_seen(const void *word, bool write);
u32 conflicts_known(void);

/* shrink.c: *p fails; becomes one that fails too, with as little as can be found in `seconds`. */
void shrink(struct plan *p, unsigned seconds);

/* report.c */
void print_plan(const struct plan *p);
bool parse_plan(const char *s, struct plan *p); /* => false, and says why */
void print_steps(bool all);

void races_init(void); /* races.c; in the run's process */
void race_tell(void);  /* report.c: outcome->text says as well where outcome->race is */

#endif
