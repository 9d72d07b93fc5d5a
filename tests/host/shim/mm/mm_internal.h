// SPDX-License-Identifier: MIT
/*
 * In front of mm/mm_internal.h on the include path of the host tests: the same words, made of libc
 * and the simulated machine (tests/host/sim.h). Nothing in mm/ can tell the difference.
 *
 * Where a header of kernel/ has no machine code in it, it is used as it is. Four have: atomic.h
 * irq.h cpu.h and time.h are replaced by those in tests/host/shim/kernel/. Locks keep their
 * headers; their bodies are in tests/host/sim_locks.c, and assert more than the real ones.
 *
 * Memory: the simulated RAM is one file in memory. What mm/ may reach of it by pointer (the direct
 * map and the frame array) is mapped at sim_direct and `frames` exactly as the simulated page
 * tables map it, from the moment they are loaded, so a stray pointer ends in a fault here as well.
 */
#ifndef MM_INTERNAL_H
#define MM_INTERNAL_H

#include "arch/x86/pte.h"
#include "kernel/atomic.h"
#include "kernel/cpu.h"
#include "kernel/cpumask.h"
#include "kernel/errno.h"
#include "kernel/irq.h"
#include "kernel/list.h"
#include "kernel/panic.h"
#include "kernel/printk.h"
#include "kernel/spinlock.h"
#include "kernel/string.h"
#include "kernel/time.h"
#include "kernel/trace.h"
#include "kernel/watchdog.h"
#include "mm/context.h"
#include "mm/layout.h"
#include "mm/types.h"

/* Words shared without a lock may change hands at any access, atomic or not. */
#undef READ_ONCE
#undef WRITE_ONCE
#undef PUBLISH
#undef READ_PUBLISHED
#define READ_ONCE(x)	  (sim_once(&(x), sizeof(x), false), *(const volatile __typeof__(x) *)&(x))
#define WRITE_ONCE(x, v)  (sim_once(&(x), sizeof(x), true), *(volatile __typeof__(x) *)&(x) = (v))
#define PUBLISH(x, v)	  WRITE_ONCE(x, v)
#define READ_PUBLISHED(x) READ_ONCE(x)

/* Volatile, and so none of the plain accesses that tests/hostile holds against each other. */
#undef GLANCE
#undef GLANCE_COPY
#define GLANCE(x)	      (*(const volatile __typeof__(x) *)&(x))
#define GLANCE_COPY(to, from) glance_words(to, from, sizeof(*(to)))

/* => bytes: a multiple of 8 */
static inline void glance_words(void *to, const volatile void *from, size_t bytes)
{
	for (size_t i = 0; i < bytes / sizeof(u64); i++)
		((u64 *)to)[i] = ((const volatile u64 *)from)[i];
}

extern struct frame *frames;
extern char *sim_direct;

void sim_once(const void *word, unsigned bytes, bool write);

static inline void *phys_to_virt(paddr_t pa)
{
	return sim_direct + pa;
}

static inline paddr_t virt_to_phys(const void *p)
{
	return (paddr_t)((const char *)p - sim_direct);
}

/* Page-table entries: every write is checked (tests/host/sim_mmu.c). */
void entry_write(pte_t *e, u64 v);
u64 entry_clear(pte_t *e);
void entry_restore(pte_t *e, u64 v);

/* The page mapped at `va`, through this CPU's TLB. => page aligned, mapped (sim_tlb.c) */
void *mapped_page(vaddr_t va);

#endif
