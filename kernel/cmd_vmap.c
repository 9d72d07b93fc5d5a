// SPDX-License-Identifier: MIT
/*
 * The monitor's view of what is mapped, and by whom: every area (vmallocinfo), the live ones
 * grouped by who mapped them (leaks), and those between two uses (park).
 */
#include "kernel/cmd_mm.h"
#include "kernel/console.h"
#include "kernel/cpu.h"
#include "kernel/errno.h"
#include "kernel/leaks.h"
#include "kernel/monitor.h"
#include "kernel/printk.h"
#include "kernel/string.h"
#include "kernel/time.h"
#include "mm/frame.h"
#include "mm/park.h"

struct kind_total {
	u64 live, lazy; /* areas */
	u64 pages, large;
};

static void print_range(const struct area *a)
{
	char age[AGE_TEXT], who[WHO_TEXT], large[24] = "";
	u64 word = atomic_read(&a->word), bytes = (u64)a->pages << PAGE_SHIFT;

	if (a->large)
		snprintf(large, sizeof(large), " (%u of 2 MiB)", a->large);
	printk("%#lx-%#lx %9lu KiB %7u pages  %-7s %-4s %-6s %10s  %s by %s%s\n", a->start,
	       a->start + bytes, bytes / KiB, a->pages, area_kind_name(word_kind(word)),
	       area_state_name(a),
	       word_kind(word) == AREA_SPARSE ? "sparse" : prot_text(word_prot(word)),
	       age_text(a->mapped_at, age), a->name, who_text(a->mapper, who), large);
}

static void print_totals(const struct kind_total *total)
{
	printk("%-8s %8s %8s %10s %12s\n", "kind", "live", "lazy", "pages", "2 MiB pages");
	for (unsigned k = 0; k < AREA_KINDS; k++)
		if (total[k].live || total[k].lazy)
			printk("%-8s %8lu %8lu %10lu %12lu\n", area_kind_name((enum area_kind)k),
			       total[k].live, total[k].lazy, total[k].pages, total[k].large);
}

COMMAND(vmallocinfo, "", "every live or lazy area, and totals by kind")
{
	struct kind_total total[AREA_KINDS] = {0};
	unsigned shown = 0, more = 0;
	struct area a;

	if (argc != 1)
		return CMD_USAGE;
	area_for_each (a) {
		u64 word = atomic_read(&a.word);
		struct kind_total *t = &total[word_kind(word) % AREA_KINDS];
		bool live = word_state(word) == AREA_LIVE;

		if (console_interrupted())
			return -EINTR;
		if (!live && word_state(word) != AREA_LAZY)
			continue;
		t->live += live;
		t->lazy += !live;
		t->pages += a.pages;
		t->large += a.large;
		if (shown == LIST_MAX) {
			more++;
		} else {
			print_range(&a);
			shown++;
		}
	}
	if (more)
		printk("... and %u more\n", more);
	print_totals(total);
	return 0;
}

static void print_group(const struct leak_group *g)
{
	char age[AGE_TEXT], who[WHO_TEXT];

	printk("  %6lu  %8lu  %12s  %s\n", g->areas, g->pages, age_text(g->oldest, age),
	       leaks_who(g, who));
}

COMMAND(leaks, "[SECONDS]", "live areas by who mapped them; those at least so old")
{
	static struct leaks l; /* 4 KiB: not for a stack */
	u64 seconds = 0, now = tsc_now(), areas = 0, pages = 0;

	if (argc > 2)
		return CMD_USAGE;
	if (argc == 2 && (parse_u64(argv[1], &seconds) || seconds > ~0ul / tsc_hz)) {
		printk("leaks: '%s' is no number of seconds\n", argv[1]);
		return -EINVAL;
	}
	leaks_collect(&l, now - MIN(now, seconds * tsc_hz));
	printk("  %6s  %8s  %12s  %s\n", "areas", "pages", "oldest", "mapped by");
	for (unsigned i = 0; i < l.nr; i++) {
		if (console_interrupted())
			return -EINTR;
		print_group(&l.group[i]);
		areas += l.group[i].areas;
		pages += l.group[i].pages;
	}
	printk("%lu areas with %lu pages are live and at least %lu s old; '-': not recorded, or before the first tick\n",
	       areas, pages, seconds);
	return 0;
}

/* => areas on a list of at most `max`; other CPUs may be changing it under our eyes */
static u64 list_length(const atomic_t *list, u64 max)
{
	const struct area *a = (struct area *)atomic_read(list);
	u64 n = 0;

	for (; a && n < max; n++)
		a = READ_ONCE(a->parked);
	return n;
}

#define PARK_LIST_MAX (1ul << 20) /* where a list that changes while it is read is given up */

static void print_class(unsigned cpu, const char *pages, const struct park_class *c)
{
	u64 ready = list_length(&c->ready, PARK_LIST_MAX),
	    cleared = list_length(&c->cleared, PARK_LIST_MAX);

	if (ready || cleared)
		printk("  cpu %2u  areas of %5s pages: %6lu ready, %6lu cleared\n", cpu, pages,
		       ready, cleared);
}

static int print_park(unsigned cpu)
{
	const struct park *p = &parks[cpu];
	struct park_class large = {.cleared = {atomic_read(&p->large)}};
	char pages[8];

	printk("cpu %u: %lu pages wait to be forgotten, at most %lu ever did\n", cpu,
	       park_waiting(cpu), park_peak(cpu));
	for (unsigned i = 0; i < PARK_MAX_PAGES; i++) {
		if (console_interrupted())
			return -EINTR;
		snprintf(pages, sizeof(pages), "%u", i + 1);
		print_class(cpu, pages, &p->class[i]);
	}
	print_class(cpu, "more", &large);
	if (atomic_read(&p->lazy))
		printk("  cpu %2u  unmapped under policy pte, not purged yet: %lu areas\n", cpu,
		       list_length(&p->lazy, PARK_LIST_MAX));
	return 0;
}

COMMAND(park, "", "addresses between two uses: each CPU's magazines")
{
	if (argc != 1)
		return CMD_USAGE;
	for (unsigned cpu = 0; cpu < nr_cpus; cpu++) {
		int err = print_park(cpu);

		if (err)
			return err;
	}
	return 0;
}
