// SPDX-License-Identifier: MIT
/*
 * Two walks: reach() counts what the pins lead to, given the types; claim() finds the types that an
 * operation would bring, on a state that its caller can put back.
 */
#include <string.h>
#include "kernel/errno.h"
#include "tests/host/typing_naive.h"

const char *const naive_bug_names[BUGS] = {
	[BUG_NONE] = "none",
	[BUG_NO_UNDO] = "a failed validation keeps what it took",
	[BUG_LEAF_EINVAL] = "a writable leaf to a table is -EINVAL",
	[BUG_READONLY_COUNTS] = "a read-only leaf counts as a writable one",
	[BUG_PUT_FIRST] = "an update gives the old entry back first",
	[BUG_PIN_COUNTS] = "a second pin is accepted",
	[BUG_UNPIN_ANY] = "what is not pinned may be unpinned",
	[BUG_UNPIN_LEAKS] = "unpinning leaves the type",
	[BUG_XEN_SLOT] = "slots 256 to 271 may be written",
	[BUG_XEN_SLOTS_GONE] = "nothing is written into 256 to 271 of an L4",
	[BUG_DONE] = "the failed update counts as done",
	[BUG_BATCH_ROLLS_BACK] = "a failed batch is undone",
	[BUG_PSE] = "large pages are accepted",
	[BUG_NO_ADJUST] = "entries are left as they are",
	[BUG_SELF_MAP] = "a table may map itself writable",
	[BUG_BACKWARDS] = "validation goes from the last slot to the first",
	[BUG_LINEAR] = "links to the same level are refused",
	[BUG_LINEAR_CHAIN] = "chains of links within a level are allowed",
	[BUG_PTWR] = "stores to read-only tables fault",
	[BUG_FOREIGN] = "a page of Xen's may be mapped read-only",
	[BUG_HOLE] = "update_va_mapping without an L1 succeeds",
	[BUG_CLEAR_TABLE] = "a table may be cleared by Xen",
	[BUG_STRAY_BIT] = "an update sets a bit that no rule looks at",
};

static bool xens(unsigned level, unsigned i)
{
	return level == 4 && typing_slot_number[i] >= 256 && typing_slot_number[i] < 272;
}

static unsigned target(pte_t e)
{
	return (unsigned)((e.v >> 12) & 0xff);
}

static void reach(struct naive *n, unsigned frame)
{
	unsigned level = n->c.type[frame];

	if (n->c.count[frame]++ || level < 1 || level > 4)
		return;
	for (unsigned i = 0; i < TYPING_SLOTS; i++) {
		pte_t e = n->mem[frame][i];
		unsigned to = target(e);

		if (!(e.v & PTE_P) || xens(level, i) || to == TYPING_FOREIGN)
			continue;
		if (level == 1 && !(e.v & PTE_W) && n->bug != BUG_READONLY_COUNTS)
			continue;
		if (to == frame)
			continue;
		if (level > 1 && n->c.type[to] == level) {
			n->c.linear[frame]++;
			n->c.linear[to]--;
		}
		reach(n, to);
	}
}

void naive_recount(struct naive *n)
{
	u8 type[TYPING_FRAMES];

	memcpy(type, n->c.type, sizeof(type));
	memset(n->c.count, 0, sizeof(n->c.count));
	memset(n->c.linear, 0, sizeof(n->c.linear));
	memset(n->c.busy, 0, sizeof(n->c.busy));
	reach(n, TYPING_WINDOW_TABLE);
	for (unsigned i = 1; i < n->frames; i++)
		if (n->pinned[i])
			reach(n, i);
	for (unsigned i = 0; i < n->frames; i++) {
		if (!n->c.count[i])
			n->c.type[i] = 0;
		if (n->bug == BUG_UNPIN_LEAKS && type[i] == 1 && !n->c.count[i]) {
			n->c.type[i] = type[i];
			n->c.count[i] = 1;
		}
	}
}

static int claim(struct naive *n, unsigned frame, unsigned type);

