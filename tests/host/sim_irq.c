// SPDX-License-Identifier: MIT
/*
 * Interrupts of the simulated CPUs, and how CPUs come online. An IPI or a tick waits until the
 * interrupt flag lets it in; an NMI comes at any shared access, whatever the flag says, but not
 * inside another NMI. When a CPU takes what is pending is decided in sim_sched.c. Each CPU takes
 * its own in its own time, so IPIs sent together arrive in any order.
 */
#include "tests/host/sim_cpu.h"

#define IRQS (1u << SIM_IPI | 1u << SIM_TICK) /* what the interrupt flag holds back */

struct sim_cpu sim_cpus[MAX_CPUS];

cpumask_t cpus_online(void)
{
	cpumask_t m = {0};

	sim_step();
	for (unsigned i = 0; i < MAX_CPUS; i++)
		if (sim_cpus[i].state >= SIM_CPU_JOINING)
			m.bits |= cpu_bit(i);
	return m;
}

/* As CPU `cpu` itself sees it, which may have the latest word in its store buffer still. */
static enum cpu_idle idle_state(unsigned cpu)
{
	unsigned was = sim_peek_as(cpu);
	enum cpu_idle state = shootdown_cpu(cpu).idle;

	sim_unpeek(was);
	return state;
}

cpumask_t sim_online(void)
{
	cpumask_t m = {0};

	for (unsigned i = 0; i < nr_cpus; i++)
		if (sim_cpus[i].state == SIM_CPU_ONLINE && idle_state(i) < CPU_MUST_FLUSH)
			m.bits |= cpu_bit(i);
	return m;
}

enum sim_cpu_state sim_cpu_state(unsigned cpu)
{
	return sim_cpus[cpu].state;
}

/* --- taking them ----------------------------------------------------------------------------- */

bool sim_interruptible(unsigned cpu)
{
	struct sim_cpu *c = &sim_cpus[cpu];

	return (c->pending & IRQS) && !c->irqs_off && c->state != SIM_CPU_ABSENT &&
	       !cpumask_has(sim.deaf, cpu);
}

bool sim_nmi_due(unsigned cpu)
{
	return (sim_cpus[cpu].pending & 1u << SIM_NMI) && !sim_cpus[cpu].in_nmi;
}

/*
 * Handlers run with interrupts off on the stack of whoever was interrupted, as on x86; and as in
 * arch/x86/trap.c, what is owed since the CPU idled comes first.
 */
static void handle(enum sim_interrupt irq)
{
	struct sim_cpu *c = sim_me();
	u32 locks = this_cpu()->locks_held;
	bool irqs_off = c->irqs_off;

	c->pending &= ~(1u << irq);
	sim_note(SIM_TAKEN, NULL, irq, NULL);
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

static void take_nmi(void)
{
	sim_me()->in_nmi = true;
	handle(SIM_NMI);
	sim_me()->in_nmi = false;
}

bool sim_can_take(enum sim_interrupt irq)
{
	return irq == SIM_NMI ? sim_nmi_due(sim.cpu)
			      : sim_interruptible(sim.cpu) && sim_pending(sim.cpu, irq);
}

void sim_take(enum sim_interrupt irq)
{
	if (!sim_can_take(irq))
		return;
	if (irq == SIM_NMI)
		take_nmi();
	else
		handle(irq);
}

void sim_take_interrupts(void)
{
	while (sim_nmi_due(sim.cpu))
		take_nmi();
	while (sim_interruptible(sim.cpu))
		handle(sim_pending(sim.cpu, SIM_IPI) ? SIM_IPI : SIM_TICK);
}

void sim_raise(unsigned cpu, enum sim_interrupt irq)
{
	sim_cpus[cpu].pending |= 1u << irq;
	sim_note(SIM_RAISED, NULL, cpu, NULL);
}

bool sim_pending(unsigned cpu, enum sim_interrupt irq)
{
	return sim_cpus[cpu].pending & (1u << irq);
}

/* --- coming online --------------------------------------------------------------------------- */

/*
 * => acting as `cpu`, which is BOOTING: as smp.c does it, first in the set, then the flush, then
 * IRQs
 */
void sim_cpu_join(unsigned cpu)
{
	KASSERT(sim.cpu == cpu && !irqs_enabled(), "CPU %u joins from elsewhere", cpu);
	sim_cpus[cpu].state = SIM_CPU_JOINING;
	sim_step();
	shootdown_cpu_online();
	sim_cpus[cpu].state = SIM_CPU_ONLINE;
	irq_enable();
}

/* --- the interrupt flag ---------------------------------------------------------------------- */

bool irqs_enabled(void)
{
	return !sim_me()->irqs_off;
}

void irq_disable(void)
{
	sim_step_at(SIM_FLAG, NULL, 0, __builtin_return_address(0));
	sim_me()->irqs_off = true;
}

void irq_enable(void)
{
	sim_me()->irqs_off = false;
	sim_step_at(SIM_FLAG, NULL, 0, __builtin_return_address(0));
	if (sim_choose)
		sim_take_interrupts();
}
