// SPDX-License-Identifier: MIT
/*
 * In front of mm/mm_internal.h on the include path of tests/threads: the same words on real
 * threads and real memory (tests/threads/machine.h). Locks and atomics are the kernel's own.
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

extern struct frame *frames;
extern char *direct_map; /* all physical memory */

static inline void *phys_to_virt(paddr_t pa)
{
	return direct_map + pa;
}

static inline paddr_t virt_to_phys(const void *p)
{
	return (paddr_t)((const char *)p - direct_map);
}

static __always_inline void entry_write(pte_t *e, u64 v)
{
	WRITE_ONCE(e->v, v);
}

static __always_inline u64 entry_clear(pte_t *e)
{
	return __atomic_exchange_n(&e->v, 0, __ATOMIC_SEQ_CST);
}

static __always_inline void entry_restore(pte_t *e, u64 v)
{
	WRITE_ONCE(e->v, v);
}

/* The page mapped at `va`, by this CPU's tables. => page aligned, mapped */
void *mapped_page(vaddr_t va);

#endif
