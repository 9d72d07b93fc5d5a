// SPDX-License-Identifier: MIT
/*
 * Mapping pages in an address space, and taking them away. A mapping goes in three steps, so that
 * no memory is missing in the middle:
 *
 *   look   is the range good, and nothing mapped there?
 *   stock  all frames it needs: a table for each that is missing on the way, then the pages,
 *          zeroed; the tables first, which so are made of the frames that were freed last
 *   write  tables are attached, then entries set, table by table, each table's as one batch
 *
 * In the last step only a hypervisor can refuse. Then the pages set so far go again; the tables
 * that it took stay, for a CPU that runs on the space may have seen them.
 *
 * Next: mm/aspace.c, if you come from elsewhere: it has the argument.
 */
#include "mm/aspace_internal.h"
#include "mm/frame.h"
#include "mm/gather.h"
#include "mm/kmap.h"
#include "mm/pagetable.h"
#include "mm/shootdown.h"

/* --- finding -------------------------------------------------------------------------------- */

/*
 * The way to `va` as far as there are tables.
 *   => the level of the last one, *table; 1: the entry of `va` is in it
 */
static int descend(const struct aspace *as, vaddr_t va, pfn_t *table)
{
	int level = USER_LEVEL;

	for (*table = as->user; level > 1; level--) {
		pte_t e = pt_read(*table, pt_index(va, level));

		if (!pte_present(e))
			break;
		*table = paddr_to_pfn(pte_addr(e, level));
	}
	return level;
}

/* Of n pages from `va`, those whose entries are in the same level-1 table. */
static u64 in_one_table(vaddr_t va, u64 n)
{
	return MIN(n, PT_ENTRIES - pt_index(va, 1));
}

struct frame *aspace_frame(const struct aspace *as, vaddr_t va)
{
	pfn_t table;
	pte_t e;

	if (!in_user_half(va) || descend(as, va, &table) > 1)
		return NULL;
	e = pt_read(table, pt_index(va, 1));
	return pte_present(e) ? pfn_frame(paddr_to_pfn(pte_addr(e, 1))) : NULL;
}

/* => how many of the pages are mapped */
static u64 count_mapped(const struct aspace *as, vaddr_t va, u64 n)
{
	u64 mapped = 0, some;

	for (; n; va += some << PAGE_SHIFT, n -= some) {
		pfn_t table;

		some = in_one_table(va, n);
		if (descend(as, va, &table) > 1)
			continue;
		for (unsigned i = 0; i < some; i++)
			mapped += pte_present(pt_read(table, pt_index(va, 1) + i));
	}
	return mapped;
}

static bool is_range(vaddr_t va, u64 n)
{
	return IS_ALIGNED(va, PAGE_SIZE) && va >= PAGE_SIZE && in_user_half(va) && n &&
	       n <= (USER_SIZE - va) >> PAGE_SHIFT;
}

struct frame *aspace_own_frame(const struct aspace *as, vaddr_t va, pte_t e)
{
	struct frame *f = pfn_frame(paddr_to_pfn(pte_addr(e, 1)));

	KASSERT(f->type == FRAME_SPACE && f->space == as->id && f->page == va >> PAGE_SHIFT,
		"'%s' maps at %#lx frame %#lx, which is %s: the entry (%#lx) is forged", as->name,
		va, frame_pfn(f).n, frame_type_name(f->type), e.v);
	return f;
}

/* --- what a mapping needs ------------------------------------------------------------------- */

/* Frames in a chain by frame->next; those of new tables by their level. */
struct stock {
	u32 pages;
	u32 tables[USER_LEVEL];
};

static void push(u32 *top, struct frame *f)
{
	f->next = *top;
	*top = (u32)frame_pfn(f).n;
}

/* => NULL: the chain is empty */
static struct frame *pop(u32 *top)
{
	struct frame *f = *top == FRAME_NIL ? NULL : &frames[*top];

	if (f)
		*top = f->next;
	return f;
}

