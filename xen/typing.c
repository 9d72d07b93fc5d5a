// SPDX-License-Identifier: MIT
/*
 * The rules themselves. Everything is made of two functions that call each other down the levels:
 * get_type() takes a reference of a type, and promote() makes a page a table, which takes a
 * reference for each present entry, in the order of the slots. Where one is refused, what was taken
 * before is given back, so a failure leaves no trace in the counts. put_type() is the way back.
 *
 * An update takes the new entry's reference before it gives back the old one's: an entry cannot
 * make room for itself.
 */
#include "kernel/errno.h"
#include "kernel/string.h"
#include "xen/typing.h"

/*
 * Not slot 0, because of a bug in Xen (seen in 4.17.7 by the differential test, and by hand): a pin
 * of an L4 that is refused by an L2's entry in a slot above 0, reached by slot 0 of its L3 and by a
 * slot above 0 of the L4, is not undone. The L2 keeps its type, half validated, with all it refers
 * to, and no unpin takes it away. Pinning that L2 for itself goes on where Xen stopped: if refused
 * it is undone properly, if accepted it can be unpinned. Who pins tables from the bottom up never
 * sees it.
 */
const u16 typing_slot_number[TYPING_SLOTS] = {TYPING_SLOT_NUMBERS};

const struct typing_rules typing_dom0 = {.cache_bits = true, .ptwr = true, .linear = true};
/*
 * A domU's stores are done by Xen only if it has asked for that (vm_assist,
 * VMASST_TYPE_writable_pagetables), which we have not; dom0's are in any case.
 */
const struct typing_rules typing_domu = {.cache_bits = false, .ptwr = false, .linear = true};

/* What Xen puts into 256 to 271 of an L4; read as any other table's entry, a page of Xen's. */
static const pte_t xen_entry = {(u64)TYPING_FOREIGN << PAGE_SHIFT | PTE_P | PTE_U};

static int refuse(struct typing *t, int err, enum typing_reason reason, unsigned frame,
		  enum typing_type wanted)
{
	t->why = (struct typing_why){
		.reason = reason, .err = err, .frame = (u16)frame, .wanted = wanted};
	return err;
}

/* The refusal was met by this entry, or below it. */
static int refused_at(struct typing *t, unsigned table, unsigned slot, pte_t e, int err)
{
	struct typing_why *w = &t->why;

	if (w->depth < ARRAY_SIZE(w->path)) {
		w->path[w->depth] = (struct typing_ref){.frame = (u16)table, .slot = (u16)slot};
		w->entry[w->depth++] = e;
	}
	w->err = err;
	return err;
}

/* Of an L4 the slots in the middle are not looked at: Xen fills them. */
static bool counted(int level, unsigned slot)
{
	return level < 4 || !typing_is_xen_slot(slot);
}

static pte_t adjusted(pte_t e, int level)
{
	if (level == 1 && !(e.v & PTE_U))
		e.v |= PTE_XEN_KERNEL;
	else if (level == 1 && !(e.v & PTE_XEN_KERNEL))
		e.v |= PTE_G;
	e.v |= PTE_U;
	return e;
}

static int promote(struct typing *t, unsigned frame, int level);
static void put_type(struct typing *t, unsigned frame);

static int get_type(struct typing *t, unsigned frame, enum typing_type type)
{
	struct typing_frame *f = &t->frame[frame];
	int err = 0;

	if (f->count && f->type != type)
		return refuse(t, -EINVAL, WHY_TYPE, frame, type);
	if (f->count++)
		return 0;
	f->type = (u8)type;
	f->validated = false;
	if (typing_is_table(type))
		err = promote(t, frame, type);
	if (err) {
		f->type = TYPE_NONE;
		f->count = 0;
	}
	f->validated = !err;
	return err;
}

/* A leaf counts if it is writable. That its page is a table is -EBUSY; compare get_link(). */
static int get_leaf(struct typing *t, pte_t e)
{
	unsigned frame = typing_target(e);

	if (!t->rules.cache_bits && (e.v & PTE_CACHE))
		return refuse(t, -EINVAL, WHY_FLAGS, frame, TYPE_WRITABLE);
	if (frame == TYPING_FOREIGN)
		return refuse(t, -EBUSY, WHY_FOREIGN, frame, TYPE_WRITABLE);
	if (pte_writable(e) && get_type(t, frame, TYPE_WRITABLE))
		return -EBUSY;
	return 0;
}

