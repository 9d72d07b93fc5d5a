// SPDX-License-Identifier: MIT
/*
 * Random work of four CPUs at once on the whole engine, on real threads (machine.h). Run once with
 * entries that are written and once with entries that are asked for; each time through all
 * policies, and through every switch between them while the others go on.
 *
 *   test_threads written|asked [SECONDS [SEED]]
 *
 * What is looked for is what ThreadSanitizer reports; a report makes the program end with status
 * 66. Besides, every page that is mapped is written by its own mapping and read back, often by
 * another CPU than the one that wrote it; nobody may lose or share a page; at the end the walker
 * finds nothing and no frame is missing.
 */
#include <stdlib.h>

#include "kernel/trace_read.h"
#include "mm/alias.h"
#include "mm/aspace.h"
#include "mm/check.h"
#include "mm/describe.h"
#include "mm/frame.h"
#include "mm/kmap.h"
#include "mm/lazy.h"
#include "mm/pagetable.h"
#include "mm/park.h"
#include "mm/shootdown.h"
#include "mm/vmalloc.h"
#include "mm/vmap.h"
#include "tests/host/tap.h"
#include "tests/threads/machine.h"

#define PAGES_MAX      12 /* of a mapping */
#define BOARD	       16
#define OPERATIONS_MIN 4000 /* also on a machine that is busy with other things */

const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
	return "exitcode=66 history_size=5 second_deadlock_stack=1";
}

static u64 ends; /* when the work is over, by tsc_now() */
static u64 seconds = 4;
static atomic_t operations;

/* --- mappings that go from hand to hand ------------------------------------------------------- */

struct mapping {
	enum {
		BY_VMAP,
		BY_RAM,
		BY_VMALLOC,
		MAKERS
	} by;
	unsigned n;
	u64 stamp; /* what is written at the beginning of each page, plus its number */
	void *va;
	struct frame *f[PAGES_MAX];
};

static atomic_t board[BOARD]; /* struct mapping * that anybody may take */
static atomic_t last_stamp;

static u64 *word_of(const struct mapping *m, unsigned page)
{
	return mapped_page((vaddr_t)m->va + page * PAGE_SIZE);
}

static void look_at(const struct mapping *m)
{
	for (unsigned i = 0; i < m->n; i++)
		KASSERT(*word_of(m, i) == m->stamp + i, "page %u of %p is %#lx, not %#lx", i, m->va,
			*word_of(m, i), m->stamp + i);
}

static struct mapping *make(void)
{
	struct mapping *m = calloc(1, sizeof(*m));

	m->by = random_below(MAKERS);
	m->n = 1 + random_below(random_below(4) ? 4 : PAGES_MAX);
	if (m->by == BY_VMALLOC) {
		m->va = vmalloc(m->n * PAGE_SIZE - random_below(2) * 100);
	} else if (!frame_alloc_many(m->f, m->n, 0)) {
		m->va = m->by == BY_VMAP ? vmap(m->f, m->n, VM_W) : vm_map_ram(m->f, m->n, VM_W);
		if (!m->va)
			frame_free_many(m->f, m->n);
	}
	if (!m->va) {
		free(m);
		return NULL;
	}
	m->stamp = atomic_fetch_add(&last_stamp, PAGES_MAX);
	for (unsigned i = 0; i < m->n; i++)
		*word_of(m, i) = m->stamp + i;
	look_at(m);
	return m;
}

/* Its frames are free at once, as those of the story's file system are; or purged before. */
static void end(struct mapping *m)
{
	look_at(m);
	if (m->by == BY_VMALLOC) {
		vfree(m->va);
	} else {
		if (m->by == BY_VMAP)
			vunmap(m->va);
		else
			vm_unmap_ram(m->va, m->n);
		if (!random_below(8))
			KASSERT(!vm_unmap_frame_aliases(m->f, m->n, random_below(2)),
				"nobody else maps them");
		frame_free_many(m->f, m->n);
	}
	free(m);
}

