// SPDX-License-Identifier: MIT
/*
 * A model of how Xen types the pages of a PV guest: the guest's own answer to "what will Xen say?".
 *
 * Xen lets a guest see and fill its real page tables, and stays safe by giving every page a type: a
 * page is a page table of one level, or writable, never both, and changes its type only while
 * nobody counts on it. Each reference is counted: an entry of a *typed* table counts once, a pin
 * once, and what the guest cannot see in its tables (a granted page, a vCPU's info page) as well.
 * All errors of mmu_update, update_va_mapping, pin and unpin follow from that count. This file is a
 * small universe of frames that keeps it in the same way, so each result is predicted, and a
 * refusal can say which entries are to blame, where a release build of Xen returns a bare number.
 *
 * Pure C: no hypercall, no allocation, no lock (the caller has one universe to itself). The rules
 * follow xen/arch/x86/mm.c (_get_page_type, promote_l*_table, mod_l*_entry, get_page_from_l*e,
 * put_page_from_l*e) and agree with Xen 4.17.7 over a million random operations as dom0, and a
 * hundred thousand as domU. Not run are those marked "source". Where a run on another Xen disagrees,
 * this model is the one place to change. Next: xen/typing.c, then xen/difftest.h, which makes that
 * run.
 */
#ifndef XEN_TYPING_H
#define XEN_TYPING_H

#include "arch/x86/pte.h"

/*
 * A page table has 512 entries; those at these slots are used, the others stay zero. The host tests
 * have a universe as large as a machine as well (tests/host/xen_machine.c).
 */
#ifndef TYPING_SLOTS
#define TYPING_FRAMES	    64
#define TYPING_SLOTS	    12
#define TYPING_SLOT_NUMBERS 1, 2, 3, 5, 100, 255, 256, 271, 272, 300, 510, 511
#define TYPING_XEN_FIRST    6 /* the index of slot 256 */
#define TYPING_XEN_LAST	    7 /* and of 271 */
#endif
extern const u16 typing_slot_number[TYPING_SLOTS]; /* ascending: Xen validates in this order */

/* Slots 256 to 271 of an L4 are Xen's. */
#define XEN_SLOT_FIRST 256
#define XEN_SLOT_LAST  271

/*
 * Frames are numbered 0 to n-1, in an entry's address field as elsewhere; who runs operations on a
 * machine puts real frames in their place. TYPING_FOREIGN is a page of Xen's.
 *
 * Frame 0 stands for the L1 table of the *window*: TYPING_WINDOW pages of address space where the
 * kernel maps and writes the others (slot index = number of the page in the window). It is typed L1
 * from the start, by a reference from outside that never goes.
 */
#define TYPING_FOREIGN	    0xffu
#define TYPING_WINDOW_TABLE 0u
#define TYPING_WINDOW	    8u
#define TYPING_VA_HOLE	    0x100u /* for `page`: an address without an L1 table */
#define TYPING_VA_XEN	    0x101u /* for `page`: an address in Xen's hole */

/* Bits Xen adds to what it validates, and forbids in links (PSE, G and the cache bits). */
#define PTE_XEN_KERNEL	   (1ull << 52) /* "guest kernel": the entry came without U */
#define PTE_LINK_FORBIDDEN (PTE_PWT | PTE_PCD | PTE_PS | PTE_G)
#define PTE_CACHE	   (PTE_PWT | PTE_PCD | PTE_PAT)

enum typing_type { /* as in Xen, where 6 is a type of HVM guests */
	TYPE_NONE = 0,
	TYPE_L1 = 1, /* a table's type is its level */
	TYPE_L2 = 2,
	TYPE_L3 = 3,
	TYPE_L4 = 4,
	TYPE_SEG_DESC = 5, /* a GDT or LDT */
	TYPE_WRITABLE = 7,
};

struct typing_frame {
	u8 type;	/* enum typing_type; TYPE_NONE if count is 0 */
	bool pinned;	/* one count */
	bool validated; /* false only while its validation runs */
	bool xen_slots; /* was an L4: Xen's own entries still stand in 256 to 271 */
	u16 count;	/* references of that type: entries + pinned + outside */
	u16 outside;	/* those that no table shows */
	s32 linear;	/* > 0: links it has to its own level; < 0: such links to it */
	pte_t e[TYPING_SLOTS];
};

/* Where dom0 and domU differ. */
struct typing_rules {
	bool cache_bits; /* PAT, PCD, PWT allowed in leaves */
	bool ptwr;	 /* a store to a read-only mapped L1 is done by Xen, if valid */
	bool linear;	 /* CONFIG_PV_LINEAR_PT: read-only links to the same level */
};

extern const struct typing_rules typing_dom0, typing_domu;

