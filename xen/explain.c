// SPDX-License-Identifier: MIT
/*
 * Xen says only yes or no. A page table is refused with -EINVAL if the frame is still mapped
 * writable by some entry, anywhere; with -EBUSY if one of the table's own entries would map a
 * table writable. Which entry it is Xen does not say, and a release build of it does not even
 * log the frame. But we know all entries there are: those we wrote.
 *
 * Of a frame that is to become a table these may be in the way:
 *
 *   an alias          a page of the vmap area or a kmap_local slot, live or lazy: its alias word
 *                     knows them all (mm/alias.h), so this costs a look where there is none
 *   the image         a frame of the image is mapped there too
 *   a space's page    the tree's own leaves, if one maps a table
 *
 * (The direct map's entry has lost W before we ask.) Where none of these is found the reference is
 * one that no entry of ours holds: the frame is granted to another domain that has mapped it, or
 * registered as a vCPU's info page, or a GDT; Xen counts these as well.
 *
 * What is found before the pin is also a prediction: it must be refused, or accepted. A
 * disagreement is a bug of ours, or of this page, and is counted (xen_mispredicted).
 */
#include "xen/explain.h"
#include "kernel/errno.h"
#include "kernel/monitor.h"
#include "kernel/printk.h"
#include "kernel/string.h"
#include "mm/alias.h"
#include "mm/describe.h"
#include "mm/kmap.h"
#include "mm/space.h"
#include "xen/mmu.h"

static spinlock_t lock = SPINLOCK_INIT("refusals"); /* CPUs are refused at the same time */
/* Under lock: */
static struct xen_refusal last;
static unsigned to_print = 4;

/* --- finding --- */

/* => the entry at `va` maps `table` writable */
static bool blocks(vaddr_t va, pfn_t table)
{
	struct pt_walk w;
	pte_t e;

	if (!pt_walk(kernel_root, va, &w))
		return false;
	e = w.step[w.level].entry;
	return pte_writable(e) && paddr_to_pfn(pte_addr(e, w.level)).n == table.n;
}

static void add(struct xen_refusal *r, pfn_t table, vaddr_t va, pfn_t root)
{
	r->nr++;
	if (r->named < XEN_BLOCKERS)
		r->blocker[r->named++] = (struct xen_blocker){table, va, root};
}

#define ALIASES_MAX 64

static void find_of_table(pfn_t table, struct xen_refusal *r)
{
	struct frame *f = pfn_frame(table);
	vaddr_t image = IMAGE_BASE + pfn_to_paddr(table);
	u64 index[ALIASES_MAX];
	unsigned n = 0;

	if (atomic_read(&f->alias) & ALIAS_HEAD)
		n = alias_snapshot(f, index, ALIASES_MAX);
	for (unsigned i = 0; i < MIN(n, ALIASES_MAX); i++)
		if (alias_is_local(index[i]))
			add(r, table, alias_va(index[i]),
			    kmap_local_root(kmap_local_cpu(index[i])));
		else if (blocks(alias_va(index[i]), table))
			add(r, table, alias_va(index[i]), kernel_root);
	if (in_image(image) && blocks(image, table))
		add(r, table, image, kernel_root);
	if (r->nr && !r->expected)
		r->expected = -EINVAL;
}

/* Below `table`, whose entries map from `va` on. Xen looks at leaves first, and so do we. */
static void find_in_tree(pfn_t table, int level, vaddr_t va, struct xen_refusal *r)
{
	unsigned slots = level == PT_LEVELS ? PT_ENTRIES / 2 : PT_ENTRIES;

	if (level < PT_LEVELS && xen_is_sealed(table))
		return; /* it is in use as a table: by another root */
	for (unsigned slot = 0; slot < slots; slot++, va += pt_entry_size(level)) {
		pte_t e = pt_read(table, slot);
		pfn_t to = paddr_to_pfn(pte_addr(e, level));

		if (!pte_present(e))
			continue;
		if (!pte_leaf(e, level)) {
			find_in_tree(to, level - 1, va, r);
		} else if (pte_writable(e) && frame_valid(to) &&
			   pfn_frame(to)->type == FRAME_TABLE) {
			add(r, to, va, r->root);
			r->expected = r->expected ? r->expected : -EBUSY;
		}
	}
	find_of_table(table, r);
}

void xen_find_blockers(pfn_t root, struct xen_refusal *r)
{
	r->root = root;
	r->nr = r->named = 0;
	r->err = r->expected = 0;
	find_in_tree(root, PT_LEVELS, 0, r);
}

