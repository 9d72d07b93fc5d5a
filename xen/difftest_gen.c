// SPDX-License-Identifier: MIT
/*
 * What the differential test does next. Purely random operations would nearly all fail: a pin needs
 * a tree of tables, each with entries of the right kind, and none of them mapped writable. So
 * frames have roles, and of a hundred operations some ninety do what a sensible guest would do with
 * a frame of that role. The rest is what a bad one does.
 */
#include "kernel/errno.h"
#include "xen/difftest.h"

/* xorshift64* (Marsaglia 2003, Vigna 2014). => 0 to n-1 */
static unsigned below(struct difftest *d, unsigned n)
{
	d->random ^= d->random >> 12;
	d->random ^= d->random << 25;
	d->random ^= d->random >> 27;
	return (unsigned)((d->random * 0x2545f4914f6cdd1dull >> 33) % n);
}

static bool chance(struct difftest *d, unsigned percent)
{
	return below(d, 100) < percent;
}

static unsigned any_frame(struct difftest *d)
{
	return 1 + below(d, d->on.frames - 1);
}

static unsigned frame_of_role(struct difftest *d, unsigned role)
{
	unsigned first = any_frame(d);

	for (unsigned i = 0; i < d->on.frames - 1; i++) {
		unsigned frame = 1 + (first - 1 + i) % (d->on.frames - 1);

		if (d->role[frame] == role)
			return frame;
	}
	return first;
}

void difftest_new_roles(struct difftest *d)
{
	static const u8 mix[] = {4, 3, 2, 2, 1, 1, 1, 0, 0, 0};

	d->role[TYPING_WINDOW_TABLE] = 1;
	for (unsigned i = 1; i < d->on.frames; i++)
		d->role[i] = mix[below(d, ARRAY_SIZE(mix))];
}

static pte_t leaf(struct difftest *d)
{
	unsigned r = below(d, 100);
	unsigned target = r < 75 ? frame_of_role(d, 0) : any_frame(d);
	u64 bits = PTE_P | PTE_A | PTE_D;

	if (r == 99)
		target = TYPING_FOREIGN;
	else if (r == 98)
		target = TYPING_WINDOW_TABLE;
	if (chance(d, target <= TYPING_FRAMES && !d->role[target] ? 70 : 15))
		bits |= PTE_W;
	if (chance(d, 20))
		bits |= PTE_U;
	if (chance(d, 1))
		bits |= PTE_PAT;
	return typing_entry(target, bits);
}

static pte_t link(struct difftest *d, unsigned role)
{
	unsigned r = below(d, 100);
	unsigned target = r < 94 ? frame_of_role(d, role - 1) : any_frame(d);
	u64 bits = PTE_P | PTE_A;

	if (r == 99)
		target = TYPING_FOREIGN;
	else if (r == 98)
		target = TYPING_WINDOW_TABLE;
	else if (r == 97)
		bits |= PTE_PS;
	else if (r == 96)
		bits |= PTE_G;
	else if (r >= 92 && r < 94)
		return typing_entry(frame_of_role(d, role), bits); /* its own level, read-only */
	if (chance(d, 95))
		bits |= PTE_W;
	if (chance(d, 50))
		bits |= PTE_U;
	return typing_entry(target, bits);
}

static pte_t entry(struct difftest *d, unsigned frame)
{
	unsigned role = d->role[frame];

	if (chance(d, 2)) /* as if the frame were something else */
		role = below(d, 5);
	if (chance(d, 25))
		return (pte_t){0};
	return role > 1 ? link(d, role) : leaf(d);
}

/* Xen's slots are seldom asked for; elsewhere that is enough to have them used. */
static unsigned slot(struct difftest *d)
{
	unsigned s = below(d, TYPING_SLOTS);

	return typing_is_xen_slot(s) && chance(d, 80) ? s - 4 : s;
}

static void mmu_update(struct difftest *d, struct difftest_op *op)
{
	op->n = (u8)(chance(d, 60) ? 1 : 1 + below(d, DIFFTEST_BATCH));
	for (unsigned i = 0; i < op->n; i++) {
		unsigned frame = chance(d, 90) ? frame_of_role(d, 1 + below(d, 4)) : any_frame(d);

		op->u[i] = (struct typing_update){
			.frame = (u8)frame, .slot = (u8)slot(d), .e = entry(d, frame)};
	}
}

