// SPDX-License-Identifier: MIT
/*
 * Being lazy: when entries are cleared, when CPUs are made to forget, and who decides.
 *
 *   off   cleared and shot down at every unmapping
 *   tlb   cleared at once; CPUs forget when they pass a quiet point, or by a purge
 *   pte   nothing at all until a purge; what is mapped again before is revived
 *
 * A purge has two phases, separately callable, because they serve different needs: with the entries
 * gone a hypervisor's count of references is right (all that Xen's pin asks); with the TLBs flushed
 * nobody can reach the frames any more (what bare metal asks before they are something else).
 */
#ifndef MM_LAZY_H
#define MM_LAZY_H

#include "mm/area.h"
#include "mm/mmu_ops.h"

enum purge_phase {
	PURGE_PTES,  /* lazy aliases have no entry any more */
	PURGE_FLUSH, /* and no CPU remembers them */
};

/*
 * What keeps the engine from its fastest path, which is policy tlb and nothing to be told: bits,
 * 0 in the common case.
 */
#define LAZY_SLOW_OFF	 (1u << 0) /* policy off */
#define LAZY_SLOW_PTE	 (1u << 1) /* policy pte */
#define LAZY_SLOW_POISON (1u << 2) /* debug=poison */
#define LAZY_SLOW_CALLS	 (1u << 3) /* entries are not ours to write: mmu->set_run is there */
#define LAZY_SLOW_TRACE	 (1u << 4) /* each mapping is to be traced */
extern u32 lazy_slow;

/*
 * lazy_cleared: the entries of `a` are gone, it is stamped, and the caller's: does what the policy
 * wants with its addresses.
 *   => any context; where one may not wait, `off` does as `tlb`
 */
void lazy_cleared(struct area *a);

/*
 * lazy_stay: `a`, whose word is `live` (LIVE), becomes LAZY with its entries in place.
 *   => any context; false if its word was not that any more
 */
bool lazy_stay(struct area *a, u64 live);

/*
 * lazy_purge: everything unmapped lazily before the call is cleared, and for PURGE_FLUSH forgotten
 * by every CPU, when it returns.
 *   => thread context, no spinlock held; PURGE_PTES: any IRQ state; PURGE_FLUSH: IRQs on
 *   => pages whose entries were cleared
 */
u64 lazy_purge(enum purge_phase phase);

/* As lazy_purge(PURGE_FLUSH), whole level-1 tables at once where that pays (mm/unhook.c). */
u64 lazy_unhook(void);

/* Each mapping and unmapping is traced from now on, or no longer (kernel/trace.h: trace_hot). */
void lazy_set_trace(bool on);

/*
 * lazy_set_policy: changes what unmapping does from now on, and purges what waits.
 * lazy_set_max: pages that may wait before CPUs are made to forget them.
 * lazy_set_poison: from now on no address is used twice as long as there are others, and each is
 * flushed as it is unmapped: whoever uses it again, faults.
 *   => thread context, IRQs on; an unmapping under way on another CPU may still follow the old one
 */
void lazy_set_policy(enum lazy_policy policy);
void lazy_set_max(u64 pages);
void lazy_set_poison(bool on);
enum lazy_policy lazy_policy(void);
bool lazy_poison(void);

/* "off", "tlb", "pte"; _parse => 0 or -EINVAL */
const char *lazy_policy_name(enum lazy_policy p);
int lazy_policy_parse(const char *s, enum lazy_policy *out);

struct lazy_stats {
	enum lazy_policy policy;
	u64 areas, pages;    /* unmapped, and some CPU may remember: now, by a walk */
	u64 max_pages;	     /* lazy_set_max() */
	u64 peak_pages;	     /* sum of the CPUs' peaks: an upper bound of what ever waited */
	u64 uncleared_areas; /* of `areas`: those whose entries are still there (pte) */
	u64 quarantined;     /* areas that poison holds back */
};

void lazy_stats(struct lazy_stats *st);

/* Quarantined areas go back to the tree: addresses or memory have run out. => areas that went */
u64 lazy_release_quarantine(void);

/* => boot, before anything is unmapped */
void lazy_init(enum lazy_policy policy, u64 max_pages);

#endif
