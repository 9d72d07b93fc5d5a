// SPDX-License-Identifier: MIT
/*
 * The trace as JSON in the Trace Event Format, which Perfetto and chrome://tracing draw: a track
 * per CPU (they call it a thread); on it slices, for what takes time, and instants; and arrows
 * (flows) from each shootdown's slice to the slices of the CPUs that serve it.
 *
 * The viewers are strict where a ring that overwrites is not: a slice that ends must have begun, on
 * the same track and inside what began before it, and an arrow must have both ends, inside slices.
 * Hence a stack of open slices per track, and three rules:
 *
 *  - An end whose beginning is lost is left out. One that finds later slices still open ends these
 *    as well; so do the end of the dump, a pause (EV_missed: there nobody knows), and a second
 *    beginning of what cannot happen within itself.
 *  - An arrow is drawn from a shootdown's beginning if its end and the slices it leads to are found
 *    further on. All servings lie between the two, so the look ahead is short.
 *  - An arrow's head is drawn if its tail has been.
 *
 * The flush event has no id, its end has. Large numbers are text: JavaScript would round them.
 *
 * What is printed from one call of printk() stays in one piece, so each line of JSON is one call.
 */
#include "kernel/console.h"
#include "kernel/cpu.h"
#include "kernel/main.h"
#include "kernel/printk.h"
#include "kernel/string.h"
#include "kernel/time.h"
#include "kernel/trace_read.h"

#define FORMAT_VERSION 1 /* of the names and arguments of TRACE_EVENTS */
#define MAX_DEPTH      8 /* slices within slices; deeper ones are left out */

/* An arrow's id is its shootdown's with the target on top, where that has no bits. */
#define ARROW_TO_SHIFT 56

enum slice {
	INSTANT,
	PURGE,
	SHOOTDOWN,
	SERVE
};

static const char *const slice_names[] = {
	[PURGE] = "purge", [SHOOTDOWN] = "shootdown", [SERVE] = "serve"};

static const struct {
	enum slice slice;
	bool ends;
} shapes[NR_TRACE_EVENTS] = {
	[EV_purge] = {PURGE, false},	 [EV_purge_end] = {PURGE, true},
	[EV_flush] = {SHOOTDOWN, false}, [EV_flush_end] = {SHOOTDOWN, true},
	[EV_serve] = {SERVE, false},	 [EV_ack] = {SERVE, true},
};

static const char *const names[NR_TRACE_EVENTS] = {
#define X(name, a, b) #name,
	TRACE_EVENTS(X, TRACE_HEX, TRACE_DEC)
#undef X
};

#define JSON_HEX(arg) "\"" #arg "\":\"%#lx\""
#define JSON_DEC(arg) "\"" #arg "\":%lu"
static const char *const arguments[NR_TRACE_EVENTS] = {
#define X(name, a, b) ",\"args\":{" a "," b "}",
	TRACE_EVENTS(X, JSON_HEX, JSON_DEC)
#undef X
};

static struct track {
	unsigned depth;
	struct {
		enum slice slice;
		u64 id; /* SERVE: of the shootdown. An interrupt may serve another within it */
	} open[MAX_DEPTH];
	struct {
		u64 id;
		cpumask_t to; /* targets whose heads are still to come */
	} arrows;	      /* of this CPU's shootdown, as initiator */
} tracks[MAX_CPUS];

static u64 nr_events; /* printed so far; who reads them can tell whether any is missing */

/* One event. `more`: further members, each with a comma before it. */
static void put(const char *name, char phase, unsigned cpu, u64 ticks, const char *more)
{
	u64 ns = ticks / tsc_hz * 1000000000 + ticks % tsc_hz * 1000000000 / tsc_hz;

	/* Not tid 0: that is no thread's. */
	printk(",{\"name\":\"%s\",\"ph\":\"%c\",\"ts\":%lu.%03lu,\"pid\":1,\"tid\":%u%s}\n", name,
	       phase, ns / 1000, ns % 1000, cpu + 1, more);
	nr_events++;
}

/* Ends the slices above `depth`, whose own ends are not there. */
static void cut_slices(unsigned cpu, unsigned depth, u64 ticks)
{
	struct track *t = &tracks[cpu];

	while (t->depth > depth)
		put(slice_names[t->open[--t->depth].slice], 'E', cpu, ticks,
		    ",\"args\":{\"end\":\"not recorded\"}");
}

static void cut_all_slices(u64 ticks)
{
	for (unsigned cpu = 0; cpu < MAX_CPUS; cpu++)
		cut_slices(cpu, 0, ticks);
}

static void begin_slice(const struct trace_record *r, enum slice slice, const char *args)
{
	struct track *t = &tracks[r->cpu];

	/* Only servings happen within each other. */
	for (unsigned i = 0; slice != SERVE && i < t->depth; i++)
		if (t->open[i].slice == slice)
			cut_slices(r->cpu, i, r->ticks);
	if (t->depth == MAX_DEPTH)
		return;
	t->open[t->depth].slice = slice;
	t->open[t->depth++].id = r->b;
	put(slice_names[slice], 'B', r->cpu, r->ticks, args);
}

