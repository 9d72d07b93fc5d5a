// SPDX-License-Identifier: MIT
/*
 * How deep stacks have been used. A stack is filled with a pattern when it is made; what is still
 * filled below its deepest word has never been used. (A frame that was reserved and not written
 * hides there; frames are bounded: FRAME_MAX in the Makefile.)
 */
#ifndef KERNEL_STACKS_H
#define KERNEL_STACKS_H

#include "kernel/types.h"

/* Of each stack so much must be left: whoever adds a call has room, and an interrupt as well. */
#define STACK_RESERVE(size) ((size) / 4)

/*
 * stack_fill: a fresh stack at [stack, stack + size).
 * stack_fill_boot: the rest of the stack we are on, the boot CPU's. => early in kernel_main()
 * stack_used: bytes used at most so far, of one that was filled. => any context
 * stack_ended: the stack of a thread `name` is about to be freed; its depth is remembered.
 *   => thread context
 */
void stack_fill(void *stack, u64 size);
void stack_fill_boot(void);
u64 stack_used(const void *stack, u64 size);
void stack_ended(const void *stack, u64 size, const char *name);

/*
 * stacks_check: all stacks there are, and those of threads that ended since it was last called.
 *   => thread context; how many have not STACK_RESERVE() left, each printed
 */
unsigned stacks_check(void);

/* What is to be done with each. => the boot stack, threads' and exceptions', by address */
void stacks_for_each(void (*fn)(const char *name, const void *stack, u64 size, void *arg),
		     void *arg);

/* The deepest of the threads that have ended since boot. => false: none has */
struct stack_depth {
	const char *name;
	u64 used, size;
};
bool stacks_deepest_ended(struct stack_depth *d);

#endif
