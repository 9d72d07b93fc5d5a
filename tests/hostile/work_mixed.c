// SPDX-License-Identifier: MIT
/*
 * Everything at once: each CPU does operations drawn from its own stream of numbers, in a few
 * rounds, and idles in between (or until it is woken) where the machine idles. Mappings stand on a
 * table that all CPUs share: who maps puts one there, anybody reads through it or ends it. A frame
 * belongs to the CPU that maps it, and begins with a word that says so.
 *
 * After everything that promises something, the promise is held against all TLBs (promise.h):
 *
 *   vunmap, policy off         nobody reaches the frames by that address
 *   vm_unmap_aliases           nor those of all that was unmapped before it was called
 *   vm_unmap_frame_aliases     nobody reaches these frames
 *   aspace_unmap               the CPU on the space does not remember the pages
 *   an allocation, frames held back   nobody reaches the new frame
 */
#include "mm/alias.h"
#include "mm/aspace.h"
#include "mm/check.h"
#include "mm/kmap.h"
#include "mm/lazy.h"
#include "mm/park.h"
#include "mm/pagetable.h"
#include "mm/shootdown.h"
#include "mm/space.h"
#include "mm/vmalloc.h"
#include "mm/vmap.h"
#include "tests/host/xen_machine.h"
#include "tests/hostile/hostile.h"
#include "tests/hostile/promise.h"

#define MINE	  6 /* frames of a CPU */
#define TABLE	  8 /* mappings at a time */
#define PAGES_MAX 3
#define ENDED	  64 /* mappings that ended last, to be looked for after a purge */
#define ROUNDS	  3
#define OPS	  12 /* of a CPU in a round */
#define SPACE_VA  0x40000000ul

enum kind {
	BY_VMAP,
	BY_RAM,
	BY_KMAP,
	BY_VMALLOC,
	KINDS
};

struct mapping {
	void *va; /* NULL: none */
	enum kind kind;
	unsigned pages;
	unsigned owner;
	struct frame *frame[PAGES_MAX];
};

static struct frame *mine[CPUS_MAX][MINE];
static struct mapping table[TABLE];
static struct mapping ended[ENDED];
static u64 nr_ended;
static struct mapping ending[CPUS_MAX]; /* what each CPU is at */
static struct aspace *spaces[CPUS_MAX];
static bool holds, is_warm, policy_is_off;
static u64 at_hand;
static unsigned round_now, late;

/* --- looking ---------------------------------------------------------------------------------- */

static void look_held(const struct frame *f)
{
	if (holds)
		nobody_reaches(f, "an allocation, with frames held back,");
}

static void look_right(const struct mapping *m)
{
	for (unsigned i = 0; m->va && i < m->pages; i++)
		must_read((vaddr_t)m->va + i * PAGE_SIZE, m->frame[i], m->owner);
}

static bool overlap(const struct mapping *a, const struct mapping *b)
{
	return a->va && b->va && (vaddr_t)a->va < (vaddr_t)b->va + b->pages * PAGE_SIZE &&
	       (vaddr_t)b->va < (vaddr_t)a->va + a->pages * PAGE_SIZE;
}

/* => is any page of it mapped again by now, or was it since ended number `since`? */
static bool is_used_again(const struct mapping *m, u64 since)
{
	for (unsigned i = 0; i < TABLE; i++)
		if (overlap(&table[i], m))
			return true;
	for (unsigned i = 0; i < CPUS_MAX; i++)
		if (overlap(&ending[i], m))
			return true;
	for (u64 n = since; n < nr_ended; n++)
		if (overlap(&ended[n % ENDED], m))
			return true;
	return false;
}

/* Who still reaches its frames by its addresses, though no entry says so? */
static void look_gone(const struct mapping *m, const char *after)
{
	for (unsigned i = 0; i < m->pages; i++) {
		vaddr_t va = (vaddr_t)m->va + i * PAGE_SIZE;
		pfn_t pfn = frame_pfn(m->frame[i]);
		u64 bits = sim_tlb_mappers(va, pfn).bits & sim_online().bits;
		pte_t e;
		int level;

		if (bits && sim_walk(kernel_root, va, &level, &e) &&
		    paddr_to_pfn(e.v & PTE_ADDR).n == pfn.n)
			continue; /* somebody has just mapped it again */
		KASSERT(!bits, "after %s CPUs %#lx still reach frame %#lx by %#lx", after, bits,
			pfn.n, va);
	}
}

