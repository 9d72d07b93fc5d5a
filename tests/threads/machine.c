// SPDX-License-Identifier: MIT
/* See machine.h. Read next: tests/threads/test_threads.c. */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#include "kernel/console.h"
#include "mm/early.h"
#include "mm/frame.h"
#include "mm/kmap.h"
#include "mm/pagetable.h"
#include "mm/run_queued.h"
#include "mm/shootdown.h"
#include "mm/space.h"
#include "mm/vmap.h"
#include "tests/threads/machine.h"

#define RAM_END	    (65 * MiB)
#define TICK_NS	    1000000
#define LAZY_MAX    4096
#define PRINTED_MAX 1024

struct cpu cpus[MAX_CPUS];
unsigned nr_cpus = CPUS;
struct frame *frames;
char *direct_map;
u64 tsc_hz = 1000000000, tsc_at_entry;
u64 machine_seed;
void (*on_tick)(void);

static _Thread_local struct {
	struct cpu *cpu;
	bool irqs_off;
	pfn_t root;
	u64 random;
	char printed[PRINTED_MAX];
} me;
_Thread_local atomic_t fence_word;

static atomic_t pending[MAX_CPUS]; /* bit per enum interrupt */
static atomic_t online;		   /* bit per CPU */
static atomic_t invalidations;
static atomic_t finished; /* CPUs that are through with their work */

/* --- what a CPU is --------------------------------------------------------------------------- */

struct cpu *this_cpu(void)
{
	return me.cpu;
}

cpumask_t cpus_online(void)
{
	return (cpumask_t){atomic_read(&online)};
}

u64 counter_sum(enum counter c)
{
	u64 n = 0;

	for (unsigned i = 0; i < nr_cpus; i++)
		n += READ_ONCE(cpus[i].counters[c]);
	return n;
}

u32 random_below(u32 n)
{
	u64 x = me.random += 0x9e3779b97f4a7c15ull; /* splitmix64 */

	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
	x ^= x >> 31;
	return (u32)(((x >> 32) * n) >> 32);
}

u64 tsc_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (u64)t.tv_sec * 1000000000 + (u64)t.tv_nsec;
}

/* --- interrupts ------------------------------------------------------------------------------ */

/* As in arch/x86/trap.c: what is owed since the CPU idled comes first. */
static void handle(u64 which)
{
	me.irqs_off = true;
	me.cpu->irq_depth++;
	shootdown_idle_exit();
	if (which & 1u << INT_IPI)
		shootdown_serve();
	if (which & 1u << INT_TICK) {
		shootdown_quiet_point();
		if (on_tick)
			on_tick();
	}
	me.cpu->irq_depth--;
	me.irqs_off = false;
}

void take_interrupts(void)
{
	atomic_t *mine = &pending[me.cpu->id];

	while (!me.irqs_off && atomic_read(mine))
		handle(atomic_xchg(mine, 0));
}

bool irqs_enabled(void)
{
	return !me.irqs_off;
}

void irq_disable(void)
{
	me.irqs_off = true;
}

void irq_enable(void)
{
	me.irqs_off = false;
	take_interrupts();
}

void cpu_relax(void)
{
	take_interrupts();
	sched_yield();
}

void machine_raise(unsigned cpu, enum interrupt irq)
{
	atomic_fetch_or(&pending[cpu], 1u << irq);
}

void machine_idle(void)
{
	irq_disable();
	shootdown_idle_enter();
	while (!atomic_read(&pending[cpu_id()]))
		sched_yield();
	irq_enable(); /* the handler is the first thing, and it keeps the promise */
	shootdown_idle_exit();
}

static void kick(cpumask_t targets)
{
	unsigned cpu;

	cpumask_for_each (cpu, targets)
		machine_raise(cpu, INT_IPI);
}

/* --- words mm/ uses -------------------------------------------------------------------------- */

void vprintk(const char *fmt, va_list ap)
{
	vsnprintf(me.printed, sizeof(me.printed), fmt, ap);
}

void printk(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vprintk(fmt, ap);
	va_end(ap);
}

const char *machine_printed(void)
{
	return me.printed;
}

void panic(const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "PANIC on CPU %u (seed %lu): ", me.cpu->id, machine_seed);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\nprinted last: %s\n", me.printed);
	abort();
}

bool watchdog_is_sure(u64 start)
{
	return tsc_now() - start > 6 * WATCHDOG_SECONDS * tsc_hz; /* the host may be busy */
}

void cpu_unresponsive(unsigned cpu, const char *what)
{
	panic("CPU %u does not answer: %s", cpu, what);
}

bool console_interrupted(void)
{
	return false;
}

/* --- entries, as bare metal has them --------------------------------------------------------- */

const struct mmu_ops *mmu;

static pte_t *entry(pfn_t table, unsigned slot)
{
	return (pte_t *)phys_to_virt(pfn_to_paddr(table)) + slot;
}

static void set_leaf(pfn_t table, unsigned slot, pte_t e)
{
	WRITE_ONCE(entry(table, slot)->v, e.v);
}

static int batch_end(unsigned *done __attribute__((unused)))
{
	return 0;
}

static int attach_table(pfn_t parent, unsigned slot, int level __attribute__((unused)), pfn_t table)
{
	PUBLISH(entry(parent, slot)->v, pfn_to_paddr(table) | PTE_TABLE_BITS);
	return 0;
}

static int load_root(pfn_t root)
{
	me.root = root;
	return 0;
}

static void empty_table(pfn_t parent, unsigned slot, pfn_t table)
{
	u64 link = atomic_xchg((atomic_t *)entry(parent, slot), 0);

	for (unsigned i = 0; i < PT_ENTRIES; i++)
		set_leaf(table, i, (pte_t){0});
	atomic_xchg((atomic_t *)entry(parent, slot), link);
}

