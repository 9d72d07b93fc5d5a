// SPDX-License-Identifier: MIT
/*
 * Is a deep use of a stack seen, to the byte, and is one that leaves too little called a fault? And
 * do the stacks that must be among those looked at appear there?
 */
#include "kernel/cpu.h"
#include "kernel/stacks.h"
#include "kernel/string.h"
#include "kernel/test.h"
#include "kernel/thread.h"
#include "mm/vmap.h"

#define SIZE (4 * PAGE_SIZE)

KTEST(stacks, use_is_measured_to_the_word)
{
	u8 *stack = vmap_stack_alloc(SIZE / PAGE_SIZE, "measured");

	if (!stack) {
		test_skip("out of memory");
		return;
	}
	stack_fill(stack, SIZE);
	EXPECT_EQ(stack_used(stack, SIZE), 0);
	stack[SIZE - 1] = 0;
	EXPECT_EQ(stack_used(stack, SIZE), 8);
	stack[PAGE_SIZE] = 0;
	EXPECT_EQ(stack_used(stack, SIZE), SIZE - PAGE_SIZE);
	EXPECT_EQ(stacks_check(), 0); /* a quarter is left */
	stack[PAGE_SIZE - 1] = 0;
	EXPECT_EQ(stacks_check(), 1);
	stack[0] = 0;
	EXPECT_EQ(stack_used(stack, SIZE), SIZE);
	stack_fill(stack, SIZE); /* or this test would fail for it */
	vmap_stack_free(stack);
}

/* Goes on until the stack is used down to `goal`. */
static __noinline void use(u64 goal)
{
	volatile u64 here[8];

	here[0] = goal;
	if ((u64)&here[0] > goal)
		use(goal);
	here[1] = here[0]; /* it is needed until now: no tail call */
}

/* A thread's stack begins at the end of its pages. */
static void go_deep(void *arg)
{
	use(ALIGN_UP((u64)__builtin_frame_address(0), PAGE_SIZE) - *(u64 *)arg);
}

static void deep_thread(u64 bytes)
{
	struct thread *t = thread_create(nr_cpus - 1, "deep", go_deep, &bytes);

	EXPECT(t, "no thread");
	if (t)
		thread_join(t);
}

KTEST(stacks, depth_of_an_ended_thread_is_remembered)
{
	struct stack_depth d = {.name = "none"};

	deep_thread(SIZE / 2);
	EXPECT(stacks_deepest_ended(&d), "no thread has ended");
	EXPECT(d.used >= SIZE / 2 && d.size == SIZE, "'%s' used %lu of %lu bytes", d.name, d.used,
	       d.size);
	EXPECT_EQ(stacks_check(), 0);
	deep_thread(SIZE - STACK_RESERVE(SIZE) + 64);
	EXPECT_EQ(stacks_check(), 1);
	EXPECT_EQ(stacks_check(), 0); /* it has been said */
}

static void find(const char *name, const void *stack, u64 size, void *arg)
{
	u64 *found = arg;

	found[0] += !strcmp(name, "boot") && stack_used(stack, size) > 0;
	found[1] += !strcmp(name, "idle");
	found[2] += !strcmp(name, "NMI stack");
}

KTEST(stacks, all_are_looked_at)
{
	u64 found[3] = {0};

	stacks_for_each(find, found);
	EXPECT_EQ(found[0], 1);
	EXPECT_EQ(found[1], nr_cpus);
	EXPECT(!found[2] || found[2] == nr_cpus, "%lu NMI stacks of %u CPUs", found[2], nr_cpus);
}
