// SPDX-License-Identifier: MIT
/*
 * Why Xen refused: the entry it stopped at, the way it came, and which entries hold the frame. A
 * release build of Xen says none of this, and a debug build only how many they are.
 */
#include "xen/typing.h"

const char *typing_type_name(unsigned type)
{
	static const char *const names[] = {"untyped",	   "an L1 table", "an L2 table",
					    "an L3 table", "an L4 table", "a GDT",
					    "of type 6",   "writable"};

	return type < ARRAY_SIZE(names) ? names[type] : "of no known type";
}

/* The type that a present entry of a table of `level` asks for; TYPE_NONE if it is not counted. */
static enum typing_type asks_for(const struct typing *t, unsigned table, unsigned slot)
{
	const struct typing_frame *f = &t->frame[table];
	pte_t e = f->e[slot];

	if (!typing_is_table(f->type) || !pte_present(e) || typing_target(e) == TYPING_FOREIGN)
		return TYPE_NONE;
	if (f->type == TYPE_L1)
		return pte_writable(e) ? TYPE_WRITABLE : TYPE_NONE;
	if ((f->type == TYPE_L4 && typing_is_xen_slot(slot)) || typing_target(e) == table)
		return TYPE_NONE;
	/* Its own level, if it is a read-only link of that kind: then the frame has that type. */
	return t->frame[typing_target(e)].type == f->type ? (enum typing_type)f->type
							  : (enum typing_type)(f->type - 1);
}

unsigned typing_blockers(const struct typing *t, unsigned frame, enum typing_type wanted,
			 struct typing_ref *refs, unsigned max)
{
	unsigned n = 0;

	for (unsigned table = 0; table < t->frames; table++)
		for (unsigned slot = 0; slot < TYPING_SLOTS; slot++) {
			enum typing_type type = asks_for(t, table, slot);

			if (type == TYPE_NONE || type == wanted ||
			    typing_target(t->frame[table].e[slot]) != frame)
				continue;
			if (n < max)
				refs[n] = (struct typing_ref){.frame = (u8)table, .slot = (u8)slot};
			n++;
		}
	return n;
}

static void say_ref(struct typing_ref at, pte_t e, typing_say_fn say)
{
	say("    frame %u slot %u: %#lx\n", at.frame, typing_slot_number[at.slot], e.v);
}

static void say_blockers(const struct typing *t, typing_say_fn say)
{
	const struct typing_why *w = &t->why;
	const struct typing_frame *f = &t->frame[w->frame];
	struct typing_ref refs[TYPING_SLOTS];
	unsigned n = typing_blockers(t, w->frame, w->wanted, refs, ARRAY_SIZE(refs));

	if (!f->count || f->type == w->wanted) {
		say("  frame %u had become another type by the same operation, now undone: "
		    "a table maps itself or a table near it\n",
		    w->frame);
		return;
	}
	say("  frame %u is %s, by %u references, and was to be %s\n", w->frame,
	    typing_type_name(f->type), f->count, typing_type_name(w->wanted));
	if (n)
		say("  entries to clear first, %u:\n", n);
	for (unsigned i = 0; i < n && i < ARRAY_SIZE(refs); i++)
		say_ref(refs[i], t->frame[refs[i].frame].e[refs[i].slot], say);
	if (n > ARRAY_SIZE(refs))
		say("    and %u more\n", n - (unsigned)ARRAY_SIZE(refs));
	if (f->pinned)
		say("  it is pinned: unpin it\n");
	if (f->outside)
		say("  %u references stand in no table: granted, a vcpu_info, a GDT, a CPU's root\n",
		    f->outside);
}

void typing_explain(const struct typing *t, typing_say_fn say)
{
	static const char *const reasons[] = {
		[WHY_NOTHING] = "nothing was refused",
		[WHY_TYPE] = "the frame has another type",
		[WHY_FOREIGN] = "the frame is not the guest's",
		[WHY_FLAGS] = "the entry has a bit that it may not have",
		[WHY_XEN_SLOT] = "slots 256 to 271 of an L4 are Xen's",
		[WHY_PINNED] = "it is pinned already",
		[WHY_NOT_PINNED] = "it is not pinned",
		[WHY_NOT_A_TABLE] = "the page is read-only and not an L1 table",
		[WHY_NO_MAPPING] = "nothing is mapped there",
	};
	const struct typing_why *w = &t->why;

	say("  refused with %d: %s\n", w->err, reasons[w->reason]);
	if (w->depth)
		say("  at the first of these entries, reached by the others:\n");
	for (unsigned i = 0; i < w->depth; i++)
		say_ref(w->path[i], w->entry[i], say);
	if (w->reason == WHY_TYPE)
		say_blockers(t, say);
}
