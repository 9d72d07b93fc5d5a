// SPDX-License-Identifier: MIT
/*
 * One input, one process: for code that is brought up once and for all, as a kernel is. The child
 * begins where the parent is, runs the input on a machine of its own and ends; so what an input
 * does depends on nothing but the input, and a failure is repeated by that one file.
 *
 * The price is a fork and a boot each time, 3 to 4 ms. The other way, one machine for all inputs,
 * each of which undoes what it did, would be ten times as fast and need all inputs since the start
 * to repeat a failure. The harness would not know whether the last input or the first broke it.
 *
 * What libFuzzer learns from, the counters that the compiler put in (section __sancov_cntrs), is
 * the process's own; so they are carried back. What the child wrote to its log is shown if it died.
 */
#ifndef TESTS_FUZZ_CHILD_H
#define TESTS_FUZZ_CHILD_H

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tests/fuzz/fuzz.h"

#define CHILD_LOG     16384
#define CHILD_SECONDS 60

/* Of the linker; NULL where nothing is counted. */
extern u8 __start___sancov_cntrs[] __attribute__((weak));
extern u8 __stop___sancov_cntrs[] __attribute__((weak));

static struct child_shared {
	size_t log_len;
	char log[CHILD_LOG];
	u8 counters[];
} * child_shared;

/* The newest lines of the log stay. */
static inline void child_log(const char *line)
{
	struct child_shared *c = child_shared;
	size_t n = strlen(line);

	if (c->log_len + n >= CHILD_LOG) {
		memmove(c->log, c->log + CHILD_LOG / 2, c->log_len - CHILD_LOG / 2);
		c->log_len -= CHILD_LOG / 2;
	}
	memcpy(c->log + c->log_len, line, n);
	c->log_len += n;
	c->log[c->log_len] = '\0';
}

static size_t child_counters(void)
{
	return __start___sancov_cntrs ? (size_t)(__stop___sancov_cntrs - __start___sancov_cntrs)
				      : 0;
}

/* The child ends, well. */
static void child_done(void) __noreturn;
static void child_done(void)
{
	if (child_counters())
		memcpy(child_shared->counters, __start___sancov_cntrs, child_counters());
	fflush(NULL);
	_exit(0);
}

/* => the child has ended well, or this process dies and says why */
static void in_child(void (*run)(const u8 *data, size_t size), const u8 *data, size_t size)
{
	size_t counters = child_counters();
	int status;
	pid_t pid;

	if (!child_shared)
		child_shared = mmap(NULL, sizeof(*child_shared) + counters, PROT_READ | PROT_WRITE,
				    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(child_shared != MAP_FAILED);
	child_shared->log_len = 0;
	fflush(NULL);
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		signal(SIGALRM, SIG_DFL); /* libFuzzer's clock is the parent's */
		alarm(CHILD_SECONDS);
		run(data, size);
		child_done();
	}
	while (waitpid(pid, &status, 0) != pid)
		CHECK(errno == EINTR); /* libFuzzer's clock */
	if (counters)
		memcpy(__start___sancov_cntrs, child_shared->counters, counters);
	if (!status)
		return;
	child_shared->log[child_shared->log_len] = '\0';
	fprintf(stderr, "the child ended with status %#x after:\n%s", (unsigned)status,
		child_shared->log);
	abort();
}

#endif
