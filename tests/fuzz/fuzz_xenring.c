// SPDX-License-Identifier: MIT
/*
 * The other end of the xenstore's ring. The input says what we ask, and what the daemon does
 * whenever it has a turn: answers, late or not; answers to something else; sends events, asked for
 * or not; writes anything anywhere in the page it shares with us; or does not stop talking.
 *
 * What must hold, whatever it does: nothing outside the page and the caller's buffer is touched
 * (each is a malloc of its size), a call ends in about the time it promises, with what it promises,
 * and where a ring's indices make no sense, nothing is written. As long as the daemon has kept to
 * the protocol, what comes back is what it answered to that question.
 */
// links: xen/xenstore.c xen/xs_message.c kernel/format.c
#include <setjmp.h>
#include <string.h>
#include "kernel/atomic.h"
#include "kernel/cpu.h"
#include "kernel/monitor.h"
#include "kernel/printk.h"
#include "kernel/symbols.h"
#include "kernel/thread.h"
#include "kernel/time.h"
#include "tests/fuzz/child.h"
#include "xen/events.h"
#include "xen/xenstore.h"
#include "xen/xs_message.h"

#define YIELD_US 50000
#define SLACK_US 1000000 /* a call may take that much longer than it promises */

static const u8 *at, *end;
static struct xenstore_domain_interface *ring;
static u64 now, began;
static bool honest = true, flooding, with_events;
static unsigned tricks; /* times that it was not honest */
static bool given_up;	/* we have said that we do not listen any more */

/* What the daemon has said that is not in the ring yet. */
static u8 said[1u << 16];
static size_t nr_said;

/* Its last answer, to a question about `path`. */
static struct {
	char path;
	u64 when;
	bool refused;
	u32 len;
	u8 body[256];
} told;
static u32 asked; /* the number of the last request that it has read */
static char path[] = "a/path/so/long/that/a/few/requests/that/nobody/reads/will/fill/the/ring";

static u8 next_byte(void)
{
	return at < end ? *at++ : 0;
}

static u32 next_word(void)
{
	u32 w = next_byte();

	w |= (u32)next_byte() << 8;
	w |= (u32)next_byte() << 16;
	return w | (u32)next_byte() << 24;
}

/* --- the daemon --- */

static void say(const void *bytes, size_t n)
{
	if (nr_said + n > sizeof(said))
		return;
	memcpy(said + nr_said, bytes, n);
	nr_said += n;
}

static void say_message(u32 type, u32 id, const void *body, u32 len)
{
	struct xsd_sockmsg head = {.type = type, .req_id = id, .len = len};

	say(&head, sizeof(head));
	say(body, len);
}

static void pump(void)
{
	size_t n = 0;

	while (n < nr_said && ring->rsp_prod - ring->rsp_cons < XENSTORE_RING_SIZE)
		ring->rsp[MASK_XENSTORE_IDX(ring->rsp_prod++)] = (char)said[n++];
	memmove(said, said + n, nr_said - n);
	nr_said -= n;
}

/* => the next request's header, and the first letter behind it; false: there is none */
static bool listen(struct xsd_sockmsg *head, char *letter)
{
	if (ring->req_prod - ring->req_cons < sizeof(*head))
		return false;
	for (u32 i = 0; i < sizeof(*head); i++)
		((char *)head)[i] = ring->req[MASK_XENSTORE_IDX(ring->req_cons + i)];
	*letter = ring->req[MASK_XENSTORE_IDX(ring->req_cons + sizeof(*head))];
	if (honest)
		CHECK(head->len <= ring->req_prod - ring->req_cons - sizeof(*head));
	ring->req_cons += (u32)sizeof(*head) + head->len;
	asked = head->req_id;
	return true;
}

static void answer(bool well)
{
	struct xsd_sockmsg head;

	if (!listen(&head, &told.path))
		return;
	told.when = now;
	told.refused = !well;
	told.len = next_byte();
	for (u32 i = 0; i < told.len; i++)
		told.body[i] = next_byte();
	if (well)
		say_message(head.type, head.req_id, told.body, told.len);
	else
		say_message(XS_ERROR, head.req_id, "ENOENT", 7);
}

