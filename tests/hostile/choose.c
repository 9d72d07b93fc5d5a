// SPDX-License-Identifier: MIT
/*
 * The strategies: what happens at a step. Runs in the process of the run.
 *
 * Random: a run draws its own chances first, each from very likely to never, because what finds one
 * bug hides another: where interrupts always come at once, none ever comes in the middle.
 *
 * PCT: each CPU has a priority, and the highest that can run does. At d-1 steps, chosen among k,
 * the running CPU's priority drops below all others. A bug that needs d things in order is found
 * with a chance of at least 1/(n k^(d-1)). A CPU that waits drops too: else two that wait would let
 * nobody else run. Interrupts, late stores and speculation come by chance, as above, but seldom.
 */
#include <stdlib.h>

#include "tests/hostile/hostile.h"

#define PCT_POINTS 6

u64 run_seed;
u64 steps_max = 20000000;

static const struct plan *plan;
static u32 steps_of[MAX_CPUS];
static struct event *next_of[MAX_CPUS], *end_of[MAX_CPUS]; /* of the list, sorted by CPU and step */
static struct event *sorted;
static u32 happened;
static struct rng rng;

u64 rng_next(struct rng *r)
{
	u64 x = r->state += 0x9e3779b97f4a7c15ull; /* splitmix64 */

	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
	return x ^ x >> 31;
}

u32 rng_below(struct rng *r, u32 n)
{
	return (u32)(((rng_next(r) >> 32) * n) >> 32);
}

/* --- operations ------------------------------------------------------------------------------- */

bool op_wanted(unsigned op)
{
	return op >= OPS_MAX || (plan->keep[sim.cpu] >> op & 1);
}

struct rng op_rng(unsigned op)
{
	struct rng r = {plan->seed ^ (u64)(sim.cpu + 1) << 56 ^ (u64)op << 40};

	rng_next(&r);
	return r;
}

/* --- by chance -------------------------------------------------------------------------------- */

/* Chances in 65536. */
static struct {
	u32 run, take, leak, speculate, tick, nmi, ipi;
} chance;

static u32 draw(u32 most)
{
	return rng_below(&rng, 5) ? most >> rng_below(&rng, 9) : 0;
}

static bool falls(u64 *dice, u32 in_65536)
{
	bool yes = (*dice & 0xffff) < in_65536;

	*dice = *dice >> 16 | *dice << 48;
	return yes;
}

static struct sim_choice some_interrupt(void)
{
	static const enum sim_interrupt all[] = {SIM_NMI, SIM_IPI, SIM_TICK};

	for (unsigned i = 0; i < ARRAY_SIZE(all); i++)
		if (sim_can_take(all[i]))
			return (struct sim_choice){SIM_TAKE, 0, all[i]};
	return (struct sim_choice){0};
}

static struct sim_choice some_other(void)
{
	unsigned found[MAX_CPUS], n = 0;

	for (unsigned cpu = 0; cpu < nr_cpus; cpu++)
		if (sim_can_run(cpu))
			found[n++] = cpu;
	return n ? (struct sim_choice){SIM_RUN, found[rng_below(&rng, n)], 0}
		 : (struct sim_choice){0};
}

/* All but whose turn it is. */
static struct sim_choice by_chance(u64 dice)
{
	unsigned cpu = rng_below(&rng, nr_cpus);
	struct sim_choice c = {0};

	if (falls(&dice, chance.take))
		c = some_interrupt();
	else if (falls(&dice, chance.leak) && sim_stores_wait(cpu))
		c = (struct sim_choice){SIM_LEAK, cpu, 0};
	else if (falls(&dice, chance.speculate))
		c = (struct sim_choice){SIM_SPECULATE, cpu, (u32)rng_next(&rng)};
	dice = rng_next(&rng);
	if (c.what || sim_cpu_state(cpu) == SIM_CPU_ABSENT)
		return c;
	if (falls(&dice, chance.tick))
		c = (struct sim_choice){SIM_RAISE, cpu, SIM_TICK};
	else if (falls(&dice, chance.nmi))
		c = (struct sim_choice){SIM_RAISE, cpu, SIM_NMI};
	else if (falls(&dice, chance.ipi)) /* nobody sent it, or it comes twice */
		c = (struct sim_choice){SIM_RAISE, cpu, SIM_IPI};
	return c;
}

static struct sim_choice by_random(const struct sim_point *at)
{
	u64 dice = rng_next(&rng);

	if (at->access == SIM_WAIT || falls(&dice, chance.run))
		return some_other();
	return by_chance(dice);
}

static void chances_init(void)
{
	chance.run = draw(32768);
	chance.take = draw(65536);
	chance.leak = draw(32768);
	chance.speculate = draw(4096);
	chance.tick = draw(1024);
	chance.nmi = draw(1024);
	chance.ipi = draw(512);
}

/* --- by priorities ---------------------------------------------------------------------------- */

static s64 priority[MAX_CPUS], lowest;
static u64 drop_at[PCT_POINTS];
static u64 pct_step;

static void pct_init(void)
{
	u32 k = 32u << rng_below(&rng, 11); /* as many steps as runs have; drawn, to be replayed */

	for (unsigned cpu = 0; cpu < MAX_CPUS; cpu++)
		priority[cpu] = (s64)(rng_next(&rng) >> 8);
	for (unsigned i = 0; i < PCT_POINTS; i++)
		drop_at[i] = i <= rng_below(&rng, PCT_POINTS) ? 1 + rng_below(&rng, k) : 0;
	chance.run = 0;
	chance.speculate >>= 3;
	chance.take >>= 2;
}

