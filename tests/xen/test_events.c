// SPDX-License-Identifier: MIT
/*
 * No event is lost that comes at the wrong moment: while events are held back, between a look and
 * a sleep, on a channel that is masked, or in the middle of handling another. Most are made to come
 * then by the vCPU's sending to itself, so that there is nothing to wait for: if the event is
 * delivered when it must be, its handler has run by the next line. (A later hypercall or tick would
 * bring most of them too, and hide that they were late.)
 *
 *   held back       who takes the vCPU's mask away looks whether one is pending (xen/irq.asm)
 *   before a sleep  the mask goes and the sleep begins in one (idle() in xen/platform.c)
 *   masked channel  Xen raises it again when it is unmasked (unmask() in xen/events.c)
 *   in a handler    marks are taken down before what they stand for is looked at, a channel's too
 */
#include "kernel/atomic.h"
#include "kernel/irq.h"
#include "kernel/thread.h"
#include "kernel/watchdog.h"
#include "tests/kernel/support.h"
#include "tests/xen/guest.h"
#include "xen/events.h"

#define ROUNDS 100

/* Each vCPU has two channels for this, bound when they are first wanted, and kept. */
static struct lab {
	bool bound;
	evtchn_t first, second;
	u64 firsts, seconds; /* that were handled */
	bool from_handler;   /* the next first one sends another of each */
} labs[MAX_CPUS];

static void handle_first(struct trap_frame *f __attribute__((unused)))
{
	struct lab *l = &labs[cpu_id()];

	WRITE_ONCE(l->firsts, l->firsts + 1);
	if (!l->from_handler)
		return;
	l->from_handler = false;
	xen_event_send(l->first);
	xen_event_send(l->second);
}

static void handle_second(struct trap_frame *f __attribute__((unused)))
{
	struct lab *l = &labs[cpu_id()];

	WRITE_ONCE(l->seconds, l->seconds + 1);
}

static struct lab *this_lab(void)
{
	struct lab *l = &labs[cpu_id()];

	if (!l->bound) {
		l->first = xen_bind_ipi(cpu_id(), handle_first);
		l->second = xen_bind_ipi(cpu_id(), handle_second);
		l->bound = true;
	}
	l->firsts = l->seconds = 0;
	return l;
}

static u64 firsts(const struct lab *l)
{
	return READ_ONCE(l->firsts);
}

static u64 seconds(const struct lab *l)
{
	return READ_ONCE(l->seconds);
}

/* fn(what) on each vCPU, one after the other. */
static void on_each(void (*fn)(void *), void *what)
{
	for (unsigned cpu = 0; cpu < nr_cpus; cpu++)
		EXPECT_EQ(run_on_cpus(cpu_bit(cpu), fn, what), 0);
}

/* --- while events are held back --- */

static void send_while_held_back(void *arg __attribute__((unused)))
{
	struct lab *l = this_lab();

	for (u64 i = 1; i <= ROUNDS && !test_failed(); i++) {
		irqflags_t flags = irq_save();

		xen_event_send(l->first);
		EXPECT_EQ(firsts(l), i - 1);
		irq_restore(flags);
		EXPECT_EQ(firsts(l), i);
	}
}

KTEST(events, held_back_they_come_when_they_may)
{
	if (xen_delivers())
		on_each(send_while_held_back, NULL);
}

/* Xen sets three marks, from the inside out. => all are there */
static bool is_pending(evtchn_t port)
{
	const struct vcpu_info *v = this_cpu()->shared;

	return (READ_ONCE(xen_shared.info.evtchn_pending[port / 64]) >> port % 64 & 1) &&
	       (READ_ONCE(v->evtchn_pending_sel) >> port / 64 & 1) &&
	       READ_ONCE(v->evtchn_upcall_pending);
}

/* The same, sent by another vCPU while this one looks on. */
struct sender {
	evtchn_t port;
	atomic_t go;
};

static void send_when_told(void *arg)
{
	struct sender *s = arg;
	u64 start = tsc_now();

	while (!atomic_read(&s->go)) {
		cpu_relax();
		if (watchdog_expired(start))
			return; /* the other has no event, and names us */
	}
	xen_event_send(s->port);
}

