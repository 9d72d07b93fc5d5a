// SPDX-License-Identifier: MIT
/*
 * The monitor's hand on laziness: its settings (lazy), making CPUs forget (purge), and what a
 * single frame has to do with it (frame, aliases).
 */
#include "kernel/cmd_mm.h"
#include "kernel/console.h"
#include "kernel/cost.h"
#include "kernel/errno.h"
#include "kernel/monitor.h"
#include "kernel/printk.h"
#include "kernel/string.h"
#include "mm/chunk.h"
#include "mm/frame.h"
#include "mm/kmap.h"
#include "mm/lazy.h"
#include "mm/pagetable.h"
#include "mm/shootdown.h"
#include "mm/vmap.h"

static int print_lazy(void)
{
	struct lazy_stats st;

	lazy_stats(&st);
	printk("policy %s, hold %s, poison %s\n", lazy_policy_name(st.policy),
	       frame_hold() ? "on" : "off", lazy_poison() ? "on" : "off");
	printk("%lu areas with %lu pages wait to be forgotten, %lu of the areas still with entries\n",
	       st.areas, st.pages, st.uncleared_areas);
	printk("at most %lu pages waited at once; the aim is %lu or fewer\n", st.peak_pages,
	       st.max_pages);
	if (lazy_poison())
		printk("%lu areas are in quarantine\n", st.quarantined);
	if (frame_hold())
		printk("%lu freed frames are held back\n", frame_held_total());
	return 0;
}

static bool parse_switch(const char *s, bool *on)
{
	*on = !strcmp(s, "on");
	return *on || !strcmp(s, "off");
}

/* => false: it is no setting */
static bool set_lazy(const char *what, const char *value)
{
	u64 max;
	bool on;

	if (!strcmp(what, "max") && !parse_u64(value, &max) && max)
		lazy_set_max(max);
	else if (!strcmp(what, "hold") && parse_switch(value, &on))
		frame_set_hold(on);
	else if (!strcmp(what, "poison") && parse_switch(value, &on))
		lazy_set_poison(on);
	else
		return false;
	return true;
}

COMMAND(lazy, "[off|tlb|pte | max PAGES | hold on|off | poison on|off]",
	"how lazy unmapping is, and what waits to be forgotten")
{
	enum lazy_policy policy;

	if (argc == 2 && !lazy_policy_parse(argv[1], &policy))
		lazy_set_policy(policy);
	else if (argc != 1 && (argc != 3 || !set_lazy(argv[1], argv[2])))
		return CMD_USAGE;
	return print_lazy();
}

/* --- purge --- */

static void print_cost(const struct cost *from)
{
	struct cost c = cost_since(from);

	printk("cost: %lu entries cleared, %lu shootdowns, %lu IPIs; on all CPUs %lu pages invalidated, %lu full flushes\n",
	       c.cleared, c.shootdowns, c.ipis, c.pages, c.full);
}

static void purge_all(enum purge_phase phase)
{
	struct lazy_stats before, after;
	struct cost cost;
	u64 pages;

	lazy_stats(&before);
	cost = cost_now();
	pages = lazy_purge(phase);
	print_cost(&cost);
	lazy_stats(&after);
	printk("phase %s: %lu pages had entries and have none now; %lu pages waited, %lu still do\n",
	       phase == PURGE_FLUSH ? "ptes and flush" : "ptes", pages, before.pages, after.pages);
}

static u64 count_aliases(struct frame *const *f, unsigned n)
{
	u64 sum = 0;

	for (unsigned i = 0; i < n; i++)
		sum += frame_aliases(f[i]);
	return sum;
}

static int purge_frames(struct frame *const *f, unsigned n, enum purge_phase phase)
{
	u64 before = count_aliases(f, n), after;
	struct cost cost = cost_now();
	int err = vm_unmap_frame_aliases(f, n, phase);

	print_cost(&cost);
	after = count_aliases(f, n);
	printk("phase %s: %u frames had %lu aliases, %lu are left%s\n",
	       phase == PURGE_FLUSH ? "ptes and flush" : "ptes", n, before, after,
	       err == -EBUSY ? ": live ones, which are not ours to take" : "");
	return err;
}

