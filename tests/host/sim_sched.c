// SPDX-License-Identifier: MIT
/*
 * The simulated CPUs and who runs when. Each CPU is a coroutine with a stack of its own; the test
 * itself is one more, which acts as whichever CPU sim_on() named. Turns change only in a step,
 * before a shared access, and in sim_relax(), where a CPU waits. What runs next, and what else
 * happens, is drawn from the seed, or decided by sim_choose (tests/hostile/). Stacks are switched
 * by seven instructions rather than by ucontext, which under ASan clears a whole shadow stack each
 * time and is a hundred times slower.
 *
 * A CPU with nothing to do waits until somebody gives it work or an interrupt; with sim.idles it
 * also tells the shootdown so, and is then in the state that a real one is in between sti and the
 * end of hlt.
 */
#include <sys/mman.h>

#include "tests/host/sim_cpu.h"

/* ASan must be told when the stack changes; without it these are nothing. */
#ifdef SIM_ASAN
#define fiber_leave(save, to)	 __sanitizer_start_switch_fiber(save, (to)->stack, (to)->size)
#define fiber_enter(saved, b, s) __sanitizer_finish_switch_fiber(saved, b, s)
#else
#define fiber_leave(save, to)	 ((void)(save))
#define fiber_enter(saved, b, s) ((void)(saved))
#endif

#define STACK_SIZE	(512 * KiB)
#define HARNESS		MAX_CPUS /* index of the test's own context */
#define TICKS_PER_RELAX 100000	 /* 0.1 ms: a watchdog of 10 s is 100000 waits */
#define TICKS_ALL_IDLE	10000000 /* 10 ms when nobody else can run */

struct context {
	void *sp; /* while it does not run */
	const void *stack;
	size_t size;
	void *sanitizer;
	unsigned cpu;
	void (*fn)(void *);
	void *arg;
};

struct sim sim = {.remember = true};
struct cpu cpus[MAX_CPUS];
unsigned nr_cpus;
u64 tsc_hz = 1000000000;

static struct context contexts[MAX_CPUS + 1];
static struct context *running = &contexts[HARNESS];
static struct context *came_from;
static bool joining;  /* the harness waits in sim_run() */
static u64 run_until; /* the step at which it stops waiting */
static bool peeking;  /* the simulator itself looks: no step happens */
static u64 now = 1;

struct sim_choice (*sim_choose)(const struct sim_point *at);
void (*sim_saw)(const struct sim_point *at);

struct cpu *this_cpu(void)
{
	return &cpus[sim.cpu];
}

u64 tsc_now(void)
{
	return ++now;
}

u64 counter_sum(enum counter c)
{
	u64 n = 0;

	for (unsigned i = 0; i < MAX_CPUS; i++)
		n += cpus[i].counters[c];
	return n;
}

/* --- whose turn it is ------------------------------------------------------------------------ */

/* It has nothing to do, and has not said so yet. */
static bool may_go_idle(const struct context *c)
{
	const struct sim_cpu *s = &sim_cpus[c->cpu];

	return sim.idles && s->state == SIM_CPU_ONLINE && !s->halted && !c->fn;
}

/* It has work, or was left in the middle of an interrupt handler or of going idle. */
static bool busy(const struct context *c)
{
	return c->fn || cpus[c->cpu].irq_depth || sim_cpus[c->cpu].idling;
}

static bool work_left(void)
{
	for (unsigned i = 0; i < MAX_CPUS; i++)
		if (busy(&contexts[i]))
			return true;
	return false;
}

static bool runnable(const struct context *c)
{
	if (c == &contexts[HARNESS])
		return !joining || !work_left() || sim.steps >= run_until;
	if (!c->stack || sim_cpus[c->cpu].state == SIM_CPU_ABSENT ||
	    cpumask_has(sim.asleep, c->cpu))
		return false;
	if (!joining && contexts[HARNESS].cpu == c->cpu)
		return false; /* the harness is that CPU now */
	return busy(c) || sim_interruptible(c->cpu) || sim_nmi_due(c->cpu) || may_go_idle(c);
}

static bool is_other(const struct context *c)
{
	return c != running && runnable(c);
}

bool sim_can_run(unsigned cpu)
{
	return is_other(&contexts[cpu]);
}

static struct context *by_chance(void)
{
	struct context *found[MAX_CPUS + 1];
	u32 n = 0;

	for (unsigned i = 0; i < nr_cpus; i++)
		if (is_other(&contexts[i]))
			found[n++] = &contexts[i];
	if (is_other(&contexts[HARNESS]))
		found[n++] = &contexts[HARNESS];
	if (!n && sim.asleep.bits) { /* what is waited for may be theirs to do */
		sim.asleep.bits = 0;
		return by_chance();
	}
	return n ? found[sim_random(n)] : NULL;
}

