// SPDX-License-Identifier: MIT
/*
 * From the domain builder's page tables to our own.
 *
 * The builder maps what it has put at the beginning of memory, the image first, from IMAGE_BASE
 * on, page by page, up to a multiple of 4 MiB and at least 512 KiB beyond its last element; all
 * writable but its own tables (Xen: xen.h, "Start-of-day memory layout"). mm/ wants more: it
 * reaches memory by the direct map, and will build tables in memory the builder has not mapped.
 * So (xen_mmu_early):
 *
 *   - a new level-3 table links to the builder's level-2 table, and hangs in the top-level slot of
 *     the direct map: what is mapped at IMAGE_BASE + pa now is at DIRECT_BASE + pa as well
 *   - level-1 tables for as much more as our tables will need are added to that level-2 table. They
 *     are made in the free pages behind the builder's last element
 *
 * Then mm/space.c builds our tables, with plain stores, for Xen knows of none of them. To enter
 * them every one is sealed, in the direct map that they contain and in the one that is loaded;
 * the new root is pinned, which makes Xen read everything, and loaded; the builder's root is
 * unpinned, so its tables and those we have added are memory again, and the allocator gets them.
 */
#include "kernel/main.h"
#include "mm/early.h"
#include "mm/pagetable.h"
#include "mm/space.h"
#include "xen/events.h"
#include "xen/hypercall.h"
#include "xen/mmu.h"
#include "xen/p2m.h"

#define BUILDER_PAD   (512 * KiB)
#define BUILDER_ALIGN (4 * MiB)
#define EARLY_MAX     pt_entry_size(3) /* what one level-2 table maps */
#define LEAF_BITS     (PTE_P | PTE_W | PTE_A | PTE_D)

/* Physical addresses. */
static struct builder {
	paddr_t tables; /* its page tables, from the root on; ours, that we add, at the end */
	paddr_t stack;	/* its last element, one page, between its tables and ours */
	paddr_t more;	/* tables we have added */
	paddr_t more_end;
	paddr_t mapped; /* the direct map reaches so far */
	pfn_t root;
} builder;

static paddr_t next_page;

static void must(long err, const char *what)
{
	KASSERT(!err, "Xen refuses %s: %ld", what, err);
}

static pte_t *builder_entries(pfn_t table)
{
	return (pte_t *)(IMAGE_BASE + pfn_to_paddr(table));
}

static u64 link_to(pfn_t table)
{
	return pfn_to_mfn(table).n << PAGE_SHIFT | PTE_TABLE_BITS;
}

/* The builder's table at `level` on the way to `va`. => va is mapped by it */
static pfn_t builder_table(vaddr_t va, int level)
{
	pfn_t table = builder.root;

	for (int l = PT_LEVELS; l > level; l--) {
		u64 v = builder_entries(table)[pt_index(va, l)].v;

		KASSERT(v & PTE_P, "the builder has mapped nothing at %#lx (level %d)", va, l);
		table = mfn_to_pfn((mfn_t){(v & PTE_ADDR) >> PAGE_SHIFT});
	}
	return table;
}

/* Changes the rights of a page that the builder, or we, have mapped. */
static void set_early_leaf(paddr_t pa, u64 bits)
{
	must(xen_update_va_mapping(IMAGE_BASE + pa,
				   pfn_to_mfn(paddr_to_pfn(pa)).n << PAGE_SHIFT | bits,
				   UVMF_INVLPG),
	     "to change a page of the builder's");
}

/* A page behind the builder's last element, filled by `fill`, read-only. */
static pfn_t make_table(void (*fill)(pte_t *e, u64 arg), u64 arg)
{
	pfn_t table = paddr_to_pfn(next_page);

	next_page += PAGE_SIZE;
	memset(builder_entries(table), 0, PAGE_SIZE);
	fill(builder_entries(table), arg);
	set_early_leaf(pfn_to_paddr(table), LEAF_BITS & ~PTE_W);
	return table;
}

static void fill_leaves(pte_t *e, u64 first)
{
	for (u64 i = 0; i < PT_ENTRIES; i++)
		if (pfn_is_ours(pfn_make(first + i)))
			e[i].v = pfn_to_mfn(pfn_make(first + i)).n << PAGE_SHIFT | LEAF_BITS;
}

static void fill_link(pte_t *e, u64 level2)
{
	e[0].v = link_to(pfn_make(level2));
}

static void set_link(pfn_t table, unsigned slot, pfn_t to)
{
	struct mmu_update u = {
		.ptr = (pfn_to_mfn(table).n << PAGE_SHIFT) + slot * sizeof(pte_t),
		.val = link_to(to),
	};
	unsigned done;

	must(xen_mmu_update(&u, 1, &done), "a page table of the early direct map");
}

/*
 * How much our tables will take, in pages: leaves of the direct map and of the frame array,
 * links.
 */
static u64 tables_wanted(u64 pages)
{
	const u64 leaves = pages / PT_ENTRIES + 2;
	const u64 array = pages / (PAGE_SIZE / 32) / PT_ENTRIES + 2;

	return leaves + array + leaves / PT_ENTRIES + array / PT_ENTRIES + 64;
}

