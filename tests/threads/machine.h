// SPDX-License-Identifier: MIT
/*
 * A machine of threads: mm/ compiled unchanged, with the kernel's own locks and atomics, on as many
 * real threads as there are CPUs, under ThreadSanitizer. The simulator of tests/host tries
 * orders of shared accesses, one at a time; here all happens at once, and what is sought is another
 * thing: a plain access that another CPU's access is not ordered with by anything, so that the
 * compiler or the processor may do with it what it likes.
 *
 * Memory is one block, all of it in the direct map. Page tables are really written, and walked to
 * read and write what is mapped. There are no TLBs: an invalidation is counted, for whether it
 * comes at the right time is the simulator's to say.
 *
 * Interrupts are polled: a kick sets a bit, and the CPU looks whenever it may be interrupted and
 * turns interrupts on, counts something, or waits. A handler runs on the thread it interrupts, as
 * it does on a CPU.
 */
#ifndef TESTS_THREADS_MACHINE_H
#define TESTS_THREADS_MACHINE_H

#include "mm/mmu_ops.h"

#define CPUS 4

enum interrupt {
	INT_IPI,
	INT_TICK
};

/*
 * machine_boot: brings mm/ up; this thread is CPU 0 from then on. `asked`: entries are written by
 *   calls and tables may be unhooked, as under a hypervisor.
 * machine_run: fn on each CPU at once, to its end, ticks meanwhile.
 * machine_raise: an interrupt for a CPU
 * machine_idle: this CPU halts until something comes
 */
void machine_boot(bool asked);
void machine_run(void (*fn)(void));
void machine_raise(unsigned cpu, enum interrupt irq);
void machine_idle(void);

extern void (*on_tick)(void); /* in each CPU's tick, when it has done its own work */

/* Single pages invalidated, and everything, on all CPUs so far. */
u64 machine_invalidations(void);

/* What was printed last on this thread. */
const char *machine_printed(void);

u32 random_below(u32 n); /* of this thread's own; its seed is machine_seed and the CPU */
extern u64 machine_seed;

#endif
