// SPDX-License-Identifier: MIT
/*
 * Messages of the xenstore: put together from pieces of every size, and refused where what the ring
 * says cannot be. Each message lies in an allocation of its own, so that AddressSanitizer sees what
 * is read or written beyond it.
 */
// links: xen/xs_message.c
#include <stdlib.h>
#include <string.h>
#include "tests/host/tap.h"
#include "xen/xs_message.h"

static struct xs_message *m;
static char stream[3 * (sizeof(struct xsd_sockmsg) + XENSTORE_PAYLOAD_MAX)];
static u32 stream_end;

static void fresh(void)
{
	free(m);
	m = calloc(1, sizeof(*m));
	stream_end = 0;
}

static void put(u32 type, u32 id, const void *body, u32 len)
{
	struct xsd_sockmsg head = {.type = type, .req_id = id, .len = len};

	memcpy(stream + stream_end, &head, sizeof(head));
	memcpy(stream + stream_end + sizeof(head), body, len);
	stream_end += (u32)sizeof(head) + len;
}

/* => what xs_message_take() said of an exact copy of stream[from, from + n) */
static int take(u32 from, u32 n)
{
	char *piece = malloc(n);
	int taken;

	memcpy(piece, stream + from, n);
	taken = xs_message_take(m, piece, n);
	free(piece);
	return taken;
}

static void test_indices(void)
{
	is_u64((u64)xs_ring_used(7, 7), 0, "equal indices: nothing is there");
	is_u64((u64)xs_ring_used(XENSTORE_RING_SIZE + 5, 5), XENSTORE_RING_SIZE, "a full ring");
	is_u64((u64)xs_ring_used(3, 0xfffffffe), 5, "indices that have wrapped");
	is_u64((u64)xs_ring_used(XENSTORE_RING_SIZE + 6, 5), (u64)-EIO, "more than full");
	is_u64((u64)xs_ring_used(4, 5), (u64)-EIO, "a producer behind the consumer");
}

static void test_pieces(void)
{
	for (u32 size = 1; size <= 40; size++) {
		bool good = true;
		u32 at = 0;

		fresh();
		put(XS_READ, 77, "poweroff", 8);
		put(XS_WATCH_EVENT, 0, "control/shutdown\0token", 23);
		while (!xs_message_complete(m)) {
			int n = take(at, MIN(size, stream_end - at));

			good &= n > 0;
			at += (u32)n;
		}
		good &= at == 16 + 8 && m->head.req_id == 77 && !strcmp(m->body, "poweroff");
		memset(m, 0, sizeof(*m));
		while (!xs_message_complete(m))
			at += (u32)take(at, MIN(size, stream_end - at));
		good &= at == stream_end && m->head.type == XS_WATCH_EVENT;
		if (!ok(good, "two messages, %u bytes at a time", size))
			return;
	}
}

static void test_lengths(void)
{
	static char most[XENSTORE_PAYLOAD_MAX];
	u32 len[] = {XENSTORE_PAYLOAD_MAX + 1, 0x7fffffff, 0x80000000, 0xffffffff};

	fresh();
	put(XS_READ, 1, "", 0);
	is_u64((u64)take(0, 16), 16, "an empty message is its header");
	ok(xs_message_complete(m) && m->body[0] == '\0', "and is complete, its body a string");

	fresh();
	memset(most, 'x', sizeof(most));
	put(XS_READ, 1, most, sizeof(most));
	is_u64((u64)take(0, stream_end), stream_end, "the longest message there may be");
	ok(xs_message_complete(m) && strlen(m->body) == sizeof(most), "has its NUL behind it");

	for (unsigned i = 0; i < ARRAY_SIZE(len); i++) {
		struct xsd_sockmsg head = {.type = XS_READ, .len = len[i]};

		fresh();
		memcpy(stream, &head, sizeof(head));
		is_u64((u64)take(0, 64), (u64)-EIO, "a length of %#x is refused", len[i]);
		ok(!xs_message_complete(m), "and never complete");
	}
}

static void test_errors(void)
{
	static const struct {
		const char *body;
		u32 len;
		int err;
	} row[] = {
		{"ENOENT", 7, -ENOENT}, {"EACCES", 7, -EACCES}, {"E2BIG", 6, -E2BIG},
		{"ENOENT", 6, -ENOENT}, {"ENOEN", 6, -EIO},	{"", 0, -EIO},
		{"\xff\xff", 2, -EIO},
	};

	for (unsigned i = 0; i < ARRAY_SIZE(row); i++) {
		fresh();
		put(XS_ERROR, 1, row[i].body, row[i].len);
		take(0, stream_end);
		is_u64((u64)xs_message_error(m), (u64)row[i].err, "error '%s', %u bytes",
		       row[i].body, row[i].len);
	}
	fresh();
	put(XS_READ, 1, "ENOENT", 7);
	take(0, stream_end);
	is_u64((u64)xs_message_error(m), 0, "a value that reads like an error is none");
}

static void test_strings(void)
{
	const char *s;

	fresh();
	put(XS_DIRECTORY, 1, "a\0bcd\0\0tail", 11);
	take(0, stream_end);
	s = xs_message_string(m, NULL);
	is_str(s, "a", "the first string");
	s = xs_message_string(m, s);
	is_str(s, "bcd", "the second");
	s = xs_message_string(m, s);
	is_str(s, "", "an empty one");
	ok(!xs_message_string(m, s), "what has no NUL of its own is none");

	fresh();
	put(XS_DIRECTORY, 1, "", 0);
	take(0, stream_end);
	ok(!xs_message_string(m, NULL), "an empty body has none");
	fresh();
	put(XS_WATCH_EVENT, 1, "path only", 10);
	take(0, stream_end);
	ok(!xs_message_string(m, xs_message_string(m, NULL)), "an event without a token");
}

int main(void)
{
	test_indices();
	test_pieces();
	test_lengths();
	test_errors();
	test_strings();
	free(m);
	return done_testing();
}
