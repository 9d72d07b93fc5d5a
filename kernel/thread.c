// SPDX-License-Identifier: MIT
/*
 * Threads. Each CPU has a queue of threads that are ready to run, first in first out, and an idle
 * thread for when it is empty. A thread leaves its CPU only by asking (yield, block, end), so
 * switching is a function call: schedule() picks the next one and switch_stacks() goes there.
 *
 * The queue's lock is taken by the thread that leaves and released by the one that arrives
 * (finish_switch), so nobody can find a thread in the queue whose registers are not saved yet.
 * A thread's struct lies at the top of its own stack: one allocation, one to free. So an ended
 * thread may be freed only when its CPU is off that stack: that, too, finish_switch announces.
 *
 * No wake-up is lost. To block is: under the lock, either take the wake that has come already, or
 * become BLOCKED and leave; to wake is, under the same lock, the opposite. For a CPU that goes
 * idle:
 *
 *   idle CPU                                  waker
 *   1 interrupts off                          a lock, add to the queue, unlock
 *   2 lock, look at the queue, unlock         b the CPU's current is its idle thread: send an IPI
 *   3 sti; hlt
 *
 * If a comes before 2, the thread is seen. Else b comes after 1: the IPI waits in the local APIC
 * until 3, where sti holds it back for one more instruction, so it ends the hlt.
 *
 * Between 2 and 3 the CPU says that it idles, so that shootdowns let it sleep; what it owes them
 * then is done first thing in the interrupt that wakes it (mm/shootdown.c, arch/x86/trap.c).
 *
 * Read next: arch/x86/switch.asm.
 */
#include "kernel/thread.h"
#include "kernel/cpu.h"
#include "kernel/errno.h"
#include "kernel/irq.h"
#include "kernel/list.h"
#include "kernel/panic.h"
#include "kernel/platform.h"
#include "kernel/spinlock.h"
#include "kernel/stacks.h"
#include "kernel/watchdog.h"
#include "mm/shootdown.h"
#include "mm/vmap.h"

#define STACK_PAGES 4
#define STACK_SIZE  (STACK_PAGES * PAGE_SIZE)

enum thread_state {
	THREAD_READY,
	THREAD_RUNNING,
	THREAD_BLOCKED,
	THREAD_ENDING,
	THREAD_ENDED
};

struct thread {
	/* fixed */
	unsigned cpu;
	const char *name;
	void (*fn)(void *);
	void *arg;
	void *stack; /* lowest address; NULL for the boot thread */

	/* guarded by the queue's lock */
	u64 rsp; /* while it does not run */
	enum thread_state state;
	bool wake_pending;
	struct list link; /* in the queue, when READY */
	struct thread *joiner;

	atomic_t released; /* 1: the last to look at it after it ended has done so */
};

struct run_queue {
	spinlock_t lock;
	struct list ready;
	struct thread *left; /* whom the arriving thread relieves; valid from switch to finish */
} __aligned_to(CACHE_LINE);

/* What switch_stacks() finds on the stack of a thread that has never run. */
struct first_frame {
	u64 r15, r14, r13, r12, rbx, rbp;
	void (*start)(void);
	u64 no_caller; /* start()'s return address: 0 ends a backtrace */
};

static struct run_queue queues[MAX_CPUS];
static struct thread boot_thread = {.name = "main", .state = THREAD_RUNNING};

/* arch/x86/switch.asm */
void switch_stacks(u64 *save_rsp, u64 load_rsp);

static struct run_queue *this_queue(void)
{
	return &queues[cpu_id()];
}

struct thread *thread_current(void)
{
	return this_cpu()->current;
}

const char *thread_name(const struct thread *t)
{
	return t ? t->name : "none";
}

