// SPDX-License-Identifier: MIT
/*
 * Runs as text. A plan is written as WORKLOAD,SEED,STRATEGY or, with its events told,
 *
 *   WORKLOAD,SEED,list,KEEP.KEEP...,EVENT;EVENT;...
 *
 * KEEP: for each CPU the operations it does, as bits, in hex. EVENT: BY@STEP and what happens
 * there: >1 CPU 1 runs, !ipi it takes that interrupt, +1.nmi one is raised on CPU 1, ~1 a store of
 * CPU 1 becomes visible, *1.5f CPU 1 speculates.
 *
 * Where a step is in the source, addr2line tells.
 */
#include <stdlib.h>
#include <unistd.h>

#include "tests/hostile/hostile.h"

#define PCS_MAX 4096

static const char *const strategy_names[] = {"random", "pct", "list"};
static const char *const irq_names[] = {"ipi", "tick", "nmi"};
static const char what_sign[] = {' ', '>', '!', '+', '~', '*'};

static void print_event(const struct event *e)
{
	printf("%u@%u%c", e->by, e->at, what_sign[e->what]);
	if (e->what == SIM_TAKE)
		printf("%s", irq_names[e->arg]);
	else if (e->what == SIM_RAISE)
		printf("%u.%s", e->cpu, irq_names[e->arg]);
	else if (e->what == SIM_SPECULATE)
		printf("%u.%x", e->cpu, e->arg);
	else
		printf("%u", e->cpu);
}

void print_plan(const struct plan *p)
{
	printf("%s,%lu,%s", p->work->name, p->seed, strategy_names[p->strategy]);
	if (p->strategy != BY_LIST)
		return;
	for (unsigned cpu = 0; cpu < CPUS_MAX; cpu++)
		printf("%c%lx", cpu ? '.' : ',', p->keep[cpu]);
	for (u32 i = 0; i < p->nr; i++) {
		putchar(i ? ';' : ',');
		print_event(&p->list[i]);
	}
}

static bool parse_irq(const char **s, u32 *irq)
{
	for (u32 i = 0; i < ARRAY_SIZE(irq_names); i++)
		if (!strncmp(*s, irq_names[i], strlen(irq_names[i]))) {
			*s += strlen(irq_names[i]);
			*irq = i;
			return true;
		}
	return false;
}

static u64 number(const char **s, int base)
{
	char *end;
	u64 n = strtoul(*s, &end, base);

	*s = end;
	return n;
}

static bool parse_event(const char **s, struct event *e)
{
	const char *sign;

	e->by = (u8)number(s, 10);
	if (*(*s)++ != '@')
		return false;
	e->at = (u32)number(s, 10);
	sign = **s ? memchr(what_sign + 1, **s, sizeof(what_sign) - 1) : NULL;
	if (!sign || e->by >= MAX_CPUS)
		return false;
	++*s;
	e->what = (u8)(sign - what_sign);
	if (e->what == SIM_TAKE)
		return parse_irq(s, &e->arg);
	e->cpu = (u8)number(s, 10);
	if (e->what == SIM_SPECULATE || e->what == SIM_RAISE) {
		if (*(*s)++ != '.')
			return false;
		if (e->what == SIM_RAISE)
			return parse_irq(s, &e->arg);
		e->arg = (u32)number(s, 16);
	}
	return e->cpu < MAX_CPUS;
}

static bool parse_list(const char *s, struct plan *p)
{
	struct event *list = calloc(EVENTS_MAX, sizeof(*list));

	p->list = list;
	for (unsigned cpu = 0; cpu < CPUS_MAX; cpu++) {
		p->keep[cpu] = number(&s, 16);
		if (cpu + 1 < CPUS_MAX && *s++ != '.')
			return false;
	}
	if (!*s)
		return true;
	do {
		s++;
		if (p->nr == EVENTS_MAX || !parse_event(&s, &list[p->nr++]))
			return false;
	} while (*s == ';');
	return !*s;
}

bool parse_plan(const char *s, struct plan *p)
{
	char name[32], strategy[16];
	int end = 0;

	*p = (struct plan){.strategy = BY_LIST};
	memset(p->keep, 0xff, sizeof(p->keep));
	if (sscanf(s, "%31[^,],%lu,%15[a-z]%n", name, &p->seed, strategy, &end) != 3) {
		fprintf(stderr, "hostile: '%s' is no run: WORKLOAD,SEED,STRATEGY[,KEEP,EVENTS]\n",
			s);
		return false;
	}
	p->work = workload_find(name);
	if (!p->work) {
		fprintf(stderr, "hostile: there is no workload '%s'; --help lists them\n", name);
		return false;
	}
	for (unsigned i = 0; i < ARRAY_SIZE(strategy_names); i++)
		if (!strcmp(strategy, strategy_names[i])) {
			p->strategy = (enum strategy)i;
			if (i != BY_LIST || (s[end] == ',' && parse_list(s + end + 1, p)))
				return true;
		}
	fprintf(stderr, "hostile: '%s' is no run: what comes after the seed is not understood\n",
		s);
	return false;
}

/* --- steps ------------------------------------------------------------------------------------ */

static u64 pcs[PCS_MAX];
static char *places[PCS_MAX];
static unsigned nr_pcs;

static unsigned pc_index(u64 pc)
{
	unsigned i = 0;

	while (i < nr_pcs && pcs[i] != pc)
		i++;
	if (i == nr_pcs && nr_pcs < PCS_MAX)
		pcs[nr_pcs++] = pc;
	return i;
}