enum typing_reason {
	WHY_NOTHING,
	WHY_TYPE,	 /* the frame has another type */
	WHY_FOREIGN,	 /* the frame is not the guest's */
	WHY_FLAGS,	 /* a bit that such an entry may not have */
	WHY_XEN_SLOT,	 /* slots 256 to 271 of an L4 are Xen's */
	WHY_PINNED,	 /* is pinned already */
	WHY_NOT_PINNED,	 /* there is no pin to take off */
	WHY_NOT_A_TABLE, /* only an L1 can be changed there */
	WHY_NO_MAPPING,	 /* no L1 table, or no mapping, at that address */
};

struct typing_ref {
	u16 frame; /* the table */
	u16 slot;  /* index into typing_slot_number */
};

/* Why the last operation failed. */
struct typing_why {
	enum typing_reason reason;
	int err;		   /* what the operation returned */
	u16 frame;		   /* the frame whose type was asked for */
	enum typing_type wanted;   /* and what it was to be */
	unsigned depth;		   /* how many entries lead there: */
	struct typing_ref path[4]; /* the refused entry first, the outermost table's last */
	pte_t entry[4];		   /* what they are, or were to be */
};

struct typing {
	struct typing_rules rules;
	unsigned frames;
	struct typing_frame frame[TYPING_FRAMES];
	struct typing_why why;
};

struct typing_update {
	u16 frame;
	u16 slot; /* index into typing_slot_number */
	pte_t e;
};

/* An entry: `bits` as in arch/x86/pte.h, and the frame's number (or TYPING_FOREIGN). */
static inline pte_t typing_entry(unsigned frame, u64 bits)
{
	return (pte_t){(u64)frame << PAGE_SHIFT | bits};
}

static inline unsigned typing_target(pte_t e)
{
	return (unsigned)(pte_addr(e, 1) >> PAGE_SHIFT);
}

static inline bool typing_is_table(unsigned type)
{
	return type >= TYPE_L1 && type <= TYPE_L4;
}

static inline bool typing_is_xen_slot(unsigned slot)
{
	return typing_slot_number[slot] >= XEN_SLOT_FIRST &&
	       typing_slot_number[slot] <= XEN_SLOT_LAST;
}

/* A universe of 2 to TYPING_FRAMES frames, zero and untyped but the window's table. */
void typing_init(struct typing *t, unsigned frames, const struct typing_rules *rules);

/*
 * typing_hold: a reference that no table of the guest's shows: a granted page, a registered
 * vcpu_info (TYPE_WRITABLE), a GDT (TYPE_SEG_DESC), a table that a CPU's CR3 holds.
 *   => 0 or -EINVAL, as Xen's _get_page_type
 * typing_release: takes one such reference back.
 */
int typing_hold(struct typing *t, unsigned frame, enum typing_type type);
void typing_release(struct typing *t, unsigned frame);

/*
 * The operations; all frames below `frames`, `e` may name TYPING_FOREIGN too.
 *   => what Xen returns: 0, -EINVAL (-22) or -EBUSY (-16); the reason of a failure is in t->why
 *   => after a failure types and counts are what they were; entries that were validated on the way
 *      keep the bits U, G and 52 that Xen gave them
 */

/* mmu_update. => *done: how many of the `n` were done before the first that failed */
int typing_mmu_update(struct typing *t, const struct typing_update *u, unsigned n, unsigned *done);
/* update_va_mapping of a page of the window, or of TYPING_VA_HOLE, TYPING_VA_XEN */
int typing_update_va(struct typing *t, unsigned page, pte_t e);
/* A plain 8-byte store through a page of the window. => 0, or -EFAULT if the guest takes a fault */
int typing_store(struct typing *t, unsigned page, unsigned slot, pte_t e);
/* MMUEXT_PIN_L1_TABLE and up, by level 1 to 4; MMUEXT_UNPIN_TABLE */
int typing_pin(struct typing *t, unsigned frame, unsigned level);
int typing_unpin(struct typing *t, unsigned frame);
/* MMUEXT_CLEAR_PAGE; MMUEXT_COPY_PAGE */
int typing_clear(struct typing *t, unsigned frame);
int typing_copy(struct typing *t, unsigned to, unsigned from);

/*
 * typing_blockers: which entries keep `frame` from becoming `wanted`: every counted reference that
 * a table holds to it under another type. Clear them all, and take off its pin if it has one, and
 * what remains is `outside`, which no entry shows.
 *   => how many there are; the first `max` of them are in refs
 */
unsigned typing_blockers(const struct typing *t, unsigned frame, enum typing_type wanted,
			 struct typing_ref *refs, unsigned max);

/* Prints why the last operation failed, the way to it, and which entries would have to go. */
typedef void (*typing_say_fn)(const char *fmt, ...) __printf_like(1, 2);
void typing_explain(const struct typing *t, typing_say_fn say);
const char *typing_type_name(unsigned type);

#endif