/* None of what had ended when `until` mappings had can be reached. */
static void look_purged(u64 until)
{
	for (u64 n = until > ENDED ? until - ENDED : 0; n < until; n++) {
		const struct mapping *m = &ended[n % ENDED];

		if (n + ENDED >= nr_ended && !is_used_again(m, n + 1))
			look_gone(m, "a purge");
	}
}

/* --- operations ------------------------------------------------------------------------------- */

static void end_mapping(struct mapping m)
{
	look_right(&m);
	ending[sim.cpu] = m;
	switch (m.kind) {
	case BY_VMAP:
		vunmap(m.va);
		break;
	case BY_RAM:
		vm_unmap_ram(m.va, m.pages);
		break;
	case BY_KMAP:
		kunmap(m.va);
		break;
	default:
		vfree(m.va); /* its frames may be others' by now, but not by these addresses */
	}
	ending[sim.cpu].va = NULL;
	ended[nr_ended++ % ENDED] = m;
	if (policy_is_off)
		look_gone(&m, "an eager unmapping");
}

/*
 * What is on the table is handed from CPU to CPU as by a lock: all that the giver has stored is
 * visible, and what it did comes before what the taker does.
 */
static struct mapping *slot_of(struct rng *r)
{
	struct mapping *slot = &table[rng_below(r, TABLE)];

	sim_store_drain(sim.cpu);
	sim_note(SIM_UPDATE, slot, 0, NULL);
	return slot;
}

static void put(struct mapping m, struct rng *r)
{
	struct mapping *slot = slot_of(r), was = *slot;

	*slot = m;
	if (was.va)
		end_mapping(was);
}

/* An ending takes a mapping off the table first, so nobody else ends it or reads it. */
static void op_end(struct rng *r)
{
	struct mapping *slot = slot_of(r), m = *slot;

	slot->va = NULL;
	if (m.va)
		end_mapping(m);
}

static void op_map(struct rng *r)
{
	struct mapping m = {.kind = (enum kind)rng_below(r, BY_VMALLOC), .owner = sim.cpu};

	m.pages = m.kind == BY_KMAP ? 1 : 1 + rng_below(r, PAGES_MAX);
	for (unsigned i = 0, first = rng_below(r, MINE); i < m.pages; i++)
		m.frame[i] = mine[sim.cpu][(first + i) % MINE];
	m.va = m.kind == BY_KMAP   ? kmap(m.frame[0])
	       : m.kind == BY_VMAP ? vmap(m.frame, m.pages, VM_W)
				   : vm_map_ram(m.frame, m.pages, VM_W);
	KASSERT(m.va, "no mapping: %s", sim_printed());
	look_right(&m);
	put(m, r);
}

static void op_vmalloc(struct rng *r)
{
	struct mapping m = {.kind = BY_VMALLOC, .owner = sim.cpu, .pages = 1 + rng_below(r, 3)};

	m.va = vmalloc(m.pages * PAGE_SIZE);
	if (!m.va)
		return;
	for (unsigned i = 0; i < m.pages; i++) {
		vaddr_t va = (vaddr_t)m.va + i * PAGE_SIZE;

		m.frame[i] = vmalloc_to_frame((void *)va);
		KASSERT(!sim_write(sim.cpu, va, frame_pfn(m.frame[i]).n << 16 | m.owner),
			"%#lx is not writable", va);
	}
	look_right(&m);
	put(m, r);
}

static void op_read(struct rng *r)
{
	look_right(slot_of(r));
}

static void op_purge(struct rng *r)
{
	u64 until = nr_ended;

	if (rng_below(r, 4)) {
		vm_unmap_aliases();
		look_purged(until);
	} else {
		lazy_purge(PURGE_PTES);
	}
}