/* => on the stack of the thread that runs now, the queue's lock held by the one that left */
static void finish_switch(void)
{
	struct run_queue *q = this_queue();
	struct thread *left = q->left, *joiner = NULL;
	bool ended = left->state == THREAD_ENDING;

	if (ended) {
		left->state = THREAD_ENDED;
		joiner = left->joiner;
	}
	spin_unlock(&q->lock);
	if (joiner)
		thread_wake(joiner);
	if (ended)
		atomic_set(&left->released, 1);
}

/* => q->lock held, and released on return; the current thread's state says whether it comes back */
static void schedule(struct run_queue *q)
{
	struct cpu *c = this_cpu();
	struct thread *prev = c->current, *next = c->idle;

	KASSERT(!c->irq_depth && c->locks_held == 1, "thread '%s' may not switch: irq %u, locks %u",
		prev->name, c->irq_depth, c->locks_held);
	if (!list_empty(&q->ready)) {
		next = list_first(&q->ready, struct thread, link);
		list_del(&next->link);
	}
	next->state = THREAD_RUNNING;
	if (next == prev) {
		spin_unlock(&q->lock);
		return;
	}
	c->current = next;
	q->left = prev;
	count(thread_switch);
	switch_stacks(&prev->rsp, next->rsp);
	finish_switch();
}

/* => t's queue's lock held; whether its CPU has to be told */
static bool make_ready(struct thread *t)
{
	t->state = THREAD_READY;
	list_add_tail(&queues[t->cpu].ready, &t->link);
	return t->cpu != cpu_id() && cpus[t->cpu].current == cpus[t->cpu].idle;
}

void thread_yield(void)
{
	struct run_queue *q = this_queue();
	struct thread *t = thread_current();

	KASSERT(irqs_enabled(), "thread '%s' yields with interrupts off", t->name);
	spin_lock(&q->lock);
	if (t != this_cpu()->idle)
		make_ready(t);
	schedule(q);
}

void thread_block(void)
{
	struct run_queue *q = this_queue();
	struct thread *t = thread_current();

	KASSERT(irqs_enabled() && t != this_cpu()->idle, "thread '%s' may not block", t->name);
	spin_lock(&q->lock);
	if (t->wake_pending) {
		t->wake_pending = false;
		spin_unlock(&q->lock);
		return;
	}
	t->state = THREAD_BLOCKED;
	schedule(q);
}

void thread_wake(struct thread *t)
{
	struct run_queue *q = &queues[t->cpu];
	bool kick = false;

	spin_lock(&q->lock);
	if (t->state == THREAD_BLOCKED)
		kick = make_ready(t);
	else
		t->wake_pending = true;
	spin_unlock(&q->lock);
	if (kick)
		platform->kick(t->cpu);
}

static void thread_end(void)
{
	struct run_queue *q = this_queue();

	spin_lock(&q->lock);
	thread_current()->state = THREAD_ENDING;
	schedule(q);
	panic("an ended thread runs again");
}

/* Where a new thread begins: in the middle of somebody's schedule(). */
static void thread_start(void)
{
	struct thread *t = thread_current();

	finish_switch();
	t->fn(t->arg);
	thread_end();
}

/* => a thread that is in no queue yet, or NULL */
static struct thread *thread_make(unsigned cpu, const char *name, void (*fn)(void *), void *arg)
{
	u8 *stack = vmap_stack_alloc(STACK_PAGES, name);
	struct thread *t;
	struct first_frame *f;

	if (!stack)
		return NULL;
	stack_fill(stack, STACK_SIZE);
	t = (struct thread *)(stack + STACK_SIZE - ALIGN_UP(sizeof(*t), 16));
	f = (struct first_frame *)t - 1;
	*f = (struct first_frame){.start = thread_start};
	*t = (struct thread){
		.cpu = cpu, .name = name, .fn = fn, .arg = arg, .stack = stack, .rsp = (u64)f};
	return t;
}

static void thread_launch(struct thread *t)
{
	struct run_queue *q = &queues[t->cpu];
	bool kick;

	spin_lock(&q->lock);
	kick = make_ready(t);
	spin_unlock(&q->lock);
	if (kick)
		platform->kick(t->cpu);
}

