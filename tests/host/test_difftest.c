// SPDX-License-Identifier: MIT
/*
 * The differential test of xen/difftest.h, tested: the model agrees with the naive implementation
 * over hundreds of thousands of operations, type for type and count for count after each of them;
 * and each fault planted in that implementation is found.
 */
// links: xen/typing.c xen/typing_why.c xen/difftest.c xen/difftest_gen.c tests/host/typing_naive.c
#include <stdlib.h>
#include "kernel/errno.h"
#include "tests/host/tap.h"
#include "tests/host/typing_naive.h"

#define FRAMES 32u

static struct naive machine;
static struct difftest d;
static char said[1 << 16];

TAP_PRINTF(1, 2) static void say(const char *fmt, ...)
{
	size_t n = strnlen(said, sizeof(said));
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(said + n, sizeof(said) - n, fmt, ap);
	va_end(ap);
}

/* What was said, as TAP's remarks. */
static void show(void)
{
	for (char *line = strtok(said, "\n"); line; line = strtok(NULL, "\n"))
		printf("# %s\n", line);
	said[0] = 0;
}

static void begin(const struct typing_rules *rules, unsigned frames, bool faults,
		  enum naive_bug bug, u64 seed)
{
	struct difftest_config on = {.backend = &naive_backend,
				     .ctx = &machine,
				     .rules = rules,
				     .frames = frames,
				     .faults = faults,
				     .say = say};

	naive_init(&machine, frames, rules, bug);
	difftest_init(&d, &on, seed);
	said[0] = 0;
}

/* => are the model's types and counts those that follow from the tables? */
static bool same_counts(void)
{
	for (unsigned i = 0; i < d.on.frames; i++) {
		const struct typing_frame *f = &d.model.frame[i];

		if (f->type == machine.c.type[i] && f->count == machine.c.count[i] &&
		    f->linear == machine.c.linear[i] && f->pinned == machine.pinned[i])
			continue;
		say("step %lu frame %u: model type %u count %u linear %d, recount %u %u %d\n",
		    d.step, i, f->type, f->count, f->linear, machine.c.type[i], machine.c.count[i],
		    machine.c.linear[i]);
		return false;
	}
	return true;
}

static void agrees(const char *name, const struct typing_rules *rules, unsigned frames, bool faults,
		   u64 seed, u64 steps)
{
	bool good = true;

	begin(rules, frames, faults, BUG_NONE, seed);
	for (u64 i = 0; i < steps && good; i++)
		good = !difftest_run(&d, 1) && same_counts();
	ok(good, "%s, %u frames: machine, model and recount agree for %lu operations", name, frames,
	   steps);
	difftest_coverage(&d);
	show();
}

static void covers(void)
{
	static const struct {
		enum difftest_kind kind;
		unsigned column;
		const char *what;
	} need[] = {
		{OP_MMU_UPDATE, 0, "mmu_update done"},
		{OP_MMU_UPDATE, 1, "mmu_update -EINVAL"},
		{OP_MMU_UPDATE, 2, "mmu_update -EBUSY"},
		{OP_UPDATE_VA, 0, "update_va done"},
		{OP_UPDATE_VA, 1, "update_va -EINVAL"},
		{OP_UPDATE_VA, 2, "update_va -EBUSY"},
		{OP_STORE, 0, "store done"},
		{OP_STORE, 3, "store faults"},
		{OP_PIN, 0, "pin done"},
		{OP_PIN, 1, "pin -EINVAL"},
		{OP_PIN, 2, "pin -EBUSY"},
		{OP_UNPIN, 0, "unpin done"},
		{OP_UNPIN, 1, "unpin -EINVAL"},
		{OP_CLEAR, 0, "clear done"},
		{OP_CLEAR, 1, "clear -EINVAL"},
		{OP_COPY, 0, "copy done"},
		{OP_COPY, 1, "copy -EINVAL"},
	};

	begin(&typing_dom0, FRAMES, true, BUG_NONE, 5);
	ok(!difftest_run(&d, 40000), "40000 operations to see what they cover");
	for (unsigned i = 0; i < ARRAY_SIZE(need); i++)
		ok(d.count[need[i].kind][need[i].column] >= 50, "%s: %lu times, at least 50",
		   need[i].what, d.count[need[i].kind][need[i].column]);
	ok(d.trees >= 200, "L4 tables with entries were pinned, %lu, at least 200", d.trees);
	ok(d.deepest == 4, "a refusal came from an L1 through all four levels");
	ok(d.retry_pinned >= 50,
	   "of %lu pins tried again without what blocked them %lu were accepted", d.retried,
	   d.retry_pinned);
}

static void finds(enum naive_bug bug)
{
	bool found = false;
	u64 seed;

	for (seed = 1; seed <= 8 && !found; seed++) {
		begin(&typing_dom0, FRAMES, true, bug, seed);
		found = difftest_run(&d, 20000) != 0;
	}
	ok(found, "found after %lu operations, %u of them shown: %s", d.step, d.ops,
	   naive_bug_names[bug]);
	/* What does not come clean cannot be run again, and its epoch is shown as it was. */
	ok(strstr(said, "<- here") || bug == BUG_UNPIN_LEAKS, "it is shown again");
	ok(d.ops <= 30 || bug == BUG_UNPIN_LEAKS, "by few operations");
	said[0] = 0;
}

static void comes_clean(void)
{
	bool zero = true;

	begin(&typing_dom0, FRAMES, true, BUG_NONE, 77);
	ok(!difftest_run(&d, DIFFTEST_EPOCH), "an epoch");
	ok(!difftest_clean(&d), "all frames can be cleared after it");
	naive_recount(&machine);
	for (unsigned i = 1; i < FRAMES; i++) {
		zero &= !machine.c.count[i] && !machine.pinned[i];
		for (unsigned s = 0; s < TYPING_SLOTS; s++)
			zero &= !machine.mem[i][s].v;
	}
	ok(zero, "and are zero, untyped and unpinned");

	begin(&typing_dom0, FRAMES, true, BUG_UNPIN_LEAKS, 1);
	ok(!naive_backend.pin(&machine, 3, 1), "a frame whose type will not go away");
	ok(difftest_clean(&d) == -EBUSY, "a frame that stays typed is said");
	ok(strstr(said, "frame 3 cannot be cleared") != NULL, "by its number");
}

int main(void)
{
	agrees("dom0", &typing_dom0, FRAMES, true, 1, 200000);
	agrees("domU", &typing_domu, FRAMES, true, 2, 100000);
	agrees("dom0, few frames", &typing_dom0, 8, true, 3, 50000);
	agrees("dom0, many frames", &typing_dom0, TYPING_FRAMES, false, 4, 50000);
	covers();
	for (enum naive_bug bug = BUG_NONE + 1; bug < BUGS; bug++)
		finds(bug);
	comes_clean();
	return done_testing();
}
