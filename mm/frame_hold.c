// SPDX-License-Identifier: MIT
/*
 * Holding on to the frames until the flush: one of the answers the thread of 2007 weighed, to be
 * compared with the others. A freed frame that some CPU may still reach, by a stale translation or
 * by a lazy entry, waits here instead of being reused; so no new owner can ever be written to by an
 * old one. What it costs is memory: up to as much as may be unmapped lazily.
 *
 * The list is in the order of freeing, and what a frame waits for is in its alias word. One lock:
 * with hold=on nobody measures speed.
 */
#include "mm/frame_internal.h"
#include "mm/gather.h"
#include "mm/shootdown.h"
#include "mm/vmap.h"

static spinlock_t held_lock = SPINLOCK_INIT("held frames");
static u32 first = FRAME_NIL, last = FRAME_NIL; /* blocks, by `next`; guarded by held_lock, as is */
static u64 held;				/* frames */
u32 frame_hold_on;

u64 frame_held_total(void)
{
	return GLANCE(held);
}

/* => can no CPU reach any frame of the block? */
static bool forgotten(u32 pfn, unsigned order)
{
	for (u32 i = 0; i < 1u << order; i++)
		if (frame_remembered(&frames[pfn + i]))
			return false;
	return true;
}

bool frame_hold_back(u32 pfn, unsigned order, u32 owner)
{
	struct frame *f = &frames[pfn];

	if (likely(!frame_hold()) || forgotten(pfn, order))
		return false;
	spin_lock(&held_lock);
	for (u32 i = 0; i < 1u << order; i++) {
		WRITE_ONCE(f[i].type, FRAME_HELD);
		f[i].owner = owner;
	}
	f->next = FRAME_NIL;
	if (last == FRAME_NIL)
		first = pfn;
	else
		frames[last].next = pfn;
	last = pfn;
	held += 1ull << order;
	spin_unlock(&held_lock);
	count(frame_hold);
	return true;
}

/* Takes the first block off the list if it may go, or must. => FRAME_NIL: none */
static u32 take_first(void)
{
	u32 pfn;

	spin_lock(&held_lock);
	pfn = first;
	if (pfn != FRAME_NIL && frame_hold() && !forgotten(pfn, frames[pfn].order))
		pfn = FRAME_NIL;
	if (pfn != FRAME_NIL) {
		first = frames[pfn].next;
		if (first == FRAME_NIL)
			last = FRAME_NIL;
		held -= 1ull << frames[pfn].order;
	}
	spin_unlock(&held_lock);
	return pfn;
}

u64 frame_release_held(void)
{
	u64 n = 0;
	u32 pfn;

	while ((pfn = take_first()) != FRAME_NIL) {
		n += 1ull << frames[pfn].order;
		frame_give_back(pfn, frames[pfn].order, frames[pfn].owner);
	}
	return n;
}

/*
 * A purge first, for a lazy entry holds a frame as well. Then a flush of everything: one of exact
 * pages leaves the frames' stamps as they are. As of now: the stamp that a kmap_local leaves is
 * later than the newest given out, for it is nobody's cause to flush.
 */
u64 frame_flush_held(void)
{
	struct gather g;

	if (!GLANCE(held) || !may_wait())
		return 0;
	lazy_purge(PURGE_PTES);
	gather_begin(&g);
	gather_add_all(&g, shootdown_stamp());
	gather_flush(&g);
	gather_end(&g);
	return frame_release_held();
}

void frame_set_hold(bool on)
{
	WRITE_ONCE(frame_hold_on, on);
	frame_release_held();
}