static int claim_leaf(struct naive *n, unsigned from, pte_t e)
{
	unsigned to = target(e);

	if (!n->rules.cache_bits && (e.v & (PTE_PAT | PTE_PCD | PTE_PWT)))
		return -EINVAL;
	if (to == TYPING_FOREIGN)
		return n->bug == BUG_FOREIGN && !(e.v & PTE_W) ? 0 : -EBUSY;
	if (!(e.v & PTE_W) && n->bug != BUG_READONLY_COUNTS)
		return 0;
	if (to == from && n->bug == BUG_SELF_MAP)
		return 0;
	if (claim(n, to, TYPE_WRITABLE))
		return n->bug == BUG_LEAF_EINVAL ? -EINVAL : -EBUSY;
	return 0;
}

static int claim_link(struct naive *n, unsigned from, unsigned level, pte_t e)
{
	unsigned to = target(e);
	int err;

	if (e.v & (PTE_G | PTE_PWT | PTE_PCD))
		return -EINVAL;
	if ((e.v & PTE_PS) && n->bug != BUG_PSE)
		return -EINVAL;
	if (to == TYPING_FOREIGN)
		return -EINVAL;
	err = claim(n, to, level - 1);
	if (err != -EINVAL || (e.v & PTE_W) || !n->rules.linear || n->bug == BUG_LINEAR)
		return err;
	if (to == from)
		return 0;
	if (n->c.type[to] != level || !n->c.count[to] || n->c.busy[to])
		return err;
	if ((n->c.linear[from] < 0 || n->c.linear[to] > 0) && n->bug != BUG_LINEAR_CHAIN)
		return err;
	n->c.linear[from]++;
	n->c.linear[to]--;
	n->c.count[to]++;
	return 0;
}

static int claim_entry(struct naive *n, unsigned from, unsigned level, pte_t e)
{
	return level == 1 ? claim_leaf(n, from, e) : claim_link(n, from, level, e);
}

static pte_t as_xen_writes(struct naive *n, unsigned level, pte_t e)
{
	bool user = e.v & PTE_U;

	if (n->bug == BUG_NO_ADJUST)
		return e;
	e.v |= PTE_U;
	if (level > 1)
		return e;
	if (!user)
		return (pte_t){e.v | 1ull << 52};
	return e.v >> 52 & 1 ? e : (pte_t){e.v | PTE_G};
}

static int claim_contents(struct naive *n, unsigned frame, unsigned level)
{
	for (unsigned k = 0; k < TYPING_SLOTS; k++) {
		unsigned i = n->bug == BUG_BACKWARDS ? TYPING_SLOTS - 1 - k : k;
		pte_t e = n->mem[frame][i];
		int err;

		if (xens(level, i))
			continue;
		if (typing_slot_number[i] == 271 && n->was_l4[frame] &&
		    n->bug != BUG_XEN_SLOTS_GONE)
			return level == 1 ? -EBUSY : -EINVAL;
		if (!(e.v & PTE_P))
			continue;
		err = claim_entry(n, frame, level, e);
		if (err)
			return err;
		n->mem[frame][i] = as_xen_writes(n, level, e);
	}
	return 0;
}

/* On failure types and counts are what they were; what was written into tables is not. */
static int claim(struct naive *n, unsigned frame, unsigned type)
{
	struct naive_counts before = n->c;
	int err;

	if (n->c.count[frame] && n->c.type[frame] != type)
		return -EINVAL;
	n->c.type[frame] = (u8)type;
	if (n->c.count[frame]++ || type > 4)
		return 0;
	n->c.busy[frame] = true;
	err = claim_contents(n, frame, type);
	if (err && n->bug == BUG_NO_UNDO)
		return err;
	if (err) {
		n->c = before;
		return err;
	}
	n->c.busy[frame] = false;
	if (type == 4 && n->bug != BUG_XEN_SLOTS_GONE) {
		n->was_l4[frame] = true;
		for (unsigned i = 0; i < TYPING_SLOTS; i++)
			if (xens(4, i))
				n->mem[frame][i] =
					(pte_t){(u64)TYPING_FOREIGN << 12 | PTE_P | PTE_U};
	}
	return 0;
}