/* --- telling --- */

static void tell_path(pfn_t root, vaddr_t va)
{
	struct pt_walk w;

	pt_walk(root, va, &w);
	printk("xen:   ");
	for (int level = PT_LEVELS; level >= w.level; level--)
		printk("%sL%d[%u]", level == PT_LEVELS ? "" : " -> ", level, w.step[level].slot);
	printk(": entry %#lx of table %#lx\n", w.step[w.level].entry.v, w.step[w.level].table.n);
}

static const char *remedy(vaddr_t va, const struct area *a, bool is_area)
{
	if (in_local_slots(va))
		return "kunmap_local() on that CPU";
	if (!is_area)
		return "nothing: it is mapped for good";
	if (word_state(atomic_read(&a->word)) == AREA_LAZY)
		return "vm_unmap_frame_aliases() of the frame, or vm_unmap_aliases() of all";
	return "unmapping it: it is in use";
}

static void tell_blocker(const struct xen_blocker *b)
{
	char what[256];
	struct area a;
	bool is_area = describe_area_at(b->va, &a);

	mm_describe(b->va, what, sizeof(what));
	printk("xen: frame %#lx, to be a level-%u table, is mapped writable at %#lx\n", b->table.n,
	       pfn_frame(b->table)->level, b->va);
	if (!in_user_half(b->va))
		tell_path(b->root, b->va);
	printk("xen:   that address: %s\n", what);
	printk("xen:   what would clear it: %s\n", remedy(b->va, &a, is_area));
}

void xen_tell_refusal(const struct xen_refusal *r)
{
	printk("xen: Xen refuses to pin root %#lx: %d (%s)\n", r->root.n, r->err,
	       r->err == -EBUSY ? "one of its entries maps a page table writable"
				: "a frame of it is mapped writable, or of another type");
	for (unsigned i = 0; i < r->named; i++)
		tell_blocker(&r->blocker[i]);
	if (r->nr > r->named)
		printk("xen: and %u more\n", r->nr - r->named);
	if (!r->nr)
		printk("xen: no entry of ours is in the way: a frame of it may be granted to another domain, a vCPU's info page, or a GDT\n");
}

/* => how many, this one included, may still be printed */
static unsigned take_turn(const struct xen_refusal *r)
{
	unsigned left;

	spin_lock(&lock);
	if (r)
		last = *r;
	left = to_print;
	to_print -= !!left;
	spin_unlock(&lock);
	return left;
}

void xen_note_refusal(const struct xen_refusal *r)
{
	unsigned left = take_turn(r);

	count(xen_refused);
	if (r->nr)
		count(xen_explained);
	if (left)
		xen_tell_refusal(r);
	if (left == 1)
		printk("xen: further refusals are counted, not printed (stats xen_*; `explain` shows the last)\n");
}

const struct xen_refusal *xen_last_refusal(void)
{
	return &last;
}

void xen_explain_entry(pfn_t table, unsigned slot, u64 entry, int err)
{
	pfn_t to = paddr_to_pfn(entry & PTE_ADDR);

	if (!take_turn(NULL))
		return;
	if (!(entry & PTE_P))
		printk("xen: Xen refuses to clear entry %u of table %#lx: %d\n", slot, table.n,
		       err);
	else if (!frame_valid(to))
		printk("xen: Xen refuses entry %u of table %#lx: %d: %#lx is no memory this domain may map\n",
		       slot, table.n, err, (u64)pfn_to_paddr(to));
	else
		printk("xen: Xen refuses entry %u of table %#lx: %d: frame %#lx is %s\n", slot,
		       table.n, err, to.n, frame_type_name(pfn_frame(to)->type));
}

COMMAND(explain, "[N]", "under Xen: what it refused last, and why; N: print the next N refusals")
{
	struct xen_refusal r;
	u64 n;

	if (argc > 2)
		return CMD_USAGE;
	if (argc == 2) {
		if (parse_u64(argv[1], &n) || n > ~0u) {
			printk("explain: '%s' is no number of refusals\n", argv[1]);
			return -EINVAL;
		}
		spin_lock(&lock);
		to_print = (unsigned)n;
		spin_unlock(&lock);
		return 0;
	}
	spin_lock(&lock);
	r = last;
	spin_unlock(&lock);
	if (r.err)
		xen_tell_refusal(&r);
	else
		printk("explain: nothing was refused so far\n");
	return 0;
}
