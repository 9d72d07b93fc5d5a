// SPDX-License-Identifier: MIT
/*
 * The model of Xen's page typing against what was measured on Xen 4.17 (each row of that table is a
 * case here, by name), against the order in which it validates and undoes, and the explanations:
 * the entries that typing_blockers() names are all that must go, and none of them can stay.
 */
// links: xen/typing.c xen/typing_why.c
#include <stdlib.h>
#include "kernel/errno.h"
#include "tests/host/tap.h"
#include "xen/typing.h"

#define RW   (PTE_P | PTE_W | PTE_A | PTE_D)
#define RO   (PTE_P | PTE_A)
#define LINK (PTE_P | PTE_W | PTE_A)
#define S100 4u /* index of slot 100 */
#define S256 6u
#define S271 7u
#define S511 11u

/* Frames by what they are used for. */
enum {
	L1 = 1,
	L1_B,
	L2,
	L2_B,
	L3,
	L3_B,
	L4,
	L4_B,
	DATA,
	DATA_B,
	FRAMES
};

static struct typing t;

static void fresh(void)
{
	typing_init(&t, FRAMES, &typing_dom0);
}

static int set(unsigned frame, unsigned slot, unsigned target, u64 bits)
{
	struct typing_update u = {
		.frame = (u8)frame, .slot = (u8)slot, .e = typing_entry(target, bits)};
	unsigned done;

	return typing_mmu_update(&t, &u, 1, &done);
}

static int zero(unsigned frame, unsigned slot)
{
	return set(frame, slot, 0, 0);
}

static int map(unsigned page, unsigned target, u64 bits)
{
	return typing_update_va(&t, page, typing_entry(target, bits));
}

static void is_rc(int got, int want, const char *what)
{
	if (!ok(got == want, "%s: %d", what, want))
		printf("# got %d\n", got);
}

static void is_frame(unsigned frame, enum typing_type type, unsigned count)
{
	const struct typing_frame *f = &t.frame[frame];

	if (!ok(f->type == type && f->count == count, "frame %u is %s by %u references", frame,
		typing_type_name(type), count))
		printf("# got %s by %u\n", typing_type_name(f->type), f->count);
}

/* L4 -> L3 -> L2 -> L1 -> DATA (writable) and DATA_B (read-only), all untyped. */
static void tree(void)
{
	fresh();
	set(L4, 0, L3, LINK);
	set(L3, 1, L2, LINK);
	set(L2, 2, L1, LINK);
	set(L1, 3, DATA, RW);
	set(L1, S100, DATA_B, RO);
}

static void whole_tree(void)
{
	tree();
	is_frame(DATA, TYPE_NONE, 0);
	is_rc(typing_pin(&t, L4, 4), 0, "pinning an L4 validates all below it");
	is_frame(L4, TYPE_L4, 1);
	is_frame(L3, TYPE_L3, 1);
	is_frame(L2, TYPE_L2, 1);
	is_frame(L1, TYPE_L1, 1);
	is_frame(DATA, TYPE_WRITABLE, 1);
	is_frame(DATA_B, TYPE_NONE, 0);
	is_u64(t.frame[L1].e[3].v, 0x10000000000067ull | (u64)DATA << 12,
	       "a leaf written as 0x63 reads back with U and bit 52");
	is_u64(t.frame[L2].e[2].v & 0xfff, LINK | PTE_U, "a link with U only");
	is_rc(typing_unpin(&t, L4), 0, "unpinning it");
	for (unsigned i = L1; i < FRAMES; i++)
		is_frame(i, TYPE_NONE, 0);
}

static void shared_table(void)
{
	tree();
	set(L2, 3, L1, LINK);
	set(L4_B, 0, L3, LINK);
	is_rc(typing_pin(&t, L4, 4), 0, "an L2 that links the same L1 twice");
	is_rc(typing_pin(&t, L4_B, 4), 0, "a second L4 with the same L3");
	is_frame(L3, TYPE_L3, 2);
	is_frame(L1, TYPE_L1, 2);
	is_frame(DATA, TYPE_WRITABLE, 1); /* once per L1 table, not per path */
	is_rc(typing_unpin(&t, L4), 0, "unpin the first");
	is_frame(L1, TYPE_L1, 2);
	is_rc(typing_pin(&t, L1, 1), 0, "a pin of a table that is typed already");
	is_rc(typing_unpin(&t, L4_B), 0, "unpin the second");
	is_frame(L2, TYPE_NONE, 0);
	is_frame(L1, TYPE_L1, 1); /* by its own pin */
	is_frame(DATA, TYPE_WRITABLE, 1);
}

