// SPDX-License-Identifier: MIT
/*
 * The simulated CPUs and who runs when. Each CPU is a coroutine with a stack of its own; the test
 * itself is one more, which acts as whichever CPU sim_on() named. Turns change only in sim_step(),
 * before a shared access, and in sim_relax(), where a CPU waits. What runs next is drawn from the
 * seed. Stacks are switched by seven instructions rather than by ucontext, which under ASan clears
 * a whole shadow stack each time and is a hundred times slower.
 *
 * A CPU's store buffer holds its latest atomic_set()s until a locked operation, an interrupt or
 * chance lets them out, in order; its own loads see them at once. That is all the reordering x86
 * does. Plain stores are not delayed: shared words that are not atomic are guarded by locks, which
 * are locked operations.
 */
#include <sys/mman.h>

#include "mm/shootdown.h"
#include "tests/host/sim.h"

/* ASan must be told when the stack changes; without it these are nothing. */
#ifdef SIM_ASAN
#define fiber_leave(save, to)	 __sanitizer_start_switch_fiber(save, (to)->stack, (to)->size)
#define fiber_enter(saved, b, s) __sanitizer_finish_switch_fiber(saved, b, s)
#else
#define fiber_leave(save, to)	 ((void)(save))
#define fiber_enter(saved, b, s) ((void)(saved))
#endif

#define STACK_SIZE	 (512 * KiB)
#define HARNESS		 MAX_CPUS /* index of the test's own context */
#define TICKS_PER_RELAX	 100000	  /* 0.1 ms: a watchdog of 10 s is 100000 waits */
#define TICKS_ALL_IDLE	 10000000 /* 10 ms when nobody else can run */
#define STORE_BUFFER_MAX 8

struct context {
	void *sp; /* while it does not run */
	const void *stack;
	size_t size;
	void *sanitizer;
	unsigned cpu;
	void (*fn)(void *);
	void *arg;
};

struct sim_cpu {
	enum sim_cpu_state state;
	bool irqs_off;
	u32 pending; /* bit per enum sim_interrupt */
	unsigned nr_stores;
	struct {
		u64 *word, v;
	} store[STORE_BUFFER_MAX];
};

struct sim sim = {.remember = true};
struct cpu cpus[MAX_CPUS];
unsigned nr_cpus;
u64 tsc_hz = 1000000000;

static struct sim_cpu cpu_state[MAX_CPUS];
static struct context contexts[MAX_CPUS + 1];
static struct context *running = &contexts[HARNESS];
static struct context *came_from;
static bool joining;  /* the harness waits in sim_run() */
static u64 run_until; /* the step at which it stops waiting */
static u64 now = 1;

static struct sim_cpu *me(void)
{
	return &cpu_state[sim.cpu];
}

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

cpumask_t cpus_online(void)
{
	cpumask_t m = {0};

	sim_step();
	for (unsigned i = 0; i < MAX_CPUS; i++)
		if (cpu_state[i].state >= SIM_CPU_JOINING)
			m.bits |= cpu_bit(i);
	return m;
}

cpumask_t sim_online(void)
{
	cpumask_t m = {0};

	for (unsigned i = 0; i < MAX_CPUS; i++)
		if (cpu_state[i].state == SIM_CPU_ONLINE)
			m.bits |= cpu_bit(i);
	return m;
}

enum sim_cpu_state sim_cpu_state(unsigned cpu)
{
	return cpu_state[cpu].state;
}

/* --- store buffers --------------------------------------------------------------------------- */

static void drain_one(struct sim_cpu *c)
{
	*c->store[0].word = c->store[0].v;
	memmove(&c->store[0], &c->store[1], --c->nr_stores * sizeof(c->store[0]));
}

static void drain(struct sim_cpu *c)
{
	while (c->nr_stores)
		drain_one(c);
}

/*
 * A word on a stack may be gone before its store comes out: only lasting memory is stored to
 * late.
 */
static bool lasting(const u64 *word)
{
	extern char __data_start[], _end[];
	const char *p = (const char *)word;

	return (p >= __data_start && p < _end) || virt_to_phys(p) < SIM_PHYS_MAX ||
	       (u64)(p - (const char *)frames) < SIM_FRAMES_SIZE;
}

u64 sim_load(const u64 *word)
{
	struct sim_cpu *c;

	sim_step();
	c = me();
	for (unsigned i = c->nr_stores; i-- > 0;)
		if (c->store[i].word == word)
			return c->store[i].v;
	return *word;
}

void sim_store(u64 *word, u64 v)
{
	struct sim_cpu *c;

	sim_step();
	c = me();
	if (!sim.store_buffer || !lasting(word)) {
		drain(c);
		*word = v;
		return;
	}
	if (c->nr_stores == STORE_BUFFER_MAX)
		drain_one(c);
	c->store[c->nr_stores].word = word;
	c->store[c->nr_stores++].v = v;
}

void sim_full_barrier(void)
{
	sim_step();
	drain(me());
}

/* --- whose turn it is ------------------------------------------------------------------------ */

static bool interruptible(unsigned cpu)
{
	struct sim_cpu *c = &cpu_state[cpu];

	return c->pending && !c->irqs_off && c->state != SIM_CPU_ABSENT &&
	       !cpumask_has(sim.deaf, cpu);
}

/* It has work, or was left in the middle of an interrupt handler. */
static bool busy(const struct context *c)
{
	return c->fn || cpus[c->cpu].irq_depth;
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
	if (!c->stack || cpu_state[c->cpu].state == SIM_CPU_ABSENT)
		return false;
	if (!joining && contexts[HARNESS].cpu == c->cpu)
		return false; /* the harness is that CPU now */
	return busy(c) || interruptible(c->cpu);
}