static void invalidate_page(vaddr_t va __attribute__((unused)))
{
	atomic_fetch_add(&invalidations, 1);
}

static void invalidate_all(void)
{
	atomic_fetch_add(&invalidations, 1);
}

u64 machine_invalidations(void)
{
	return atomic_read(&invalidations);
}

/* As a hypervisor does it, which interrupts the processors itself (xen/mmu.c). */
static void flush_by_call(const struct gather *g, cpumask_t on)
{
	u64 clock = shootdown_tick();

	if (!shootdown_targets(g, on).bits)
		return;
	invalidate_all();
	shootdown_publish(on, clock);
}

static struct mmu_ops ops = {
	.name = "threads",
	.max_leaf_level = 3,
	.phys_end = 1ul << 46,
	.early_end = 4 * GiB,
	.default_policy = LAZY_TLB,
	.set_leaf = set_leaf,
	.batch_end = batch_end,
	.attach_table = attach_table,
	.load_root = load_root,
	.flush = shootdown,
	.invalidate_page = invalidate_page,
	.invalidate_all = invalidate_all,
	.kick = kick,
};

void *mapped_page(vaddr_t va)
{
	paddr_t pa;

	KASSERT(pt_translate(me.root, va, &pa), "%#lx is not mapped", va);
	return phys_to_virt(pa);
}

/* --- boot ------------------------------------------------------------------------------------ */

#define IMAGE_START (IMAGE_BASE + 1 * MiB)
static const struct kernel_image image = {
	.text = IMAGE_START,
	.text_end = IMAGE_START + 64 * KiB,
	.rodata = IMAGE_START + 64 * KiB,
	.rodata_end = IMAGE_START + 128 * KiB,
	.data = IMAGE_START + 128 * KiB,
	.end = IMAGE_START + 192 * KiB,
	.stack_guard = IMAGE_START + 132 * KiB,
};

static void *memory(u64 size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	KASSERT(p != MAP_FAILED, "the host has no memory");
	return p;
}

static void become(unsigned cpu)
{
	me.cpu = &cpus[cpu];
	me.random = machine_seed * MAX_CPUS + cpu;
	me.root = kmap_local_root(cpu);
}

void machine_boot(bool asked)
{
	const char *why = "";

	for (unsigned cpu = 0; cpu < MAX_CPUS; cpu++)
		cpus[cpu].id = cpu;
	me.cpu = &cpus[0];
	direct_map = memory(RAM_END);
	frames = memory(RAM_END / PAGE_SIZE * sizeof(struct frame));
	tsc_at_entry = tsc_now();
	if (asked) {
		ops.flush = flush_by_call;
		ops.set_run = run_set_queued;
		ops.clear_run = run_clear_queued;
		ops.clear_begin = run_clear_begin_queued;
		ops.clear_end = run_clear_end_queued;
		ops.empty_table = empty_table;
	}
	mmu = &ops;
	KASSERT(!early_add_ram(1 * MiB, RAM_END) && !early_reserve(0, 1 * MiB) &&
			!early_reserve(image.text - IMAGE_BASE, image.end - IMAGE_BASE),
		"RAM");
	KASSERT(!space_init(&image, ~0ull, &why), "%s", why);
	vmap_init(LAZY_TLB, LAZY_MAX);
	for (unsigned cpu = 0; cpu < nr_cpus; cpu++)
		KASSERT(!kmap_local_init_cpu(cpu), "no memory for CPU %u's slots", cpu);
	become(0);
	atomic_fetch_or(&online, 1);
}

/* --- CPUs ------------------------------------------------------------------------------------ */

static void (*work)(void);
static pthread_barrier_t all_up;

static void *cpu_thread(void *arg)
{
	unsigned cpu = (unsigned)(u64)arg;

	become(cpu);
	me.irqs_off = true;
	atomic_fetch_or(&online, cpu_bit(cpu));
	shootdown_cpu_online();
	irq_enable();
	pthread_barrier_wait(&all_up);
	work();
	atomic_fetch_add(&finished, 1);
	while (atomic_read(&finished) < nr_cpus)
		cpu_relax();
	frame_drain_cache();
	return NULL;
}

static void *clock_thread(void *arg __attribute__((unused)))
{
	const struct timespec tick = {.tv_nsec = TICK_NS};

	while (atomic_read(&finished) < nr_cpus) {
		nanosleep(&tick, NULL);
		for (unsigned cpu = 0; cpu < nr_cpus; cpu++)
			machine_raise(cpu, INT_TICK);
	}
	return NULL;
}

void machine_run(void (*fn)(void))
{
	pthread_t clock, thread[CPUS];

	work = fn;
	pthread_barrier_init(&all_up, NULL, nr_cpus);
	for (u64 cpu = 1; cpu < nr_cpus; cpu++)
		KASSERT(!pthread_create(&thread[cpu], NULL, cpu_thread, (void *)cpu), "no thread");
	while ((u64)__builtin_popcountll(atomic_read(&online)) < nr_cpus)
		cpu_relax();
	lazy_set_max(LAZY_MAX);
	pthread_barrier_wait(&all_up);
	KASSERT(!pthread_create(&clock, NULL, clock_thread, NULL), "no thread");
	work();
	atomic_fetch_add(&finished, 1);
	while (atomic_read(&finished) < nr_cpus)
		cpu_relax();
	for (unsigned cpu = 1; cpu < nr_cpus; cpu++)
		pthread_join(thread[cpu], NULL);
	pthread_join(clock, NULL);
	atomic_set(&online, 1); /* the others are off; what waits for them waits no more */
}
