// SPDX-License-Identifier: MIT
/*
 * Runs operations on machine and model and compares. What to run comes from xen/difftest_gen.c.
 */
#include "kernel/errno.h"
#include "kernel/string.h"
#include "xen/difftest.h"

static const char *const kind_names[OP_KINDS] = {
	[OP_MMU_UPDATE] = "mmu_update",
	[OP_UPDATE_VA] = "update_va",
	[OP_STORE] = "store",
	[OP_PIN] = "pin",
	[OP_UNPIN] = "unpin",
	[OP_CLEAR] = "clear",
	[OP_COPY] = "copy",
};

static struct difftest_result on_model(struct typing *t, const struct difftest_op *op)
{
	struct difftest_result r = {0};

	switch (op->kind) {
	case OP_MMU_UPDATE:
		r.rc = typing_mmu_update(t, op->u, op->n, &r.done);
		break;
	case OP_UPDATE_VA:
		r.rc = typing_update_va(t, op->page, op->u[0].e);
		break;
	case OP_STORE:
		r.rc = typing_store(t, op->page, op->other, op->u[0].e);
		break;
	case OP_PIN:
		r.rc = typing_pin(t, op->frame, op->other);
		break;
	case OP_UNPIN:
		r.rc = typing_unpin(t, op->frame);
		break;
	case OP_CLEAR:
		r.rc = typing_clear(t, op->frame);
		break;
	case OP_COPY:
		r.rc = typing_copy(t, op->frame, op->other);
		break;
	}
	return r;
}

static struct difftest_result on_machine(struct difftest *d, const struct difftest_op *op)
{
	const struct typing_backend *b = d->on.backend;
	struct difftest_result r = {0};

	switch (op->kind) {
	case OP_MMU_UPDATE:
		r.rc = b->mmu_update(d->on.ctx, op->u, op->n, &r.done);
		break;
	case OP_UPDATE_VA:
		r.rc = b->update_va(d->on.ctx, op->page, op->u[0].e);
		break;
	case OP_STORE:
		r.rc = b->store(d->on.ctx, op->page, op->other, op->u[0].e);
		break;
	case OP_PIN:
		r.rc = b->pin(d->on.ctx, op->frame, op->other);
		break;
	case OP_UNPIN:
		r.rc = b->unpin(d->on.ctx, op->frame);
		break;
	case OP_CLEAR:
		r.rc = b->clear(d->on.ctx, op->frame);
		break;
	case OP_COPY:
		r.rc = b->copy(d->on.ctx, op->frame, op->other);
		break;
	}
	return r;
}

static void say_op(const struct difftest *d, const struct difftest_op *op)
{
	d->on.say("    %s", kind_names[op->kind]);
	switch (op->kind) {
	case OP_MMU_UPDATE:
		for (unsigned i = 0; i < op->n; i++)
			d->on.say(" [frame %u slot %u := %#lx]", op->u[i].frame,
				  typing_slot_number[op->u[i].slot], op->u[i].e.v);
		break;
	case OP_UPDATE_VA:
		d->on.say(" page %#x := %#lx", op->page, op->u[0].e.v);
		break;
	case OP_STORE:
		d->on.say(" page %u slot %u := %#lx", op->page, typing_slot_number[op->other],
			  op->u[0].e.v);
		break;
	case OP_PIN:
		d->on.say(" frame %u as L%u", op->frame, op->other);
		break;
	case OP_COPY:
		d->on.say(" to frame %u from %u", op->frame, op->other);
		break;
	default:
		d->on.say(" frame %u", op->frame);
	}
	d->on.say("\n");
}

/*
 * => do all frames hold the same? Accessed and dirty belong to the processor, 256 to 271 of what
 * was an L4 to Xen; the window's table is not the test's own.
 */
static bool same_memory(struct difftest *d, bool tell)
{
	for (unsigned frame = 1; frame < d->on.frames; frame++)
		for (unsigned i = 0; i < TYPING_SLOTS; i++) {
			const struct typing_frame *f = &d->model.frame[frame];
			pte_t e = d->on.backend->read(d->on.ctx, frame, i);

			if (typing_is_xen_slot(i) && f->xen_slots)
				continue;
			if (!((e.v ^ f->e[i].v) & ~(PTE_A | PTE_D)))
				continue;
			if (tell)
				d->on.say("  frame %u slot %u: machine %#lx, model %#lx\n", frame,
					  typing_slot_number[i], e.v, f->e[i].v);
			return false;
		}
	return true;
}

/*
 * One operation on both. Where the model foresees a fault and the machine is not to take any, it is
 * left out. => do they agree?
 */
static bool agree(struct difftest *d, const struct difftest_op *op, struct difftest_result *model,
		  struct difftest_result *machine)
{
	*model = *machine = on_model(&d->model, op);
	if (model->rc == -EFAULT && !d->on.faults)
		return true;
	*machine = on_machine(d, op);
	return machine->rc == model->rc && machine->done == model->done && same_memory(d, false);
}

static int clean(struct difftest *d, bool tell)
{
	const struct typing_backend *b = d->on.backend;
	int err = 0;

	/* Not pinned is as good as unpinned. */
	for (unsigned i = 1; i < d->on.frames; i++)
		b->unpin(d->on.ctx, i);
	for (unsigned i = 0; i < TYPING_WINDOW; i++)
		b->update_va(d->on.ctx, i, (pte_t){0});
	for (unsigned i = 1; i < d->on.frames; i++) {
		if (!b->clear(d->on.ctx, i))
			continue;
		err = -EBUSY;
		if (tell)
			d->on.say(
				"difftest: frame %u cannot be cleared: something still counts on it\n",
				i);
	}
	typing_init(&d->model, d->on.frames, d->on.rules);
	return err;
}

