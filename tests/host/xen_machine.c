// SPDX-License-Identifier: MIT
/*
 * The simulated machine with a hypervisor on it: xen/mmu.c, compiled as it is, on a Xen that is
 * this file. What Xen would say comes from the model of its page typing (xen/typing.h), which has
 * been held against real Xen over a million operations; here it is compiled once more, as large as
 * the machine (typing_full.c). It sees every entry that is written by hypercall, every table that
 * is linked, every pin, unpin and load, and refuses what Xen would refuse.
 *
 *   I1     follows from it: a frame cannot be a table while any entry maps it writable. Beyond
 *          that, C code that stores to a table through the direct map faults, as the page there is
 *          read-only to the host process too, for as long as its entry has no W
 *   TLBs   keep what they keep on the bare machine. The hypervisor drops what it is asked to drop,
 *          on vCPUs that run and that do not; and, when a frame becomes a table, what maps it
 *   vCPUs  sleep (sim.asleep) from one hypercall to another that is drawn: they run nothing and
 *          take no interrupt, and what their TLBs hold stays there
 *
 * Frames have the same number here and there, so entries are what the walks of the simulated
 * processor take them for.
 *
 * A refusal of the hypervisor's is the test's to judge: sim.fail_batch, fail_attach, fail_pin and
 * fail_load are refusals that nothing of ours explains; any other is counted in
 * xen_machine_refusals.
 */
#include <sys/mman.h>

#include "tests/host/typing_full.h"
#include "tests/host/xen_machine.h"
#include "xen/hypercall.h"
#include "xen/mmu.h"
#include "xen/p2m.h"

static struct typing typing;
static u64 identity[TYPING_FRAMES];
const u64 *sim_m2p = identity;
static pfn_t running[MAX_CPUS]; /* the root that each vCPU has loaded */
static bool entered;

unsigned xen_machine_refusals;

static pte_t *entries(pfn_t table)
{
	return sim_ram(pfn_to_paddr(table));
}

static bool is_table(pfn_t f)
{
	return typing.frame[f.n].count && typing_is_table(typing.frame[f.n].type);
}

static bool is_device(pte_t e)
{
	return e.v & PTE_SOFT_MACHINE;
}

/* --- memory that may become a table --- */

/* What is no table yet is the guest's to write, and the model sees it when it matters. */
static void look_at(pfn_t table, int level)
{
	struct typing_frame *f = &typing.frame[table.n];

	KASSERT(table.n < TYPING_FRAMES, "table %#lx is beyond the model", table.n);
	if (is_table(table))
		return;
	f->xen_slots = false; /* Xen's own entries are not in the simulated memory */
	for (unsigned slot = 0; slot < PT_ENTRIES; slot++) {
		pte_t e = entries(table)[slot];

		f->e[slot] = is_device(e) ? (pte_t){0} : e;
		if (level > 1 && pte_present(e) &&
		    !(level == PT_LEVELS && typing_is_xen_slot(slot)))
			look_at(paddr_to_pfn(pte_addr(e, level)), level - 1);
	}
}

/* What it has found good the processor may walk. Xen's bits are in the entries from now on. */
static void accept(pfn_t table, int level, vaddr_t va)
{
	if (sim_table_level(table) == level)
		return;
	sim_table_is_at(table, level, va);
	sim_tlb_forget_frame(table);
	for (unsigned slot = 0; slot < PT_ENTRIES; slot++) {
		vaddr_t at = va + slot * pt_entry_size(level);
		pte_t *e = &entries(table)[slot];

		if (!pte_present(*e) || (level == PT_LEVELS && typing_is_xen_slot(slot)))
			continue;
		if (!is_device(*e))
			*e = typing.frame[table.n].e[slot];
		if (level > 1)
			accept(paddr_to_pfn(pte_addr(*e, level)), level - 1,
			       (vaddr_t)((s64)(at << 16) >> 16));
	}
}

/* A page of the direct map is as writable to the host's C as its entry says. */
static void show_direct(pfn_t f, bool writable)
{
	if (!entered)
		return;
	KASSERT(!mprotect(phys_to_virt(pfn_to_paddr(f)), PAGE_SIZE,
			  writable ? PROT_READ | PROT_WRITE : PROT_READ),
		"cannot change the rights of simulated memory");
}

