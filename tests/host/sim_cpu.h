// SPDX-License-Identifier: MIT
/* Between sim_sched.c and sim_irq.c: what a simulated CPU is. */
#ifndef TESTS_HOST_SIM_CPU_H
#define TESTS_HOST_SIM_CPU_H

#include "mm/shootdown.h"
#include "tests/host/sim.h"

struct sim_cpu {
	enum sim_cpu_state state;
	bool irqs_off, in_nmi;
	bool idling; /* on its way to halted, or from there */
	bool halted; /* idle, until something comes */
	u32 pending; /* bit per enum sim_interrupt */
};

extern struct sim_cpu sim_cpus[MAX_CPUS];

static inline struct sim_cpu *sim_me(void)
{
	return &sim_cpus[sim.cpu];
}

/* => has CPU `cpu` an interrupt to take that its flag lets through? or an NMI? */
bool sim_interruptible(unsigned cpu);
bool sim_nmi_due(unsigned cpu);

/* The running CPU takes all that is due. */
void sim_take_interrupts(void);

/* The running CPU takes this one, if it is due. */
void sim_take(enum sim_interrupt irq);

#endif