static struct context *pick_other(void)
{
	struct context *found[MAX_CPUS + 1];
	u32 n = 0;

	for (unsigned i = 0; i <= MAX_CPUS; i++)
		if (&contexts[i] != running && runnable(&contexts[i]))
			found[n++] = &contexts[i];
	return n ? found[sim_random(n)] : NULL;
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

/* Interrupt handlers run with interrupts off on the stack of whoever was interrupted, as on x86. */
static void take_interrupts(void)
{
	while (interruptible(sim.cpu)) {
		struct sim_cpu *c = me();
		u32 locks = this_cpu()->locks_held;
		enum sim_interrupt irq = c->pending & (1u << SIM_IPI) ? SIM_IPI : SIM_TICK;

		c->pending &= ~(1u << irq);
		c->irqs_off = true;
		this_cpu()->irq_depth++;
		drain(c);
		if (irq == SIM_IPI)
			shootdown_serve();
		else
			shootdown_quiet_point();
		drain(c);
		this_cpu()->irq_depth--;
		KASSERT(c->irqs_off && this_cpu()->locks_held == locks,
			"handler left locks or IRQs on");
		c->irqs_off = false;
	}
}

void sim_step(void)
{
	struct context *other;

	now++;
	sim.steps++;
	if (sim.speculate && !sim_random(sim.speculate))
		sim_tlb_speculate(sim_random(nr_cpus));
	if (me()->nr_stores && !sim_random(4))
		drain_one(me());
	if (sim.preempt && !sim_random(sim.preempt)) {
		other = pick_other();
		if (other)
			switch_to(other);
	}
	if (!sim.preempt || !sim_random(4))
		take_interrupts();
}

void sim_relax(void)
{
	struct context *other;

	drain(me());
	other = pick_other();
	now += other ? TICKS_PER_RELAX : TICKS_ALL_IDLE;
	if (other)
		switch_to(other);
	take_interrupts();
}

static void cpu_main(void)
{
	struct context *self = running, *other;

	fiber_enter(NULL, &came_from->stack, &came_from->size);
	for (;;) {
		take_interrupts();
		if (self->fn) {
			self->fn(self->arg);
			sim_locks_at_rest(sim.cpu);
			KASSERT(irqs_enabled(), "work on CPU %u ended with IRQs off", sim.cpu);
			self->fn = NULL;
			drain(me());
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
	running->cpu = cpu;
	sim.cpu = cpu;
}

void sim_spawn(unsigned cpu, void (*fn)(void *), void *arg)
{
	KASSERT(cpu_state[cpu].state != SIM_CPU_ABSENT && !contexts[cpu].fn, "CPU %u cannot", cpu);
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
	joining = false;
	sim.cpu = running->cpu;
	KASSERT(!contexts[sim.cpu].fn, "CPU %u is not done: sim_on() another first", sim.cpu);
}

void sim_run(void)
{
	sim_run_for(~0ull);
}

void sim_settle(void)
{
	struct context *other;

	take_interrupts();
	while ((other = pick_other()))
		switch_to(other);
	for (unsigned i = 0; i < MAX_CPUS; i++)
		drain(&cpu_state[i]);
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
		KASSERT(cpu_state[cpu].state != SIM_CPU_ABSENT, "IPI to CPU %u, which is absent",
			cpu);
		sim_raise(cpu, SIM_IPI);
	}
	cpumask_for_each (cpu, targets)
		if (sim.ipi_at_once && &contexts[cpu] != running && runnable(&contexts[cpu]))
			switch_to(&contexts[cpu]);
}

void sim_raise(unsigned cpu, enum sim_interrupt irq)
{
	cpu_state[cpu].pending |= 1u << irq;
}

bool sim_pending(unsigned cpu, enum sim_interrupt irq)
{
	return cpu_state[cpu].pending & (1u << irq);
}

void sim_cpu_power(unsigned cpu)
{
	context_init(cpu);
	cpu_state[cpu].state = SIM_CPU_BOOTING;
	cpu_state[cpu].irqs_off = true;
	nr_cpus = MAX(nr_cpus, cpu + 1);
}

/*
 * => acting as `cpu`, which is BOOTING: as smp.c does it, first in the set, then the flush, then
 * IRQs
 */
void sim_cpu_join(unsigned cpu)
{
	KASSERT(sim.cpu == cpu && !irqs_enabled(), "CPU %u joins from elsewhere", cpu);
	cpu_state[cpu].state = SIM_CPU_JOINING;
	sim_step();
	shootdown_cpu_online();
	cpu_state[cpu].state = SIM_CPU_ONLINE;
	irq_enable();
}

void sim_sched_init(void)
{
	for (unsigned i = 0; i < MAX_CPUS; i++)
		cpus[i].id = i;
	context_init(0);
	cpu_state[0].state = SIM_CPU_ONLINE;
	nr_cpus = 1;
}

void sim_sched_at_rest(void)
{
	for (unsigned i = 0; i < MAX_CPUS; i++) {
		sim_locks_at_rest(i);
		KASSERT(!cpu_state[i].irqs_off || cpu_state[i].state != SIM_CPU_ONLINE,
			"CPU %u has its interrupts off", i);
	}
}

/* --- interrupt flag ------------------------------------------------------------------ */

bool irqs_enabled(void)
{
	return !me()->irqs_off;
}

void irq_disable(void)
{
	sim_step();
	me()->irqs_off = true;
}

void irq_enable(void)
{
	me()->irqs_off = false;
	sim_step();
}