/*
 * A read-only link to a table of the same level (get_l2_linear_pagetable and its like). One
 * to the table itself is not counted. No table may both have such links and be reached by them.
 */
static bool get_linear(struct typing *t, unsigned table, pte_t e, int level)
{
	struct typing_frame *from = &t->frame[table], *to = &t->frame[typing_target(e)];

	if (!t->rules.linear || pte_writable(e))
		return false;
	if (from == to)
		return true;
	if (!to->count || to->type != level || !to->validated)
		return false;
	if (from->linear < 0 || to->linear > 0)
		return false;
	from->linear++;
	to->linear--;
	to->count++;
	return true;
}

static int get_link(struct typing *t, unsigned table, pte_t e, int level)
{
	unsigned frame = typing_target(e);
	enum typing_type below = (enum typing_type)(level - 1);
	int err;

	if (e.v & PTE_LINK_FORBIDDEN)
		return refuse(t, -EINVAL, WHY_FLAGS, frame, below);
	if (frame == TYPING_FOREIGN)
		return refuse(t, -EINVAL, WHY_FOREIGN, frame, below);
	err = get_type(t, frame, below);
	if (err == -EINVAL && get_linear(t, table, e, level))
		return 0;
	return err;
}

/* What a present entry takes when it comes into force, and gives back when it goes. */
static int get_entry(struct typing *t, unsigned table, unsigned slot, int level, pte_t e)
{
	int err = level == 1 ? get_leaf(t, e) : get_link(t, table, e, level);

	return err ? refused_at(t, table, slot, e, err) : 0;
}

static void put_entry(struct typing *t, unsigned table, int level, pte_t e)
{
	struct typing_frame *from = &t->frame[table], *to;

	if (!pte_present(e) || typing_target(e) == TYPING_FOREIGN)
		return;
	to = &t->frame[typing_target(e)];
	if (level == 1 && !pte_writable(e))
		return;
	if (level > 1 && from == to)
		return;
	if (level > 1 && to->type == level) {
		from->linear--;
		to->linear++;
	}
	put_type(t, typing_target(e));
}

/* What the entry at `slot` takes for a table that is being validated; Xen adjusts it in place. */
static int promote_entry(struct typing *t, unsigned frame, int level, unsigned slot)
{
	struct typing_frame *f = &t->frame[frame];
	int err = 0;

	/* More of Xen's entries stand between 256 and 271 than are modelled. */
	if (slot == TYPING_XEN_LAST && level < 4 && f->xen_slots)
		err = get_entry(t, frame, slot, level, xen_entry);
	if (err || !counted(level, slot) || !pte_present(f->e[slot]))
		return err;
	err = get_entry(t, frame, slot, level, f->e[slot]);
	if (!err)
		f->e[slot] = adjusted(f->e[slot], level);
	return err;
}

/* Gives back what the entries before `end` have taken. */
static void put_entries(struct typing *t, unsigned frame, int level, unsigned end)
{
	for (unsigned i = 0; i < end; i++)
		if (counted(level, i))
			put_entry(t, frame, level, t->frame[frame].e[i]);
}

static int promote(struct typing *t, unsigned frame, int level)
{
	struct typing_frame *f = &t->frame[frame];
	int err;

	for (unsigned i = 0; i < TYPING_SLOTS; i++) {
		err = promote_entry(t, frame, level, i);
		if (err) {
			put_entries(t, frame, level, i);
			return err;
		}
	}
	if (level == 4) {
		f->xen_slots = true;
		f->e[TYPING_XEN_FIRST] = f->e[TYPING_XEN_LAST] = xen_entry;
	}
	return 0;
}

static void put_type(struct typing *t, unsigned frame)
{
	struct typing_frame *f = &t->frame[frame];

	if (--f->count)
		return;
	if (typing_is_table(f->type))
		put_entries(t, frame, f->type, TYPING_SLOTS);
	f->type = TYPE_NONE;
}

