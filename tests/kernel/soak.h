// SPDX-License-Identifier: MIT
/*
 * Random work for hours, and what it is made of. The runner is soak.c; operations are soak_map.c,
 * soak_space.c, soak_stress.c, and tests/xen/soak_xen.c.
 *
 * Each CPU has a worker, and each worker some slots. A slot is empty or holds a thing: something
 * mapped, with its contents known. An operation fills a slot, or asks something of the engine.
 * Things are exchanged with other workers, so most end on another CPU than they began on; and
 * whoever ends one reads all of it first, and so sees it if a translation is stale or a frame is
 * two people's.
 */
#ifndef TESTS_KERNEL_SOAK_H
#define TESTS_KERNEL_SOAK_H

#include "kernel/types.h"

struct aspace;
struct frame;
struct soak_worker;

#define SOAK_PAGES 16 /* of one thing */

struct soak_thing {
	/* Reads it, takes it away, frees its frames. NULL: there is nothing here */
	void (*end)(struct soak_worker *w, struct soak_thing *t);
	void *va;
	u64 pages;
	u64 tag; /* the first word of page i is tag + i */
	struct aspace *as;
	struct frame *f[SOAK_PAGES];
};

#define SOAK_SLOTS 24

struct soak_worker {
	u64 seed;
	struct soak_thing *slot[SOAK_SLOTS];
	bool injecting; /* something is to be refused: whatever fails is no surprise */
};

struct soak_count {
	u64 done, refused; /* of one CPU */
};

struct soak_op {
	const char *name;
	/*
	 * => 0; -ENOMEM, or another -errno if the worker is injecting: it was refused, and nothing
	 *    has changed; -ENODEV: it cannot be done on this machine
	 */
	int (*fn)(struct soak_worker *w);
	struct soak_count *count; /* by CPU */
} __aligned_to(32);

extern const struct soak_op __start_soak_ops[], __stop_soak_ops[];

/* SOAK(name) { body using w } */
#define SOAK(op_)                                                                                  \
	static int soak_##op_(struct soak_worker *w);                                              \
	static struct soak_count soak_count_##op_[MAX_CPUS];                                       \
	static const struct soak_op soak_op_##op_                                                  \
		__attribute__((section("soak_ops"), used)) = {#op_, soak_##op_, soak_count_##op_}; \
	static int soak_##op_(struct soak_worker *w __attribute__((unused)))

u64 soak_random(struct soak_worker *w, u64 below);

/* An empty slot's thing, with a tag nobody else has; what was there before has been ended. */
struct soak_thing *soak_take(struct soak_worker *w);

/* => any thing that `end` ends, or NULL: the worker has none */
struct soak_thing *soak_find(struct soak_worker *w,
			     void (*end)(struct soak_worker *w, struct soak_thing *t));

/* n frames for a thing. => 0 or -ENOMEM */
int soak_frames(struct soak_thing *t, u64 n);

/* Writes the words of t's pages at `va`; reads them: a wrong one panics by name. */
void soak_write(const struct soak_thing *t, void *va);
void soak_read(const struct soak_thing *t, const void *va);

/* Maps something by chance, in an empty slot. => as soak_op.fn */
int soak_make_any(struct soak_worker *w, struct soak_thing *t);

/*
 * Workers that sleep (soak_stress.c): none does yet; this one has done its work, so nobody may
 * count on it to be woken.
 */
void soak_begin_round(void);
void soak_end_work(void);

#endif