/* The next after this one; the test's own only when no CPU has anything to do. */
static struct context *in_turn(void)
{
	unsigned from = running == &contexts[HARNESS] ? nr_cpus - 1 : running->cpu;

	for (unsigned i = 1; i <= nr_cpus; i++)
		if (is_other(&contexts[(from + i) % nr_cpus]))
			return &contexts[(from + i) % nr_cpus];
	return is_other(&contexts[HARNESS]) ? &contexts[HARNESS] : NULL;
}

static struct context *pick_other(void)
{
	struct sim_choice c;

	if (!sim_choose)
		return by_chance();
	c = sim_choose(&(struct sim_point){.access = SIM_WAIT});
	if (c.what == SIM_RUN && sim_can_run(c.cpu))
		return &contexts[c.cpu];
	return in_turn();
}

/*
 * Leaves by *save, goes on where `sp` was left: the callee's registers of the System V ABI and a
 * return.
 */
void sim_switch_stack(void **save, void *sp);
__asm__(".text\n"
	"sim_switch_stack:\n"
	"	pushq %rbp; pushq %rbx; pushq %r12; pushq %r13; pushq %r14; pushq %r15\n"
	"	movq %rsp, (%rdi)\n"
	"	movq %rsi, %rsp\n"
	"	popq %r15; popq %r14; popq %r13; popq %r12; popq %rbx; popq %rbp\n"
	"	ret\n");

static void switch_to(struct context *to)
{
	struct context *from = running;

	running = to;
	sim.cpu = to->cpu;
	came_from = from;
	fiber_leave(&from->sanitizer, to);
	sim_switch_stack(&from->sp, to->sp);
	fiber_enter(from->sanitizer, NULL, NULL);
}

/* What was decided to happen before the running CPU goes on, if it can. */
static void happen(const struct sim_choice *c)
{
	switch (c->what) {
	case SIM_NOTHING:
		break;
	case SIM_RUN:
		if (sim_can_run(c->cpu))
			switch_to(&contexts[c->cpu]);
		break;
	case SIM_TAKE:
		sim_take((enum sim_interrupt)c->arg);
		break;
	case SIM_RAISE:
		sim_raise(c->cpu, (enum sim_interrupt)c->arg);
		break;
	case SIM_LEAK:
		sim_store_leak(c->cpu);
		break;
	case SIM_SPECULATE:
		sim_tlb_speculate(c->cpu, c->arg);
		break;
	}
}

static void happen_by_chance(void)
{
	struct context *other;

	if (sim.speculate && !sim_random(sim.speculate))
		sim_tlb_speculate(sim_random(nr_cpus), sim_random(~0u));
	if (sim_stores_wait(sim.cpu) && !sim_random(4))
		sim_store_leak(sim.cpu);
	if (sim.preempt && !sim_random(sim.preempt)) {
		other = pick_other();
		if (other)
			switch_to(other);
	}
	if (!sim.preempt || !sim_random(4))
		sim_take_interrupts();
}

void sim_step_at(enum sim_access access, const void *word, unsigned bytes, const void *pc)
{
	const struct sim_point at = {access, bytes, word, pc};
	struct sim_choice c;

	if (peeking)
		return;
	now++;
	sim.steps++;
	if (!sim_choose) {
		happen_by_chance();
	} else {
		c = sim_choose(&at);
		happen(&c);
	}
	if (sim_saw)
		sim_saw(&at);
}

void sim_step(void)
{
	sim_step_at(SIM_ELSE, NULL, 0, __builtin_return_address(0));
}

void sim_note(enum sim_access access, const void *word, unsigned bytes, const void *pc)
{
	const struct sim_point at = {access, bytes, word, pc};

	if (sim_saw && !peeking)
		sim_saw(&at);
}

unsigned sim_peek_as(unsigned cpu)
{
	unsigned was = sim.cpu;

	peeking = true;
	sim.cpu = cpu;
	return was;
}

void sim_unpeek(unsigned was)
{
	sim.cpu = was;
	peeking = false;
}

void sim_relax(void)
{
	struct context *other;

	sim_store_drain(sim.cpu);
	if (sim.asleep.bits && !sim_random(50))
		sim.asleep.bits = 0; /* nobody sleeps for as long as a watchdog waits */
	other = pick_other();
	now += other ? TICKS_PER_RELAX : TICKS_ALL_IDLE;
	if (other)
		switch_to(other);
	sim_take_interrupts();
}

/* Whoever gives a halted CPU work sends it an interrupt, too. */
static void wake(void)
{
	sim_me()->halted = false;
	shootdown_idle_exit();
}

