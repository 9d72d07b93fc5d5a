// SPDX-License-Identifier: MIT
/*
 * Runs of entries as batches. What differs from mm/run.h's plain way is when things happen: all
 * entries of a batch take effect together, at its end, and it may be refused.
 *
 * The order that mm/alias.h asks for holds for the batch as a whole: setting, every alias is in
 * its frame's word before the batch is issued, and leaves it again if the batch is refused;
 * clearing, the words change after the batch has taken effect, and the stamp they get is read
 * then.
 *
 * Several runs that are cleared may share batches: then the frames they mapped are remembered until
 * the batch is issued, at the end of it all or when there are as many as a table has entries.
 *
 * Interrupts are off meanwhile, so that a handler's batch is not mixed with ours.
 */
#include "mm/run_queued.h"
#include "mm/engine.h"
#include "mm/mmu_ops.h"
#include "mm/unhook.h"

#define CLEAR_MAX PT_ENTRIES

/* What this CPU is clearing, since irq_save(). */
static struct clearing {
	bool open; /* between clear_begin and clear_end */
	unsigned n;
	u32 index[CLEAR_MAX]; /* of the alias that is to leave */
	struct frame *frame[CLEAR_MAX];
} clearings[MAX_CPUS];

static void queue(pte_t *e, u64 v)
{
	paddr_t pa = virt_to_phys(e);

	mmu->set_leaf(paddr_to_pfn(pa), (unsigned)(pa % PAGE_SIZE / sizeof(*e)), (pte_t){v});
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
		alias_drop(f[i], alias + i, stamp);
}

int run_set_queued(pte_t *e, struct frame *const *f, unsigned n, u64 bits, u64 alias)
{
	irqflags_t flags = hooked_begin();
	unsigned done = run_set(e, f, n, bits, alias, queue), set;
	int err = mmu->batch_end(&set);

	if (err)
		take_back(e, f, done, set, alias);
	hooked_end(flags);
	return err ? err : (int)done;
}

/* The entries queued so far are cleared, and only now do the words change. */
static void settle(struct clearing *c)
{
	u64 stamp;

	KASSERT(!mmu->batch_end(NULL), "%s refused to clear %u entries", mmu->name, c->n);
	stamp = shootdown_stamp();
	for (unsigned i = 0; i < c->n; i++)
		alias_drop(c->frame[i], ALIAS_BUSY | ALIAS_HEAD | c->index[i], stamp);
	c->n = 0;
}

struct run_stop run_clear_queued(pte_t *e, unsigned n, u64 alias)
{
	irqflags_t flags = irq_save();
	struct clearing *c = &clearings[cpu_id()];

	for (unsigned i = 0; i < n; i++) {
		if (c->n == CLEAR_MAX)
			settle(c);
		c->index[c->n] = (u32)alias_index(alias + i);
		c->frame[c->n++] = run_frame(entry_read(e + i));
		queue(e + i, 0);
	}
	if (!c->open)
		settle(c);
	irq_restore(flags);
	return (struct run_stop){0, NULL};
}

irqflags_t run_clear_begin_queued(void)
{
	irqflags_t flags = irq_save();
	struct clearing *c = &clearings[cpu_id()];

	KASSERT(!c->open, "a clearing of many runs inside another");
	c->open = true;
	return flags;
}

void run_clear_end_queued(irqflags_t flags)
{
	struct clearing *c = &clearings[cpu_id()];

	settle(c);
	c->open = false;
	irq_restore(flags);
}
