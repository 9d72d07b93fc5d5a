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
	X(vmap,            "areas mapped, by whatever call, revivals left out")                                        \
	X(vmap_pages,      "pages mapped by them")                                                 \
	X(vunmap,          "areas unmapped")                                                       \
	X(kmap_local,      "frames mapped by kmap_local")                                          \
	X(revive,          "lazy mappings made live again: no entry written, nothing flushed")     \
	X(clear_pages,     "pages whose lazily left entries were cleared (policy pte)")            \
	X(purge,           "purges of everything unmapped lazily")                                 \
	X(unhook,          "level-1 tables emptied at once, by unhooking them (under Xen)")        \
	X(purge_frames,    "frames asked to lose their lazy aliases (vm_unmap_frame_aliases)")     \
	X(purge_hit,       "lazy aliases that they had")                                           \
	X(park_miss,       "times the CPU's own ready list had no area of the size")               \
	X(park_refill,     "times a whole list of cleared areas was found forgotten by every CPU") \
	X(park_carve,      "areas carved out of the address tree")                                 \
	X(park_home,       "areas that went back to the tree")                                     \
	X(park_forced,     "times too much waited to be forgotten and CPUs were interrupted for it") \
	X(alias_slow,      "times a frame had, or got, several aliases at once")                   \
	X(shootdown,       "shootdowns begun on this CPU")                                         \
	X(shootdown_pages, "pages named in their range lists")                                     \
	X(shootdown_full,  "shootdowns that asked for a full flush instead of a list")             \
	X(shootdown_skip,  "CPUs left out of a shootdown on proof that they had flushed since")    \
	X(idle_skip,       "CPUs left out of a shootdown because they were idle and will flush before they wake") \
	X(idle_flush,      "full flushes a CPU had promised while it was idle")                    \
	X(shootdown_serve, "requests of other CPUs served on this CPU")                            \
	X(ipi_sent,        "shootdown IPIs sent")                                                  \
	X(ipi_received,    "shootdown IPIs received")                                              \
	X(tlb_page,        "single pages invalidated on this CPU")                                 \
	X(tlb_full,        "full TLB flushes on this CPU")                                         \
	X(quiet_flush,     "full flushes a CPU did by itself at a quiet point")                    \
	X(frame_alloc,     "frame blocks allocated")                                               \
	X(frame_free,      "frame blocks freed")                                                   \
	X(frame_hold,      "frame blocks held back until every CPU has forgotten them (hold=on)")  \
	X(frame_refill,    "times a per-CPU frame cache went to its zone")                         \
	X(table_alloc,     "page-table frames taken")                                              \
	X(xen_mmu_update,  "hypercalls that changed page-table entries (under Xen)")               \
	X(xen_mmu_entry,   "entries they changed")                                                 \
	X(xen_mmuext,      "hypercalls that pinned, unpinned, loaded or flushed (under Xen)")      \
	X(xen_pin,         "page-table trees pinned (under Xen)")                                  \
	X(xen_refused,     "of them, those that Xen refused")                                      \
	X(xen_explained,   "refusals for which an entry of ours was found that was in the way")    \
	X(xen_mispredicted, "pins that went otherwise than our entries had it")                    \
	X(lock,            "spinlocks taken")                                                      \
	X(lock_wait,       "of them, those that another CPU held just then")                       \
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