/* As idle_loop() in kernel/thread.c: the last look for work is with interrupts off. */
static void go_idle(struct context *self)
{
	struct sim_cpu *c = sim_me();
	struct context *other;

	c->idling = true;
	irq_disable();
	if (!self->fn) {
		shootdown_idle_enter();
		sim_step(); /* an NMI may come before the halt */
		c->halted = true;
	}
	c->irqs_off = false;
	c->idling = false;
	for (sim_take_interrupts(); c->halted && !self->fn; sim_take_interrupts()) {
		other = pick_other();
		if (other)
			switch_to(other);
	}
	c->idling = true;
	wake();
	c->idling = false;
}

/* The harness is about to act as this CPU, which must not be in the middle of going idle. */
static void take_over(unsigned cpu)
{
	while (sim_cpus[cpu].idling)
		switch_to(&contexts[cpu]);
	joining = false;
	running->cpu = cpu;
	sim.cpu = cpu;
	wake();
}

static void cpu_main(void)
{
	struct context *self = running, *other;

	fiber_enter(NULL, &came_from->stack, &came_from->size);
	for (;;) {
		sim_take_interrupts();
		if (self->fn) {
			self->fn(self->arg);
			sim_locks_at_rest(sim.cpu);
			KASSERT(irqs_enabled(), "work on CPU %u ended with IRQs off", sim.cpu);
			self->fn = NULL;
			sim_store_drain(sim.cpu);
		} else if (may_go_idle(self)) {
			go_idle(self);
		}
		other = pick_other();
		if (other)
			switch_to(other);
	}
}

static void context_init(unsigned cpu)
{
	struct context *c = &contexts[cpu];
	char *stack = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	KASSERT(stack != MAP_FAILED, "no memory for a stack");
	mprotect(stack, PAGE_SIZE, PROT_NONE);
	c->stack = stack;
	c->size = STACK_SIZE;
	c->cpu = cpu;
	c->sp = stack + STACK_SIZE - 8 * sizeof(u64); /* six registers, the return, and no caller */
	((void **)c->sp)[6] = (void *)cpu_main;
}

void sim_on(unsigned cpu)
{
	KASSERT(running == &contexts[HARNESS], "sim_on() outside the test's own code");
	KASSERT(!contexts[cpu].fn, "CPU %u has work of its own", cpu);
	take_over(cpu);
}

void sim_spawn(unsigned cpu, void (*fn)(void *), void *arg)
{
	KASSERT(sim_cpus[cpu].state != SIM_CPU_ABSENT && !contexts[cpu].fn, "CPU %u cannot", cpu);
	contexts[cpu].fn = fn;
	contexts[cpu].arg = arg;
}

void sim_run_for(u64 steps)
{
	KASSERT(running == &contexts[HARNESS], "sim_run() outside the test's own code");
	run_until = steps == ~0ull ? steps : sim.steps + steps;
	joining = true;
	while (work_left() && sim.steps < run_until)
		switch_to(pick_other());
	sim_note(SIM_JOINED, NULL, 0, NULL);
	take_over(running->cpu);
	KASSERT(!contexts[sim.cpu].fn, "CPU %u is not done: sim_on() another first", sim.cpu);
}

void sim_run(void)
{
	sim_run_for(~0ull);
}

void sim_settle(void)
{
	struct context *other;

	sim_take_interrupts();
	while ((other = pick_other()))
		switch_to(other);
	for (unsigned i = 0; i < MAX_CPUS; i++)
		sim_store_drain(i);
}

/*
 * An IPI is one bit per CPU, as in the local APIC: a second one while the first waits is the same
 * one.
 */
void sim_kick(cpumask_t targets)
{
	unsigned cpu;

	sim_full_barrier();
	cpumask_for_each (cpu, targets) {
		KASSERT(sim_cpus[cpu].state != SIM_CPU_ABSENT, "IPI to CPU %u, which is absent",
			cpu);
		sim_raise(cpu, SIM_IPI);
	}
	cpumask_for_each (cpu, targets)
		if (sim.ipi_at_once && &contexts[cpu] != running && runnable(&contexts[cpu]))
			switch_to(&contexts[cpu]);
}

void sim_cpu_power(unsigned cpu)
{
	context_init(cpu);
	sim_cpus[cpu].state = SIM_CPU_BOOTING;
	sim_cpus[cpu].irqs_off = true;
	nr_cpus = MAX(nr_cpus, cpu + 1);
}

void sim_sched_init(void)
{
	for (unsigned i = 0; i < MAX_CPUS; i++)
		cpus[i].id = i;
	context_init(0);
	sim_cpus[0].state = SIM_CPU_ONLINE;
	nr_cpus = 1;
}

void sim_sched_at_rest(void)
{
	for (unsigned i = 0; i < MAX_CPUS; i++) {
		sim_locks_at_rest(i);
		KASSERT(!sim_cpus[i].irqs_off || sim_cpus[i].state != SIM_CPU_ONLINE ||
				sim_cpus[i].idling,
			"CPU %u has its interrupts off", i);
	}
}
