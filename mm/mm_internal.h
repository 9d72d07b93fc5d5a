// SPDX-License-Identifier: MIT
/*
 * The funnel: everything mm/ uses from outside mm/ comes through this header and no other (make
 * lint proves it). The host build puts a header of the same name in front of it on the include
 * path (tests/host/shim/mm/mm_internal.h), with the same words made of libc and a simulated
 * machine; then every mm/ file compiles there unchanged.
 *
 * The words, and what mm/ expects of them:
 *   KASSERT panic printk snprintf           say what is wrong
 *   atomic_* smp_mb cpu_relax               the only way shared words are read and written
 *   spin_lock spin_unlock spin_held         locks
 *   irq_save irq_restore irqs_enabled       this CPU's interrupt flag
 *   cpu_id cpus_online cpu_spinlocks_held   who runs this, who else runs, what it holds
 *   this_park                               this CPU's parked areas
 *   in_interrupt may_wait                   where it runs, and what it may do there
 *   entry_write entry_clear entry_restore   a page-table entry, where it may be written directly
 *   phys_to_virt virt_to_phys frames mapped_page   memory as the kernel sees it
 *   tsc_now tsc_coarse watchdog_expired cpu_unresponsive   time, and what happens when it runs out
 *   count count_add trace                   counters and the trace ring
 *   pte_t and its bits                      arch/x86/pte.h, the same on every platform
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

struct frame;
#define frames ((struct frame *)FRAMES_BASE)

/* => pa lies in the direct map: RAM below directmap=SIZE (from boot on, all of the first 4 GiB) */
static inline void *phys_to_virt(paddr_t pa)
{
	return (void *)(DIRECT_BASE + pa);
}

/* => p is a direct-map address */
static inline paddr_t virt_to_phys(const void *p)
{
	return (vaddr_t)p - DIRECT_BASE;
}

/*
 * An entry written by writing it, where the platform lets us (mmu->set_run is NULL). Clearing is an
 * exchange: a full barrier, so the stamp that is read next is read after the entry is gone from
 * memory (mm/shootdown.c: why it is right).
 */
static __always_inline void entry_write(pte_t *e, u64 v)
{
	WRITE_ONCE(e->v, v);
}

/* => what it was */
static __always_inline u64 entry_clear(pte_t *e)
{
	return __atomic_exchange_n(&e->v, 0, __ATOMIC_SEQ_CST);
}

/* What entry_clear() took away comes back before anybody could miss it. */
static __always_inline void entry_restore(pte_t *e, u64 v)
{
	WRITE_ONCE(e->v, v);
}

/* The page mapped at `va`, as C reaches it. => page aligned, mapped */
static inline void *mapped_page(vaddr_t va)
{
	return (void *)va;
}

#endif
