// SPDX-License-Identifier: MIT
/*
 * What mm/ has promised, held against all TLBs. An idle CPU that is bound to flush may hold
 * anything: it forgets before it uses it (sim_online() leaves it out).
 */
#ifndef TESTS_HOSTILE_PROMISE_H
#define TESTS_HOSTILE_PROMISE_H

#include "mm/frame.h"
#include "tests/host/sim.h"

/* Nobody can reach the frame by any mapping but the direct map's (I4). */
static inline void nobody_reaches(const struct frame *f, const char *after)
{
	u64 bits = sim_tlb_frame_holders(frame_pfn(f)).bits & sim_online().bits;

	KASSERT(!bits, "after %s CPUs %#lx still reach frame %#lx", after, bits, frame_pfn(f).n);
}

/* Nobody remembers a page of [va, va + pages). */
static inline void nobody_remembers(vaddr_t va, u64 pages, const char *after)
{
	u64 bits = sim_tlb_holders(va, pages).bits & sim_online().bits;

	KASSERT(!bits, "after %s CPUs %#lx still remember %#lx", after, bits, va);
}

/* Each frame begins with a word that says whose it is. */
static inline void sign_frame(struct frame *f, u64 who)
{
	*(u64 *)frame_virt(f) = frame_pfn(f).n << 16 | who;
}

static inline void must_read(vaddr_t va, const struct frame *f, u64 who)
{
	u64 v = 0, want = frame_pfn(f).n << 16 | who;
	enum sim_fault fault = sim_read(sim.cpu, va, &v);

	KASSERT(!fault && v == want, "CPU %u reads %#lx at %#lx (fault %d), not %#lx", sim.cpu, v,
		va, fault, want);
}

#endif
