// SPDX-License-Identifier: MIT
/*
 * Event counters, one row per counter with the sentence `stats` prints for it. They live in
 * struct cpu, so counting is one add to CPU-local memory (count() in kernel/cpu.h) and reading
 * is a sum over the CPUs that may miss an increment in flight: exact when the machine is quiet.
 */
#ifndef KERNEL_COUNTER_H
#define KERNEL_COUNTER_H

#include "kernel/types.h"

/* clang-format off */
#define COUNTERS(X)                                                                                \
	X(vmap,            "areas mapped (vmap, vmap_pfn)")                                        \
	X(vmap_pages,      "pages mapped by them")                                                 \
	X(vunmap,          "areas unmapped")                                                       \
	X(vunmap_pages,    "pages unmapped by them")                                               \
	X(purge,           "purges of the lazy list")                                              \
	X(purge_areas,     "cleared areas whose addresses came home by a purge")                   \
	X(reclaim_areas,   "cleared areas that came home with no flush: every CPU had passed a quiet point") \
	X(shootdown,       "shootdowns begun on this CPU")                                         \
	X(shootdown_pages, "pages named in their range lists")                                     \
	X(shootdown_full,  "shootdowns that asked for a full flush instead of a list")             \
	X(shootdown_skip,  "CPUs left out of a shootdown on proof that they had flushed since")    \
	X(shootdown_serve, "requests of other CPUs served on this CPU")                            \
	X(ipi_sent,        "shootdown IPIs sent")                                                  \
	X(ipi_received,    "shootdown IPIs received")                                              \
	X(tlb_page,        "single pages invalidated on this CPU")                                 \
	X(tlb_full,        "full TLB flushes on this CPU")                                         \
	X(quiet_flush,     "full flushes a CPU did by itself at a quiet point")                    \
	X(frame_alloc,     "frame blocks allocated")                                               \
	X(frame_free,      "frame blocks freed")                                                   \
	X(frame_refill,    "times a per-CPU frame cache went to its zone")                         \
	X(table_alloc,     "page-table frames taken")                                              \
	X(irq_timer,       "timer ticks")                                                          \
	X(irq_serial,      "serial interrupts")                                                    \
	X(irq_spurious,    "spurious interrupts")                                                  \
	X(thread_switch,   "thread switches")                                                      \
	X(input_lost,      "bytes typed that were dropped: nobody read them in time")
/* clang-format on */

enum counter {
#define X(name, desc) CNT_##name,
	COUNTERS(X)
#undef X
	NR_COUNTERS
};

struct counter_desc {
	const char *name, *desc;
};

extern const struct counter_desc counter_descs[NR_COUNTERS];

/* The sum over all CPUs. => any context */
u64 counter_sum(enum counter c);

#endif
