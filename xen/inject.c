// SPDX-License-Identifier: MIT
/*
 * As long as nothing is armed, all this costs is a look at inject_armed before each hypercall
 * (hypercall.h). Contracts: inject.h.
 */
#include "xen/inject.h"
#include "arch/x86/pte.h"
#include "kernel/cpu.h"
#include "kernel/panic.h"
#include "kernel/thread.h"
#include "xen/hypercall.h"

u32 inject_armed;

static struct inject {
	const struct thread *by;
	enum inject_what what;
	long err;
	u64 nth, counted;
} inject;

static enum inject_what kind_of_ext(const struct mmuext_op *op)
{
	if (op->cmd <= MMUEXT_PIN_L4_TABLE || op->cmd == MMUEXT_NEW_BASEPTR)
		return INJECT_SET;
	if (op->cmd >= MMUEXT_TLB_FLUSH_LOCAL && op->cmd <= MMUEXT_INVLPG_ALL)
		return INJECT_FLUSH;
	return INJECT_ANY;
}

static enum inject_what kind_of_call(unsigned nr, u64 a, u64 b)
{
	switch (nr) {
	case __HYPERVISOR_update_va_mapping:
		return b & PTE_P ? INJECT_SET : INJECT_CLEAR;
	case __HYPERVISOR_vcpu_op:
		return a == VCPUOP_initialise || a == VCPUOP_up ? INJECT_SET : INJECT_ANY;
	case __HYPERVISOR_memory_op:
		return INJECT_SET;
	case __HYPERVISOR_event_channel_op:
		return INJECT_EVENT;
	}
	return INJECT_ANY;
}

static bool refused(enum inject_what kind)
{
	if (inject.what != kind && inject.what != INJECT_ANY)
		return false;
	return ++inject.counted == inject.nth;
}

/* => how many of a batch come before the one that is refused; all of them if none is */
static u64 before_refused(unsigned nr, u64 batch, u64 n)
{
	const struct mmu_update *u = (const struct mmu_update *)batch;
	const struct mmuext_op *op = (const struct mmuext_op *)batch;

	for (u64 i = 0; i < n; i++) {
		bool update = nr == __HYPERVISOR_mmu_update;

		if (refused(!update	       ? kind_of_ext(op + i)
			    : u[i].val & PTE_P ? INJECT_SET
					       : INJECT_CLEAR))
			return i;
	}
	return n;
}

/* Armed before there are threads: by whatever the boot CPU does. */
static bool by_who_armed(void)
{
	if (this_cpu()->irq_depth)
		return false;
	return inject.by ? thread_current() == inject.by : !cpu_id();
}

long inject_hypercall(unsigned nr, u64 a, u64 b, u64 c, u64 d)
{
	bool batch = nr == __HYPERVISOR_mmu_update || nr == __HYPERVISOR_mmuext_op;
	u64 n;
	long err;

	if (!by_who_armed())
		return hypercall4(nr, a, b, c, d);
	if (!batch)
		return refused(kind_of_call(nr, a, b)) ? inject.err : hypercall4(nr, a, b, c, d);
	n = before_refused(nr, a, b);
	err = hypercall4(nr, a, n, c, d); /* none at all is fine, too: *done is 0 then */
	return n < b && !err ? inject.err : err;
}

void inject_arm(u64 n, enum inject_what what, int err)
{
	KASSERT(!inject_armed, "hypercalls are made to fail already");
	inject = (struct inject){.by = thread_current(), .what = what, .err = err, .nth = n};
	WRITE_ONCE(inject_armed, 1);
}

u64 inject_disarm(void)
{
	KASSERT(inject_armed && by_who_armed(), "nothing is armed here");
	WRITE_ONCE(inject_armed, 0);
	return inject.counted;
}