/* Puts one on the board and ends what was there, mostly another CPU's. */
static void trade(void)
{
	struct mapping *m = make();

	m = (struct mapping *)atomic_xchg(&board[random_below(BOARD)], (u64)m);
	if (m)
		end(m);
}

static void keep(void)
{
	struct mapping *m[4];

	for (unsigned i = 0; i < ARRAY_SIZE(m); i++)
		m[i] = make();
	for (unsigned i = ARRAY_SIZE(m); i-- > 0;)
		if (m[i])
			end(m[i]);
}

static void protect(void)
{
	struct mapping *m = make();

	if (!m)
		return;
	if (m->by != BY_VMALLOC) /* which may have a redzone */
		KASSERT(!vm_protect(m->va, VM_R) && !vm_protect(m->va, VM_W), "protect");
	end(m);
}

/* --- frames that all CPUs map at once --------------------------------------------------------- */

static struct frame *common[4];

static void map_common(void)
{
	unsigned n = 1 + random_below(ARRAY_SIZE(common));
	void *a = vmap(common, n, VM_R), *b = kmap(common[n - 1]);

	KASSERT(*(u64 *)frame_virt(common[0]) == 0x5eed, "nobody writes it");
	if (b)
		kunmap(b);
	if (a)
		vunmap(a);
	if (!random_below(8))
		(void)!vm_unmap_frame_aliases(common, n, PURGE_FLUSH);
	if (!random_below(8))
		KASSERT(frame_aliases(common[0]) < 1000, "aliases");
}

static void map_local(void)
{
	struct frame *f = frame_alloc(0, FRAME_ZERO);
	void *va, *other;

	if (!f)
		return;
	va = kmap_local(f);
	other = kmap_local(common[random_below(ARRAY_SIZE(common))]);
	*(u64 *)mapped_page((vaddr_t)va) = cpu_id();
	KASSERT(*(u64 *)frame_virt(f) == cpu_id(), "kmap_local is not its frame");
	kunmap_local(other);
	kunmap_local(va);
	frame_free(f, 0);
}

/* What a handler may do: map, unmap, allocate. */
static void in_tick(void)
{
	static atomic_t ticks;
	void *va;

	if (atomic_fetch_add(&ticks, 1) % 4)
		return;
	va = kmap_local(common[0]);
	kunmap_local(va);
	va = vmalloc(PAGE_SIZE * (1 + random_below(3)));
	vfree(va);
}

/* --- the rest of the interface ---------------------------------------------------------------- */

static void resize(void)
{
	void *va = vmalloc_huge((1 + random_below(3)) * MiB);

	vfree(va);
	va = vzalloc(PAGE_SIZE + 8);
	va = va ? vrealloc(va, random_below(5) * PAGE_SIZE + 100) : NULL;
	vfree(va);
	va = vmalloc_aligned(3 * PAGE_SIZE, 8 * PAGE_SIZE);
	vfree(va);
}

static void sparse(void)
{
	void *a = vm_area_reserve(600, 1, "sparse");
	struct frame *f = a ? frame_alloc(0, 0) : NULL;

	if (f)
		(void)!vm_area_map(a, random_below(600), &f, 1, VM_W);
	if (a)
		vm_area_free(a); /* mostly with a page mapped in it */
	if (f)
		frame_free(f, 0);
}

static void device(void)
{
	void *va = ioremap(16 * GiB + random_below(8) * PAGE_SIZE, 2 * PAGE_SIZE, VM_UC | VM_W,
			   "device");

	if (va)
		iounmap(va);
}

static void blocks(void)
{
	unsigned order = random_below(6);
	struct frame *f = frame_alloc(order, random_below(2) ? FRAME_ZERO : 0);

	if (!f)
		return;
	memset(frame_virt(f), 1, PAGE_SIZE << order);
	frame_free(f, order);
}

static void stack(void)
{
	void *va = vmap_stack_alloc(4, "stack");

	if (va)
		vmap_stack_free(va);
}