static int update(struct typing *t, unsigned frame, unsigned slot, pte_t e)
{
	struct typing_frame *f = &t->frame[frame];
	int level = f->type, err;
	pte_t old = f->e[slot];

	if (level == TYPE_SEG_DESC) /* source: do_mmu_update knows tables and writable pages */
		return refuse(t, -EINVAL, WHY_TYPE, frame, TYPE_WRITABLE);
	if (!typing_is_table(f->type)) {
		f->e[slot] = e;
		return 0;
	}
	if (!counted(level, slot)) {
		refuse(t, -EINVAL, WHY_XEN_SLOT, frame, TYPE_NONE);
		return refused_at(t, frame, slot, e, -EINVAL);
	}
	if (pte_present(e)) {
		err = get_entry(t, frame, slot, level, e);
		if (err)
			return err;
		e = adjusted(e, level);
	}
	f->e[slot] = e;
	put_entry(t, frame, level, old);
	return 0;
}

void typing_init(struct typing *t, unsigned frames, const struct typing_rules *rules)
{
	memset(t, 0, sizeof(*t));
	t->rules = *rules;
	t->frames = frames;
	typing_hold(t, TYPING_WINDOW_TABLE, TYPE_L1);
}

int typing_hold(struct typing *t, unsigned frame, enum typing_type type)
{
	int err = get_type(t, frame, type);

	t->frame[frame].outside += !err;
	return err;
}

void typing_release(struct typing *t, unsigned frame)
{
	t->frame[frame].outside--;
	put_type(t, frame);
}

int typing_mmu_update(struct typing *t, const struct typing_update *u, unsigned n, unsigned *done)
{
	int err = 0;

	for (*done = 0; *done < n; (*done)++) {
		err = update(t, u[*done].frame, u[*done].slot, u[*done].e);
		if (err)
			break;
	}
	return err;
}

int typing_update_va(struct typing *t, unsigned page, pte_t e)
{
	if (page >= TYPING_WINDOW)
		return refuse(t, -EINVAL, WHY_NO_MAPPING, TYPING_FOREIGN, TYPE_NONE);
	return update(t, TYPING_WINDOW_TABLE, page, e);
}

int typing_store(struct typing *t, unsigned page, unsigned slot, pte_t e)
{
	pte_t mapping = t->frame[TYPING_WINDOW_TABLE].e[page];
	unsigned frame = typing_target(mapping);

	if (!pte_present(mapping))
		return refuse(t, -EFAULT, WHY_NO_MAPPING, frame, TYPE_WRITABLE);
	if (!pte_writable(mapping) && (!t->rules.ptwr || t->frame[frame].type != TYPE_L1))
		return refuse(t, -EFAULT, WHY_NOT_A_TABLE, frame, TYPE_WRITABLE);
	if (!update(t, frame, slot, e))
		return 0;
	/* What Xen refuses to do for the guest, it hands to the guest as the fault that it was. */
	return t->why.err = -EFAULT;
}

int typing_pin(struct typing *t, unsigned frame, unsigned level)
{
	struct typing_frame *f = &t->frame[frame];
	int err = get_type(t, frame, (enum typing_type)level);

	if (err)
		return err;
	if (f->pinned) {
		put_type(t, frame);
		return refuse(t, -EINVAL, WHY_PINNED, frame, (enum typing_type)level);
	}
	f->pinned = true;
	return 0;
}

int typing_unpin(struct typing *t, unsigned frame)
{
	struct typing_frame *f = &t->frame[frame];

	if (!f->pinned)
		return refuse(t, -EINVAL, WHY_NOT_PINNED, frame, TYPE_NONE);
	f->pinned = false;
	put_type(t, frame);
	return 0;
}

/* Xen writes the page itself, and takes it as writable meanwhile. */
static int overwrite(struct typing *t, unsigned frame, const struct typing_frame *from)
{
	struct typing_frame *f = &t->frame[frame];

	if (f->count && f->type != TYPE_WRITABLE)
		return refuse(t, -EINVAL, WHY_TYPE, frame, TYPE_WRITABLE);
	for (unsigned i = 0; i < TYPING_SLOTS; i++)
		f->e[i] = from->e[i];
	f->xen_slots = from->xen_slots;
	return 0;
}

int typing_clear(struct typing *t, unsigned frame)
{
	static const struct typing_frame zero;

	return overwrite(t, frame, &zero);
}

int typing_copy(struct typing *t, unsigned to, unsigned from)
{
	return overwrite(t, to, &t->frame[from]);
}