/* It is memory again: nobody may walk it. */
static void no_table(pfn_t f)
{
	u64 bits = sim_tlb_walkers(f).bits;

	KASSERT(!bits, "table %#lx is released, but CPUs %#lx may walk it", f.n, bits);
	sim_table_is_at(f, SIM_NO_TABLE, 0);
}

/* --- vCPUs that do not run --- */

static void deschedule(void)
{
	unsigned cpu;

	if (!sim.sleepy || sim_random(sim.sleepy))
		return;
	cpu = sim_random(nr_cpus);
	if (cpu != sim.cpu && sim_cpu_state(cpu) == SIM_CPU_ONLINE)
		sim.asleep.bits ^= cpu_bit(cpu);
}

/* --- hypercalls --- */

static long refused(long err, bool injected)
{
	xen_machine_refusals += !injected;
	return err;
}

static bool inject(u32 *countdown)
{
	return *countdown && !--*countdown;
}

/* One entry of a table that is in use, or of memory. */
static long update_entry(pfn_t table, unsigned slot, pte_t e)
{
	vaddr_t va = sim_table_slot_va(table, slot);
	int level = sim_table_level(table);
	struct typing_update u = {.frame = (u16)table.n, .slot = (u16)slot};
	pfn_t to = paddr_to_pfn(pte_addr(e, 1));
	unsigned done;
	long err;

	KASSERT(is_table(table), "an update of frame %#lx, which is no table", table.n);
	u.e = is_device(e) ? (pte_t){0} : e;
	if (pte_present(e) && level > 1)
		look_at(to, level - 1);
	err = typing_mmu_update(&typing, &u, 1, &done);
	if (err)
		return refused(err, false);
	if (!is_device(e))
		e = typing.frame[table.n].e[slot];
	if (level > 1 && pte_present(e)) {
		accept(to, level - 1, va);
		entries(table)[slot] = e;
		return 0;
	}
	sim_entry_changes(table, slot, e);
	if (pte_present(e) && in_direct_map(va)) {
		show_direct(to, pte_writable(e));
		if (pte_writable(e) && sim_table_level(to) > 0)
			no_table(to);
	}
	return 0;
}

long xen_mmu_update(struct mmu_update *u, unsigned n, unsigned *done)
{
	long err = 0;

	sim_full_barrier();
	deschedule();
	for (*done = 0; *done < n; ++*done) {
		pfn_t table = paddr_to_pfn(u[*done].ptr);
		bool link = sim_table_level(table) > 1;

		if (inject(link ? &sim.fail_attach : &sim.fail_batch))
			err = refused(-EINVAL, true);
		else
			err = update_entry(table,
					   (unsigned)(u[*done].ptr % PAGE_SIZE / sizeof(pte_t)),
					   (pte_t){u[*done].val});
		if (err)
			break;
		sim_step();
	}
	return err;
}

static long pin(pfn_t root)
{
	long err;

	if (inject(&sim.fail_pin))
		return refused(-EINVAL, true);
	look_at(root, PT_LEVELS);
	err = typing_pin(&typing, (unsigned)root.n, PT_LEVELS);
	if (err)
		return refused(err, false);
	accept(root, PT_LEVELS, 0);
	return 0;
}

static long load(pfn_t root)
{
	pfn_t was = running[sim.cpu];
	long err;

	if (inject(&sim.fail_load))
		return refused(-EINVAL, true);
	err = typing_hold(&typing, (unsigned)root.n, TYPE_L4);
	if (err)
		return refused(err, false);
	running[sim.cpu] = root;
	sim_tlb_load_root(sim.cpu, root);
	if (was.n)
		typing_release(&typing, (unsigned)was.n);
	return 0;
}

static void flush(u64 on, bool all, vaddr_t va)
{
	for (unsigned cpu = 0; cpu < nr_cpus; cpu++) {
		if (!(on & cpu_bit(cpu)))
			continue;
		if (all)
			sim_tlb_invalidate_all(cpu);
		else
			sim_tlb_invalidate_page(cpu, va);
	}
}

static long clear_page(pfn_t f)
{
	long err = typing_clear(&typing, (unsigned)f.n);

	if (err)
		return refused(err, false);
	for (unsigned slot = 0; sim_table_level(f) == 1 && slot < PT_ENTRIES; slot++)
		if (pte_present(entries(f)[slot]))
			sim_entry_changes(f, slot, (pte_t){0}); /* and may be remembered */
	sim_table_is_at(f, SIM_NO_TABLE, 0);
	memset(entries(f), 0, PAGE_SIZE);
	return 0;
}