static struct sim_choice by_pct(const struct sim_point *at)
{
	bool waits = at->access == SIM_WAIT, drops = waits;
	unsigned best = MAX_CPUS;

	pct_step++;
	for (unsigned i = 0; i < PCT_POINTS; i++)
		drops |= drop_at[i] == pct_step;
	if (drops)
		priority[sim.cpu] = --lowest;
	for (unsigned cpu = 0; cpu < nr_cpus; cpu++)
		if (((cpu == sim.cpu && !waits) || sim_can_run(cpu)) &&
		    (best == MAX_CPUS || priority[cpu] > priority[best]))
			best = cpu;
	if (best != MAX_CPUS && best != sim.cpu)
		return (struct sim_choice){SIM_RUN, best, 0};
	return waits ? (struct sim_choice){0} : by_chance(rng_next(&rng));
}

/* --- by a list -------------------------------------------------------------------------------- */

static void events_init(void)
{
	u32 n = 0;

	sorted = malloc((plan->nr + 1) * sizeof(*sorted));
	for (unsigned cpu = 0; cpu < MAX_CPUS; cpu++) {
		next_of[cpu] = sorted + n;
		for (u32 i = 0; i < plan->nr; i++) /* in order of their steps as they happened */
			if (plan->list[i].by == cpu)
				sorted[n++] = plan->list[i];
		end_of[cpu] = sorted + n;
	}
}

static struct sim_choice by_list(void)
{
	struct event **e = &next_of[sim.cpu];

	while (*e < end_of[sim.cpu] && (*e)->at < steps_of[sim.cpu])
		++*e;
	if (*e == end_of[sim.cpu] || (*e)->at != steps_of[sim.cpu])
		return (struct sim_choice){0};
	happened++;
	return (struct sim_choice){(enum sim_what)(*e)->what, (*e)->cpu, (*e)++->arg};
}

/* --- what else could have happened ------------------------------------------------------------ */

static void alternative(enum sim_what what, unsigned cpu, u32 arg)
{
	if (outcome->nr_alternatives == EVENTS_MAX)
		return; /* choose_done() */
	outcome->alternative[outcome->nr_alternatives++] =
		(struct event){steps_of[sim.cpu], (u8)sim.cpu, (u8)what, (u8)cpu, arg};
}

static bool writes(const struct sim_point *at)
{
	return at->access == SIM_WRITE || at->access == SIM_STORE_ONCE || at->access == SIM_STORE ||
	       at->access == SIM_UPDATE;
}

/*
 * Only before what another CPU can notice or be noticed by does it matter who goes first: a word
 * on which CPUs conflict, an entry, which TLBs have too, or what is no access to memory. (Two steps
 * that do not conflict have the same effect in either order.) Where the interrupt flag changes,
 * interrupts are taken anyway.
 */
static void note_alternatives(const struct sim_point *at)
{
	if (at->access == SIM_FLAG ||
	    (at->word && at->access != SIM_ENTRY && !conflict_seen(at->word, writes(at))))
		return;
	if (happened < plan->nr)
		return;
	for (unsigned cpu = 0; cpu < nr_cpus; cpu++) {
		if (sim_can_run(cpu))
			alternative(SIM_RUN, cpu, 0);
		if (at->word && cpu != sim.cpu && sim_stores_wait(cpu))
			alternative(SIM_LEAK, cpu, 0);
	}
	for (enum sim_interrupt irq = SIM_IPI; irq <= SIM_NMI; irq++)
		if (sim_can_take(irq))
			alternative(SIM_TAKE, 0, irq);
}

/* --- the choice ------------------------------------------------------------------------------- */

static void record(const struct sim_choice *c)
{
	if (!c->what || outcome->nr == EVENTS_MAX)
		return;
	outcome->event[outcome->nr++] =
		(struct event){steps_of[sim.cpu], (u8)sim.cpu, (u8)c->what, (u8)c->cpu, c->arg};
}

static void see(const struct sim_point *at, const struct sim_choice *c)
{
	struct seen *s = &outcome->seen[outcome->nr_seen++ % SEEN_MAX];

	*s = (struct seen){*at,
			   {steps_of[sim.cpu], (u8)sim.cpu, (u8)c->what, (u8)c->cpu, c->arg},
			   (u8)sim.cpu};
}

struct sim_choice choose(const struct sim_point *at)
{
	struct sim_choice c;

	steps_of[sim.cpu]++;
	if (sim.steps > steps_max)
		panic("no end after %lu steps: somebody waits for ever", steps_max);
	switch (plan->strategy) {
	case BY_RANDOM:
		c = by_random(at);
		break;
	case BY_PCT:
		c = by_pct(at);
		break;
	default:
		c = by_list();
		if (!c.what && plan->wants_alternatives)
			note_alternatives(at);
	}
	record(&c);
	if (plan->wants_steps)
		see(at, &c);
	return c;
}

void choose_init(const struct plan *p)
{
	plan = p;
	run_seed = p->seed;
	rng.state = p->seed * 2 + (p->strategy == BY_PCT);
	chances_init();
	if (p->strategy == BY_PCT)
		pct_init();
	if (p->strategy == BY_LIST)
		events_init();
}

void choose_done(void)
{
	outcome->unused = plan->nr - happened;
	KASSERT(outcome->nr_alternatives < EVENTS_MAX, "too many steps to search through");
}
