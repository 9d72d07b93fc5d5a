// SPDX-License-Identifier: MIT
/*
 * The frames lie side by side, so that the M2P, Xen's list, tells the number of a frame in the test
 * from what stands in an entry. They are read-only in the direct map, where they are read; all
 * writing is done through the window or by hypercall. Behind mm/'s back: no alias is recorded, and
 * the frames are no tables to it. That is right as long as Xen's counts of them are zero again at
 * the end, which difftest_clean() sees to.
 *
 * Frame 0 is not one of them: it is the level-1 table the window's entries are in, a live table of
 * the kernel's, to which the operations only ever add references.
 */
#include "tests/xen/typing_lab.h"
#include "kernel/platform.h"
#include "kernel/test.h"
#include "mm/frame.h"
#include "mm/pagetable.h"
#include "mm/space.h"
#include "mm/vmap.h"
#include "xen/hypercall.h"
#include "xen/mmu.h"
#include "xen/p2m.h"
#include "xen/platform.h"

#define ORDER	  6
#define DATA_BITS (PTE_P | PTE_W | PTE_A | PTE_D | PTE_NX)

_Static_assert(1u << ORDER == TYPING_FRAMES, "one block");

static const vaddr_t no_table_va = 0x123456780000, xen_va = HOLE_BASE + 3 * TiB;

static struct lab {
	struct frame *block;
	u64 first;	 /* its pfn: of frame 1 comes the next, and so on */
	u8 *window;	 /* an area without pages, as mm/ sees it */
	pfn_t table;	 /* frame 0 */
	u64 foreign_mfn; /* a page of Xen's */
} lab;

bool lab_possible(void)
{
	return platform == &xen_platform;
}

const struct typing_rules *lab_rules(void)
{
	return xen_is_first_domain() ? &typing_dom0 : &typing_domu;
}

/* --- numbers --- */

static pfn_t pfn_of(unsigned frame)
{
	return frame ? pfn_make(lab.first + frame) : lab.table;
}

static u64 mfn_of(unsigned frame)
{
	return frame == TYPING_FOREIGN ? lab.foreign_mfn : pfn_to_mfn(pfn_of(frame)).n;
}

static u64 to_xen(pte_t e)
{
	return e.v ? (e.v & ~PTE_ADDR) | mfn_of(typing_target(e)) << PAGE_SHIFT : 0;
}

static pte_t from_xen(u64 v)
{
	mfn_t mfn = {(v & PTE_ADDR) >> PAGE_SHIFT};
	u64 pfn = v ? mfn_to_pfn(mfn).n : 0;
	u64 frame = TYPING_FOREIGN;

	if (!v)
		return (pte_t){0};
	if (pfn == lab.table.n)
		frame = TYPING_WINDOW_TABLE;
	else if (pfn - lab.first < TYPING_FRAMES)
		frame = pfn - lab.first;
	return (pte_t){(v & ~PTE_ADDR) | frame << PAGE_SHIFT};
}

static vaddr_t window_page(unsigned page)
{
	if (page >= TYPING_WINDOW)
		return page == TYPING_VA_HOLE ? no_table_va : xen_va;
	return (vaddr_t)lab.window + page * PAGE_SIZE;
}

/* --- the operations --- */

static int update(void *ctx __attribute__((unused)), const struct typing_update *u, unsigned n,
		  unsigned *done)
{
	struct mmu_update real[DIFFTEST_BATCH];

	for (unsigned i = 0; i < n; i++)
		real[i] = (struct mmu_update){
			.ptr = mfn_of(u[i].frame) << PAGE_SHIFT |
			       typing_slot_number[u[i].slot] * sizeof(pte_t),
			.val = to_xen(u[i].e),
		};
	*done = 0;
	return (int)xen_mmu_update(real, n, done);
}

static int update_va(void *ctx __attribute__((unused)), unsigned page, pte_t e)
{
	return (int)xen_update_va_mapping(window_page(page), to_xen(e), UVMF_INVLPG);
}

static int store(void *ctx __attribute__((unused)), unsigned page, unsigned slot, pte_t e)
{
	vaddr_t va = window_page(page) + typing_slot_number[slot] * sizeof(pte_t);

	return probe_store((void *)va, to_xen(e)) ? -EFAULT : 0;
}

