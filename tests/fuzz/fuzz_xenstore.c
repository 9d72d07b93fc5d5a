// SPDX-License-Identifier: MIT
/*
 * The input is a ring's worth of trouble: two indices, the size of the pieces it comes in, and the
 * stream. Messages are taken from it until it ends or is refused; each piece is a malloc of exactly
 * its size. In whatever pieces it came, a message is what the stream has at its place.
 */
// links: xen/xs_message.c
#include <string.h>
#include "tests/fuzz/fuzz.h"
#include "xen/xs_message.h"

/* `stream`: where the message begins in it. */
static void check_message(const struct xs_message *m, const u8 *stream)
{
	const char *s = NULL;
	u32 used = 0;

	CHECK(m->head.len <= XENSTORE_PAYLOAD_MAX && m->body[m->head.len] == '\0');
	CHECK(!memcmp(&m->head, stream, sizeof(m->head)));
	CHECK(!memcmp(m->body, stream + sizeof(m->head), m->head.len));
	CHECK(m->head.type == XS_ERROR ? xs_message_error(m) < 0 : !xs_message_error(m));
	while ((s = xs_message_string(m, s)))
		used += (u32)strlen(s) + 1;
	CHECK(used <= m->head.len);
	CHECK(!memchr(m->body + used, '\0', m->head.len - used));
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	const u8 *start;
	struct xs_message *m;
	u32 index[2], piece;
	int used;

	if (size < sizeof(index) + 1)
		return 0;
	memcpy(index, data, sizeof(index));
	used = xs_ring_used(index[0], index[1]);
	CHECK(used == -EIO || (used >= 0 && used <= XENSTORE_RING_SIZE));
	piece = data[sizeof(index)] + 1u;
	data += sizeof(index) + 1;
	size -= sizeof(index) + 1;

	m = calloc(1, sizeof(*m));
	start = data;
	while (size) {
		u32 n = (u32)MIN(size, (size_t)piece);
		char *copy = malloc(n);
		int taken;

		memcpy(copy, data, n);
		taken = xs_message_take(m, copy, n);
		free(copy);
		if (taken < 0)
			break;
		CHECK((u32)taken <= n && ((u32)taken == n || xs_message_complete(m)));
		data += taken;
		size -= (u32)taken;
		if (xs_message_complete(m)) {
			check_message(m, start);
			memset(m, 0, sizeof(*m));
			start = data;
		}
	}
	free(m);
	return 0;
}