static void free_chain(u32 *top)
{
	struct frame *f;

	while ((f = pop(top)))
		frame_free(f, 0);
}

static void free_stock(struct stock *s)
{
	struct frame *f;

	free_chain(&s->pages);
	for (int level = 1; level < USER_LEVEL; level++)
		while ((f = pop(&s->tables[level])))
			pt_free_table(frame_pfn(f));
}

static int stock_table(struct stock *s, int level)
{
	pfn_t table;
	int err = pt_alloc_table(level, &table);

	if (!err)
		push(&s->tables[level], pfn_frame(table));
	return err;
}

/* A table for each that is missing on the way to the pages. */
static int stock_tables(const struct aspace *as, vaddr_t va, u64 n, struct stock *s)
{
	vaddr_t made = ~0ul; /* the last part of a level-3 entry that has a level-2 table to be */
	int err = 0;

	for (u64 some; n && !err; va += some << PAGE_SHIFT, n -= some) {
		vaddr_t part = ALIGN_DOWN(va, pt_entry_size(USER_LEVEL));
		pfn_t table;
		int level = descend(as, va, &table);

		some = in_one_table(va, n);
		if (level == USER_LEVEL && part != made) {
			err = stock_table(s, 2);
			made = part;
		}
		if (level > 1 && !err)
			err = stock_table(s, 1);
	}
	return err;
}

/* A page as C reaches it, also where the direct map does not. => until close_page() */
static void *open_page(struct frame *f)
{
	return f->zone == ZONE_HIGH ? kmap_local(f) : frame_virt(f);
}

static void close_page(struct frame *f, void *at)
{
	if (f->zone == ZONE_HIGH)
		kunmap_local(at);
}

/* => what open_page() gave, for memset and memcpy */
static void *bytes(struct frame *f, void *at)
{
	return f->zone == ZONE_HIGH ? mapped_page((vaddr_t)at) : at;
}

void aspace_copy_page(struct frame *to, struct frame *from)
{
	void *dst = open_page(to), *src = open_page(from);

	memcpy(bytes(to, dst), bytes(from, src), PAGE_SIZE);
	close_page(from, src); /* the last opened first: they are a stack */
	close_page(to, dst);
}

static int stock_pages(u64 n, struct stock *s)
{
	while (n--) {
		struct frame *f = frame_alloc(0, FRAME_HIGH);
		void *at;

		if (!f)
			return -ENOMEM;
		at = open_page(f);
		memset(bytes(f, at), 0, PAGE_SIZE);
		close_page(f, at);
		push(&s->pages, f);
	}
	return 0;
}

/* --- mapping and unmapping ------------------------------------------------------------------ */

/* The level-1 table of `va`; what is missing on the way comes out of the stock. */
static int attach_path(struct aspace *as, vaddr_t va, struct stock *s, pfn_t *table)
{
	int level;

	while ((level = descend(as, va, table)) > 1) {
		struct frame *f = pop(&s->tables[level - 1]);
		int err;

		spin_lock(&as->lock);
		err = mmu->attach_table(*table, pt_index(va, level), level, frame_pfn(f));
		spin_unlock(&as->lock);
		if (err) {
			push(&s->tables[level - 1], f);
			return err;
		}
		WRITE_ONCE(as->tables, as->tables + 1);
	}
	return 0;
}

/* n entries of one table, as one batch. => 0 or -errno; *mapped grows by those that are set */
static int set_pages(struct aspace *as, pfn_t table, vaddr_t va, u64 n, u64 bits, struct stock *s,
		     u64 *mapped)
{
	unsigned done = 0;
	u32 at = s->pages;
	int err;

	spin_lock(&as->lock);
	for (unsigned i = 0; i < n; i++, at = frames[at].next)
		mmu->set_leaf(table, pt_index(va, 1) + i, (pte_t){frame_paddr(&frames[at]) | bits});
	err = mmu->batch_end(&done);
	spin_unlock(&as->lock);
	if (!err)
		done = (unsigned)n;
	for (unsigned i = 0; i < done; i++) {
		struct frame *f = pop(&s->pages);

		WRITE_ONCE(f->type, FRAME_SPACE);
		f->space = as->id;
		f->page = (u32)((va >> PAGE_SHIFT) + i);
	}
	WRITE_ONCE(as->pages, as->pages + done);
	*mapped += done;
	return err;
}

