// SPDX-License-Identifier: MIT
/*
 * The input is a ring's worth of trouble: two indices, the size of the pieces it comes in, and the
 * stream. Messages are taken from it until it ends or is refused; each piece is a malloc of exactly
 * its size. In whatever pieces it came, a message is what the stream has at its place, and ends
 * where its length says; what is refused is a length, and nothing else.
 */
// links: xen/xs_message.c
#include <string.h>
#include "tests/fuzz/fuzz.h"
#include "xen/xs_message.h"

/* As io/xs_wire.h has it: the index of a ring wraps at 2^32. */
static void check_used(u32 producer, u32 consumer)
{
	u64 used = (producer + (1ull << 32) - consumer) % (1ull << 32);

	CHECK(xs_ring_used(producer, consumer) == (used <= XENSTORE_RING_SIZE ? (int)used : -EIO));
}

/* => what is to be taken of n more bytes of the message at `stream`, of which `have` were taken */
static int to_take(const u8 *stream, u32 have, u32 n)
{
	struct xsd_sockmsg head;

	if (have + n < sizeof(head))
		return (int)n;
	memcpy(&head, stream, sizeof(head));
	if (head.len > XENSTORE_PAYLOAD_MAX)
		return -EIO;
	return (int)MIN(n, (u32)sizeof(head) + head.len - have);
}

static int naive_error(const struct xs_message *m)
{
	if (m->head.type != XS_ERROR)
		return 0;
	for (unsigned i = 0; i < ARRAY_SIZE(xsd_errors); i++) {
		size_t n = strlen(xsd_errors[i].errstring);

		if (n <= m->head.len && !memcmp(m->body, xsd_errors[i].errstring, n) &&
		    m->body[n] == '\0')
			return -xsd_errors[i].errnum;
	}
	return -EIO;
}

/* `stream`: where the message begins in it. */
static void check_message(const struct xs_message *m, const u8 *stream)
{
	const char *s = NULL;
	u32 used = 0;

	CHECK(m->head.len <= XENSTORE_PAYLOAD_MAX && m->body[m->head.len] == '\0');
	CHECK(!memcmp(&m->head, stream, sizeof(m->head)));
	CHECK(!memcmp(m->body, stream + sizeof(m->head), m->head.len));
	CHECK(xs_message_error(m) == naive_error(m));
	while ((s = xs_message_string(m, s))) {
		CHECK(s == m->body + used);
		used += (u32)strlen(s) + 1;
		CHECK(used <= m->head.len);
	}
	CHECK(!memchr(m->body + used, '\0', m->head.len - used));
}

/* None has begun; what else is in it does not matter. */
static void renew(struct xs_message *m)
{
	memset(m, 0xa5, sizeof(*m));
	m->have = 0;
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	const u8 *start;
	struct xs_message *m;
	u32 index[2], piece;

	if (size < sizeof(index) + 1)
		return 0;
	memcpy(index, data, sizeof(index));
	check_used(index[0], index[1]);
	piece = data[sizeof(index)] + 1u;
	data += sizeof(index) + 1;
	size -= sizeof(index) + 1;

	m = malloc(sizeof(*m));
	renew(m);
	start = data;
	while (size) {
		u32 n = (u32)MIN(size, (size_t)piece);
		char *copy = malloc(n);
		int taken;

		memcpy(copy, data, n);
		taken = xs_message_take(m, copy, n);
		free(copy);
		CHECK(taken == to_take(start, (u32)(data - start), n));
		if (taken < 0)
			break;
		data += taken;
		size -= (u32)taken;
		if (xs_message_complete(m)) {
			check_message(m, start);
			renew(m);
			start = data;
		}
	}
	free(m);
	return 0;
}