/* The rows of the table, in its order. */
static void measured(void)
{
	unsigned done;

	fresh();
	map(0, L1, RW);
	map(1, L1, RW);
	is_rc(typing_pin(&t, L1, 1), -EINVAL, "pin of a page with 2 writable mappings");
	is_u64(t.frame[L1].count, 2, "Xen's `saw` word counts them");
	is_rc(map(0, 0, 0) | map(1, L1, RO), 0, "read-only or gone");
	is_rc(typing_pin(&t, L1, 1), 0, "then it can be pinned");

	tree();
	map(0, L1, RW);
	is_rc(typing_pin(&t, L4, 4), -EINVAL, "pin of an L4 whose L1 is writable somewhere");
	is_u64(t.why.depth, 3, "refused at the L2's entry, reached through L3 and L4");
	ok(t.why.path[0].frame == L2 && t.why.path[0].slot == 2, "frame and slot are told");
	ok(t.why.path[2].frame == L4 && t.why.path[2].slot == 0, "up to the root");
	is_frame(L4, TYPE_NONE, 0);
	is_frame(L2, TYPE_NONE, 0);

	tree();
	set(L1, S511, L1, RW);
	is_rc(typing_pin(&t, L1, 1), -EBUSY, "pin of an L1 that maps itself writable");
	is_frame(DATA, TYPE_NONE, 0);
	set(L1, S511, L4, RW);
	is_rc(typing_pin(&t, L4, 4), -EBUSY, "pin of an L4 whose own leaf maps it writable");
	is_u64(t.why.depth, 4, "refused at the L1's entry");
	set(L1, S511, L1, RO);
	is_rc(typing_pin(&t, L1, 1), 0, "mapped read-only it may be");

	is_rc(map(0, L1, RW), -EBUSY, "update_va_mapping making a writable mapping of a table");
	is_rc(set(L1, 0, L1, RW), -EBUSY, "mmu_update making one");
	is_rc(typing_pin(&t, L1, 1), -EINVAL, "pin of what is pinned");
	is_frame(L1, TYPE_L1, 1);
	is_rc(typing_pin(&t, L1, 2), -EINVAL, "pin of an L1 as L2");
	is_rc(typing_unpin(&t, L2), -EINVAL, "unpin of what is not pinned");

	is_rc(map(0, TYPING_FOREIGN, RW), -EBUSY, "a leaf to a page of Xen's");
	is_rc(map(0, TYPING_FOREIGN, RO), -EBUSY, "even read-only");

	tree();
	is_rc(typing_pin(&t, L4, 4), 0, "an L4");
	is_rc(set(L4, S256, L3, LINK), -EINVAL, "slot 256 of it is Xen's");
	is_rc(zero(L4, S271), -EINVAL, "slot 271 as well, even to clear");
	is_rc(set(L4, S271 + 1, L3, LINK), 0, "slot 272 is not");
	is_rc(map(TYPING_VA_XEN, DATA, RW), -EINVAL, "update_va_mapping at an address of Xen's");
	is_rc(map(TYPING_VA_HOLE, DATA, RW), -EINVAL, "and where there is no L1");
	map(2, L2, RO);
	is_rc(typing_store(&t, 2, 0, typing_entry(L1, LINK)), -EFAULT,
	      "a store to a read-only mapped L2 faults");
	map(2, L1, RO);
	is_rc(typing_store(&t, 2, 0, typing_entry(DATA, RW)), 0, "to an L1 Xen does it");
	is_frame(DATA, TYPE_WRITABLE, 2);
	is_rc(typing_store(&t, 2, 1, typing_entry(L1, RW)), -EFAULT, "unless it is invalid");
	t.rules.ptwr = false;
	is_rc(typing_store(&t, 2, 0, typing_entry(DATA, RO)), -EFAULT, "or vm_assist is off");

	fresh();
	set(L2, 0, DATA, LINK | PTE_PS);
	is_rc(typing_pin(&t, L2, 2), -EINVAL, "a large page");
	fresh();
	is_rc(typing_pin(&t, L2, 2), 0, "an empty L2");
	is_rc(set(L2, 0, DATA, LINK | PTE_PS), -EINVAL, "a large page set later");
	set(L1, 0, DATA, RW | PTE_PAT);
	is_rc(typing_pin(&t, L1, 1), 0, "cache bits in a leaf of dom0's");
	typing_unpin(&t, L1);
	t.rules = typing_domu;
	is_rc(typing_pin(&t, L1, 1), -EINVAL, "and of a domU's");

	fresh();
	typing_pin(&t, L1, 1);
	const struct typing_update batch[] = {
		{.frame = L1, .slot = 0, .e = typing_entry(DATA, RW)},
		{.frame = L1, .slot = 1, .e = typing_entry(L1, RW)},
		{.frame = L1, .slot = 2, .e = typing_entry(DATA, RW)}};
	is_rc(typing_mmu_update(&t, batch, 3, &done), -EBUSY, "a batch stops at what fails");
	is_u64(done, 1, "and says how many were done");
	is_frame(DATA, TYPE_WRITABLE, 1);
	is_u64(t.frame[L1].e[1].v | t.frame[L1].e[2].v, 0, "the others are not");
}