/* Its last elements are its page tables and one page of stack. */
static paddr_t builder_stack(const struct start_info *si)
{
	return si->pt_base - IMAGE_BASE + (si->nr_pt_frames << PAGE_SHIFT);
}

u64 xen_builder_end(const struct start_info *si)
{
	return ALIGN_UP(builder_stack(si) + PAGE_SIZE + BUILDER_PAD, BUILDER_ALIGN) >> PAGE_SHIFT;
}

void xen_mmu_early(const struct start_info *si)
{
	paddr_t end;
	pfn_t level2;

	xen_p2m = (const u64 *)si->mfn_list;
	xen_nr_pfns = si->nr_pages;
	builder.tables = si->pt_base - IMAGE_BASE;
	builder.root = paddr_to_pfn(builder.tables);
	builder.stack = builder_stack(si);
	builder.more = next_page = builder.stack + PAGE_SIZE;
	builder.mapped = xen_builder_end(si) << PAGE_SHIFT;

	level2 = builder_table(IMAGE_BASE, 2);
	end = MIN(builder.mapped + (tables_wanted(si->nr_pages) << PAGE_SHIFT),
		  si->nr_pages << PAGE_SHIFT);
	if (MAX(builder.mapped, end) > EARLY_MAX)
		refuse_to_start(
			"the domain is too large",
			"its module, its list of frames and our page tables take more than 1 GiB");
	for (; builder.mapped < end; builder.mapped += pt_entry_size(2))
		set_link(level2, pt_index(IMAGE_BASE + builder.mapped, 2),
			 make_table(fill_leaves, builder.mapped >> PAGE_SHIFT));
	set_link(builder.root, pt_index(DIRECT_BASE, PT_LEVELS), make_table(fill_link, level2.n));
	builder.more_end = next_page;
	xen_mmu_ops.early_end = MIN(builder.mapped, si->nr_pages << PAGE_SHIFT);
	xen_p2m = phys_to_virt(si->mfn_list - IMAGE_BASE);
}

/*
 * Between the image and the builder's tables lie modules, the list of frames, the start info and,
 * unless we are the first domain, the pages of the xenstore and the console: these stay.
 */
int xen_mmu_reserve(struct kernel_image *img)
{
	img->keep_direct = builder.more_end;
	img->platform_page = (vaddr_t)&xen_shared;
	return early_reserve(img->end - IMAGE_BASE, builder.more_end);
}

/* --- entering --- */

static bool seal_new(void *arg, vaddr_t va, int level, pfn_t table, unsigned slot, pte_t e)
{
	(void)va, (void)table, (void)slot, (void)arg;
	if (!pte_present(e) || pte_leaf(e, level))
		return true;
	xen_direct_entry(paddr_to_pfn(pte_addr(e, level)))->v &= ~PTE_W;
	return true;
}

static bool seal_loaded(void *arg, vaddr_t va, int level, pfn_t table, unsigned slot, pte_t e)
{
	(void)va, (void)table, (void)slot, (void)arg;
	if (pte_present(e) && !pte_leaf(e, level))
		set_early_leaf(pte_addr(e, level), LEAF_BITS & ~PTE_W);
	return true;
}

/* In the new direct map; of the builder's tables and ours: both are tables until we have left. */
static void set_old_tables(bool writable)
{
	for (paddr_t pa = builder.tables; pa < builder.more_end; pa += PAGE_SIZE) {
		vaddr_t va = (vaddr_t)phys_to_virt(pa);
		pte_t *e = xen_direct_entry(paddr_to_pfn(pa));

		if (pa == builder.stack)
			continue;
		if (writable)
			must(xen_update_va_mapping(va, e->v | PTE_W, UVMF_INVLPG),
			     "to take back the builder's tables");
		else
			e->v &= ~PTE_W;
	}
}

/* Xen's page lies over one of the image's, here as there. */
static void map_shared_page(pfn_t root)
{
	vaddr_t va = (vaddr_t)&xen_shared;
	pte_t *e = &pt_entries(pt_leaf_table(root, va))[pt_index(va, 1)];
	u64 loaded = builder_entries(builder_table(va, 1))[pt_index(va, 1)].v;

	e->v = (e->v & ~PTE_ADDR) | (loaded & PTE_ADDR) | PTE_SOFT_MACHINE;
}

int xen_enter_own_tables(pfn_t root)
{
	int err;

	map_shared_page(root);
	set_old_tables(false);
	xen_direct_entry(root)->v &= ~PTE_W;
	pt_visit(root, PT_LEVELS, 0, seal_new, NULL);
	set_early_leaf(pfn_to_paddr(root), LEAF_BITS & ~PTE_W);
	pt_visit(root, PT_LEVELS, 0, seal_loaded, NULL);
	err = xen_frame_op(MMUEXT_PIN_L4_TABLE, root);
	if (!err)
		err = xen_frame_op(MMUEXT_NEW_BASEPTR, root);
	if (err)
		return err;
	must(xen_frame_op(MMUEXT_UNPIN_TABLE, builder.root), "to unpin the builder's tables");
	set_old_tables(true);
	return early_release(builder.tables, builder.more_end);
}
