// SPDX-License-Identifier: MIT
/*
 * The xenstore: a tree of short texts that all domains share, kept by a daemon in the first one.
 * The toolstack says in it what it wants of a domain, and a domain may write some of it. Paths that
 * do not begin with a slash are below the domain's own, /local/domain/ID.
 */
#ifndef XEN_XENSTORE_H
#define XEN_XENSTORE_H

#include "kernel/types.h"

struct xenstore_domain_interface;

/*
 * xenstore_init: there is a daemon at the other end of this ring. Without this call every other one
 * is answered by -ENODEV.
 *   => boot vCPU, once; the ring stays mapped
 */
void xenstore_init(struct xenstore_domain_interface *ring, u32 port);

/* From here on watches are told of. => thread context, threads and events work; once */
void xenstore_start(void);

/*
 * xenstore_read, xenstore_directory: a node's text; its children's names, each with its NUL.
 * xenstore_write: makes the node, too.
 *   => any context; waits, spinning, for the daemon of another domain, up to XENSTORE_WAIT_US
 *   => length of what is in out, which a NUL follows; -E2BIG if that is more than size - 1: out is
 *      untouched
 *   => -ENODEV, -ETIMEDOUT, -EIO (the ring is broken: for good), -EBUSY (asked from within a
 *      request), or what the daemon says: -ENOENT, -EACCES, ...
 */
#define XENSTORE_WAIT_US 5000000
int xenstore_read(const char *path, char *out, size_t size);
int xenstore_directory(const char *path, char *out, size_t size);
int xenstore_write(const char *path, const char *text);

/*
 * xenstore_watch: changed() is called once soon, and whenever the node, or one below it, has been
 * written since.
 *   => after xenstore_start(); changed() runs in a thread of CPU 0
 *   => 0, -ENOSPC (there are as many as there may be), or as above
 */
int xenstore_watch(const char *path, void (*changed)(void));

#endif