static void undo_and_order(void)
{
	fresh();
	set(L2, 0, L1, LINK);
	set(L1, 0, DATA, RW);
	set(L2, 1, L1_B, LINK);
	set(L1_B, 5, L2, RW);
	is_rc(typing_pin(&t, L2, 2), -EBUSY, "the second L1 maps the L2 writable");
	is_frame(L1, TYPE_NONE, 0);
	is_frame(DATA, TYPE_NONE, 0);
	is_u64(t.frame[L1].e[0].v & PTE_U, PTE_U, "what was validated keeps Xen's bits");
	set(L2, 0, L1_B, LINK);
	set(L2, 1, L4, LINK | PTE_PS);
	is_rc(typing_pin(&t, L2, 2), -EBUSY, "of two bad entries the first decides");
	set(L2, 0, L4, LINK | PTE_PS);
	set(L2, 1, L1_B, LINK);
	is_rc(typing_pin(&t, L2, 2), -EINVAL, "whichever it is");

	/* The new entry needs L1 untyped, which only the old one's going would make it. */
	fresh();
	set(L2, 0, L1, LINK);
	typing_pin(&t, L2, 2);
	set(L1_B, 0, L1, RW);
	is_rc(set(L2, 0, L1_B, LINK), -EBUSY, "an entry cannot make room for itself");
	is_rc(zero(L2, 0) | set(L2, 0, L1_B, LINK), 0, "in two steps it can");
	is_frame(L1, TYPE_WRITABLE, 1);

	/* G comes with being a leaf, and is forbidden in a link. */
	fresh();
	set(L2, 0, L1, LINK | PTE_U);
	is_rc(typing_pin(&t, L2, 1) | typing_unpin(&t, L2), 0, "an L2's contents, as an L1");
	is_rc(typing_pin(&t, L2, 2), -EINVAL, "have G now, and are no L2 any more");

	/* What Xen writes into an L4 stays. */
	fresh();
	is_rc(typing_pin(&t, L4, 4) | typing_unpin(&t, L4), 0, "what has been an L4");
	is_rc(typing_pin(&t, L4, 1), -EBUSY, "has leaves to pages of Xen's");
	is_rc(typing_pin(&t, L4, 2), -EINVAL, "or links to them");
	is_rc(zero(L4, S256), 0, "clearing slot 256 alone");
	is_rc(typing_pin(&t, L4, 1), -EBUSY, "does not help");
	is_rc(typing_pin(&t, L4, 4) | typing_unpin(&t, L4), 0, "as an L4 it may be pinned");
	is_rc(typing_clear(&t, L4) | typing_pin(&t, L4, 1), 0, "and cleared as anything");

	is_rc(typing_clear(&t, L4), -EINVAL, "clearing a table");
	is_rc(typing_copy(&t, L4, DATA), -EINVAL, "copying onto one");
	is_rc(typing_copy(&t, DATA, L4), 0, "copying one");
}

static void linear(void)
{
	fresh();
	set(L2, 0, L2, RO);
	is_rc(typing_pin(&t, L2, 2), 0, "an L2 that links itself read-only");
	is_frame(L2, TYPE_L2, 1);
	is_rc(set(L2, 1, L2, LINK), -EINVAL, "and writable");
	set(L2_B, 0, L2, RO);
	is_rc(typing_pin(&t, L2_B, 2), 0, "another that links it");
	is_frame(L2, TYPE_L2, 2);
	is_rc(set(L2, 1, L2_B, RO), -EINVAL, "but no chain of such links");
	is_rc(typing_unpin(&t, L2), 0, "the link alone holds it");
	is_frame(L2, TYPE_L2, 1);
	is_rc(typing_unpin(&t, L2_B), 0, "and goes with its table");
	is_frame(L2, TYPE_NONE, 0);
	t.rules.linear = false;
	is_rc(typing_pin(&t, L2_B, 2), 0, "without linear tables the target becomes an L1");
	is_frame(L2, TYPE_L1, 1);
}