/* --- address spaces --------------------------------------------------------------------------- */

static struct aspace *everybodys; /* CPU 0 maps there */

static void own_space(void)
{
	struct aspace *as = aspace_create("own"), *copy;
	vaddr_t va = (1 + random_below(1000)) * 2 * MiB;

	if (!as)
		return;
	if (!aspace_map(as, va, 3, VM_W) && !aspace_load(as)) {
		*(u64 *)mapped_page(va) = cpu_id();
		copy = random_below(2) ? aspace_copy(as, "copy") : NULL;
		if (!random_below(2))
			KASSERT(!aspace_unmap(as, va, 2), "unmap");
		aspace_leave();
		if (copy)
			KASSERT(!aspace_destroy(copy), "a copy nobody runs on");
	}
	KASSERT(!aspace_destroy(as), "nobody runs on it");
}

static void visit_space(void)
{
	if (aspace_load(everybodys))
		return;
	for (unsigned i = 0; i < 4; i++)
		cpu_relax();
	aspace_leave();
}

static void change_space(void)
{
	vaddr_t va = (1 + random_below(4)) * 2 * MiB;

	if (!aspace_map(everybodys, va, 5, VM_W))
		KASSERT(!aspace_unmap(everybodys, va, 5), "unmap");
}

/* --- who looks on ----------------------------------------------------------------------------- */

static void look_on(void)
{
	struct aspace_info info = {.id = 0};
	struct lazy_stats lazy;
	struct area area;
	char text[200];
	vaddr_t va = VMAP_BASE + (u64)random_below(4000) * PAGE_SIZE;
	struct frame *f = pfn_frame(pfn_make(random_below(65 * 256 - 512) + 512));

	switch (random_below(8)) {
	case 0:
		if (!random_below(8)) /* it is long */
			lazy_stats(&lazy);
		break;
	case 1:
		mm_describe(va, text, sizeof(text));
		break;
	case 2:
		(void)!find_vm_area((void *)va, &area);
		describe_area_at(va, &area);
		break;
	case 3:
		while (aspace_next(info.id, &info))
			;
		break;
	case 4:
		(void)!frame_remembered(f);
		(void)!vm_unmap_frame_aliases(&f, 1, random_below(2));
		break;
	case 5:
		for (unsigned cpu = 0; cpu < nr_cpus; cpu++)
			KASSERT(shootdown_cpu(cpu).idle <= CPU_WAKING, "idle state");
		break;
	case 6:
		(void)counter_sum(CNT_vmap);
		(void)frame_free_total();
		(void)vmalloc_to_frame((void *)va);
		break;
	default:
		(void)park_waiting(random_below(nr_cpus));
		(void)park_peak(random_below(nr_cpus));
	}
}

/* CPU 0 has the monitor: what is set there is set while the others go on. */
static void monitor(void)
{
	static unsigned policies;
	struct trace_record r;
	u64 n, lost;

	switch (random_below(8)) {
	case 0 ... 2:
		lazy_set_policy(policies++ % NR_LAZY_POLICIES);
		break;
	case 3:
		pt_set_purge_policy(random_below(NR_PURGE_POLICIES));
		break;
	case 4:
		shootdown_set_strategy(random_below(2) ? SHOOTDOWN_BROADCAST : SHOOTDOWN_FILTERED);
		break;
	case 5:
		frame_set_hold(random_below(2));
		break;
	case 6:
		lazy_set_poison(!random_below(4));
		break;
	default:
		lazy_set_trace(random_below(2));
		for (trace_read_begin(&n, &lost); trace_read_next(&r);)
			;
		trace_read_end();
	}
}

/* --- all of it -------------------------------------------------------------------------------- */

static void purge_all(void)
{
	if (random_below(4))
		lazy_purge(PURGE_PTES);
	else
		vm_unmap_aliases();
}