static u64 vcpus(const struct mmuext_op *op)
{
	return *(const u64 *)op->arg2.vcpumask.p;
}

static long extended(const struct mmuext_op *op)
{
	pfn_t f = {op->arg1.mfn};
	long err;

	switch (op->cmd) {
	case MMUEXT_PIN_L4_TABLE:
		return pin(f);
	case MMUEXT_UNPIN_TABLE:
		err = typing_unpin(&typing, (unsigned)f.n);
		return err ? refused(err, false) : 0;
	case MMUEXT_NEW_BASEPTR:
		return load(f);
	case MMUEXT_CLEAR_PAGE:
		return clear_page(f);
	case MMUEXT_TLB_FLUSH_ALL:
		flush(~0ull, true, 0);
		return 0;
	case MMUEXT_TLB_FLUSH_LOCAL:
		flush(cpu_bit(sim.cpu), true, 0);
		return 0;
	case MMUEXT_INVLPG_LOCAL:
		flush(cpu_bit(sim.cpu), false, op->arg1.linear_addr);
		return 0;
	case MMUEXT_TLB_FLUSH_MULTI:
		flush(vcpus(op), true, 0);
		return 0;
	case MMUEXT_INVLPG_MULTI:
		flush(vcpus(op), false, op->arg1.linear_addr);
		return 0;
	default:
		panic("mmuext_op %u is not simulated", op->cmd);
	}
}

long xen_mmuext_op(struct mmuext_op *op, unsigned n, unsigned *done)
{
	long err = 0;

	sim_full_barrier();
	deschedule();
	for (*done = 0; *done < n && !err; *done += !err) {
		err = extended(&op[*done]);
		sim_step();
	}
	return err;
}

long xen_multicall(struct multicall_entry *call, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		void *arg = (void *)call[i].args[0];
		unsigned nr = (unsigned)call[i].args[1], done;

		call[i].result = (xen_ulong_t)(call[i].op == __HYPERVISOR_mmu_update
						       ? xen_mmu_update(arg, nr, &done)
						       : xen_mmuext_op(arg, nr, &done));
	}
	return 0;
}

/* --- entering (as xen/enter.c, where no builder's tables are to be left) --- */

static bool seal(void *arg __attribute__((unused)), vaddr_t va __attribute__((unused)), int level,
		 pfn_t table __attribute__((unused)), unsigned slot __attribute__((unused)),
		 pte_t e)
{
	if (pte_present(e) && !pte_leaf(e, level))
		xen_direct_entry(paddr_to_pfn(pte_addr(e, level)))->v &= ~PTE_W;
	return true;
}

int xen_enter_own_tables(pfn_t root)
{
	int err;

	xen_direct_entry(root)->v &= ~PTE_W;
	pt_visit(root, PT_LEVELS, 0, seal, NULL);
	err = xen_frame_op(MMUEXT_PIN_L4_TABLE, root);
	if (!err)
		err = xen_frame_op(MMUEXT_NEW_BASEPTR, root);
	KASSERT(!err, "the machine's own tables are refused: %d", err);
	sim_memory_map_as(root);
	entered = true;
	return 0;
}

void xen_machine(void)
{
	typing_init(&typing, TYPING_FRAMES, &typing_domu);
	for (u64 i = 0; i < TYPING_FRAMES; i++)
		identity[i] = i;
	xen_p2m = identity;
	xen_nr_pfns = TYPING_FRAMES;
	xen_mmu_ops.early_end = 4 * GiB;
	mmu = &xen_mmu_ops;
}

/* --- at rest --- */

void xen_machine_check(void)
{
	for (u64 n = 0; n < TYPING_FRAMES; n++) {
		const struct typing_frame *f = &typing.frame[n];

		if (!is_table(pfn_make(n)) || !sim_is_ram(n << PAGE_SHIFT))
			continue;
		for (unsigned slot = 0; slot < PT_ENTRIES; slot++) {
			pte_t e = entries(pfn_make(n))[slot];

			if (f->type == TYPE_L4 && typing_is_xen_slot(slot))
				continue;
			KASSERT(is_device(e) || e.v == f->e[slot].v,
				"entry %u of table %#lx is %#lx, but Xen has written %#lx", slot, n,
				e.v, f->e[slot].v);
		}
		KASSERT(frames[n].type == FRAME_TABLE, "frame %#lx is a table to Xen, but %s to us",
			n, frame_type_name(frames[n].type));
	}
}
