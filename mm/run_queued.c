// SPDX-License-Identifier: MIT
/*
 * A run of entries as one batch. What differs from mm/run.h's plain way is when things happen: all
 * entries of a batch take effect together, at its end, and it may be refused.
 *
 * The order that mm/alias.h asks for holds for the batch as a whole: setting, every alias is in
 * its frame's word before the batch is issued, and leaves it again if the batch is refused;
 * clearing, the words change after the batch has taken effect, and the stamp they get is read
 * then.
 *
 * Interrupts are off meanwhile, so that a handler's batch is not mixed with ours.
 */
#include "mm/run_queued.h"
#include "mm/engine.h"
#include "mm/mmu_ops.h"

#define CLEAR_PIECE 128 /* entries whose frames are remembered on the stack */

static void queue(pte_t *e, u64 v)
{
	paddr_t pa = virt_to_phys(e);

	mmu->set_leaf(paddr_to_pfn(pa), (unsigned)(pa % PAGE_SIZE / sizeof(*e)), (pte_t){v});
}

static void drop_alias(struct frame *f, u64 alias, u64 stamp)
{
	if (!atomic_cmpxchg(&f->alias, alias, stamp))
		alias_drop_slow(f, alias, stamp);
}

/*
 * The first `set` entries were set before the platform refused the next; all n words know of
 * one.
 */
static void take_back(pte_t *e, struct frame *const *f, unsigned n, unsigned set, u64 alias)
{
	u64 stamp;

	for (unsigned i = 0; i < set; i++)
		queue(e + i, 0);
	KASSERT(!mmu->batch_end(NULL), "%s refused to clear %u entries", mmu->name, set);
	stamp = shootdown_stamp();
	for (unsigned i = 0; i < n; i++)
		drop_alias(f[i], alias + i, stamp);
}

int run_set_queued(pte_t *e, struct frame *const *f, unsigned n, u64 bits, u64 alias)
{
	irqflags_t flags = irq_save();
	unsigned done = run_set(e, f, n, bits, alias, queue), set;
	int err = mmu->batch_end(&set);

	if (err)
		take_back(e, f, done, set, alias);
	irq_restore(flags);
	return err ? err : (int)done;
}

static void clear_piece(pte_t *e, unsigned n, u64 alias)
{
	struct frame *f[CLEAR_PIECE];
	irqflags_t flags = irq_save();
	u64 stamp;

	for (unsigned i = 0; i < n; i++) {
		f[i] = run_frame(entry_read(e + i));
		queue(e + i, 0);
	}
	KASSERT(!mmu->batch_end(NULL), "%s refused to clear %u entries", mmu->name, n);
	stamp = shootdown_stamp();
	for (unsigned i = 0; i < n; i++)
		drop_alias(f[i], alias + i, stamp);
	irq_restore(flags);
}

struct run_stop run_clear_queued(pte_t *e, unsigned n, u64 alias)
{
	for (unsigned done = 0; done < n; done += CLEAR_PIECE)
		clear_piece(e + done, MIN(n - done, CLEAR_PIECE), alias + done);
	return (struct run_stop){0, NULL};
}
