// SPDX-License-Identifier: MIT
/*
 * The platform: what kernel/ asks of the machine besides page tables (those are mm/mmu_ops.h).
 * There are three, the bare machine (arch/x86/platform.c), a Xen PV guest (xen/platform.c) and,
 * between the two, a Xen PVH guest (xen/pvh.c), each a table of functions; kernel_main() picks one
 * by the door it came through, and nobody else ever asks which it is.
 *
 * In the order in which kernel/main.c calls them.
 */
#ifndef KERNEL_PLATFORM_H
#define KERNEL_PLATFORM_H

#include "kernel/cpumask.h"

struct boot_info;
struct cpu;
struct kernel_image;
struct mmu_ops;
struct thread;

struct platform {
	const char *name;
	const struct mmu_ops *mmu;

	/*
	 * start: this_cpu() works, there is a console if the machine has one, traps are caught.
	 *   => the first call of all; handover: as the door was given it; IRQs stay off
	 */
	void (*start)(u64 handover);

	/*
	 * read_boot_map: physical memory, as far as it can be read before our own tables are
	 * loaded. => NULL beyond that; what it points to is good until then
	 */
	const void *(*read_boot_map)(paddr_t pa, u64 len);

	/*
	 * survey: what else there is to know of the machine before memory is taken over.
	 *   => boot_info is complete
	 */
	void (*survey)(void);
	unsigned (*nr_cpus)(void); /* CPUs that may come up, at least 1; known after survey */

	/*
	 * reserve: memory that is RAM but not for the allocator, by early_reserve(); then, what
	 * page tables are made of can be reached through the direct map.
	 *   => all RAM and the image are known to mm/early.h
	 *   => 0 or -errno
	 */
	int (*reserve)(struct kernel_image *img) __must_check;

	void (*init_screens)(void);	/* consoles that need memory; after vmap_init() */
	void (*start_interrupts)(void); /* IRQs are on when it returns, the tick runs */
	int (*ready_cpu)(struct cpu *c) __must_check; /* memory a CPU needs. => 0 or -ENOMEM */
	void (*start_cpus)(void); /* all that can are online on return; fixes nr_cpus */

	/* idle: sleeps until something happens. => IRQs off; on when it returns */
	void (*idle)(void);
	/* kick: CPU `cpu` looks at its run queue, if it sleeps. => any context */
	void (*kick)(unsigned cpu);
	/* interrupt: smp_interrupt_here() in a handler on CPU `cpu`. => any context */
	void (*interrupt)(unsigned cpu);
	/* stop_cpus: an NMI to each. => false: there is no way to send one */
	bool (*stop_cpus)(cpumask_t cpus);
	/* halt: the end of this CPU's road. => any context */
	void (*halt)(void) __noreturn;
	/* exit: tells whoever runs the machine how it went, 0: well. => any context; may return */
	void (*exit)(int status);
	/*
	 * run_time_us: how long this CPU has really run. => any context; NULL: nobody ever stops
	 * it
	 */
	u64 (*run_time_us)(void);
	/* time_reference: what tsc_hz was measured against */
	const char *(*time_reference)(void);
};

extern const struct platform native_platform, xen_platform;

/*
 * Of a guest that Xen has let in by the PVH door; NULL: it was not Xen. => the first call of all
 */
const struct platform *xen_pvh_platform(void);

extern const struct platform *platform;

#endif