static void tell_event(void)
{
	char body[] = "path\0000";

	body[5] = (char)('0' + next_byte() % 10);
	say_message(XS_WATCH_EVENT, 0, body, sizeof(body));
}

static void be_hostile(u32 how)
{
	u8 *page = (u8 *)ring;
	u32 *index[] = {&ring->req_cons, &ring->req_prod, &ring->rsp_cons, &ring->rsp_prod};
	u32 type, id;

	honest = false;
	tricks++;
	switch (how) {
	case 0:
		type = next_byte() % 24;
		id = asked + next_byte() - 2u;
		say_message(type, id, "0\0001\0002", next_byte() % 6);
		break;
	case 1:
		say_message(next_byte() % 24, asked, "", 0);
		memcpy(said + nr_said - 4, &(u32){next_word()}, 4); /* its length */
		break;
	case 2:
		for (u32 n = next_byte(); n; n--)
			say(&(u8){next_byte()}, 1);
		break;
	case 3:
		for (u32 n = next_byte() % 16; n; n--)
			page[next_word() % sizeof(*ring)] = next_byte();
		break;
	case 4:
		*index[next_byte() % 4] = next_word();
		break;
	case 5:
		*index[next_byte() % 4] += next_byte() - 128u;
		break;
	default:
		flooding = true;
		with_events = how % 2;
	}
}

static void have_a_turn(void)
{
	u32 what = at < end ? next_byte() : 255; /* says no more, but what it cannot stop */

	CHECK(now - began <= XENSTORE_WAIT_US + SLACK_US);
	if (flooding && !nr_said && with_events)
		tell_event();
	else if (flooding && !nr_said)
		say_message(XS_READ, asked + 1000, "no", 2);
	if (what < 64)
		answer(true);
	else if (what < 80)
		answer(false);
	else if (what < 112)
		tell_event();
	else if (what < 192)
		be_hostile(what % 8);
	if (ring->rsp_prod - ring->rsp_cons <= XENSTORE_RING_SIZE)
		pump();
}

/* --- the machine --- */

struct cpu cpus[MAX_CPUS];
u64 tsc_hz = 1000000;

struct cpu *this_cpu(void)
{
	return cpus;
}

u64 tsc_now(void)
{
	return ++now;
}

long xen_sched_op(unsigned op, void *arg)
{
	CHECK(op == SCHEDOP_yield && !arg);
	now += YIELD_US;
	have_a_turn();
	return 0;
}

void xen_event_send(evtchn_t port)
{
	CHECK(port == 7);
	now += YIELD_US / 100;
	have_a_turn();
}

void xen_event_handle(evtchn_t port, event_fn fn)
{
	CHECK(port == 7 && fn);
}

u64 sim_load(const u64 *word)
{
	return *word;
}

void sim_store(u64 *word, u64 v)
{
	*word = v;
}

u64 sim_update(u64 *word, enum sim_update how, u64 v)
{
	u64 was = *word;

	*word = how == SIM_XCHG ? v : how == SIM_OR ? was | v : was + v;
	CHECK(how == SIM_XCHG || how == SIM_OR || how == SIM_ADD);
	return was;
}

bool sim_cmpxchg(u64 *word, u64 *old, u64 new)
{
	CHECK(*word == *old); /* nobody else is there: the speaker must have ended */
	*word = new;
	return true;
}

void printk(const char *fmt, ...)
{
	CHECK(!given_up);
	given_up = strstr(fmt, "makes no sense");
}

const char *symbol_lookup(u64 addr, u64 *offset)
{
	(void)addr;
	(void)offset;
	return NULL;
}

/* --- the thread that serves events --- */

static void (*serve)(void *);
static jmp_buf blocked;

