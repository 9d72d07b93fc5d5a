// SPDX-License-Identifier: MIT
/*
 * A forged page table, from a mapping that somebody only forgot to take away:
 *
 *   the owner of a buffer                    everybody else
 *   vmap, use, vunmap (policy pte: lazily)
 *   free: the frames go back, the            a program's space is made: its tables come
 *   writable entries stay                      from the frames that were freed last
 *                                            the program runs
 *   writes to the buffer once more: an
 *   entry of a page table                    the program reads what that entry names
 *
 * The owner need not mean harm; any use after free will do. The entry written here names a frame of
 * the kernel's, and the program, at an address of its own, reads what is in it. It could write it,
 * too: kernel text, other tables, anything. That is why a hypervisor, whose guests run on the real
 * page tables, lets no frame become one that anybody can write by any mapping.
 *
 * Afterwards the entry is put back, and this CPU leaves the space, which drops what it remembers.
 */
#include "kernel/forge.h"
#include "kernel/errno.h"
#include "kernel/string.h"
#include "kernel/test.h"
#include "mm/aspace.h"
#include "mm/check.h"
#include "mm/frame.h"
#include "mm/lazy.h"
#include "mm/vmap.h"

#define BUFFER_PAGES 8
#define PROGRAM	     0x40000000ul /* where it has two pages */
#define TARGET	     (PROGRAM + PAGE_SIZE)

struct experiment {
	struct frame *buffer[BUFFER_PAGES];
	u8 *buffer_va;
	struct frame *secret;
	struct aspace *program;
	struct forge_result *res;
};

/* => its frames are free, its entries stand */
static int use_buffer(struct experiment *x)
{
	int err = frame_alloc_many(x->buffer, BUFFER_PAGES, 0);

	if (err)
		return err;
	x->buffer_va = vmap(x->buffer, BUFFER_PAGES, VM_W);
	if (x->buffer_va) {
		memset(x->buffer_va, 0xb0, BUFFER_PAGES * PAGE_SIZE);
		vunmap(x->buffer_va);
	}
	frame_free_many(x->buffer, BUFFER_PAGES);
	return x->buffer_va ? 0 : -ENOMEM;
}

static int start_program(struct experiment *x)
{
	int err;

	x->program = aspace_create("program");
	if (!x->program)
		return -ENOMEM;
	err = aspace_map(x->program, PROGRAM, 2, VM_R);
	return err ? err : aspace_load(x->program);
}

/* The level-1 entry of TARGET, and where the buffer's owner has it. */
static void find_table(struct experiment *x, struct pt_walk *w)
{
	struct forge_result *res = x->res;

	KASSERT(pt_walk(x->program->root[cpu_id()], TARGET, w), "the program has no page");
	res->va = TARGET;
	res->entry = w->step[1].entry.v;
	for (unsigned i = 0; i < BUFFER_PAGES; i++) {
		res->tables += x->buffer[i]->type == FRAME_TABLE;
		if (frame_pfn(x->buffer[i]).n != w->step[1].table.n)
			continue;
		res->table = w->step[1].table.n;
		res->alias = (u64)x->buffer_va + i * PAGE_SIZE;
	}
}

static void forge(struct experiment *x)
{
	struct forge_result *res = x->res;
	struct pt_walk w;
	u64 *entry;

	find_table(x, &w);
	if (!res->table)
		return;
	entry = (u64 *)res->alias + w.step[1].slot;
	res->alias_faulted = probe_read(entry, NULL);
	if (res->alias_faulted)
		return;
	res->forged = (res->entry & ~PTE_ADDR) | frame_paddr(x->secret);
	WRITE_ONCE(*entry, res->forged);
	mmu->invalidate_page(TARGET); /* no TLB keeps an entry for ever; so we need not wait */
	strlcpy(res->seen, (const char *)TARGET, sizeof(res->seen));
	res->faults = mm_check(false);
	WRITE_ONCE(*entry, res->entry);
}

/* Under the policies that make it possible; all is as before afterwards. */
static int run(struct experiment *x)
{
	int err = use_buffer(x);

	if (!err)
		err = start_program(x);
	if (!err)
		forge(x);
	aspace_leave();
	if (x->program)
		KASSERT(!aspace_destroy(x->program), "somebody else runs on the program's space");
	return err;
}

int forge_experiment(enum purge_policy purge, struct forge_result *res)
{
	struct experiment x = {.secret = frame_alloc(0, FRAME_ZERO), .res = res};
	enum purge_policy was_purge = pt_purge_policy();
	struct lazy_stats was;
	bool poison = lazy_poison(), hold = frame_hold(); /* with these no alias is left behind */
	int err;

	*res = (struct forge_result){0};
	if (!x.secret)
		return -ENOMEM;
	res->secret = frame_pfn(x.secret).n;
	strlcpy(frame_virt(x.secret), FORGE_SECRET, PAGE_SIZE);
	lazy_stats(&was);
	lazy_set_max(~0ul); /* no purge may come between */
	lazy_set_policy(LAZY_PTE);
	lazy_set_poison(false);
	frame_set_hold(false);
	pt_set_purge_policy(purge);
	err = run(&x);
	pt_set_purge_policy(was_purge);
	vm_unmap_aliases();
	frame_set_hold(hold);
	lazy_set_poison(poison);
	lazy_set_policy(was.policy);
	lazy_set_max(was.max_pages);
	frame_free(x.secret, 0);
	res->faults_end = mm_check(false);
	return err;
}
