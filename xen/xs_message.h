// SPDX-License-Identifier: MIT
/*
 * Messages from the xenstore, taken out of a ring that another domain writes. Nothing in it is
 * trusted: not its indices, not the length a message claims, not that a text ends. Plain C without
 * a machine, so that it can be tried, and fuzzed, on the host (Xen: io/xs_wire.h).
 */
#ifndef XEN_XS_MESSAGE_H
#define XEN_XS_MESSAGE_H

#include "kernel/errno.h" /* without it xs_wire.h leaves out its table of errors */
#include "kernel/types.h"
#include <xen/io/xs_wire.h>

/* A message as it grows: it may be longer than the ring. have 0: none has begun. */
struct xs_message {
	struct xsd_sockmsg head;
	char body[XENSTORE_PAYLOAD_MAX +
		  1]; /* a NUL stands behind the last byte when it is complete */
	u32 have;     /* bytes of both so far */
};

/*
 * xs_ring_used: bytes between two indices that only grow, modulo 2^32.
 *   => -EIO: no ring can hold that many; it is not to be used any more
 */
int xs_ring_used(u32 producer, u32 consumer);

/*
 * xs_message_take: the next n bytes of the stream.
 *   => how many of them belong to this message; fewer than n only if it is complete then
 *   => -EIO: it claims to be longer than any may be; where the next one begins cannot be known
 */
int xs_message_take(struct xs_message *m, const char *bytes, u32 n);
bool xs_message_complete(const struct xs_message *m);

/* => 0, or the -errno that it reports: type XS_ERROR. => complete; -EIO for names unknown here */
int xs_message_error(const struct xs_message *m);

/*
 * xs_message_string: the strings a body is made of, one after another; `after` NULL: the first.
 *   => NULL: there is no more; bytes behind the last NUL are no string
 */
const char *xs_message_string(const struct xs_message *m, const char *after);

#endif