static int purge_policy(const char *word)
{
	static const char *const what[NR_PURGE_POLICIES] = {
		[PT_PURGE_NONE] = "nothing is purged, so a stray alias may rewrite it",
		[PT_PURGE_ALL] = "everything unmapped lazily is purged",
		[PT_PURGE_EXACT] = "its own lazy aliases are purged",
		[PT_PURGE_UNHOOK] = "everything is, whole tables at once where that pays",
	};
	enum purge_policy p = pt_purge_policy();

	if (word && pt_purge_policy_parse(word, &p))
		return CMD_USAGE;
	pt_set_purge_policy(p);
	printk("before a frame becomes a page table: %s: %s\n", pt_purge_policy_name(p), what[p]);
	return 0;
}

COMMAND(purge, "[ptes|flush] [PFN...] | policy [none|all|exact|unhook]",
	"take lazy mappings away, all or those of some frames (flush, the default, from TLBs too); "
	"policy: what is done before a frame becomes a page table")
{
	enum purge_phase phase = PURGE_FLUSH;
	struct frame *f[CMD_MAX_ARGS];
	unsigned n = 0;
	int i = 1;

	if (argc > 1 && !strcmp(argv[1], "policy"))
		return argc > 3 ? CMD_USAGE : purge_policy(argv[2]);
	if (argc > 1 && (!strcmp(argv[1], "ptes") || !strcmp(argv[1], "flush"))) {
		phase = strcmp(argv[1], "ptes") ? PURGE_FLUSH : PURGE_PTES;
		i = 2;
	}
	for (; i < argc; i++, n++)
		if (parse_frame(argv[i], &f[n]))
			return -EINVAL;
	if (n)
		return purge_frames(f, n, phase);
	purge_all(phase);
	return 0;
}

/* --- one frame --- */

static void print_word(struct frame *f)
{
	u64 word = atomic_read(&f->alias), stamp = word & ALIAS_LOW;

	printk("alias word %#018lx: ", word);
	if (word & ALIAS_NOMAP)
		printk("may not be mapped; ");
	if (word & ALIAS_HEAD)
		printk("%s index %#lx\n",
		       word & ALIAS_CHAIN ? "several aliases, the first has" : "one alias, with",
		       alias_index(word));
	else if (!stamp)
		printk("never had an alias\n");
	else
		printk("no alias, the last was cleared at clock %lu: %s\n", stamp,
		       shootdown_covered(stamp) ? "every CPU has flushed since"
						: "some CPU may remember it");
}

static void print_frame(struct frame *f)
{
	char who[WHO_TEXT];

	printk("frame %#lx, physical %#lx: %s", frame_pfn(f).n, frame_paddr(f),
	       frame_type_name(f->type));
	if (f->type == FRAME_TABLE)
		printk(" of level %u", f->level);
	if (f->type == FRAME_SPACE)
		printk(", %#lx of space %u", (u64)f->page << PAGE_SHIFT, f->space);
	printk("%s%s%s\n", f->zone == ZONE_HIGH ? ", not in the direct map" : "",
	       f->owner ? ", allocated or freed last by " : "",
	       f->owner ? who_text(IMAGE_BASE + f->owner, who) : "");
	print_word(f);
}

COMMAND(frame, "PFN", "what a frame is, who has it, and its alias word; an address means its frame")
{
	struct frame *f;

	if (argc != 2)
		return CMD_USAGE;
	if (parse_frame(argv[1], &f))
		return -EINVAL;
	print_frame(f);
	return 0;
}

static void print_alias(u64 index)
{
	vaddr_t va = alias_va(index);
	struct area a;

	if (alias_is_local(index))
		printk("  %#lx  kmap_local slot of CPU %u\n", va, kmap_local_cpu(index));
	else if (describe_area_at(va, &a))
		print_area(&a, va);
}

COMMAND(aliases, "PFN", "every alias of a frame, live or lazy; an address means its frame")
{
	u64 index[LIST_MAX];
	struct frame *f;
	unsigned n;

	if (argc != 2)
		return CMD_USAGE;
	if (parse_frame(argv[1], &f))
		return -EINVAL;
	print_frame(f);
	n = alias_snapshot(f, index, ARRAY_SIZE(index));
	if (n)
		print_area_heading();
	for (unsigned i = 0; i < MIN(n, LIST_MAX); i++) {
		if (console_interrupted())
			return -EINTR;
		print_alias(index[i]);
	}
	if (n > LIST_MAX)
		printk("  ... and %u more\n", n - LIST_MAX);
	printk("%u aliases, the direct map not counted\n", n);
	return 0;
}