static int update_one(struct naive *n, unsigned frame, unsigned i, pte_t e)
{
	unsigned level = n->c.count[frame] ? n->c.type[frame] : 0;
	int err;

	if (level < 1 || level > 4) {
		n->mem[frame][i] = e;
		return 0;
	}
	if (xens(level, i) && n->bug != BUG_XEN_SLOT)
		return -EINVAL;
	if (n->bug == BUG_PUT_FIRST) {
		n->mem[frame][i] = (pte_t){0};
		naive_recount(n);
	}
	if ((e.v & PTE_P) && !xens(level, i)) {
		err = claim_entry(n, frame, level, e);
		if (err)
			return err;
		e = as_xen_writes(n, level, e);
	}
	if (n->bug == BUG_STRAY_BIT && (e.v & PTE_P))
		e.v |= 1 << 9;
	n->mem[frame][i] = e;
	naive_recount(n);
	return 0;
}

static int naive_mmu_update(void *ctx, const struct typing_update *u, unsigned count,
			    unsigned *done)
{
	struct naive *n = ctx, before = *n;
	int err = 0;

	for (*done = 0; *done < count && !err; *done += !err)
		err = update_one(n, u[*done].frame, u[*done].slot, u[*done].e);
	if (err && n->bug == BUG_DONE)
		*done += 1;
	if (err && n->bug == BUG_BATCH_ROLLS_BACK)
		*n = before;
	return err;
}

static int naive_update_va(void *ctx, unsigned page, pte_t e)
{
	struct naive *n = ctx;

	if (page >= TYPING_WINDOW)
		return n->bug == BUG_HOLE ? 0 : -EINVAL;
	return update_one(n, 0, page, e);
}

static int naive_store(void *ctx, unsigned page, unsigned slot, pte_t e)
{
	struct naive *n = ctx;
	pte_t map = n->mem[0][page];
	unsigned to = target(map);

	if (!(map.v & PTE_P))
		return -EFAULT;
	if (map.v & PTE_W) {
		n->mem[to][slot] = e;
		return 0;
	}
	if (n->c.type[to] != 1 || !n->c.count[to] || !n->rules.ptwr || n->bug == BUG_PTWR)
		return -EFAULT;
	return update_one(n, to, slot, e) ? -EFAULT : 0;
}

static int naive_pin(void *ctx, unsigned frame, unsigned level)
{
	struct naive *n = ctx;
	int err;

	if (n->pinned[frame])
		return n->bug == BUG_PIN_COUNTS && level == n->c.type[frame] ? 0 : -EINVAL;
	err = claim(n, frame, level);
	if (err)
		return err;
	n->pinned[frame] = true;
	naive_recount(n);
	return 0;
}

static int naive_unpin(void *ctx, unsigned frame)
{
	struct naive *n = ctx;

	if (!n->pinned[frame])
		return n->bug == BUG_UNPIN_ANY ? 0 : -EINVAL;
	n->pinned[frame] = false;
	naive_recount(n);
	return 0;
}

static int naive_copy_from(struct naive *n, unsigned to, const pte_t *e, bool was_l4)
{
	bool typed = n->c.count[to] && n->c.type[to] != TYPE_WRITABLE;

	if (typed)
		return n->bug == BUG_CLEAR_TABLE ? 0 : -EINVAL;
	memmove(n->mem[to], e, sizeof(n->mem[to]));
	n->was_l4[to] = was_l4;
	return 0;
}

static int naive_clear(void *ctx, unsigned frame)
{
	static const pte_t zero[TYPING_SLOTS];

	return naive_copy_from(ctx, frame, zero, false);
}

static int naive_copy(void *ctx, unsigned to, unsigned from)
{
	struct naive *n = ctx;

	return naive_copy_from(n, to, n->mem[from], n->was_l4[from]);
}

static pte_t naive_read(void *ctx, unsigned frame, unsigned slot)
{
	struct naive *n = ctx;

	return n->mem[frame][slot];
}

const struct typing_backend naive_backend = {
	.mmu_update = naive_mmu_update,
	.update_va = naive_update_va,
	.store = naive_store,
	.pin = naive_pin,
	.unpin = naive_unpin,
	.clear = naive_clear,
	.copy = naive_copy,
	.read = naive_read,
};

void naive_init(struct naive *n, unsigned frames, const struct typing_rules *rules,
		enum naive_bug bug)
{
	memset(n, 0, sizeof(*n));
	n->bug = bug;
	n->rules = *rules;
	n->frames = frames;
	n->c.type[TYPING_WINDOW_TABLE] = TYPE_L1;
	naive_recount(n);
}