static void op_purge_frames(struct rng *r)
{
	struct frame *const *f = &mine[sim.cpu][rng_below(r, MINE - 1)];
	unsigned n = 1 + rng_below(r, 2);
	enum purge_phase phase = rng_below(r, 3) ? PURGE_FLUSH : PURGE_PTES;

	if (vm_unmap_frame_aliases(f, n, phase) || phase == PURGE_PTES)
		return;
	for (unsigned i = 0; i < n; i++)
		nobody_reaches(f[i], "its purge");
}

static void op_local(struct rng *r)
{
	struct frame *f = mine[sim.cpu][rng_below(r, MINE)];
	irqflags_t flags = irq_save(); /* nobody else runs here while it is held */
	void *va = kmap_local(f);

	must_read((vaddr_t)va, f, sim.cpu);
	kunmap_local(va);
	KASSERT(!(sim_tlb_holders((vaddr_t)va, 1).bits & cpu_bit(sim.cpu)), "kunmap_local");
	irq_restore(flags);
}

static void op_frames(struct rng *r)
{
	struct frame *f = frame_alloc(rng_below(r, 3), 0);

	if (!f)
		return;
	look_held(f);
	if (rng_below(r, 2))
		frame_drain_cache();
	frame_free(f, f->order);
}

/* A new frame instead of an old one, whose lazy mappings stay for whoever gets it next. */
static void op_renew(struct rng *r)
{
	unsigned i = rng_below(r, MINE);
	struct frame *f = mine[sim.cpu][i], *new;

	for (unsigned k = 0; k < TABLE; k++)
		for (unsigned p = 0; table[k].va && p < table[k].pages; p++)
			if (table[k].frame[p] == f)
				return;
	if (frame_mapped_live(f))
		return; /* somebody is just ending it */
	new = frame_alloc(0, 0);
	if (!new)
		return;
	look_held(new);
	sign_frame(new, sim.cpu);
	mine[sim.cpu][i] = new;
	frame_free(f, 0);
}

static void end_space(void)
{
	struct aspace *as = spaces[sim.cpu];

	spaces[sim.cpu] = NULL;
	if (!as)
		return;
	aspace_leave();
	KASSERT(!aspace_destroy(as), "not destroyed: %s", sim_printed());
}

static void op_space(struct rng *r)
{
	struct aspace *as = spaces[sim.cpu], *copy;
	vaddr_t va = SPACE_VA + PAGE_SIZE;
	u64 v;

	if (!as) {
		as = aspace_create("mixed");
		spaces[sim.cpu] = as;
		KASSERT(as && !aspace_map(as, SPACE_VA, 1, VM_W), "no space");
		return;
	}
	switch (rng_below(r, 4)) {
	case 0:
		KASSERT(!aspace_load(as), "not loaded");
		KASSERT(!sim_write(sim.cpu, SPACE_VA, sim.cpu), "not writable");
		break;
	case 1:
		KASSERT(!aspace_map(as, va, 2, VM_W), "not mapped: %s", sim_printed());
		if (aspace_current())
			KASSERT(!sim_read(sim.cpu, va, &v) && !v, "not zero");
		KASSERT(!aspace_unmap(as, va, 2), "not unmapped");
		KASSERT(!(sim_tlb_holders(va, 2).bits & cpu_bit(sim.cpu)), /* others: their own */
			"CPU %u remembers a page of its space that is unmapped", sim.cpu);
		break;
	case 2:
		copy = aspace_copy(as, "copy");
		KASSERT(copy, "no copy");
		end_space();
		spaces[sim.cpu] = copy;
		break;
	default:
		end_space();
	}
}

static void op_machine(struct rng *r)
{
	switch (rng_below(r, 5)) {
	case 0:
		if (!rng_below(r, 4))
			park_drain();
		break;
	case 1:
		shootdown_set_strategy(rng_below(r, 4) ? SHOOTDOWN_FILTERED : SHOOTDOWN_BROADCAST);
		break;
	case 2:
		shootdown_quiet_point();
		break;
	case 3:
		sim_raise(rng_below(r, nr_cpus), SIM_TICK);
		break;
	default:
		for (unsigned i = rng_below(r, 4); i; i--)
			cpu_relax();
	}
}

