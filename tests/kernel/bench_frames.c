// SPDX-License-Identifier: MIT
/* Frames for benchmarks, by the thousand: the array that names them is longer than a stack is. */
#include "kernel/printk.h"
#include "mm/vmalloc.h"
#include "tests/kernel/bench.h"

struct frame **bench_frames(u64 n)
{
	struct frame **f = vmalloc(n * sizeof(struct frame *));

	if (f && !frame_alloc_many(f, (unsigned)n, FRAME_HIGH))
		return f;
	vfree(f);
	printk("bench: no memory for %lu frames\n", n);
	return NULL;
}

void bench_free_frames(struct frame **f, u64 n)
{
	frame_free_many(f, (unsigned)n);
	vfree(f);
}
