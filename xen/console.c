// SPDX-License-Identifier: MIT
/*
 * Two consoles. The first domain writes through the hypervisor (CONSOLEIO_*), which has the serial
 * port; every other domain shares a page with a console daemon: two rings of bytes, one each way,
 * with indices that only grow (Xen: io/console.h). Who has written tells the other by an event.
 *
 * Output is in bounded time, as a console's must be: when the daemon does not empty the ring within
 * a while, the rest is dropped, and nothing is waited for again until there is room.
 */
#include "xen/console.h"
#include "kernel/atomic.h"
#include "kernel/console.h"
#include "kernel/spinlock.h"
#include "kernel/time.h"
#include "xen/events.h"
#include <xen/io/console.h>

/* For the daemon, which may be slow to get its turn: as long as a serial port is given. */
#define WAIT_US 5000000

/* One at a time takes input, the reader by poll() or the event's handler, or it comes twice. */
static spinlock_t input_lock = SPINLOCK_INIT("xen console input");

/* --- dom0: the hypervisor's --- */

static void dom0_write(struct console_dev *dev __attribute__((unused)), const char *s, size_t n)
{
	xen_console_io(CONSOLEIO_write, n, (void *)s); /* Xen only reads it */
}

static void dom0_poll(struct console_dev *dev __attribute__((unused)))
{
	char text[64];
	long n;

	spin_lock(&input_lock);
	while (console_input_room() >= sizeof(text) &&
	       (n = xen_console_io(CONSOLEIO_read, sizeof(text), text)) > 0)
		for (long i = 0; i < n; i++)
			console_input(text[i]);
	spin_unlock(&input_lock);
}

static struct console_dev dom0_console = {.name = "xen", .write = dom0_write, .poll = dom0_poll};

static void dom0_input(struct trap_frame *f __attribute__((unused)))
{
	dom0_poll(&dom0_console);
}

/* --- domU: the ring --- */

static struct xencons_interface *ring;
static evtchn_t ring_port;
static bool daemon_gone; /* it did not make room in time; the writer's */

static bool ring_full(void)
{
	return READ_ONCE(ring->out_prod) - READ_ONCE(ring->out_cons) >= sizeof(ring->out);
}

static bool wait_for_room(void)
{
	u64 start = tsc_now();

	while (ring_full() && !daemon_gone) {
		xen_sched_op(SCHEDOP_yield, NULL);
		daemon_gone = tsc_to_us(tsc_now() - start) > WAIT_US;
	}
	if (!ring_full())
		daemon_gone = false;
	return !daemon_gone;
}

static void ring_write(struct console_dev *dev __attribute__((unused)), const char *s, size_t n)
{
	while (n) {
		u32 prod = ring->out_prod;

		if (ring_full()) {
			xen_event_send(ring_port);
			if (!wait_for_room())
				return;
		}
		for (; n && !ring_full(); n--) {
			ring->out[MASK_XENCONS_IDX(prod, ring->out)] = *s++;
			__atomic_store_n(&ring->out_prod, ++prod, __ATOMIC_RELEASE);
		}
	}
	xen_event_send(ring_port);
}

static void ring_flush(struct console_dev *dev __attribute__((unused)))
{
	u64 start = tsc_now();

	while (READ_ONCE(ring->out_cons) != ring->out_prod &&
	       tsc_to_us(tsc_now() - start) < WAIT_US)
		xen_sched_op(SCHEDOP_yield, NULL);
}

/* What does not fit stays in the ring, and so with the daemon, until the console polls. */
static void ring_poll(struct console_dev *dev __attribute__((unused)))
{
	u32 cons, prod;
	bool taken;

	spin_lock(&input_lock);
	cons = ring->in_cons;
	prod = __atomic_load_n(&ring->in_prod, __ATOMIC_ACQUIRE);
	taken = cons != prod && console_input_room();
	for (; cons != prod && console_input_room(); cons++)
		console_input(ring->in[MASK_XENCONS_IDX(cons, ring->in)]);
	__atomic_store_n(&ring->in_cons, cons, __ATOMIC_RELEASE);
	spin_unlock(&input_lock);
	if (taken)
		xen_event_send(ring_port);
}

static struct console_dev ring_console = {
	.name = "xencons", .write = ring_write, .flush = ring_flush, .poll = ring_poll};

static void ring_event(struct trap_frame *f __attribute__((unused)))
{
	ring_poll(&ring_console);
}

void xen_console_init(struct xencons_interface *r, u32 port)
{
	ring = r;
	ring_port = port;
	console_register(ring ? &ring_console : &dom0_console);
}

void xen_console_move(struct xencons_interface *r)
{
	ring = r;
}

void xen_console_start(void)
{
	if (ring)
		xen_event_handle(ring_port, ring_event);
	else
		xen_bind_virq(VIRQ_CONSOLE, 0, dom0_input);
}