static void (*const operations[])(struct rng *r) = {
	op_map,	  op_map,	   op_map,   op_end,	op_end,	  op_vmalloc, op_read,	  op_read,
	op_purge, op_purge_frames, op_local, op_frames, op_renew, op_space,   op_machine,
};

/* --- a run ------------------------------------------------------------------------------------ */

static void worker(void *arg __attribute__((unused)))
{
	if (sim_cpu_state(sim.cpu) == SIM_CPU_BOOTING) {
		struct rng r = op_rng(0);

		for (unsigned i = rng_below(&r, 30); i; i--)
			cpu_relax();
		sim_cpu_join(sim.cpu);
	}
	for (unsigned i = 0; i < OPS; i++) {
		unsigned op = round_now * OPS + i;
		struct rng r = op_rng(op);

		if (op_wanted(op))
			operations[rng_below(&r, ARRAY_SIZE(operations))](&r);
	}
}

/* Areas at hand on every CPU: to carve them is most of the work of a short run. */
static void warm(void)
{
	for (unsigned cpu = 0; cpu < nr_cpus; cpu++)
		for (unsigned n = 1; n <= PAGES_MAX && sim_cpu_state(cpu) == SIM_CPU_ONLINE; n++) {
			sim_on(cpu);
			vunmap(vmap(mine[cpu], n, VM_W));
		}
	sim_on(0);
	vm_unmap_aliases();
}

static void prepare(void)
{
	unsigned cpus_now = nr_cpus;

	at_hand = 0;
	if (late && !mmu->set_run) { /* comes up in the middle of it all */
		KASSERT(!kmap_local_init_cpu(cpus_now), "no memory");
		sim_cpu_power(cpus_now);
		sim_on(cpus_now);
		KASSERT(!mmu->load_root(kmap_local_root(cpus_now)), "no root");
		sim_on(0);
	}
	frame_set_hold(holds);
	for (unsigned cpu = 0; cpu < nr_cpus; cpu++) {
		KASSERT(!frame_alloc_many(mine[cpu], MINE, FRAME_ZERO), "no frames");
		for (unsigned i = 0; i < MINE; i++)
			sign_frame(mine[cpu][i], cpu);
	}
	if (is_warm)
		warm();
	at_hand = mm_frames_at_hand();
}

static void run(void)
{
	struct rng r = {run_seed};

	for (round_now = 0; round_now < ROUNDS; round_now++) {
		u64 who = 1 + rng_below(&r, (1u << nr_cpus) - 1);

		for (unsigned cpu = 0; cpu < nr_cpus; cpu++)
			if (who & cpu_bit(cpu))
				sim_spawn(cpu, worker, NULL);
		sim_run();
	}
}

static void finish(void)
{
	for (unsigned i = 0; i < TABLE; i++)
		if (table[i].va)
			end_mapping(table[i]);
	for (unsigned cpu = 0; cpu < nr_cpus; cpu++) {
		if (sim_cpu_state(cpu) == SIM_CPU_BOOTING)
			continue;
		sim_on(cpu);
		end_space();
	}
	sim_on(0);
	vm_unmap_aliases();
	look_purged(nr_ended);
	KASSERT(mm_frames_at_hand() == at_hand, "%ld frames are lost",
		at_hand - mm_frames_at_hand());
}

static void shape(struct sim_config *c)
{
	struct rng r = {c->seed + 1000};

	late = !rng_below(&r, 3);
	holds = !rng_below(&r, 4);
	is_warm = rng_below(&r, 4);
	policy_is_off = c->eager;
}

static void shape_guest(struct sim_config *c)
{
	shape(c);
	c->platform = xen_machine;
	c->max_leaf_level = 1;
	c->deferred = false;
}

const struct workload mixed_workloads[] = {
	{.name = "mixed",
	 .about = "everything at once, on 2 to 5 CPUs, under all policies",
	 .shape = shape,
	 .prepare = prepare,
	 .run = run,
	 .finish = finish},
	{.name = "guest",
	 .about = "everything at once, as a PV guest whose vCPUs are taken off now and then",
	 .shape = shape_guest,
	 .prepare = prepare,
	 .run = run,
	 .finish = finish},
	{0},
};
