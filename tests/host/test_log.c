// SPDX-License-Identifier: MIT
/*
 * The log, alone. First deterministically: an append is stopped in the middle of its copy and
 * something else happens there, as an interrupt or another CPU would do it. Then with real threads
 * and real atomics (not the simulator's): every text must come out once, whole, in its writer's
 * order.
 */
// links:
#include "../../kernel/atomic.h" /* before the simulated one takes its place */

#include <pthread.h>
#include <stdlib.h>
#include "kernel/string.h"

/* What happens in the middle of the log's next copy; NULL: nothing. */
static void (*in_copy)(void);

static void *hooked_memcpy(void *dst, const void *src, size_t n)
{
	void (*hook)(void) = in_copy;

	memcpy(dst, src, n / 2);
	if (hook) {
		in_copy = NULL;
		hook();
	}
	memcpy((char *)dst + n / 2, (const char *)src + n / 2, n - n / 2);
	return dst;
}

#define memcpy hooked_memcpy
#include "kernel/log.c"
#undef memcpy
#include "tests/host/tap.h"

static char text[LOG_TEXT + 1];
static u64 lost;

static void fresh(void)
{
	memset(ring, 0, sizeof(ring));
	atomic_set(&next, 0);
	lost = 0;
}

static void append(const char *s)
{
	log_append(s, strlen(s));
}

/* => the next record as a string, "" for none */
static const char *read_at(u64 *pos)
{
	text[log_read(pos, text, &lost)] = '\0';
	return text;
}

static void test_order(void)
{
	u64 pos = 0, again = 0;

	fresh();
	is_str(read_at(&pos), "", "nothing in an empty log");
	append("one");
	append("");
	append("two");
	is_str(read_at(&pos), "one", "the first text");
	is_str(read_at(&pos), "two", "the second; an empty one is none");
	is_str(read_at(&pos), "", "and no more");
	is_str(read_at(&again), "one", "another reader starts at the beginning");
	ok(log_end() == 2 && log_readable(1) && !log_readable(2), "positions");
}

static void test_long(void)
{
	static char big[LOG_TEXT * 3 + 5], all[sizeof(big)];
	size_t n = 0;
	u64 pos = 0;

	fresh();
	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = (char)('a' + i % 26);
	log_append(big, sizeof(big));
	is_u64(log_end(), 4, "a long text takes several records");
	for (size_t len; (len = log_read(&pos, text, &lost)) > 0; n += len)
		memcpy(all + n, text, len);
	ok(n == sizeof(big) && !memcmp(all, big, n), "and comes out as it went in");
	fresh();
	log_append(big, LOG_TEXT);
	is_u64(log_end(), 1, "one that just fits takes one");
}

static void test_lapped(void)
{
	u64 pos = 0;

	fresh();
	for (unsigned i = 0; i < LOG_RECORDS + 10; i++) {
		char line[16];

		snprintf(line, sizeof(line), "%u", i);
		append(line);
	}
	is_str(read_at(&pos), "10", "a reader that came too late goes on with the oldest there is");
	is_u64(lost, 10, "and knows how many it missed");
}

static void interrupt(void)
{
	u64 pos = 0;

	append("inner");
	is_str(read_at(&pos), "", "inside an append nothing after it can be read");
}

static void test_interrupted_append(void)
{
	u64 pos = 0;

	fresh();
	in_copy = interrupt;
	append("outer");
	is_str(read_at(&pos), "outer", "then both can: the outer one");
	is_str(read_at(&pos), "inner", "and the one inside it");
}

static void whole_round(void)
{
	for (unsigned i = 0; i < LOG_RECORDS; i++)
		append("new");
}

static void test_overtaken_append(void)
{
	u64 pos = 0;

	fresh();
	in_copy = whole_round;
	append("old");
	is_u64(log_end(), LOG_RECORDS + 1, "a writer is overtaken by a whole round");
	read_at(&pos);
	is_u64(lost, 1, "its text is lost");
	while (pos < log_end() && *read_at(&pos))
		;
	is_u64(pos, log_end(), "and the reader is not held up");

	/* The same, but it had only reserved its position yet. */
	fresh();
	whole_round();
	append("newest");
	write_record(0, "old", 3);
	pos = LOG_RECORDS;
	is_str(read_at(&pos), "newest", "a late writer leaves the newer text in its place alone");
}

static void test_overtaken_reader(void)
{
	u64 pos = 0;

	fresh();
	append("old");
	in_copy = whole_round; /* log_read()'s copy */
	is_str(read_at(&pos), "new", "a record overwritten while it was read is not returned");
	is_u64(lost, 1, "but counted");
}

static u64 reader_pos;

static void panic_inside(void)
{
	append("panic");
	is_str(read_at(&reader_pos), "", "a panic's text behind an unfinished record is held up");
	log_abandon_unfinished();
	is_str(read_at(&reader_pos), "[lost]\n", "unless that is abandoned");
	is_str(read_at(&reader_pos), "panic", "then it comes out");
}

static void test_abandoned(void)
{
	fresh();
	reader_pos = 0;
	append("before");
	read_at(&reader_pos);
	in_copy = panic_inside;
	append("never finished");
}

/* Threads: each text is a writer's letter, its number, and filling that follows from both. */
#define WRITERS 3
#define TEXTS	20000

static atomic_t consumed; /* the reader's position, so that writers do not lap it */

static int make_text(char *out, char writer, unsigned i)
{
	int n = sprintf(out, "%c %u ", writer, i), len = n + (int)((i * 7 + (unsigned)writer) % 80);

	for (; n < len; n++)
		out[n] = (char)('a' + (i + (unsigned)n) % 26);
	out[n] = '\0';
	return n;
}

static void *writer(void *arg)
{
	char line[128];

	for (unsigned i = 0; i < TEXTS; i++) {
		while (log_end() - atomic_read(&consumed) > LOG_RECORDS / 2)
			cpu_relax();
		log_append(line, (size_t)make_text(line, *(char *)arg, i));
	}
	return NULL;
}

static void test_threads(void)
{
	pthread_t threads[WRITERS];
	char letters[WRITERS], want[128];
	unsigned expect[WRITERS] = {0}, bad = 0;
	u64 pos = 0;

	fresh();
	atomic_set(&consumed, 0);
	for (int w = 0; w < WRITERS; w++) {
		letters[w] = (char)('A' + w);
		pthread_create(&threads[w], NULL, writer, &letters[w]);
	}
	while (pos < WRITERS * TEXTS) {
		const char *got = read_at(&pos);
		unsigned w = (unsigned)(*got - 'A');

		atomic_set(&consumed, pos);
		if (!*got) {
			cpu_relax();
			continue;
		}
		if (w >= WRITERS || (make_text(want, *got, expect[w]++), strcmp(got, want)))
			bad++;
	}
	for (int w = 0; w < WRITERS; w++)
		pthread_join(threads[w], NULL);
	is_u64(bad, 0, "%d threads: every text comes out whole and in its writer's order", WRITERS);
	is_u64(lost, 0, "and none is lost");
}

int main(void)
{
	test_order();
	test_long();
	test_lapped();
	test_interrupted_append();
	test_overtaken_append();
	test_overtaken_reader();
	test_abandoned();
	test_threads();
	return done_testing();
}