KTEST(events, held_back_from_another_cpu_they_come_when_they_may)
{
	struct thread *t;
	irqflags_t flags;
	struct sender s;
	struct lab *l;
	u64 start;

	if (!xen_delivers())
		return;
	if (nr_cpus < 2) {
		test_skip("one CPU: no other that could send");
		return;
	}
	l = this_lab();
	s = (struct sender){.port = l->first};
	t = thread_create(other_cpu(), "sender", send_when_told, &s);
	EXPECT(t, "no memory");
	if (!t)
		return;
	flags = irq_save();
	atomic_set(&s.go, 1);
	for (start = tsc_now(); !is_pending(l->first); cpu_relax())
		if (watchdog_expired(start))
			cpu_unresponsive(other_cpu(), "an event");
	EXPECT_EQ(firsts(l), 0);
	irq_restore(flags);
	EXPECT_EQ(firsts(l), 1);
	thread_join(t);
}

/* And those that nobody of us sends: what comes by itself is nearly always a tick. */
#define TICKS 10

static void hold_back_ticks(void *arg __attribute__((unused)))
{
	const struct vcpu_info *v = this_cpu()->shared;
	unsigned came = 0;

	for (unsigned i = 0; i < TICKS; i++) {
		irqflags_t flags = irq_save();
		u64 ticks = READ_ONCE(this_cpu()->ticks), start = tsc_now();

		while (!READ_ONCE(v->evtchn_upcall_pending)) {
			cpu_relax();
			if (watchdog_expired(start))
				cpu_unresponsive(cpu_id(), "a tick");
		}
		EXPECT_EQ(READ_ONCE(this_cpu()->ticks), ticks);
		irq_restore(flags);
		came += READ_ONCE(this_cpu()->ticks) != ticks;
	}
	EXPECT(came > TICKS / 2, "CPU %u: of %u events %u were ticks that came in time", cpu_id(),
	       TICKS, came);
}

KTEST(events, held_back_ticks_come_when_they_may)
{
	if (xen_delivers())
		on_each(hold_back_ticks, NULL);
}

/* --- before a sleep --- */

/*
 * An event that was lost to the sleep leaves it to the next tick to end it. Ticks may come in
 * between as they like, but not in most of the rounds.
 */
static void send_and_sleep(void *arg __attribute__((unused)))
{
	struct lab *l = this_lab();
	unsigned ticked = 0;

	for (u64 i = 1; i <= ROUNDS && !test_failed(); i++) {
		u64 ticks = READ_ONCE(this_cpu()->ticks);

		irq_disable();
		xen_event_send(l->first);
		EXPECT_EQ(firsts(l), i - 1);
		platform->idle();
		EXPECT_EQ(firsts(l), i);
		ticked += READ_ONCE(this_cpu()->ticks) != ticks;
	}
	EXPECT(ticked <= ROUNDS / 2, "CPU %u: %u of %u sleeps went on until a tick", cpu_id(),
	       ticked, ROUNDS);
}

KTEST(events, before_a_sleep_they_end_it)
{
	if (xen_delivers())
		on_each(send_and_sleep, NULL);
}

/* --- on a masked channel --- */

static void send_while_masked(void *arg __attribute__((unused)))
{
	struct lab *l = this_lab();
	unsigned long *mask = &xen_shared.info.evtchn_mask[l->first / 64];

	for (u64 i = 1; i <= ROUNDS && !test_failed(); i++) {
		__atomic_fetch_or(mask, 1ul << l->first % 64, __ATOMIC_SEQ_CST);
		xen_event_send(l->first);
		xen_event_send(l->second); /* the handler looks, and must leave the masked one */
		EXPECT_EQ(firsts(l), i - 1);
		EXPECT_EQ(seconds(l), i);
		xen_event_handle(l->first, handle_first);
		EXPECT_EQ(firsts(l), i);
	}
}

/* On the first vCPU, whose xen_event_handle() is. */
KTEST(events, masked_they_come_when_they_are_unmasked)
{
	if (xen_delivers())
		EXPECT_EQ(run_on_cpus(cpu_bit(0), send_while_masked, NULL), 0);
}

/* --- in a handler --- */

static void send_while_handling(void *arg __attribute__((unused)))
{
	struct lab *l = this_lab();

	for (u64 i = 1; i <= ROUNDS && !test_failed(); i++) {
		l->from_handler = true;
		xen_event_send(l->first);
		EXPECT_EQ(firsts(l), 2 * i);
		EXPECT_EQ(seconds(l), i);
	}
}

KTEST(events, in_a_handler_they_come_after_it)
{
	if (xen_delivers())
		on_each(send_while_handling, NULL);
}
