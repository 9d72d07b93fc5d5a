// SPDX-License-Identifier: MIT
/*
 * Kernel threads: enough to run a worker on every CPU and to test concurrent code. A thread
 * belongs to one CPU for life and runs until it yields, blocks or ends (no preemption; interrupts
 * come and go), so per-CPU data needs no more protection than against interrupts.
 */
#ifndef KERNEL_THREAD_H
#define KERNEL_THREAD_H

#include "kernel/types.h"

struct cpu;
struct thread;

/*
 * Turns the running boot code into CPU 0's first thread, and makes idle threads as CPUs come up.
 *   => 0 or -ENOMEM
 */
int threads_init(void) __must_check;

/*
 * thread_create: a thread named `name` (kept, not copied) that runs fn(arg) on CPU `cpu`, with a
 * guarded stack.
 *   => thread context, IRQs on; => NULL with no memory; -> thread_join() it
 */
struct thread *thread_create(unsigned cpu, const char *name, void (*fn)(void *), void *arg);

/* Waits until it has ended and frees it. => thread context, IRQs on */
void thread_join(struct thread *t);

/* Lets other threads of this CPU run. => thread context, IRQs on, no spinlock held */
void thread_yield(void);

/*
 * Sleeps until thread_wake(); a wake that comes before counts.
 *   => thread context, IRQs on; a wake may be left over from before: look at what you wait for, and
 *      sleep again
 */
void thread_block(void);
/* => any context, any CPU */
void thread_wake(struct thread *t);

struct thread *thread_current(void);

/* => any context; "none" for NULL, which is what a CPU runs before threads_init() */
const char *thread_name(const struct thread *t);

/*
 * thread_create_idle: the idle thread of `c`, which is about to start: its first stack,
 * *stack_top, is that thread's, and it is to enter idle_loop() on it.
 *   => boot CPU, thread context, IRQs on; 0 or -ENOMEM; c->current and c->idle are set
 */
int thread_create_idle(struct cpu *c, u64 *stack_top) __must_check;

/*
 * run_on_cpus: fn(arg) in a thread on each CPU of the mask, all at once; returns when all ended.
 *   => thread context, IRQs on; 0, or -ENOMEM with none started
 */
int run_on_cpus(u64 mask_bits, void (*fn)(void *), void *arg);

/* The loop of a CPU with nothing to run: quiet point, then hlt. */
void idle_loop(void) __noreturn;

#endif