static void outside(void)
{
	struct typing_ref ref;

	fresh();
	is_rc(typing_hold(&t, DATA, TYPE_WRITABLE), 0, "a vcpu_info");
	is_rc(typing_pin(&t, DATA, 1), -EINVAL, "cannot become a table");
	is_u64(typing_blockers(&t, DATA, TYPE_L1, &ref, 1), 0, "and no entry is to blame");
	typing_release(&t, DATA);
	is_rc(typing_pin(&t, DATA, 1), 0, "until it is given back");
	is_rc(typing_hold(&t, DATA_B, TYPE_SEG_DESC), 0, "a GDT");
	is_rc(map(0, DATA_B, RW), -EBUSY, "cannot be mapped writable");
	is_rc(set(DATA_B, 0, DATA, RW), -EINVAL, "nor written by mmu_update");
	is_rc(map(0, TYPING_WINDOW_TABLE, RW), -EBUSY, "nor can the window's own table be");
}

static char said[4096];

TAP_PRINTF(1, 2) static void say(const char *fmt, ...)
{
	size_t n = strnlen(said, sizeof(said));
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(said + n, sizeof(said) - n, fmt, ap);
	va_end(ap);
}

static void explains(void)
{
	struct typing_ref refs[4];

	tree();
	typing_pin(&t, L4, 4);
	map(0, L1_B, RW);
	set(L1, 0, L1_B, RW);
	is_rc(set(L2, 3, L1_B, LINK), -EINVAL, "an L1 mapped writable twice is hooked");
	is_u64(typing_blockers(&t, t.why.frame, t.why.wanted, refs, 4), 2, "two entries block it");
	ok(refs[0].frame == TYPING_WINDOW_TABLE && refs[0].slot == 0, "one of the window");
	ok(refs[1].frame == L1 && refs[1].slot == 0, "one of an L1 that is loaded nowhere");
	typing_explain(&t, say);
	ok(strstr(said, "refused with -22: the frame has another type") != NULL, "the reason");
	ok(strstr(said, "frame 3 slot 5: 0x2023") != NULL, "the entry that was to be written");
	ok(strstr(said, "frame 2 is writable, by 2 references, and was to be an L1 table") != NULL,
	   "the frame");
	ok(strstr(said, "frame 0 slot 1: ") && strstr(said, "frame 1 slot 1: "), "the entries");
	is_u64(typing_blockers(&t, L1_B, TYPE_WRITABLE, refs, 4), 0, "as writable it is free");
	is_u64(typing_blockers(&t, L1, TYPE_WRITABLE, refs, 4), 1, "a link blocks the L1");
	ok(refs[0].frame == L2 && refs[0].slot == 2, "the L2's");

	tree();
	set(L1, 0, L4, RW);
	typing_pin(&t, L4, 4);
	said[0] = 0;
	typing_explain(&t, say);
	ok(strstr(said, "by the same operation") != NULL, "a root mapped by its own leaf is told");
}

/*
 * In random states: a frame that cannot be made a table can be, when its blockers are gone, and
 * cannot as long as one remains.
 */
static void blockers_are_exact(void)
{
	unsigned asked = 0, wrong = 0;

	srand(1);
	for (unsigned round = 0; round < 3000; round++) {
		struct typing_ref refs[64];
		unsigned n, victim = L1_B;

		tree();
		set(L2, 4, L1_B, rand() % 4 ? 0 : LINK);
		for (unsigned i = 0; i < 6; i++) {
			map((unsigned)rand() % TYPING_WINDOW, L1_B + (unsigned)rand() % 3,
			    rand() % 3 ? RW : RO);
			set(L1, (unsigned)rand() % TYPING_SLOTS,
			    rand() % 2 ? victim : L1_B + (unsigned)rand() % (FRAMES - L1_B),
			    rand() % 3 ? RW : RO);
		}
		typing_pin(&t, L1, 1);
		if (!typing_pin(&t, victim, 3) || t.why.frame != victim)
			continue;
		n = typing_blockers(&t, victim, TYPE_L3, refs, 64);
		asked += n > 0;
		for (unsigned i = 0; i < n; i++) {
			wrong += typing_pin(&t, victim, 3) != -EINVAL || t.why.reason != WHY_TYPE;
			wrong += zero(refs[i].frame, refs[i].slot) != 0;
		}
		wrong += t.frame[victim].count != 0;
	}
	ok(asked > 1000 && !wrong,
	   "the blockers are exactly the entries that must go, %u times of %u", asked - wrong,
	   asked);
}

int main(void)
{
	whole_tree();
	shared_table();
	measured();
	undo_and_order();
	linear();
	outside();
	explains();
	blockers_are_exact();
	return done_testing();
}