static int frame_op(unsigned cmd, unsigned frame, unsigned from)
{
	struct mmuext_op op = {.cmd = cmd, .arg1.mfn = mfn_of(frame)};
	unsigned done;

	if (cmd == MMUEXT_COPY_PAGE)
		op.arg2.src_mfn = mfn_of(from);
	return (int)xen_mmuext_op(&op, 1, &done);
}

static int pin(void *ctx __attribute__((unused)), unsigned frame, unsigned level)
{
	return frame_op(MMUEXT_PIN_L1_TABLE + level - 1, frame, 0);
}

static int unpin(void *ctx __attribute__((unused)), unsigned frame)
{
	return frame_op(MMUEXT_UNPIN_TABLE, frame, 0);
}

static int clear(void *ctx __attribute__((unused)), unsigned frame)
{
	return frame_op(MMUEXT_CLEAR_PAGE, frame, 0);
}

static int copy(void *ctx __attribute__((unused)), unsigned to, unsigned from)
{
	return frame_op(MMUEXT_COPY_PAGE, to, from);
}

static pte_t read(void *ctx __attribute__((unused)), unsigned frame, unsigned slot)
{
	return from_xen(READ_ONCE(pt_entries(pfn_of(frame))[typing_slot_number[slot]].v));
}

const struct typing_backend lab_backend = {
	.mmu_update = update,
	.update_va = update_va,
	.store = store,
	.pin = pin,
	.unpin = unpin,
	.clear = clear,
	.copy = copy,
	.read = read,
};

/* --- the place --- */

/* The block in the direct map. */
static void set_writable(bool writable)
{
	for (u64 i = 0; i < TYPING_FRAMES; i++) {
		pfn_t pfn = pfn_make(lab.first + i);
		u64 v = READ_ONCE(xen_direct_entry(pfn)->v);
		long err = xen_update_va_mapping((vaddr_t)pt_entries(pfn),
						 writable ? v | PTE_W : v & ~PTE_W,
						 UVMF_INVLPG | UVMF_ALL);

		KASSERT(!err, "frame %#lx cannot be made %s: %ld", pfn.n,
			writable ? "writable" : "read-only", err);
	}
}

/* Addresses with a level-1 table: one exists once something was mapped there. */
static int open_window(void)
{
	struct frame *f[TYPING_WINDOW];

	for (unsigned i = 0; i < TYPING_WINDOW; i++)
		f[i] = lab.block + i;
	lab.window = vm_area_reserve(TYPING_WINDOW, TYPING_WINDOW, "difftest");
	if (!lab.window)
		return -ENOMEM;
	if (vm_area_map(lab.window, 0, f, TYPING_WINDOW, VM_R) ||
	    vm_area_unmap(lab.window, 0, TYPING_WINDOW)) {
		vm_area_free(lab.window);
		return -ENOMEM;
	}
	lab.table = pt_leaf_table(kernel_root, (vaddr_t)lab.window);
	return 0;
}

int lab_open(void)
{
	struct frame *f[TYPING_FRAMES];

	lab.block = frame_alloc(ORDER, FRAME_ZERO);
	if (!lab.block)
		return -ENOMEM;
	lab.first = frame_pfn(lab.block).n;
	if (open_window()) {
		frame_free(lab.block, ORDER);
		return -ENOMEM;
	}
	for (unsigned i = 0; i < TYPING_FRAMES; i++)
		f[i] = lab.block + i;
	KASSERT(!vm_unmap_frame_aliases(f, TYPING_FRAMES, PURGE_FLUSH), "a fresh frame is mapped");
	lab.foreign_mfn = (pt_entries(kernel_root)[pt_index(HOLE_BASE, PT_LEVELS)].v & PTE_ADDR) >>
			  PAGE_SHIFT;
	set_writable(false);
	return 0;
}

void lab_close(void)
{
	set_writable(true);
	vm_area_free(lab.window);
	frame_free(lab.block, ORDER);
}

void lab_abandon(void)
{
	vm_area_free(lab.window);
}