/* So much of one table that it is emptied at once, where entries are asked for. */
static void purge_table(void)
{
	struct frame *f[250];
	void *va = NULL;

	if (frame_alloc_many(f, ARRAY_SIZE(f), 0))
		return;
	for (unsigned i = 0; i < 3; i++)
		if ((va = vmap(f, ARRAY_SIZE(f), VM_W)))
			vunmap(va);
	lazy_unhook();
	frame_free_many(f, ARRAY_SIZE(f));
}

static const struct {
	void (*fn)(void);
	unsigned weight;
} kinds[] = {
	{trade, 40},	{keep, 20},    {map_common, 16},  {map_local, 8},
	{protect, 4},	{resize, 2},   {sparse, 2},	  {device, 2},
	{blocks, 8},	{stack, 4},    {own_space, 2},	  {visit_space, 2},
	{purge_all, 2}, {look_on, 16}, {machine_idle, 1}, {purge_table, 1},
};

static void one_operation(void)
{
	unsigned at = 0, total = 0;
	u32 pick;

	for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++)
		total += kinds[i].weight;
	for (pick = random_below(total); pick >= kinds[at].weight; at++)
		pick -= kinds[at].weight;
	kinds[at].fn();
	atomic_fetch_add(&operations, 1);
}

static void cpu_work(void)
{
	while (tsc_now() < ends || atomic_read(&operations) < OPERATIONS_MIN) {
		one_operation();
		if (cpu_id() == 0 && !random_below(50))
			change_space();
		if (cpu_id() == 0 && !random_below(20))
			monitor();
	}
}

/* What nobody uses any more goes, and all CPUs forget it: then what is left can be counted. */
static void settle(void)
{
	for (unsigned i = 0; i < BOARD; i++) {
		struct mapping *m = (struct mapping *)atomic_xchg(&board[i], 0);

		if (m)
			end(m);
	}
	frame_set_hold(false);
	lazy_set_poison(false);
	lazy_set_trace(false);
	lazy_set_policy(LAZY_TLB);
	shootdown_set_strategy(SHOOTDOWN_FILTERED);
	vm_unmap_aliases();
	park_drain();
}

int main(int argc, char **argv)
{
	bool asked = argc > 1 && !strcmp(argv[1], "asked");
	u64 before, after;

	seconds = argc > 2 ? strtoul(argv[2], NULL, 0) : seconds;
	machine_seed = argc > 3 ? strtoul(argv[3], NULL, 0) : tsc_now() % 1000000;
	printf("# %u threads, entries are %s, %lu s; seed %lu\n", CPUS,
	       asked ? "asked for" : "written", seconds, machine_seed);
	machine_boot(asked);
	before = mm_frames_at_hand();
	KASSERT(!frame_alloc_many(common, ARRAY_SIZE(common), FRAME_ZERO), "no frames");
	*(u64 *)frame_virt(common[0]) = 0x5eed;
	everybodys = aspace_create("everybody's");
	KASSERT(everybodys, "no address space");
	on_tick = in_tick;
	ends = tsc_now() + seconds * tsc_hz;
	machine_run(cpu_work);
	settle();
	frame_free_many(common, ARRAY_SIZE(common));
	KASSERT(!aspace_destroy(everybodys), "nobody runs on it");
	vm_unmap_aliases();
	after = mm_frames_at_hand();
	ok(counter_sum(CNT_revive) && counter_sum(CNT_lock_wait) &&
		   counter_sum(asked ? CNT_unhook : CNT_shootdown_serve),
	   "%lu operations, among them %lu revivals, %lu shootdowns, %lu requests served, %lu tables unhooked, "
	   "%lu waits for a lock",
	   atomic_read(&operations), counter_sum(CNT_revive), counter_sum(CNT_shootdown),
	   counter_sum(CNT_shootdown_serve), counter_sum(CNT_unhook), counter_sum(CNT_lock_wait));
	is_u64(after, before, "frames at hand are what they were");
	is_u64(mm_check(false), 0, "mm_check() finds nothing (%s)", machine_printed());
	return done_testing();
}