struct thread *thread_create(unsigned cpu, const char *name, void (*fn)(void *), void *arg)
{
	CHECK(!cpu && name && !arg);
	serve = fn;
	return (struct thread *)&serve;
}

void thread_wake(struct thread *t)
{
	CHECK(t == (struct thread *)&serve);
}

void thread_block(void)
{
	longjmp(blocked, 1);
}

/* --- what we ask --- */

#define WATCHES_MAX 8

static unsigned watched; /* so many times with success */

static void changed(void)
{
}

static u32 used(u32 prod, u32 cons)
{
	return prod - cons;
}

/* The daemon keeps to the protocol: what it has answered to this question comes back. */
static void check_honest(int n, const struct xenstore_domain_interface *was)
{
	bool answered = told.path == *path;

	CHECK(n < 0 || (answered && !told.refused));
	CHECK(n != -ENOENT || (answered && told.refused));
	CHECK(n != -ETIMEDOUT || !answered || nr_said || now - told.when < SLACK_US);
	CHECK(n >= 0 || n == -ENOENT || n == -ETIMEDOUT || n == -E2BIG || n == -ENOSPC);
	if (n != -ENOSPC && used(was->req_prod, was->req_cons) < XENSTORE_RING_SIZE / 2)
		CHECK(ring->req_prod != was->req_prod);
}

/* => was, gave_up: before the call; tricked: the daemon was not honest meanwhile */
static void check_call(int n, const struct xenstore_domain_interface *was, bool gave_up,
		       bool tricked)
{
	CHECK(n > -4096);
	CHECK(now - began <= XENSTORE_WAIT_US + SLACK_US);
	if (honest)
		check_honest(n, was);
	CHECK(!gave_up || n == -EIO || n == -ENOSPC);
	if (tricked)
		return;
	if (used(was->req_prod, was->req_cons) > XENSTORE_RING_SIZE)
		CHECK(n < 0 && !memcmp(ring->req, was->req, sizeof(was->req)));
	if (used(was->rsp_prod, was->rsp_cons) > XENSTORE_RING_SIZE)
		CHECK(n < 0 && (n != -ETIMEDOUT || ring->req_prod == was->req_prod));
}

static int ask_for_text(bool directory)
{
	u32 size = 1u << next_byte() % 10;
	char *out = malloc(size);
	int n;

	memset(out, 'u', size);
	n = directory ? xenstore_directory(path, out, size) : xenstore_read(path, out, size);
	CHECK(n < (int)size);
	CHECK(n < 0 || out[n] == '\0');
	for (u32 i = 0; n < 0 && i < size; i++)
		CHECK(out[i] == 'u');
	if (n >= 0 && honest)
		CHECK((u32)n == told.len && !memcmp(out, told.body, told.len));
	free(out);
	return n;
}

static int watch(void)
{
	int n = xenstore_watch(path, changed);

	CHECK(n <= 0);
	CHECK((n == -ENOSPC) == (watched == WATCHES_MAX));
	watched += !n;
	return n;
}

static void request(void)
{
	struct xenstore_domain_interface was = *ring;
	bool gave_up = given_up;
	unsigned before = tricks;
	u32 what = next_byte() % 5;
	int n;

	began = now;
	if (what == 4) {
		if (!setjmp(blocked))
			serve(NULL);
		CHECK(now - began <= XENSTORE_WAIT_US + SLACK_US);
		return;
	}
	n = what < 2 ? ask_for_text(what) : what == 2 ? xenstore_write(path, "a text") : watch();
	CHECK(what != 2 || n <= 0);
	check_call(n, &was, gave_up, tricks != before);
}

static void run(const u8 *data, size_t size)
{
	at = data;
	end = data + size;
	ring = calloc(1, sizeof(*ring));
	xenstore_init(ring, 7);
	xenstore_start();
	ring->req_cons = ring->req_prod = next_word();
	ring->rsp_cons = ring->rsp_prod = next_word();
	for (; *path < 'q' && at < end; ++*path)
		request();
	free(ring);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	in_child(run, data, size);
	return 0;
}