/* The pages, all of which are mapped, are gone for every CPU. */
static void remove_pages(struct aspace *as, vaddr_t va, u64 n)
{
	u32 gone = FRAME_NIL;
	struct gather g;

	gather_begin(&g);
	for (u64 left = n, some; left; va += some << PAGE_SHIFT, left -= some) {
		pfn_t table;

		some = in_one_table(va, left);
		descend(as, va, &table);
		spin_lock(&as->lock);
		for (unsigned i = 0; i < some; i++) {
			vaddr_t at = va + ((u64)i << PAGE_SHIFT);
			struct frame *f = aspace_own_frame(as, at, pt_read(table, pt_index(at, 1)));

			mmu->set_leaf(table, pt_index(at, 1), (pte_t){0});
			WRITE_ONCE(f->type, FRAME_USED);
			push(&gone, f);
		}
		KASSERT(!mmu->batch_end(NULL), "%s refused to unmap %#lx", mmu->name, va);
		spin_unlock(&as->lock);
	}
	smp_mb(); /* the entries are gone: only now the clock, and who is on it */
	gather_add(&g, va - (n << PAGE_SHIFT), n, shootdown_clock());
	gather_flush_on(&g, (cpumask_t){atomic_read(&as->on)});
	gather_end(&g);
	WRITE_ONCE(as->pages, as->pages - n);
	free_chain(&gone);
}

int aspace_map_pages(struct aspace *as, vaddr_t va, u64 n, unsigned prot)
{
	struct stock s = {FRAME_NIL, {FRAME_NIL, FRAME_NIL, FRAME_NIL}};
	u64 bits = pte_leaf_bits(prot | VM_LOCAL, 1), mapped = 0;
	int err = stock_tables(as, va, n, &s);

	if (!err)
		err = stock_pages(n, &s);
	while (!err && mapped < n) {
		vaddr_t at = va + (mapped << PAGE_SHIFT);
		pfn_t table;

		err = attach_path(as, at, &s, &table);
		if (!err)
			err = set_pages(as, table, at, in_one_table(at, n - mapped), bits, &s,
					&mapped);
	}
	if (mapped && err)
		remove_pages(as, va, mapped);
	free_stock(&s);
	return err;
}

int aspace_map(struct aspace *as, vaddr_t va, u64 n, unsigned prot)
{
	u64 mapped;

	must_exist(as);
	if (!is_range(va, n) || (prot != VM_R && prot != VM_W && prot != VM_X)) {
		printk("mm: '%s' cannot map %lu pages at %#lx with prot %#x: the user half is %#lx to %#lx, and a page is writable or executable at most\n",
		       as->name, n, va, prot, PAGE_SIZE, USER_SIZE);
		return -EINVAL;
	}
	mapped = count_mapped(as, va, n);
	if (mapped) {
		printk("mm: '%s' maps %lu of the %lu pages at %#lx already; unmap them first\n",
		       as->name, mapped, n, va);
		return -EEXIST;
	}
	return n > frame_free_total() ? -ENOMEM : aspace_map_pages(as, va, n, prot);
}

int aspace_unmap(struct aspace *as, vaddr_t va, u64 n)
{
	must_exist(as);
	if (!is_range(va, n) || count_mapped(as, va, n) != n) {
		printk("mm: '%s' does not map all of the %lu pages at %#lx, so it unmaps none\n",
		       as->name, n, va);
		return -EINVAL;
	}
	remove_pages(as, va, n);
	return 0;
}
