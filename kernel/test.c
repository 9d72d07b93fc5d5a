// SPDX-License-Identifier: MIT
/*
 * Running the tests and benchmarks of this image. They register themselves by being written: KTEST
 * puts a record into the linker section "ktests", and the section is the list.
 *
 * The output is TAP (Test Anything Protocol): the plan first, so that a crash in the middle shows
 * as tests that never reported; then a line a test, with `# file:line: what` before it for
 * each failed expectation. After every test the machine must be as before it:
 *
 *   the invariants hold    mm_check() walks everything (mm/check.h)
 *   no area stayed live    those of every function that maps are counted (kernel/leaks.h)
 *   no frame is missing    mm_frames_at_hand(), once lazily unmapped areas are flushed
 *
 * so a test that leaks fails itself, not the one after it. Suites: tests/kernel/.
 */
#include "kernel/test.h"
#include "kernel/atomic.h"
#include "kernel/cmd_mm.h"
#include "kernel/console.h"
#include "kernel/errno.h"
#include "kernel/leaks.h"
#include "kernel/printk.h"
#include "kernel/stacks.h"
#include "kernel/string.h"
#include "mm/check.h"
#include "mm/vmap.h"

extern const struct ktest __start_ktests[], __stop_ktests[];
extern const struct kbench __start_kbenches[], __stop_kbenches[];

/* The running test. Failures come from any CPU; the skip reason from the test's own thread. */
static atomic_t failures;
static char skip_reason[128]; /* "": not skipped */

/* One diagnostic is one printk, so that failures on several CPUs do not mix within a line. */
void test_fail(const char *file, int line, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	printk("# %s:%d: %s\n", file, line, text);
	atomic_fetch_add(&failures, 1);
}

#define fail(fmt, ...) test_fail(__FILE__, __LINE__, fmt, ##__VA_ARGS__)

void test_skip(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(skip_reason, sizeof(skip_reason), fmt, ap);
	va_end(ap);
}

bool test_failed(void)
{
	return atomic_read(&failures) > 0;
}

/* Shown as suite/name; a pattern may mean the whole suite by its name. */
static bool test_matches(const struct ktest *t, const char *glob)
{
	char name[128];

	snprintf(name, sizeof(name), "%s/%s", t->suite, t->name);
	return glob_match(glob, name) || glob_match(glob, t->suite);
}

struct rest {
	struct leaks live;
	u64 at_hand;
};

/* What must be the same before and after a test. */
static void look_at_rest(struct rest *r)
{
	vm_unmap_aliases();
	leaks_collect(&r->live, ~0ul);
	r->at_hand = mm_frames_at_hand();
}

static void report_leaks(const struct ktest *t, const struct leaks *before,
			 const struct leaks *after)
{
	for (unsigned i = 0; i < after->nr; i++) {
		const struct leak_group *now = &after->group[i];
		const struct leak_group *then = leaks_find(before, now->mapper);
		u64 areas = then ? then->areas : 0, pages = then ? then->pages : 0;
		char who[WHO_TEXT];

		if (now->areas > areas || now->pages > pages)
			fail("%s/%s left areas live: %lu of %lu pages mapped by %s, %lu of %lu pages before",
			     t->suite, t->name, now->areas, now->pages, leaks_who(now, who), areas,
			     pages);
	}
}

static void run_one(const struct ktest *t)
{
	static struct rest before, after; /* 8 KiB: not for a stack */
	unsigned faults;

	look_at_rest(&before);
	atomic_set(&failures, 0);
	skip_reason[0] = '\0';
	t->fn();
	look_at_rest(&after);
	report_leaks(t, &before.live, &after.live);
	if (after.at_hand != before.at_hand)
		fail("%s/%s changed the number of free frames from %lu to %lu", t->suite, t->name,
		     before.at_hand, after.at_hand);
	faults = mm_check(false);
	if (faults)
		fail("%s/%s left %u invariants broken (above)", t->suite, t->name, faults);
	faults = stacks_check();
	if (faults)
		fail("%s/%s used %u stacks too deeply (above)", t->suite, t->name, faults);
}

unsigned test_list(const char *glob)
{
	unsigned n = 0;

	for (const struct ktest *t = __start_ktests; t < __stop_ktests; t++) {
		if (!test_matches(t, glob))
			continue;
		printk("%s/%s\n", t->suite, t->name);
		n++;
	}
	return n;
}

static unsigned count_tests(const char *glob)
{
	unsigned n = 0;

	for (const struct ktest *t = __start_ktests; t < __stop_ktests; t++)
		n += test_matches(t, glob);
	return n;
}

int test_run(const char *glob)
{
	unsigned n = count_tests(glob), i = 0, failed = 0, skipped = 0;

	if (!n)
		return -ENOENT;
	printk("1..%u\n", n);
	for (const struct ktest *t = __start_ktests; t < __stop_ktests; t++) {
		if (!test_matches(t, glob))
			continue;
		if (console_interrupted()) {
			printk("Bail out! interrupted\n");
			return -EINTR;
		}
		run_one(t);
		printk("%s %u - %s/%s%s%s\n", test_failed() ? "not ok" : "ok", ++i, t->suite,
		       t->name, skip_reason[0] ? " # SKIP " : "", skip_reason);
		failed += test_failed();
		skipped += !test_failed() && skip_reason[0];
	}
	printk("# %u passed, %u failed, %u skipped\n", n - failed - skipped, failed, skipped);
	return (int)failed;
}

int bench_run(const char *glob)
{
	int err = -ENOENT;

	for (const struct kbench *b = __start_kbenches; b < __stop_kbenches; b++) {
		if (!glob_match(glob, b->name))
			continue;
		err = b->fn();
		if (console_interrupted())
			return -EINTR;
		if (err)
			return err;
	}
	return err;
}

unsigned bench_list(const char *glob)
{
	unsigned n = 0;

	for (const struct kbench *b = __start_kbenches; b < __stop_kbenches; b++) {
		if (!glob_match(glob, b->name))
			continue;
		printk("%-12s %s\n", b->name, b->help);
		n++;
	}
	return n;
}
