// SPDX-License-Identifier: MIT
/*
 * Where the instructions of a loop go: one loop of map, read, unmap in single steps, and each step
 * put down to the function it was in. What the compiler has made part of another function counts
 * there. Loops before it, not stepped, have filled what is filled only once.
 */
#include "arch/x86/step.h"
#include "kernel/errno.h"
#include "kernel/printk.h"
#include "kernel/symbols.h"
#include "kernel/test.h"
#include "mm/kmap.h"
#include "mm/vmalloc.h"
#include "tests/kernel/bench.h"

#define PAGES	  4
#define FUNCTIONS 64
#define WARM_UPS  3

struct profile {
	struct {
		u64 start, insns;
	} fn[FUNCTIONS];
	unsigned fns;
	u64 total;
};

static void note_step(void *arg, const struct trap_frame *f)
{
	struct profile *p = arg;
	u64 offset = 0, start;
	unsigned i = 0;

	symbol_lookup(f->rip, &offset);
	start = f->rip - offset;
	while (i < p->fns && p->fn[i].start != start)
		i++;
	if (i == FUNCTIONS)
		return;
	if (i == p->fns) {
		p->fn[i].start = start;
		p->fn[i].insns = 0;
		p->fns++;
	}
	p->fn[i].insns++;
	p->total++;
}

static bool loop_vmap(struct frame *const *f)
{
	void *va = vmap(f, PAGES, VM_W);

	if (va)
		touch(va, PAGES);
	vunmap(va);
	return va;
}

static bool loop_vm_map_ram(struct frame *const *f)
{
	void *va = vm_map_ram(f, PAGES, VM_W);

	if (!va)
		return false;
	touch(va, PAGES);
	vm_unmap_ram(va, PAGES);
	return true;
}

static bool loop_vmalloc(struct frame *const *f __attribute__((unused)))
{
	void *va = vmalloc(PAGES * PAGE_SIZE);

	if (va)
		touch(va, PAGES);
	vfree(va);
	return va;
}

static bool loop_kmap(struct frame *const *f)
{
	void *va = kmap(*f);

	if (!va)
		return false;
	touch(va, 1);
	kunmap(va);
	return true;
}

/*
 * Each loop with no purge in between takes fresh addresses. After one, the first loop makes them
 * all ready to be used again, and the second takes the common path.
 */
static bool warm_up(bool (*loop)(struct frame *const *f), struct frame *const *f)
{
	bool ok = true;

	for (unsigned i = 0; i < WARM_UPS && ok; i++)
		ok = loop(f);
	vm_unmap_aliases();
	return ok && loop(f);
}

static bool profile(const char *name, bool (*loop)(struct frame *const *f), enum lazy_policy policy,
		    struct frame *const *f)
{
	struct lazy_stats was = bench_begin(policy);
	struct profile p = {0};
	bool ok = warm_up(loop, f);

	step_begin(note_step, &p);
	ok = ok && loop(f);
	step_end();
	bench_end(&was);
	if (!ok)
		return false;
	printk("%s, %s: %lu instructions\n", name, lazy_policy_name(policy), p.total);
	for (unsigned i = 0; i < p.fns; i++)
		printk("  %5lu %s\n", p.fn[i].insns, symbol_lookup(p.fn[i].start, NULL));
	return true;
}

KBENCH(profile, "where the instructions of one loop go, by function, in single steps")
{
	struct frame **f = bench_frames(PAGES);
	bool ok;

	if (!f)
		return -ENOMEM;
	ok = profile("vm_map_ram, 4 pages", loop_vm_map_ram, LAZY_TLB, f) &&
	     profile("vmap, 4 pages", loop_vmap, LAZY_TLB, f) &&
	     profile("vmap, 4 pages", loop_vmap, LAZY_OFF, f) &&
	     profile("vmalloc, 4 pages", loop_vmalloc, LAZY_TLB, f) &&
	     profile("vmalloc, 4 pages", loop_vmalloc, LAZY_PTE, f) &&
	     profile("kmap", loop_kmap, LAZY_TLB, f) &&
	     profile("kmap, revived", loop_kmap, LAZY_PTE, f);
	bench_free_frames(f, PAGES);
	return ok ? 0 : -ENOMEM;
}
