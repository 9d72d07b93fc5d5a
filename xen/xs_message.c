// SPDX-License-Identifier: MIT
/* Putting messages of the xenstore together, and taking them apart: see xs_message.h. */
#include "xen/xs_message.h"
#include "kernel/string.h"

int xs_ring_used(u32 producer, u32 consumer)
{
	u32 used = producer - consumer;

	return used <= XENSTORE_RING_SIZE ? (int)used : -EIO;
}

bool xs_message_complete(const struct xs_message *m)
{
	return m->have >= sizeof(m->head) && m->have - sizeof(m->head) == m->head.len;
}

/* => bytes of [bytes, bytes + n) that go to `to`, which is to have `size` and has `have` */
static u32 fill(void *to, u32 size, u32 have, const char *bytes, u32 n)
{
	u32 part = MIN(n, size - have);

	memcpy((char *)to + have, bytes, part);
	return part;
}

int xs_message_take(struct xs_message *m, const char *bytes, u32 n)
{
	u32 taken = 0;

	if (m->have < sizeof(m->head)) {
		taken = fill(&m->head, sizeof(m->head), m->have, bytes, n);
		m->have += taken;
		if (m->have < sizeof(m->head))
			return (int)taken;
	}
	if (m->head.len > XENSTORE_PAYLOAD_MAX)
		return -EIO;
	n = fill(m->body, m->head.len, m->have - (u32)sizeof(m->head), bytes + taken, n - taken);
	m->have += n;
	m->body[m->have - sizeof(m->head)] = '\0';
	return (int)(taken + n);
}

int xs_message_error(const struct xs_message *m)
{
	if (m->head.type != XS_ERROR)
		return 0;
	for (unsigned i = 0; i < ARRAY_SIZE(xsd_errors); i++)
		if (!strcmp(m->body, xsd_errors[i].errstring))
			return -xsd_errors[i].errnum;
	return -EIO;
}

const char *xs_message_string(const struct xs_message *m, const char *after)
{
	const char *s = after ? after + strlen(after) + 1 : m->body;
	const char *end = m->body + m->head.len;

	return s < end && strnlen(s, (size_t)(end - s)) < (size_t)(end - s) ? s : NULL;
}
