// SPDX-License-Identifier: MIT
/*
 * Calling the hypervisor: arguments in RDI, RSI, RDX, R10, R8, result in RAX (Xen:
 * arch-x86/xen-x86_64.h). The instruction for it differs, SYSCALL in a PV guest, VMCALL or VMMCALL
 * in a PVH one; so there is a page of code with an entry for each number (xen/hypercall.asm). RCX
 * and R11 are lost to SYSCALL.
 *
 * Structures and numbers are Xen's own public headers. What a call does and returns is said there,
 * at the name of its operation.
 *
 * Those that Xen may refuse can be made to fail, for tests (xen/inject.h).
 */
#ifndef XEN_HYPERCALL_H
#define XEN_HYPERCALL_H

#include "kernel/types.h"

#define __XEN_INTERFACE_VERSION__ __XEN_LATEST_INTERFACE_VERSION__
#include <xen/xen.h>
#include <xen/callback.h>
#include <xen/event_channel.h>
#include <xen/hvm/hvm_op.h>
#include <xen/memory.h>
#include <xen/physdev.h>
#include <xen/sched.h>
#include <xen/vcpu.h>
#include <xen/version.h>

#define XEN_HYPERCALL_SIZE 32
extern const u8 xen_hypercall_page[]; /* xen/hypercall.asm */

/* The clobbers leave nothing in registers that Xen's entry may have used. */
static inline long hypercall5(unsigned nr, u64 a, u64 b, u64 c, u64 d, u64 e)
{
	register u64 r10 __asm__("r10") = d;
	register u64 r8 __asm__("r8") = e;
	long ret;

	__asm__ volatile("call *%%rax"
			 : "=a"(ret), "+D"(a), "+S"(b), "+d"(c), "+r"(r10), "+r"(r8)
			 : "a"(xen_hypercall_page + nr * XEN_HYPERCALL_SIZE)
			 : "rcx", "r11", "memory");
	return ret;
}

static inline long hypercall4(unsigned nr, u64 a, u64 b, u64 c, u64 d)
{
	return hypercall5(nr, a, b, c, d, 0);
}

static inline long hypercall3(unsigned nr, u64 a, u64 b, u64 c)
{
	return hypercall5(nr, a, b, c, 0, 0);
}

static inline long hypercall1(unsigned nr, u64 a)
{
	return hypercall5(nr, a, 0, 0, 0, 0);
}

static inline long hypercall2(unsigned nr, u64 a, u64 b)
{
	return hypercall5(nr, a, b, 0, 0, 0);
}

extern u32 inject_armed;
long inject_hypercall(unsigned nr, u64 a, u64 b, u64 c, u64 d);

static inline long refusable(unsigned nr, u64 a, u64 b, u64 c, u64 d)
{
	return unlikely(READ_ONCE(inject_armed)) ? inject_hypercall(nr, a, b, c, d)
						 : hypercall4(nr, a, b, c, d);
}

/* => 0 or -errno, and *done of the n updates took effect */
static inline long xen_mmu_update(struct mmu_update *u, unsigned n, unsigned *done)
{
	return refusable(__HYPERVISOR_mmu_update, (u64)u, n, (u64)done, DOMID_SELF);
}

static inline long xen_mmuext_op(struct mmuext_op *op, unsigned n, unsigned *done)
{
	return refusable(__HYPERVISOR_mmuext_op, (u64)op, n, (u64)done, DOMID_SELF);
}

/* => 0, and each call's own result is in it; not 0: none was made */
static inline long xen_multicall(struct multicall_entry *call, unsigned n)
{
	return hypercall2(__HYPERVISOR_multicall, (u64)call, n);
}

static inline long xen_update_va_mapping(vaddr_t va, u64 pte, u64 flags)
{
	return refusable(__HYPERVISOR_update_va_mapping, va, pte, flags, 0);
}

static inline long xen_vcpu_op(unsigned op, unsigned vcpu, void *arg)
{
	return refusable(__HYPERVISOR_vcpu_op, op, vcpu, (u64)arg, 0);
}

static inline long xen_event_channel_op(unsigned op, void *arg)
{
	return refusable(__HYPERVISOR_event_channel_op, op, (u64)arg, 0, 0);
}

static inline long xen_sched_op(unsigned op, void *arg)
{
	return hypercall2(__HYPERVISOR_sched_op, op, (u64)arg);
}

static inline long xen_console_io(unsigned op, u64 n, void *text)
{
	return hypercall3(__HYPERVISOR_console_io, op, n, (u64)text);
}

static inline long xen_memory_op(unsigned op, void *arg)
{
	return refusable(__HYPERVISOR_memory_op, op, (u64)arg, 0, 0);
}

#endif
