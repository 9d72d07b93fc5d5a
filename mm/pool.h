// SPDX-License-Identifier: MIT
/*
 * Objects of one size, carved from frames. A frame with no object in use goes back at once, so an
 * idle pool holds nothing; unless the pool is type-stable: then what was once an object of it will
 * never be anything else, and one may look at it without knowing whether it is still in use.
 */
#ifndef MM_POOL_H
#define MM_POOL_H

#include "mm/mm_internal.h"

struct pool {
	const char *name;
	u32 size;	  /* of an object, in bytes: 16 to 1024, a multiple of 8 */
	bool type_stable; /* its frames stay its own, so who held an object may look at it still */

	spinlock_t lock;
	struct list partial; /* slabs with a free object; guarded by lock */
	u64 slabs, objects;  /* frames held, objects handed out; guarded by lock */
};

#define POOL_INIT(var, type)                                                               \
	{                                                                                  \
		.name = #type, .size = sizeof(type), .lock = SPINLOCK_INIT("pool " #type), \
		.partial = LIST_INIT((var).partial)                                        \
	}

/* => any context; zeroed; NULL with no memory */
void *pool_alloc(struct pool *p) __must_check;

/* => panics if `obj` is not an object of `p` in use */
void pool_free(struct pool *p, void *obj);

/* Frames that all pools hold together. */
u64 pool_frames(void);

#endif
