// SPDX-License-Identifier: MIT
/*
 * Speaking to the xenstore's daemon: two rings of bytes in one page, one each way, as the console
 * has them; in them messages, each a header and a body (Xen: io/xs_wire.h, docs/misc/xenstore.txt).
 * Each request has a number, which its answer repeats; in between come events of watches, unasked.
 *
 * One CPU at a time speaks (`speaker`). It waits for the answer by looking for it, so that a panic
 * can still say its last word with interrupts off; a few times in a domain's life, a millisecond
 * each. It does not switch threads meanwhile, so no CPU finds that it waits for itself. Whoever
 * reads the ring takes what comes: events are noted for the thread that serves them, answers to
 * questions that were given up are dropped.
 *
 * A request is written only when all of it fits, so none is left half said when time is up.
 *
 * Next: control.c, which is what all this is for.
 */
#include "xen/xenstore.h"
#include "kernel/atomic.h"
#include "kernel/cpu.h"
#include "kernel/monitor.h"
#include "kernel/printk.h"
#include "kernel/string.h"
#include "kernel/thread.h"
#include "kernel/time.h"
#include "xen/events.h"
#include "xen/xs_message.h"

#define MAX_WATCHES 8
#define TAKE_US	    100000 /* that the events' thread may speak at once */

static struct xenstore_domain_interface *ring; /* NULL: there is none */
static evtchn_t port;
static struct thread *server; /* NULL: not started */

static atomic_t speaker; /* CPU id + 1; 0: nobody */
/* The speaker's: */
static struct xs_message incoming;
static u32 last_id;
static bool broken;

/* Watch i has the token "i". Fixed from the moment its bit can be set. */
static void (*watches[MAX_WATCHES])(void);
static atomic_t nr_watches;
static atomic_t fired; /* bit per watch: changed() is owed */

static bool late(u64 began)
{
	return tsc_to_us(tsc_now() - began) > XENSTORE_WAIT_US;
}

static int begin(u64 began)
{
	if (!ring)
		return -ENODEV;
	while (!atomic_cmpxchg(&speaker, 0, cpu_id() + 1)) {
		if (atomic_read(&speaker) == cpu_id() + 1)
			return -EBUSY;
		if (late(began))
			return -ETIMEDOUT;
		xen_sched_op(SCHEDOP_yield, NULL);
	}
	return 0;
}

static void end(void)
{
	atomic_set(&speaker, 0);
}

/* --- the rings; => this CPU speaks ----- */

static int used_of_requests(void)
{
	return xs_ring_used(ring->req_prod, __atomic_load_n(&ring->req_cons, __ATOMIC_ACQUIRE));
}

/* => the index behind it */
static u32 put(u32 prod, const void *bytes, size_t n)
{
	for (const char *s = bytes; n--; s++)
		ring->req[MASK_XENSTORE_IDX(prod++)] = *s;
	return prod;
}

/* A body is made of two parts: a path with its NUL, and what belongs to it. */
static int send(u32 type, const char *path, const char *more, size_t more_size, u64 began)
{
	size_t path_size = strlen(path) + 1, size = path_size + more_size;
	struct xsd_sockmsg head = {.type = type, .req_id = ++last_id, .len = (u32)size};
	int used;
	u32 prod;

	if (sizeof(head) + size > XENSTORE_RING_SIZE)
		return -E2BIG;
	while ((used = used_of_requests()) >= 0 &&
	       (u32)used + sizeof(head) + size > XENSTORE_RING_SIZE) {
		if (late(began))
			return -ETIMEDOUT;
		xen_sched_op(SCHEDOP_yield, NULL);
	}
	if (used < 0)
		return used;
	prod = put(ring->req_prod, &head, sizeof(head));
	prod = put(prod, path, path_size);
	prod = put(prod, more, more_size);
	__atomic_store_n(&ring->req_prod, prod, __ATOMIC_RELEASE);
	xen_event_send(port);
	return 0;
}

/* => 1: `incoming` is complete; 0: not yet; -EIO. Takes what there is, up to a message's end. */
static int receive(void)
{
	u32 cons = ring->rsp_cons;
	int n = xs_ring_used(__atomic_load_n(&ring->rsp_prod, __ATOMIC_ACQUIRE), cons);
	bool any = n > 0;

	if (xs_message_complete(&incoming))
		incoming.have = 0;
	while (n > 0 && !xs_message_complete(&incoming)) {
		u32 at = MASK_XENSTORE_IDX(cons);
		u32 part = MIN((u32)n, XENSTORE_RING_SIZE - at); /* up to the ring's end */
		int taken = xs_message_take(&incoming, ring->rsp + at, part);

		if (taken < 0)
			return taken;
		cons += (u32)taken;
		n -= taken;
	}
	if (n < 0)
		return n;
	__atomic_store_n(&ring->rsp_cons, cons, __ATOMIC_RELEASE);
	if (any)
		xen_event_send(port); /* it may wait for room */
	return xs_message_complete(&incoming);
}

static void note_event(void)
{
	const char *path = xs_message_string(&incoming, NULL);
	const char *token = path ? xs_message_string(&incoming, path) : NULL;
	u64 i;

	if (!token || parse_u64(token, &i) || i >= atomic_read(&nr_watches))
		return;
	atomic_fetch_or(&fired, 1ull << i);
	if (server)
		thread_wake(server);
}

