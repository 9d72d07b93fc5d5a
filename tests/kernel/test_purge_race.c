// SPDX-License-Identifier: MIT
/*
 * Everybody at once: CPUs that map and unmap, CPUs that purge, interrupts that do both, areas
 * mapped on one CPU and unmapped on the next. What each checks is small: while a mapping stands, it
 * shows its own frames. What they leave behind is checked by the invariant walker.
 */
#include "kernel/atomic.h"
#include "kernel/thread.h"
#include "kernel/watchdog.h"
#include "mm/kmap.h"
#include "mm/vmalloc.h"
#include "tests/kernel/interrupt.h"
#include "tests/kernel/laziness.h"
#include "tests/kernel/support.h"

#define FRAMES 6 /* of each CPU */
#define ROUNDS 500
#define FEW    40 /* rounds, where each is a shootdown, or waits for another CPU */

/* One round: n of the frames f mapped, written, read, unmapped. => false: the test has failed */
static bool map_and_look(struct frame **f, unsigned n, u64 mark)
{
	volatile u64 *va = vmap(f, n, VM_W);

	EXPECT(va, "no mapping of %u pages", n);
	for (unsigned p = 0; va && p < n; p++)
		va[p * PAGE_SIZE / 8] = mark + p;
	for (unsigned p = 0; va && p < n; p++)
		EXPECT_EQ(*(u64 *)frame_virt(f[p]), mark + p);
	vunmap((void *)va);
	return !test_failed();
}

struct crowd {
	unsigned purgers, rounds;
	atomic_t ticket, mappers; /* who am I; those that still map */
};

static void purge_while_others_map(struct crowd *c, u64 me)
{
	struct frame *f = frame_alloc(0, FRAME_ZERO);

	for (u64 i = me; f && atomic_read(&c->mappers); i++) {
		if (i % 4 == 0)
			vm_unmap_aliases();
		else if (i % 4 == 1)
			lazy_purge(PURGE_PTES);
		else if (i % 4 == 2)
			lazy_unhook();
		else
			vm_unmap_frame_aliases(&f, 1, PURGE_FLUSH);
		thread_yield();
	}
	if (f)
		frame_free(f, 0);
}

static void join_the_crowd(void *arg)
{
	struct crowd *c = arg;
	u64 me = atomic_fetch_add(&c->ticket, 1), x = me;
	struct frame *f[FRAMES];

	if (me < c->purgers) {
		purge_while_others_map(c, me);
		return;
	}
	if (frame_alloc_many(f, FRAMES, FRAME_ZERO)) {
		NO_MEMORY;
	} else {
		for (unsigned i = 0; i < c->rounds; i++)
			if (!map_and_look(f, 1 + test_random(&x) % FRAMES, x))
				break;
		frame_free_many(f, FRAMES);
	}
	atomic_fetch_add(&c->mappers, -1ul);
}

static void crowd_under(enum lazy_policy policy)
{
	struct crowd c = {.purgers = nr_cpus / 3 + (nr_cpus == 2),
			  .rounds = policy == LAZY_OFF ? FEW : ROUNDS};
	struct lazy_stats was = set_laziness(policy);

	lazy_set_max(512); /* so that thresholds are reached as well */
	atomic_set(&c.mappers, nr_cpus - c.purgers);
	EXPECT_EQ(run_on_cpus(cpus_online().bits, join_the_crowd, &c), 0);
	restore_laziness(&was);
}

KTEST(purge_race, mappers_and_purgers_eagerly)
{
	crowd_under(LAZY_OFF);
}

KTEST(purge_race, mappers_and_purgers_lazily)
{
	crowd_under(LAZY_TLB);
}

KTEST(purge_race, mappers_and_purgers_reviving)
{
	crowd_under(LAZY_PTE);
}

static void purge_much(void *arg __attribute__((unused)))
{
	for (unsigned i = 0; i < FEW; i++)
		vm_unmap_aliases();
}

/* Waiters serve each other, or this never ends. */
KTEST(purge_race, everybody_purges_at_once)
{
	EXPECT_EQ(run_on_cpus(cpus_online().bits, purge_much, NULL), 0);
}

/* --- mapped here, unmapped there --- */

struct ring {
	atomic_t slot[MAX_CPUS]; /* what the CPU before has mapped; 0: taken */
	struct frame *f[MAX_CPUS][2];
};