static void update_va(struct difftest *d, struct difftest_op *op)
{
	op->page = (u16)below(d, TYPING_WINDOW);
	if (chance(d, 2))
		op->page = (u16)(chance(d, 50) ? TYPING_VA_HOLE : TYPING_VA_XEN);
	if (chance(d, 55)) /* mapped for a short time, or nothing could ever be pinned */
		return;
	op->u[0].e = leaf(d);
	if (chance(d, 50))
		op->u[0].e = typing_entry(any_frame(d),
					  PTE_P | PTE_A | PTE_D | (chance(d, 40) ? PTE_W : 0));
	/* A store by that page would change the kernel's own table. */
	if (typing_target(op->u[0].e) == TYPING_WINDOW_TABLE && !pte_writable(op->u[0].e))
		op->u[0].e.v = 0;
}

static void store(struct difftest *d, struct difftest_op *op)
{
	const struct typing_frame *window = &d->model.frame[TYPING_WINDOW_TABLE];
	unsigned page = below(d, TYPING_WINDOW);

	for (unsigned i = 0; i < TYPING_WINDOW && !pte_present(window->e[page]); i++)
		page = (page + 1) % TYPING_WINDOW;
	op->page = (u16)page;
	op->other = (u8)slot(d);
	op->u[0].e = entry(d, pte_present(window->e[page]) ? typing_target(window->e[page]) : 1);
}

static void pin(struct difftest *d, struct difftest_op *op)
{
	unsigned role = 1 + below(d, 4);

	op->frame = (u8)frame_of_role(d, role);
	op->other = (u8)role;
	if (chance(d, 10))
		op->other = (u8)(1 + below(d, 4));
}

static void unpin(struct difftest *d, struct difftest_op *op)
{
	unsigned frame = any_frame(d);

	if (!chance(d, 10))
		for (unsigned i = 1; i < d->on.frames && !d->model.frame[frame].pinned; i++)
			frame = 1 + frame % (d->on.frames - 1);
	op->frame = (u8)frame;
}

static void copy(struct difftest *d, struct difftest_op *op)
{
	unsigned from = any_frame(d);

	/* A copy of Xen's entries would name the L4 they were made for: away with them instead. */
	op->kind = d->model.frame[from].xen_slots ? OP_CLEAR : OP_COPY;
	op->other = (u8)from;
	op->frame = (u8)from;
	if (op->kind == OP_COPY)
		op->frame = (u8)(chance(d, 80) ? frame_of_role(d, d->role[from]) : any_frame(d));
}

void difftest_generate(struct difftest *d, struct difftest_op *op)
{
	unsigned r = below(d, 100);

	*op = (struct difftest_op){0};
	if (r < 42) {
		op->kind = OP_MMU_UPDATE;
		mmu_update(d, op);
	} else if (r < 56) {
		op->kind = OP_UPDATE_VA;
		update_va(d, op);
	} else if (r < 70) {
		op->kind = OP_STORE;
		store(d, op);
	} else if (r < 86) {
		op->kind = OP_PIN;
		pin(d, op);
	} else if (r < 94) {
		op->kind = OP_UNPIN;
		unpin(d, op);
	} else if (r < 96) {
		op->kind = OP_CLEAR;
		op->frame = (u8)any_frame(d);
	} else {
		copy(d, op);
	}
}

/*
 * The entries that hold the frame are cleared if that is all it takes: few of them, none of the
 * window's (mmu_update does not flush), no pin. Where a leaf was refused, the leaf goes instead.
 */
void difftest_repair(struct difftest *d, const struct difftest_op *pinned)
{
	const struct typing_why *w = &d->model.why;
	struct typing_ref refs[DIFFTEST_BATCH];
	unsigned n;

	if (w->reason != WHY_TYPE || !chance(d, 60))
		return;
	if (w->err == -EBUSY) {
		refs[0] = w->path[0];
		n = 1;
	} else {
		n = typing_blockers(&d->model, w->frame, w->wanted, refs, DIFFTEST_BATCH);
		if (d->model.frame[w->frame].pinned || d->model.frame[w->frame].outside)
			return;
	}
	if (!n || n > DIFFTEST_BATCH)
		return;
	d->next[1] = (struct difftest_op){.kind = OP_MMU_UPDATE, .n = (u8)n};
	for (unsigned i = 0; i < n; i++) {
		if (refs[i].frame == TYPING_WINDOW_TABLE)
			return;
		d->next[1].u[i] =
			(struct typing_update){.frame = refs[i].frame, .slot = refs[i].slot};
	}
	d->next[0] = *pinned;
	d->next_ops = 2;
}