/* The next message; an event is noted. => 1: it is in `incoming`; 0: nothing more has come; -EIO */
static int take_message(void)
{
	int got = receive();

	if (got == 1 && incoming.head.type == XS_WATCH_EVENT)
		note_event();
	if (got < 0) {
		printk("xenstore: what the daemon sends makes no sense; not listening any more\n");
		broken = true;
	}
	return got;
}

/* --- requests ----- */

static bool is_answer(void)
{
	return incoming.head.type != XS_WATCH_EVENT && incoming.head.req_id == last_id;
}

/* => 0: the answer, no error, is in `incoming`; this CPU still speaks, until end() */
static int ask(u32 type, const char *path, const char *more, size_t more_size)
{
	u64 began = tsc_now();
	int err = begin(began), got = 0;

	if (err)
		return err;
	err = broken ? -EIO : send(type, path, more, more_size, began);
	while (!err) {
		got = take_message();
		if (got < 0)
			err = got;
		else if (got && is_answer())
			break;
		else if (late(began)) /* or it talks for ever, of other things */
			err = -ETIMEDOUT;
		else if (!got)
			xen_sched_op(SCHEDOP_yield, NULL);
	}
	if (!err)
		err = xs_message_error(&incoming);
	if (err)
		end();
	return err;
}

static int ask_text(u32 type, const char *path, char *out, size_t size)
{
	int n = ask(type, path, NULL, 0);

	if (n)
		return n;
	n = (int)incoming.head.len;
	if ((size_t)n >= size)
		n = -E2BIG;
	else
		memcpy(out, incoming.body, (size_t)n + 1);
	end();
	return n;
}

int xenstore_read(const char *path, char *out, size_t size)
{
	return ask_text(XS_READ, path, out, size);
}

int xenstore_directory(const char *path, char *out, size_t size)
{
	return ask_text(XS_DIRECTORY, path, out, size);
}

int xenstore_write(const char *path, const char *text)
{
	int err = ask(XS_WRITE, path, text, strlen(text));

	if (!err)
		end();
	return err;
}

int xenstore_watch(const char *path, void (*changed)(void))
{
	u64 i = atomic_read(&nr_watches);
	char token[8];
	int err;

	if (i == MAX_WATCHES)
		return -ENOSPC;
	watches[i] = changed;
	atomic_set(&nr_watches, i + 1); /* the first event may come before the answer */
	snprintf(token, sizeof(token), "%lu", i);
	err = ask(XS_WATCH, path, token, strlen(token) + 1);
	if (err)
		atomic_set(&nr_watches, i);
	else
		end();
	return err;
}

/* --- events ----- */

/*
 * What another CPU takes meanwhile, it notes and wakes us for. From a daemon that does not stop
 * talking no more is taken at once than others can wait for; of what has come since we have been
 * told by an event, so we shall be back.
 */
static void take_events(void)
{
	u64 began = tsc_now();

	if (begin(began))
		return;
	while (!broken && tsc_to_us(tsc_now() - began) < TAKE_US && take_message() == 1)
		; /* an event, or an answer to a question that was given up */
	end();
}

static void serve(void *arg __attribute__((unused)))
{
	for (;;) {
		u64 due;

		take_events();
		due = atomic_xchg(&fired, 0);
		for (; due; due &= due - 1)
			watches[__builtin_ctzll(due)]();
		thread_block();
	}
}

static void ring_event(struct trap_frame *f __attribute__((unused)))
{
	thread_wake(server);
}

void xenstore_init(struct xenstore_domain_interface *r, u32 p)
{
	ring = r;
	port = p;
}

void xenstore_start(void)
{
	if (!ring)
		return;
	server = thread_create(0, "xenstore", serve, NULL);
	if (server)
		xen_event_handle(port, ring_event);
	else
		printk("xenstore: no memory for its thread; nobody listens\n");
}

COMMAND(xenstore, "read PATH | ls PATH | write PATH TEXT",
	"what a Xen guest's toolstack sees; no leading slash: below this domain's own path")
{
	static char text[XENSTORE_PAYLOAD_MAX + 1];
	int n = -EINVAL;

	if (argc == 3 && !strcmp(argv[1], "read"))
		n = xenstore_read(argv[2], text, sizeof(text));
	else if (argc == 3 && !strcmp(argv[1], "ls"))
		n = xenstore_directory(argv[2], text, sizeof(text));
	else if (argc == 4 && !strcmp(argv[1], "write"))
		n = xenstore_write(argv[2], argv[3]);
	else
		return CMD_USAGE;
	if (n == -ENODEV)
		printk("xenstore: there is none: this is no guest of a Xen with a toolstack\n");
	else if (n < 0)
		printk("xenstore: refused, or not answered (%d)\n", n);
	else if (argv[1][0] == 'r')
		printk("%s\n", text);
	else if (argv[1][0] == 'l')
		for (const char *s = text; s < text + n; s += strlen(s) + 1)
			printk("  %s\n", s);
	return MIN(n, 0);
}