static void pass_on(void *arg)
{
	struct ring *r = arg;
	unsigned me = cpu_id(), next = (me + 1) % nr_cpus;

	for (unsigned i = 0; i < FEW; i++) {
		volatile u64 *va = vmap(r->f[me], 2, VM_W), *got;
		u64 start = tsc_now();

		EXPECT(va, "no mapping");
		if (va)
			va[PAGE_SIZE / 8] = me + 1;
		atomic_set(&r->slot[next], (u64)va);
		while (!(got = (void *)atomic_read(&r->slot[me]))) {
			thread_yield();
			if (watchdog_expired(start) || test_failed())
				return;
		}
		atomic_set(&r->slot[me], 0);
		EXPECT_EQ(got[PAGE_SIZE / 8], (me + nr_cpus - 1) % nr_cpus + 1);
		vunmap((void *)got);
		while (atomic_read(&r->slot[next]) && !watchdog_expired(start) && !test_failed())
			thread_yield();
	}
}

static void ring_under(enum lazy_policy policy)
{
	static struct ring r;
	struct lazy_stats was = set_laziness(policy);
	bool ok = true;

	r = (struct ring){.slot = {{0}}};
	for (unsigned cpu = 0; cpu < nr_cpus && ok; cpu++)
		ok = take_frames(r.f[cpu], 2);
	if (ok)
		EXPECT_EQ(run_on_cpus(cpus_online().bits, pass_on, &r), 0);
	for (unsigned cpu = 0; cpu < nr_cpus; cpu++)
		if (r.f[cpu][0])
			frame_free_many(r.f[cpu], 2);
	restore_laziness(&was);
}

KTEST(purge_race, unmapped_on_another_cpu_lazily)
{
	ring_under(LAZY_TLB);
}

KTEST(purge_race, unmapped_on_another_cpu_reviving)
{
	ring_under(LAZY_PTE);
}

/* --- interrupts in the midst of it --- */

/* Each call that may be made there. */
static void map_in_interrupt(void *arg)
{
	struct frame **f = arg;
	u64 *va;

	if (!map_and_look(f, FRAMES, 0xabcdef))
		return;
	va = vm_map_ram(f, 2, VM_W);
	EXPECT(va && va[PAGE_SIZE / 8] == 0xabcdef + 1, "vm_map_ram");
	if (va)
		vm_unmap_ram(va, 2);
	va = kmap(f[2]);
	EXPECT(va && *va == 0xabcdef + 2, "kmap");
	if (va)
		kunmap(va);
	va = vzalloc(3 * PAGE_SIZE);
	if (va) /* where a table would have to be flushed first, there is none */
		EXPECT(!probe_write((u8 *)va + 3 * PAGE_SIZE - 1, 1), "vzalloc");
	vfree(va);
}

static void map_until_told(void *arg)
{
	struct frame *f[FRAMES];

	if (frame_alloc_many(f, FRAMES, FRAME_ZERO)) {
		NO_MEMORY;
		return;
	}
	for (unsigned i = 0; !atomic_read(arg); i++) {
		if (!map_and_look(f, 1 + i % FRAMES, i))
			break;
		if (i % 50 == 0)
			vm_unmap_aliases();
	}
	frame_free_many(f, FRAMES);
}

/* Interrupts that map and unmap hit threads that do, on every CPU but this one. */
static void interrupted_under(enum lazy_policy policy)
{
	struct thread *t[MAX_CPUS] = {NULL};
	struct frame *f[FRAMES];
	struct lazy_stats was;
	atomic_t stop = {0};

	if (!take_frames(f, FRAMES))
		return;
	was = set_laziness(policy);
	for (unsigned cpu = 1; cpu < nr_cpus; cpu++)
		t[cpu] = thread_create(cpu, "interrupted", map_until_told, &stop);
	for (unsigned i = 0; i < FEW && !test_failed(); i++)
		interrupt_cpu(i % nr_cpus, map_in_interrupt, f);
	atomic_set(&stop, 1);
	for (unsigned cpu = 1; cpu < nr_cpus; cpu++)
		if (t[cpu])
			thread_join(t[cpu]);
	restore_laziness(&was);
	frame_free_many(f, FRAMES);
}

KTEST(purge_race, interrupts_map_amid_mapping_eagerly)
{
	interrupted_under(LAZY_OFF);
}

KTEST(purge_race, interrupts_map_amid_mapping_lazily)
{
	interrupted_under(LAZY_TLB);
}

KTEST(purge_race, interrupts_map_amid_mapping_reviving)
{
	interrupted_under(LAZY_PTE);
}
