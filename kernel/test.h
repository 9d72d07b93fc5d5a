// SPDX-License-Identifier: MIT
/*
 * In-kernel tests and benchmarks. A test is a function; it registers itself by being written.
 * The monitor's `test [glob]` runs those that match and prints TAP, plan first, so that a crash
 * in the middle shows as tests that never reported. After each test the invariant walker runs
 * (mm/check.h), and a test that leaves frames or areas behind has failed.
 */
#ifndef KERNEL_TEST_H
#define KERNEL_TEST_H

#include "kernel/types.h"

struct ktest {
	const char *suite, *name;
	void (*fn)(void);
} __aligned_to(32);

/* KTEST(suite, name) { body }; shown as suite/name */
#define KTEST(suite_, name_)                                                           \
	static void ktest_##suite_##_##name_(void);                                    \
	static const struct ktest ktest_entry_##suite_##_##name_                       \
		__attribute__((section("ktests"), used)) = {#suite_, #name_,           \
							    ktest_##suite_##_##name_}; \
	static void ktest_##suite_##_##name_(void)

/* Records a failure and goes on. => any CPU, thread or interrupt context */
void test_fail(const char *file, int line, const char *fmt, ...) __printf_like(3, 4);
/* Marks the running test as skipped, for the reason given; the caller then returns. */
void test_skip(const char *fmt, ...) __printf_like(1, 2);
/* => has the running test failed so far? */
bool test_failed(void);

#define EXPECT(cond, fmt, ...)                                                           \
	do {                                                                             \
		if (!(cond))                                                             \
			test_fail(__FILE__, __LINE__, "%s: " fmt, #cond, ##__VA_ARGS__); \
	} while (0)

#define EXPECT_EQ(a, b)                                                                          \
	do {                                                                                     \
		u64 _a = (u64)(a), _b = (u64)(b);                                                \
		if (_a != _b)                                                                    \
			test_fail(__FILE__, __LINE__, "%s is %#lx, %s is %#lx", #a, _a, #b, _b); \
	} while (0)

/*
 * test_run: runs the tests whose suite/name (or suite) match; prints TAP.
 *   => thread context, IRQs on; the number that failed, -ENOENT (none matches) or -EINTR
 */
int test_run(const char *glob);

/* Prints the names only. => how many matched */
unsigned test_list(const char *glob);

struct kbench {
	const char *name, *help;
	int (*fn)(void);
	u64 pad;
} __aligned_to(32);

/*
 * KBENCH(name, help) { body printing lines "BENCH {json}"; returns 0, or -errno having said why }
 */
#define KBENCH(name_, help_)                                                                     \
	static int kbench_##name_(void);                                                         \
	static const struct kbench kbench_entry_##name_                                          \
		__attribute__((section("kbenches"), used)) = {#name_, help_, kbench_##name_, 0}; \
	static int kbench_##name_(void)

/* => thread context, IRQs on; 0, -ENOENT (none matches) or -EINTR */
int bench_run(const char *glob);
unsigned bench_list(const char *glob);

/*
 * probe_read, probe_write, probe_store: does reading a byte at `va` fault, or writing a byte, or
 * writing eight at once?
 *   => true if it faulted; the trap handler resumes after the access through the exception table
 *   => *value is the byte read if it did not; value may be NULL
 */
bool probe_read(const void *va, u8 *value);
bool probe_write(void *va, u8 value);
bool probe_store(void *va, u64 value);

#endif
