// SPDX-License-Identifier: MIT
/*
 * Being lazy: areas whose entries are cleared wait here until every CPU has forgotten them. They
 * come home in one of two ways: for nothing, when every CPU has passed a quiet point since
 * (reclaim), or by one shootdown for all of them (purge).
 */
#ifndef MM_LAZY_H
#define MM_LAZY_H

#include "mm/area.h"
#include "mm/mmu_ops.h"

/*
 * lazy_add: a CLEARED area whose entries are gone. Over the threshold it reclaims, and if that was
 * not enough purges.
 *   => thread context, IRQs on, no spinlock held
 */
void lazy_add(struct area *a);

/* Frees what every CPU has flushed by itself. => any context; pages that came home */
u64 lazy_reclaim(void);

/*
 * lazy_purge: everything on the list when it was called is flushed and free when it returns.
 *   => thread context, IRQs on, no spinlock held; pages that came home
 */
u64 lazy_purge(void);

/* => boot, before anything is unmapped */
void lazy_init(enum lazy_policy policy, u64 max_pages);

/*
 * Areas that have come home since boot, by whomever: a failed search is worth repeating if it grew.
 */
u64 lazy_freed(void);

struct lazy_stats {
	enum lazy_policy policy;
	u64 areas, pages, max_pages; /* waiting now; the threshold */
	u64 peak_pages;
	u64 oldest_stamp; /* of the list's head; 0 if empty */
};

void lazy_stats(struct lazy_stats *st);

/*
 * lazy_set_policy: changes what vunmap does from now on, and purges what waits.
 * lazy_set_max: changes the threshold, and purges if more waits already.
 *   => thread context, IRQs on; an unmapping under way on another CPU may still follow the old one
 */
void lazy_set_policy(enum lazy_policy policy);
void lazy_set_max(u64 pages);
enum lazy_policy lazy_policy(void);

/* "off", "tlb"; _parse => 0 or -EINVAL */
const char *lazy_policy_name(enum lazy_policy p);
int lazy_policy_parse(const char *s, enum lazy_policy *out);

#endif
