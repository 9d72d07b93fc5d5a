// SPDX-License-Identifier: MIT
/*
 * The differential test on the machine it was written for: each operation is done by Xen and by the
 * model of its page typing, and both must say the same and leave the same in memory. As the first
 * domain or as any other, whose rules differ in what a leaf may say of caches.
 *
 * `difftest` in the monitor goes on as long as one likes.
 */
#include "kernel/console.h"
#include "kernel/errno.h"
#include "kernel/monitor.h"
#include "kernel/printk.h"
#include "kernel/string.h"
#include "kernel/test.h"
#include "kernel/time.h"
#include "tests/xen/typing_lab.h"

#define STEPS	     10000ul /* of a test */
#define FEW_STEPS    3000ul
#define SLICE	     1000ul  /* between two looks at the keyboard */
#define SHOWN_EVERY  20000ul /* steps */
#define ENOUGH_STEPS 100000ul
#define FEW	     12u /* frames: the same ones meet more often */

static struct difftest d;

/* => 0; -EBADMSG or -EBUSY, reported; -EINTR; -ENOMEM, -ENODEV, said */
static int run(u64 seed, u64 steps, unsigned frames, const struct typing_rules *rules,
	       typing_say_fn say)
{
	struct difftest_config on = {
		.backend = &lab_backend,
		.rules = rules,
		.frames = frames,
		.faults = true,
		.say = say,
	};
	int err = lab_open(), dirty;

	if (err)
		return err;
	difftest_init(&d, &on, seed);
	for (u64 i = 0; i < steps && !err; i += SLICE) {
		err = difftest_run(&d, MIN(SLICE, steps - i));
		if (i && i % SHOWN_EVERY == 0)
			say("difftest: %lu of %lu operations\n", i, steps);
		if (!err && console_interrupted())
			err = -EINTR;
	}
	dirty = difftest_clean(&d);
	if (dirty)
		lab_abandon();
	else
		lab_close();
	return dirty ? dirty : err;
}

static bool skipped(void)
{
	if (!lab_possible())
		test_skip("not a guest of Xen's: there is nothing to compare the model with");
	return !lab_possible();
}

static void agrees(u64 seed, u64 steps, unsigned frames)
{
	int err;

	if (skipped())
		return;
	err = run(seed, steps, frames, lab_rules(), printk);
	EXPECT(!err, "seed %#lx, %u frames: %d", seed, frames, err);
	difftest_coverage(&d);
}

KTEST(xen, its_typing_is_as_the_model_says)
{
	agrees(1, STEPS, TYPING_FRAMES / 2);
	if (!lab_possible())
		return;
	/* An agreement about nothing would be easy. */
	for (unsigned kind = 0; kind < OP_KINDS; kind++)
		EXPECT(d.count[kind][0] >= 50, "operation %u was done %lu times", kind,
		       d.count[kind][0]);
	EXPECT(d.count[OP_PIN][1] >= 50, "%lu pins refused", d.count[OP_PIN][1]);
	EXPECT(d.count[OP_STORE][3] >= 50, "%lu stores faulted", d.count[OP_STORE][3]);
	EXPECT(d.trees >= 50, "%lu L4 tables with entries were pinned", d.trees);
	EXPECT(d.retry_pinned >= 10, "%lu of %lu pins succeeded without their blockers",
	       d.retry_pinned, d.retried);
	EXPECT_EQ(d.deepest, 4);
}

KTEST(xen, typing_of_few_frames)
{
	agrees(2, FEW_STEPS, FEW);
}

KTEST(xen, typing_of_many_frames)
{
	agrees(3, FEW_STEPS, TYPING_FRAMES);
}

KTEST(xen, typing_by_a_fresh_seed)
{
	agrees(tsc_now(), FEW_STEPS, TYPING_FRAMES / 2);
}

static unsigned said;

static __printf_like(1, 2) void count_said(const char *fmt __attribute__((unused)), ...)
{
	said++;
}

/* The other domains' rules are wrong here, by one bit in a leaf now and then. */
KTEST(xen, a_model_that_is_wrong_is_found)
{
	const struct typing_rules *wrong;
	int err;

	if (skipped())
		return;
	wrong = lab_rules() == &typing_dom0 ? &typing_domu : &typing_dom0;
	said = 0;
	err = run(1, STEPS, TYPING_FRAMES / 2, wrong, count_said);
	EXPECT(err == -EBADMSG, "after %lu operations: %d", d.step, err);
	EXPECT(d.ops <= 30, "it takes %u operations to show it", d.ops);
	EXPECT(said > d.ops, "and %u words to say it", said);
}

COMMAND(difftest, "[seed] [steps]",
	"compare Xen's page typing with the model, by random operations")
{
	u64 seed = tsc_now(), steps = ENOUGH_STEPS;
	int err;

	if (argc > 3 || (argc > 1 && parse_u64(argv[1], &seed)) ||
	    (argc > 2 && (parse_u64(argv[2], &steps) || !steps)))
		return CMD_USAGE;
	if (!lab_possible()) {
		printk("difftest: this is not a guest of Xen's (make run-xen)\n");
		return -ENODEV;
	}
	err = run(seed, steps, TYPING_FRAMES / 2, lab_rules(), printk);
	if (err == -ENOMEM)
		printk("difftest: no %u frames side by side; purge, or give it more memory\n",
		       TYPING_FRAMES);
	else
		difftest_coverage(&d);
	return err;
}
