// SPDX-License-Identifier: MIT
/*
 * Delivering events. For each vCPU there is a selector, a word that says in which words of the
 * pending bits there is something; and a byte that says that there is anything at all. They are
 * taken down from the outside in, each before what it stands for is looked at, so that what comes
 * meanwhile raises them again and is seen in the next round or by the next upcall.
 *
 * A word of pending bits may hold other vCPUs' ports too: each port is bound to one vCPU, and only
 * that one looks at it (`mine`).
 */
#include "xen/events.h"
#include "kernel/atomic.h"
#include "kernel/cpu.h"
#include "kernel/lock_check.h"
#include "kernel/panic.h"
#include "kernel/string.h"

#define PORTS_PER_WORD 64
#define NR_PORTS       1024 /* of 4096 there can be; we bind a few for each vCPU */

union xen_shared_page xen_shared __aligned_to(4096);

static event_fn handlers[NR_PORTS];
static u64 mine[MAX_CPUS][NR_PORTS / PORTS_PER_WORD]; /* ports bound to each vCPU */

/*
 * The domain builder leaves all ports unmasked. An event that came before its handler would be
 * taken down and not be looked at: its pending bit would stay, and Xen tells nobody of a bit that
 * is set already. Masked, it waits for unmask().
 */
void xen_events_init(void)
{
	memset((void *)xen_shared.info.evtchn_mask, 0xff, sizeof(xen_shared.info.evtchn_mask));
}

static void bound(evtchn_t port, unsigned vcpu, event_fn fn)
{
	KASSERT(port < NR_PORTS, "event channel %u is more than we have room for", port);
	handlers[port] = fn;
	mine[vcpu][port / PORTS_PER_WORD] |= 1ull << port % PORTS_PER_WORD;
}

static void unmask(evtchn_t port)
{
	struct evtchn_unmask op = {.port = port};
	long err = xen_event_channel_op(EVTCHNOP_unmask, &op);

	KASSERT(!err, "event channel %u cannot be unmasked: %ld", port, err);
}

void xen_event_handle(evtchn_t port, event_fn fn)
{
	bound(port, 0, fn); /* where Xen delivers what is bound to no vCPU */
	unmask(port);
}

evtchn_t xen_bind_virq(unsigned virq, unsigned vcpu, event_fn fn)
{
	struct evtchn_bind_virq op = {.virq = virq, .vcpu = vcpu};
	long err = xen_event_channel_op(EVTCHNOP_bind_virq, &op);

	KASSERT(!err, "no event channel for virtual interrupt %u of vCPU %u: %ld", virq, vcpu, err);
	bound(op.port, vcpu, fn);
	unmask(op.port);
	return op.port;
}

evtchn_t xen_bind_ipi(unsigned vcpu, event_fn fn)
{
	struct evtchn_bind_ipi op = {.vcpu = vcpu};
	long err = xen_event_channel_op(EVTCHNOP_bind_ipi, &op);

	KASSERT(!err, "no event channel for IPIs to vCPU %u: %ld", vcpu, err);
	bound(op.port, vcpu, fn);
	unmask(op.port);
	return op.port;
}

void xen_event_send(evtchn_t port)
{
	struct evtchn_send op = {.port = port};
	long err = xen_event_channel_op(EVTCHNOP_send, &op);

	KASSERT(!err, "event channel %u cannot be used: %ld", port, err);
}

static void deliver_word(unsigned word, struct trap_frame *f)
{
	u64 *pending = (u64 *)&xen_shared.info.evtchn_pending[word];
	u64 todo = __atomic_load_n(pending, __ATOMIC_ACQUIRE) &
		   ~READ_ONCE(xen_shared.info.evtchn_mask[word]) & mine[cpu_id()][word];

	for (; todo; todo &= todo - 1) {
		unsigned bit = (unsigned)__builtin_ctzll(todo);

		__atomic_fetch_and(pending, ~(1ull << bit), __ATOMIC_SEQ_CST);
		handlers[word * PORTS_PER_WORD + bit](f);
	}
}

void xen_events_deliver(struct trap_frame *f)
{
	struct vcpu_info *v = this_cpu()->shared;
	u32 locks;

	locks = lock_check_enter();
	this_cpu()->irq_depth++;
	while (READ_ONCE(v->evtchn_upcall_pending)) {
		u64 words;

		WRITE_ONCE(v->evtchn_upcall_pending, 0);
		words = __atomic_exchange_n(&v->evtchn_pending_sel, 0, __ATOMIC_SEQ_CST);
		for (; words; words &= words - 1) {
			unsigned word = (unsigned)__builtin_ctzll(words);

			if (word < NR_PORTS / PORTS_PER_WORD)
				deliver_word(word, f);
		}
	}
	lock_check_leave(locks);
	this_cpu()->irq_depth--;
}
