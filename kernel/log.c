// SPDX-License-Identifier: MIT
/*
 * The log is a ring of fixed records that anyone may append to at any moment: a thread, an
 * interrupt that arrived inside its append, an NMI inside that, and other CPUs. A lock would be
 * taken by the one and needed by the other on the same CPU, so there is none:
 *
 *   reserve   one atomic add gives every writer positions of its own
 *   write     the record says "position i is being written" meanwhile
 *   publish   then "position i is here"; only now do readers see it
 *
 * A reader takes a copy and looks at the state again: if it changed, a writer came round the ring
 * and the copy is worthless, like a seqlock's. Records are read in order, so a writer that was
 * interrupted halfway holds up later ones until it goes on; whoever publishes then also shows
 * (kernel/console.c), so nothing is forgotten.
 *
 * The one thing this gives up: a writer that sleeps through a whole round of the ring between
 * reserving and publishing loses its text, and may damage its successor's. That is LOG_RECORDS
 * texts printed within one copy of 119 bytes.
 *
 * Next: kernel/console.c, the reader.
 */
#include "kernel/log.h"
#include "kernel/atomic.h"
#include "kernel/string.h"

struct record {
	atomic_t state; /* WRITING(i) or HERE(i) for position i; 0: never used */
	u8 len;
	char text[LOG_TEXT];
};

_Static_assert(sizeof(struct record) == 128, "a record is two cache lines");

/* States grow with the position, so that "older" and "newer" is a comparison. */
#define WRITING(pos) (2 * (pos) + 1)
#define HERE(pos)    (2 * (pos) + 2)

static struct record ring[LOG_RECORDS];
static atomic_t next; /* position of the next record */

static struct record *record_at(u64 pos)
{
	return &ring[pos % LOG_RECORDS];
}

static void write_record(u64 pos, const char *s, size_t n)
{
	struct record *r = record_at(pos);
	u64 old;

	do {
		old = atomic_read(&r->state);
		if (old > WRITING(pos))
			return; /* overtaken by a whole round */
	} while (!atomic_cmpxchg(&r->state, old, WRITING(pos)));
	memcpy(r->text, s, n);
	r->len = (u8)n;
	atomic_cmpxchg(&r->state, WRITING(pos), HERE(pos));
}

void log_append(const char *s, size_t n)
{
	while (n) {
		size_t part = MIN(n, (size_t)LOG_BATCH * LOG_TEXT);
		u64 pos = atomic_fetch_add(&next, (part + LOG_TEXT - 1) / LOG_TEXT);

		n -= part;
		for (size_t len; part; part -= len, s += len) {
			len = MIN(part, (size_t)LOG_TEXT);
			write_record(pos++, s, len);
		}
	}
}

u64 log_end(void)
{
	return atomic_read(&next);
}

bool log_readable(u64 pos)
{
	return pos < log_end() && atomic_read(&record_at(pos)->state) >= HERE(pos);
}

size_t log_read(u64 *pos, char out[LOG_TEXT], u64 *lost)
{
	while (log_readable(*pos)) {
		struct record *r = record_at(*pos);
		size_t len = MIN(r->len, LOG_TEXT);

		memcpy(out, r->text, len);
		smp_mb(); /* the copy is done before the state is looked at again */
		if (atomic_read(&r->state) == HERE(*pos)) {
			++*pos;
			return len;
		}
		u64 oldest = log_end() - LOG_RECORDS;

		*lost += MAX(oldest, *pos + 1) - *pos;
		*pos = MAX(oldest, *pos + 1);
	}
	return 0;
}

void log_abandon_unfinished(void)
{
	static const char note[] = "[lost]\n";
	u64 end = log_end();

	for (u64 pos = end - MIN(end, (u64)LOG_RECORDS); pos < end; pos++) {
		struct record *r = record_at(pos);

		if (atomic_read(&r->state) < HERE(pos)) {
			memcpy(r->text, note, sizeof(note) - 1);
			r->len = sizeof(note) - 1;
			atomic_set(&r->state, HERE(pos));
		}
	}
}