int difftest_clean(struct difftest *d)
{
	return clean(d, true);
}

/*
 * Runs the epoch's operations again, but for the one at `without`. => the first that disagrees;
 * their number if none does, or if the machine does not come clean: nothing can be built on that
 */
static unsigned replay(struct difftest *d, unsigned without)
{
	struct difftest_result model, machine;

	if (clean(d, false))
		return d->ops;
	for (unsigned i = 0; i < d->ops; i++)
		if (i != without && !agree(d, &d->op[i], &model, &machine))
			return i;
	return d->ops;
}

static void drop(struct difftest *d, unsigned index)
{
	d->ops--;
	for (unsigned i = index; i < d->ops; i++)
		d->op[i] = d->op[i + 1];
}

/* Leaves operations out, the last first, while what remains still disagrees at its end. */
static void shrink(struct difftest *d)
{
	for (unsigned i = d->ops; i--;) {
		unsigned end = replay(d, i);

		if (end == d->ops)
			continue;
		d->ops = end + 1;
		if (i < end)
			drop(d, i);
	}
}

static void report(struct difftest *d, const struct difftest_result *model,
		   const struct difftest_result *machine)
{
	struct difftest_result again[2];

	d->on.say(
		"difftest: machine and model disagree: seed %#lx, step %lu, operation %u of its epoch:\n",
		d->seed, d->step, d->ops);
	say_op(d, &d->op[d->ops - 1]);
	d->on.say("  machine %d (done %u), model %d (done %u)\n", machine->rc, machine->done,
		  model->rc, model->done);
	same_memory(d, true);
	if (model->rc)
		typing_explain(&d->model, d->on.say);
	shrink(d);
	d->on.say("difftest: %u operations on zeroed frames are enough:\n", d->ops);
	clean(d, false);
	for (unsigned i = 0; i < d->ops; i++) {
		bool same = agree(d, &d->op[i], &again[0], &again[1]);

		say_op(d, &d->op[i]);
		d->on.say("      machine %d, model %d%s\n", again[1].rc, again[0].rc,
			  same ? "" : "  <- here");
	}
	same_memory(d, true);
}

static void count(struct difftest *d, const struct difftest_op *op, int rc)
{
	unsigned column = rc == -EINVAL ? 1 : rc == -EBUSY ? 2 : rc == -EFAULT ? 3 : 0;

	d->count[op->kind][column]++;
	if (rc && d->model.why.depth > d->deepest)
		d->deepest = d->model.why.depth;
	if (op->kind == OP_PIN && !rc && op->other == 4)
		for (unsigned i = 0; i < TYPING_SLOTS; i++) {
			pte_t e = d->model.frame[op->frame].e[i];

			if (pte_present(e) && !typing_is_xen_slot(i)) {
				d->trees++;
				break;
			}
		}
}

void difftest_init(struct difftest *d, const struct difftest_config *on, u64 seed)
{
	memset(d, 0, sizeof(*d));
	d->on = *on;
	d->seed = seed;
	d->random = seed ? seed : 1;
	d->ops = DIFFTEST_EPOCH;
}

static int step(struct difftest *d)
{
	struct difftest_result model, machine;
	struct difftest_op *op;
	bool retry = false;
	int err;

	if (d->ops == DIFFTEST_EPOCH) {
		err = difftest_clean(d);
		if (err)
			return err;
		difftest_new_roles(d);
		d->ops = d->next_ops = 0;
	}
	op = &d->op[d->ops++];
	if (d->next_ops) {
		*op = d->next[--d->next_ops];
		retry = op->kind == OP_PIN;
	} else {
		difftest_generate(d, op);
	}
	if (!agree(d, op, &model, &machine)) {
		report(d, &model, &machine);
		return -EBADMSG;
	}
	d->step++;
	if (model.rc != -EFAULT || d->on.faults)
		count(d, op, model.rc);
	d->retried += retry;
	d->retry_pinned += retry && !model.rc;
	if (op->kind == OP_PIN && model.rc)
		difftest_repair(d, op);
	return 0;
}

int difftest_run(struct difftest *d, u64 steps)
{
	int err = 0;

	while (steps-- && !err)
		err = step(d);
	return err;
}

void difftest_coverage(const struct difftest *d)
{
	d->on.say("difftest: seed %#lx, %lu operations\n", d->seed, d->step);
	d->on.say("  %-12s %10s %10s %10s %10s\n", "", "done", "-EINVAL", "-EBUSY", "fault");
	for (unsigned i = 0; i < OP_KINDS; i++)
		d->on.say("  %-12s %10lu %10lu %10lu %10lu\n", kind_names[i], d->count[i][0],
			  d->count[i][1], d->count[i][2], d->count[i][3]);
	d->on.say("  L4 tables pinned that had entries: %lu; deepest refused entry: %u levels\n",
		  d->trees, d->deepest);
	d->on.say(
		"  refused pins tried again without their blockers: %lu, of which accepted: %lu\n",
		d->retried, d->retry_pinned);
}