static void end_slice(const struct trace_record *r, enum slice slice, const char *args)
{
	struct track *t = &tracks[r->cpu];
	unsigned i = t->depth;

	while (i-- > 0) {
		if (t->open[i].slice != slice || (slice == SERVE && t->open[i].id != r->b))
			continue;
		cut_slices(r->cpu, i + 1, r->ticks);
		t->depth = i;
		put(slice_names[slice], 'E', r->cpu, r->ticks, args);
		return;
	}
}

static void put_arrow(char phase, u64 id, unsigned to, unsigned cpu, u64 ticks)
{
	char more[80];

	snprintf(more, sizeof(more), ",\"cat\":\"shootdown\",\"id\":\"%#lx\"%s",
		 id | (u64)to << ARROW_TO_SHIFT, phase == 'f' ? ",\"bp\":\"e\"" : "");
	put("ask", phase, cpu, ticks, more);
}

/* => will `cpu` serve the shootdown that has this end? */
static bool will_serve(unsigned cpu, const struct trace_record *end)
{
	struct trace_record r;

	for (u64 n = 0; trace_read_ahead(cpu, &n, &r) && r.ticks <= end->ticks;)
		if (r.event == EV_serve && r.b == end->b)
			return true;
	return false;
}

/* => will the shootdown that begins on `cpu` end? */
static bool will_end(unsigned cpu, struct trace_record *end)
{
	for (u64 n = 0; trace_read_ahead(cpu, &n, end) && end->event != EV_flush;)
		if (end->event == EV_flush_end)
			return true;
	return false;
}

static void put_tails(const struct trace_record *flush)
{
	struct track *t = &tracks[flush->cpu];
	struct trace_record end;

	t->arrows.to.bits = 0;
	if (!will_end(flush->cpu, &end))
		return;
	t->arrows.id = end.b;
	for (unsigned to = 0; to < nr_cpus; to++) {
		if (to == flush->cpu || !will_serve(to, &end))
			continue;
		t->arrows.to.bits |= cpu_bit(to);
		put_arrow('s', end.b, to, flush->cpu, flush->ticks);
	}
}

static void put_head(const struct trace_record *serve)
{
	struct track *from = &tracks[serve->a % MAX_CPUS];

	if (from->arrows.id != serve->b || !cpumask_has(from->arrows.to, serve->cpu))
		return;
	from->arrows.to.bits &= ~cpu_bit(serve->cpu);
	put_arrow('f', serve->b, serve->cpu, serve->cpu, serve->ticks);
}

static void put_record(const struct trace_record *r)
{
	enum slice slice = shapes[r->event].slice;
	char args[128];

	snprintf(args, sizeof(args), arguments[r->event], r->a, r->b);
	if (slice == INSTANT)
		put(names[r->event], 'i', r->cpu, r->ticks, args);
	else if (shapes[r->event].ends)
		end_slice(r, slice, args);
	else
		begin_slice(r, slice, args);
	if (r->event == EV_flush)
		put_tails(r);
	else if (r->event == EV_serve)
		put_head(r);
	else if (r->event == EV_missed)
		cut_all_slices(r->ticks);
}

/* A string's inside. `out` has room for six characters for each of s and a NUL. */
static void escape(char *out, const char *s)
{
	for (; *s; s++) {
		bool plain = *s >= ' ' && *s <= '~';

		if (*s == '"' || *s == '\\')
			*out++ = '\\';
		if (plain)
			*out++ = *s;
		else
			out += snprintf(out, 7, "\\u%04x", (u8)*s);
	}
	*out = '\0';
}

static void put_names(void)
{
	char more[40];

	printk("{\"traceEvents\":[\n");
	printk("{\"name\":\"process_name\",\"ph\":\"M\",\"ts\":0.000,\"pid\":1,\"tid\":1,"
	       "\"args\":{\"name\":\"Lazymap\"}}\n");
	nr_events = 1;
	for (unsigned cpu = 0; cpu < nr_cpus; cpu++) {
		snprintf(more, sizeof(more), ",\"args\":{\"name\":\"CPU %u\"}", cpu);
		put("thread_name", 'M', cpu, 0, more);
	}
}

/* Too long for printk(): a command line may be all quotes. */
static void put_other_data(u64 records, u64 lost)
{
	static char cmdline[6 * BOOT_CMDLINE_MAX], line[sizeof(cmdline) + 256];
	int n;

	escape(cmdline, boot_info.cmdline);
	n = snprintf(line, sizeof(line),
		     "],\"otherData\":{\"version\":%u,\"tsc_hz\":%lu,\"cpus\":%u,\"events\":%lu,"
		     "\"records\":%lu,\"lost_records\":%lu,\"command_line\":\"%s\"}}\n",
		     FORMAT_VERSION, tsc_hz, nr_cpus, nr_events, records, lost, cmdline);
	console_write(line, (size_t)n);
}

void trace_dump_json(void)
{
	struct trace_record r = {0};
	u64 readable, lost, records = 0;

	trace_read_begin(&readable, &lost);
	memset(tracks, 0, sizeof(tracks));
	printk(TRACE_JSON_BEGIN "\n");
	put_names();
	for (; !console_interrupted() && trace_read_next(&r); records++)
		put_record(&r);
	if (!console_interrupted()) {
		cut_all_slices(r.ticks);
		put_other_data(records, lost + readable - records);
		printk(TRACE_JSON_END "\n");
	}
	trace_read_end();
}