/* "FUNCTION at FILE:LINE", FILE from the top of the tree. */
static char *make_place(const char *function)
{
	static const char *const tops[] = {"/mm/", "/tests/"};
	char *place = strdup(function), *at = strstr(place, " at ");

	place[strcspn(place, "\n")] = 0;
	for (unsigned i = 0; at && i < ARRAY_SIZE(tops); i++) {
		char *top = strstr(at, tops[i]);

		if (top) {
			memmove(at + 4, top + 1, strlen(top));
			break;
		}
	}
	return place;
}

/* What addr2line says of one address after another: lines of inlining from the inside out. */
static void read_places(FILE *f)
{
	char line[512];
	unsigned i = 0;
	bool found = true;

	while (fgets(line, sizeof(line), f)) {
		const char *function = strstr(line, "(inlined by) ");

		if (function) {
			function += strlen("(inlined by) ");
		} else {
			function = strstr(line, ": ");
			if (!function || i == nr_pcs)
				return;
			function += 2;
			free(places[i]);
			places[i++] = make_place(function);
			found = false;
		}
		if (!found && !strstr(function, "/shim/")) { /* whoever wanted the atomic word */
			free(places[i - 1]);
			places[i - 1] = make_place(function);
			found = true;
		}
	}
}

/* All of them at once: addr2line takes a while to read what it needs. */
static void look_up_places(void)
{
	char exe[256], name[] = "/tmp/hostile-XXXXXX", command[512];
	ssize_t len = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	int fd = mkstemp(name);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "w");

	if (len < 0 || !f)
		return;
	exe[len] = 0;
	for (unsigned i = 0; i < nr_pcs; i++)
		fprintf(f, "%#lx\n", pcs[i] - 1); /* of the call, not after it */
	fclose(f);
	snprintf(command, sizeof(command), "addr2line -a -f -i -p -e '%s' < %s 2>/dev/null", exe,
		 name);
	f = popen(command, "r");
	if (f) {
		read_places(f);
		pclose(f);
	}
	unlink(name);
}

static const char *place(const void *pc)
{
	unsigned i = pc ? pc_index((u64)pc) : PCS_MAX;

	return i < PCS_MAX && places[i] ? places[i] : "";
}

void race_tell(void)
{
	size_t n = strlen(outcome->text);

	nr_pcs = 0;
	pc_index(outcome->race[0]);
	pc_index(outcome->race[1]);
	look_up_places();
	snprintf(outcome->text + n, sizeof(outcome->text) - n, "\n#     %s\n#     %s",
		 place((void *)outcome->race[0]), place((void *)outcome->race[1]));
}

static void print_word(const void *word)
{
	u64 at_frames = (u64)((const char *)word - (const char *)frames);
	paddr_t pa = virt_to_phys(word);

	if (!word)
		return;
	if (at_frames < SIM_FRAMES_SIZE)
		printf(" of frame %#lx+%lu", at_frames / 32, at_frames % 32);
	else if (pa < SIM_PHYS_MAX)
		printf(" of RAM %#lx", pa);
	else
		printf(" of %p", word);
}

static void print_happening(const struct event *e)
{
	switch ((enum sim_what)e->what) {
	case SIM_RUN:
		printf("         --- CPU %u runs", e->cpu);
		break;
	case SIM_TAKE:
		printf("         --- CPU %u takes: %s", e->by, irq_names[e->arg]);
		break;
	case SIM_RAISE:
		printf("         --- raised on CPU %u: %s", e->cpu, irq_names[e->arg]);
		break;
	case SIM_LEAK:
		printf("         --- the oldest store of CPU %u becomes visible", e->cpu);
		break;
	case SIM_SPECULATE:
		printf("         --- CPU %u speculates", e->cpu);
		break;
	default:
		return;
	}
	printf(", at step %u of CPU %u\n", e->at, e->by);
}

static void print_step(u64 n, const struct seen *s)
{
	static const char *const names[] = {"invalidates, or the like",
					    "interrupt flag",
					    "fence",
					    "reads",
					    "writes",
					    "reads once",
					    "writes once",
					    "loads",
					    "stores",
					    "updates",
					    "writes entry",
					    "waits"};

	printf("%7lu  CPU %u  %s", n, s->cpu, names[s->point.access]);
	print_word(s->point.word);
	printf("  %s\n", place(s->point.pc));
}

/*
 * The steps of the latest run. => all, or only those where something happened or another CPU went
 * on, and the last ones
 */
void print_steps(bool all)
{
	u64 first = outcome->nr_seen > SEEN_MAX ? outcome->nr_seen - SEEN_MAX : 0;
	u64 last = outcome->nr_seen;

	for (u64 n = first; n < last; n++)
		if (outcome->seen[n % SEEN_MAX].point.pc)
			pc_index((u64)outcome->seen[n % SEEN_MAX].point.pc);
	look_up_places();
	for (u64 n = first; n < last; n++) {
		const struct seen *s = &outcome->seen[n % SEEN_MAX];
		u8 before = n > first ? outcome->seen[(n - 1) % SEEN_MAX].cpu : MAX_CPUS;
		u8 after = n + 1 < last ? outcome->seen[(n + 1) % SEEN_MAX].cpu : MAX_CPUS;

		if (!all && s->event.what == SIM_NOTHING && before == s->cpu && after == s->cpu &&
		    last - n > 12)
			continue;
		print_happening(&s->event);
		print_step(n, s);
	}
}
