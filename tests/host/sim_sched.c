// SPDX-License-Identifier: MIT
/*
 * The simulated CPUs and who runs when. Each CPU is a coroutine with a stack of its own; the test
 * itself is one more, which acts as whichever CPU sim_on() named. Turns change only in sim_step(),
 * before a shared access, and in sim_relax(), where a CPU waits. What runs next is drawn from the
 * seed. Stacks are switched by seven instructions rather than by ucontext, which under ASan clears
 * a whole shadow stack each time and is a hundred times slower.
 *
 * A CPU with nothing to do waits until somebody gives it work or an interrupt; with sim.idles it
 * also tells the shootdown so, and is then in the state that a real one is in between sti and the
 * end of hlt. An NMI comes at any shared access, whatever the interrupt flag says, but not inside
 * another NMI.
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

#define STACK_SIZE	(512 * KiB)
#define HARNESS		MAX_CPUS /* index of the test's own context */
#define TICKS_PER_RELAX 100000	 /* 0.1 ms: a watchdog of 10 s is 100000 waits */
#define TICKS_ALL_IDLE	10000000 /* 10 ms when nobody else can run */
#define IRQS		(1u << SIM_IPI | 1u << SIM_TICK) /* what the interrupt flag holds back */

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
	bool irqs_off, in_nmi;
	bool idling; /* on its way to halted, or from there */
	bool halted; /* idle, until something comes */
	u32 pending; /* bit per enum sim_interrupt */
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
static bool peeking;  /* the simulator itself looks: no step happens */
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

/* As CPU `cpu` itself sees it, which may have the latest word in its store buffer still. */
static enum cpu_idle idle_state(unsigned cpu)
{
	unsigned was = sim.cpu;
	enum cpu_idle state;

	peeking = true;
	sim.cpu = cpu;
	state = shootdown_cpu(cpu).idle;
	sim.cpu = was;
	peeking = false;
	return state;
}

cpumask_t sim_online(void)
{
	cpumask_t m = {0};

	for (unsigned i = 0; i < MAX_CPUS; i++)
		if (cpu_state[i].state == SIM_CPU_ONLINE && idle_state(i) < CPU_MUST_FLUSH)
			m.bits |= cpu_bit(i);
	return m;
}

enum sim_cpu_state sim_cpu_state(unsigned cpu)
{
	return cpu_state[cpu].state;
}

/* --- whose turn it is ------------------------------------------------------------------------ */

static bool interruptible(unsigned cpu)
{
	struct sim_cpu *c = &cpu_state[cpu];

	return (c->pending & IRQS) && !c->irqs_off && c->state != SIM_CPU_ABSENT &&
	       !cpumask_has(sim.deaf, cpu);
}

static bool nmi_due(unsigned cpu)
{
	return (cpu_state[cpu].pending & 1u << SIM_NMI) && !cpu_state[cpu].in_nmi;
}

/* It has nothing to do, and has not said so yet. */
static bool may_go_idle(const struct context *c)
{
	const struct sim_cpu *s = &cpu_state[c->cpu];

	return sim.idles && s->state == SIM_CPU_ONLINE && !s->halted && !c->fn;
}

/* It has work, or was left in the middle of an interrupt handler or of going idle. */
static bool busy(const struct context *c)
{
	return c->fn || cpus[c->cpu].irq_depth || cpu_state[c->cpu].idling;
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
	return busy(c) || interruptible(c->cpu) || nmi_due(c->cpu) || may_go_idle(c);
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

/*
 * Handlers run with interrupts off on the stack of whoever was interrupted, as on x86; and as in
 * arch/x86/trap.c, what is owed since the CPU idled comes first.
 */
static void handle(enum sim_interrupt irq)
{
	struct sim_cpu *c = me();
	u32 locks = this_cpu()->locks_held;
	bool irqs_off = c->irqs_off;

	c->pending &= ~(1u << irq);
	c->irqs_off = true;
	c->halted = false;
	this_cpu()->irq_depth++;
	sim_store_drain(sim.cpu);
	shootdown_idle_exit();
	if (sim.on_trap)
		sim.on_trap();
	if (irq == SIM_IPI)
		shootdown_serve();
	else if (irq == SIM_TICK)
		shootdown_quiet_point();
	sim_store_drain(sim.cpu);
	this_cpu()->irq_depth--;
	KASSERT(c->irqs_off && this_cpu()->locks_held == locks, "handler left locks or IRQs on");
	c->irqs_off = irqs_off;
}

static void take_interrupts(void)
{
	while (nmi_due(sim.cpu)) {
		me()->in_nmi = true;
		handle(SIM_NMI);
		me()->in_nmi = false;
	}
	while (interruptible(sim.cpu))
		handle(me()->pending & (1u << SIM_IPI) ? SIM_IPI : SIM_TICK);
}

void sim_step(void)
{
	struct context *other;

	if (peeking)
		return;
	now++;
	sim.steps++;
	if (sim.speculate && !sim_random(sim.speculate))
		sim_tlb_speculate(sim_random(nr_cpus));
	sim_store_leak(sim.cpu);
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

	sim_store_drain(sim.cpu);
	other = pick_other();
	now += other ? TICKS_PER_RELAX : TICKS_ALL_IDLE;
	if (other)
		switch_to(other);
	take_interrupts();
}

/* Whoever gives a halted CPU work sends it an interrupt, too. */
static void wake(void)
{
	me()->halted = false;
	shootdown_idle_exit();
}

/* As idle_loop() in kernel/thread.c: the last look for work is with interrupts off. */
static void go_idle(struct context *self)
{
	struct sim_cpu *c = me();
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
	for (take_interrupts(); c->halted && !self->fn; take_interrupts()) {
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
	while (cpu_state[cpu].idling)
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
		take_interrupts();
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

	take_interrupts();
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
		KASSERT(!cpu_state[i].irqs_off || cpu_state[i].state != SIM_CPU_ONLINE ||
				cpu_state[i].idling,
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
