// SPDX-License-Identifier: MIT
/* What several suites need: frames to map, what the tables say about an address, chance. */
#ifndef TESTS_KERNEL_SUPPORT_H
#define TESTS_KERNEL_SUPPORT_H

#include "kernel/cpu.h"
#include "kernel/test.h"
#include "mm/alias.h"
#include "mm/frame.h"
#include "mm/pagetable.h"
#include "mm/shootdown.h"
#include "mm/space.h"

#define NO_MEMORY test_fail(__FILE__, __LINE__, "no memory on CPU %u", cpu_id())

/* => the next of a sequence of numbers by chance, the same for the same seed (Knuth's MMIX) */
static inline u64 test_random(u64 *state)
{
	*state = *state * 6364136223846793005ul + 1442695040888963407ul;
	return *state >> 33;
}

/* => n zeroed frames in f, or a failure of the test and false */
static inline bool take_frames(struct frame **f, unsigned n)
{
	bool ok = !frame_alloc_many(f, n, FRAME_ZERO);

	EXPECT(ok, "no memory for %u frames", n);
	return ok;
}

/* => the last entry on the way to `va`, which is 0 if nothing is mapped there */
static inline u64 entry_at(const void *va)
{
	struct pt_walk w;

	pt_walk(kernel_root, (vaddr_t)va, &w);
	return w.step[w.level].entry.v;
}

/* => where the walk to `va` ends: 1 for a small page, 2 for a large one */
static inline int level_at(const void *va)
{
	struct pt_walk w;

	pt_walk(kernel_root, (vaddr_t)va, &w);
	return w.level;
}

static inline unsigned other_cpu(void)
{
	return (cpu_id() + 1) % nr_cpus;
}

/* Of everything: a flush of exact pages would not prove to others that they are forgotten. */
static inline void all_cpus_forget(void)
{
	struct gather g;

	gather_begin(&g);
	gather_add_all(&g, shootdown_stamp());
	gather_flush(&g);
	gather_end(&g);
}

/* The byte of a frame as its owner sees it. => not a high frame */
static inline volatile u8 *byte_of(struct frame *f)
{
	return frame_virt(f);
}

#endif