struct thread *thread_create(unsigned cpu, const char *name, void (*fn)(void *), void *arg)
{
	struct thread *t;

	KASSERT(cpumask_has(cpus_online(), cpu), "thread '%s' for cpu %u, which is not online",
		name, cpu);
	t = thread_make(cpu, name, fn, arg);
	if (t)
		thread_launch(t);
	return t;
}

static bool has_ended(struct thread *t, struct thread *joiner)
{
	struct run_queue *q = &queues[t->cpu];
	bool ended;

	spin_lock(&q->lock);
	t->joiner = joiner;
	ended = t->state == THREAD_ENDED;
	spin_unlock(&q->lock);
	return ended;
}

void thread_join(struct thread *t)
{
	u64 start;

	while (!has_ended(t, thread_current()))
		thread_block();
	start = tsc_now();
	while (!atomic_read(&t->released)) { /* its CPU is about to wake us, or has */
		cpu_relax();
		if (watchdog_expired(start))
			cpu_unresponsive(t->cpu, "end of a thread");
	}
	stack_ended(t->stack, STACK_SIZE, t->name);
	vmap_stack_free(t->stack);
}

/* => a thread for each CPU of the mask in t[cpu], none launched; or -ENOMEM and none made */
static int make_each(struct thread **t, cpumask_t mask, void (*fn)(void *), void *arg)
{
	unsigned cpu;

	for (cpu = 0; cpu < MAX_CPUS; cpu++) {
		if (!cpumask_has(mask, cpu))
			continue;
		t[cpu] = thread_make(cpu, "run_on_cpus", fn, arg);
		if (!t[cpu])
			break;
	}
	if (cpu == MAX_CPUS)
		return 0;
	while (cpu--) {
		if (cpumask_has(mask, cpu))
			vmap_stack_free(t[cpu]->stack);
	}
	return -ENOMEM;
}

int run_on_cpus(u64 mask_bits, void (*fn)(void *), void *arg)
{
	const cpumask_t mask = {mask_bits};
	struct thread *t[MAX_CPUS];
	unsigned cpu;

	KASSERT(!(mask_bits & ~cpus_online().bits), "not all of %#lx are online", mask_bits);
	if (make_each(t, mask, fn, arg))
		return -ENOMEM;
	cpumask_for_each (cpu, mask)
		thread_launch(t[cpu]);
	cpumask_for_each (cpu, mask)
		thread_join(t[cpu]);
	return 0;
}

void idle_loop(void)
{
	struct run_queue *q = this_queue();
	bool nothing_to_do;

	irq_enable();
	for (;;) {
		shootdown_quiet_point();
		thread_yield();
		irq_disable();
		spin_lock(&q->lock);
		nothing_to_do = list_empty(&q->ready);
		spin_unlock(&q->lock);
		if (!nothing_to_do) {
			irq_enable();
			continue;
		}
		shootdown_idle_enter();
		platform->idle();
		shootdown_idle_exit(); /* a hlt may end with no interrupt: SMM may return past it */
	}
}

static void idle_thread(void *arg __attribute__((unused)))
{
	idle_loop();
}

int thread_create_idle(struct cpu *c, u64 *stack_top)
{
	struct thread *t = thread_make(c->id, "idle", idle_thread, NULL);

	if (!t)
		return -ENOMEM;
	t->state = THREAD_RUNNING;
	c->current = c->idle = t;
	*stack_top = t->rsp;
	return 0;
}

int threads_init(void)
{
	for (unsigned i = 0; i < MAX_CPUS; i++) {
		queues[i].lock.name = "run queue";
		list_init(&queues[i].ready);
	}
	this_cpu()->current = &boot_thread;
	this_cpu()->idle = thread_make(0, "idle", idle_thread, NULL);
	return this_cpu()->idle ? 0 : -ENOMEM;
}
