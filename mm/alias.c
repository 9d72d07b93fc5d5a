// SPDX-License-Identifier: MIT
/*
 * The uncommon half of alias words: frames with several aliases at once, or with a word that says
 * more than one alias and nothing else.
 *
 * One lock, alias_lock, guards the links of all records. The words are changed by compare-exchange
 * here too, because the common paths change them without the lock: they know only two words, "no
 * alias" and "exactly this one", and a word with CHAIN or NOMAP in it is neither, so while a chain
 * exists everybody comes here and the lock keeps them apart. Who follows links holds it as well, so
 * they may be written after the exchange of the word that begins or ends a chain. The links of a
 * record that is in no chain are 0.
 *
 * Next: mm/run.h for the common half; mm/purge.c for what all this is good for.
 */
#include "mm/alias.h"
#include "mm/area.h"
#include "mm/chunk.h"
#include "mm/early.h"
#include "mm/kmap.h"
#include "mm/pagetable.h"
#include "mm/shootdown.h"
#include "mm/space.h"

static spinlock_t alias_lock = SPINLOCK_INIT("alias chains");

vaddr_t alias_va(u64 index)
{
	return alias_is_local(index) ? kmap_local_va(index)
				     : VMAP_BASE + ((index - 1) << PAGE_SHIFT);
}

/* => an alias in use */
static struct alias_record *record(u64 index)
{
	return alias_is_local(index) ? kmap_local_record(index) : record_of(alias_va(index));
}

static u64 with_index(u64 word, u64 index)
{
	return (word & ~ALIAS_LOW) | index;
}

bool alias_add_slow(struct frame *f, u64 alias)
{
	u64 me = alias_index(alias), old, next;

	count(alias_slow);
	spin_lock(&alias_lock);
	do {
		old = atomic_read(&f->alias);
		next = old & ALIAS_HEAD ? alias_index(old) : 0;
		if (old & ALIAS_NOMAP) {
			spin_unlock(&alias_lock);
			return false;
		}
	} while (!atomic_cmpxchg(&f->alias, old, next ? alias | ALIAS_CHAIN : alias));
	if (next) {
		record(me)->next = (u32)next;
		record(next)->prev = (u32)me;
	}
	spin_unlock(&alias_lock);
	return true;
}

/* The word after its alias `me`, the first of the chain, is gone. alias_lock is held. */
static u64 without_head(u64 word, u64 me, u64 stamp)
{
	u64 next = record(me)->next;

	if (next)
		return with_index(word, next);
	return word & ALIAS_NOMAP ? ALIAS_BUSY | ALIAS_NOMAP | stamp : stamp;
}

/* Takes `me` out of the middle or the end. => what the word is then */
static u64 unlink_locked(u64 word, u64 me)
{
	struct alias_record *r = record(me);

	KASSERT(spin_held(&alias_lock) && r->prev, "alias %#lx is in no chain", me);
	record(r->prev)->next = r->next;
	if (r->next)
		record(r->next)->prev = r->prev;
	return word;
}

/* The word has no place for the stamp while there is another alias: its area keeps it. */
static void remember(u64 index, u64 stamp)
{
	struct area *a = alias_is_local(index) ? NULL : area_of(alias_va(index));

	if (a)
		atomic_max(&a->older, stamp);
}

/*
 * CHAIN stays until the last alias is gone, so that that one comes here too. The stamp it brings
 * may be older than those of the others that are gone already, for it may have been read long ago;
 * what is read now, under the lock, is not.
 */
void alias_drop_slow(struct frame *f, u64 alias, u64 stamp)
{
	u64 me = alias_index(alias), old, new;
	bool unlinked = false;

	count(alias_slow);
	spin_lock(&alias_lock);
	stamp = MAX(stamp, shootdown_stamp());
	do {
		old = atomic_read(&f->alias);
		KASSERT(old & ALIAS_HEAD, "frame %#lx has no alias, %#lx least of all",
			frame_pfn(f).n, me);
		if (alias_index(old) == me)
			new = without_head(old, me, stamp);
		else if (!unlinked) {
			new = unlink_locked(old, me);
			unlinked = true;
		} else {
			new = old;
		}
	} while (!atomic_cmpxchg(&f->alias, old, new));
	if ((new &ALIAS_HEAD) && alias_index(old) == me)
		record(alias_index(new))->prev = 0;
	if (new &ALIAS_HEAD)
		remember(alias_index(new), stamp);
	record(me)->next = record(me)->prev = 0;
	spin_unlock(&alias_lock);
}

/* The aliases a word leads to, one after the other; 0: no more. alias_lock is held. */
static u64 first_of(u64 w)
{
	return w & ALIAS_HEAD ? alias_index(w) : 0;
}

static u64 next_of(u64 w, u64 index)
{
	return w & ALIAS_CHAIN ? record(index)->next : 0;
}

unsigned alias_snapshot(struct frame *f, u64 *index, unsigned max)
{
	unsigned n = 0;
	u64 w;

	if (!(atomic_read(&f->alias) & ALIAS_HEAD))
		return 0;
	spin_lock(&alias_lock);
	w = atomic_read(&f->alias);
	for (u64 i = first_of(w); i; i = next_of(w, i), n++)
		if (n < max)
			index[n] = i;
	spin_unlock(&alias_lock);
	return n;
}

bool frame_has_alias(struct frame *f, u64 index)
{
	u64 w, i;

	spin_lock(&alias_lock);
	w = atomic_read(&f->alias);
	for (i = first_of(w); i && i != index; i = next_of(w, i))
		;
	spin_unlock(&alias_lock);
	return i;
}

unsigned frame_aliases(struct frame *f)
{
	return alias_snapshot(f, NULL, 0);
}

/* An area that is CLEARED is on its way: its entries will be gone, or it will be live, soon. */
static bool is_live(u64 index)
{
	struct area *a = alias_is_local(index) ? NULL : area_of(alias_va(index));

	return !a || word_state(atomic_read(&a->word)) == AREA_LIVE;
}

/*
 * A frame's only alias leaves without the lock, and where CPUs are made to forget without taking
 * part its area may map another frame at once. So what the area says counts if the word is still
 * the same afterwards.
 */
bool frame_mapped_live(struct frame *f)
{
	bool live;
	u64 w;

	spin_lock(&alias_lock);
	do {
		live = false;
		w = atomic_read(&f->alias);
		for (u64 i = first_of(w); i && !live; i = next_of(w, i))
			live = is_live(i);
	} while (live && atomic_read(&f->alias) != w);
	spin_unlock(&alias_lock);
	return live;
}

#define LAST_ALIAS (VMAP_PAGES + (u64)MAX_CPUS * KMAP_LOCAL_SLOTS)

/* => does the entry of alias `index` map `pa`, be it by a large page? */
static bool maps(u64 index, paddr_t pa)
{
	paddr_t found;

	if (alias_is_local(index))
		return kmap_local_root(kmap_local_cpu(index)).n != kernel_root.n &&
		       (entry_read(kmap_local_entry(index)) & (PTE_ADDR | PTE_P)) == (pa | PTE_P);
	return pt_translate(kernel_root, alias_va(index), &found) && found == pa;
}

/* One chain: its links agree both ways, and each element's entry maps the frame. */
static unsigned check_chain(struct frame *f, u64 w)
{
	u64 prev = 0, n = 0;
	unsigned faults = 0;

	for (u64 i = alias_index(w); i && n <= VMAP_PAGES; n++) {
		struct alias_record *r = i <= LAST_ALIAS ? record(i) : NULL;

		if (!r || ((w & ALIAS_CHAIN) && r->prev != prev)) {
			printk("check: frame %#lx has alias %#lx, whose record is not linked so\n",
			       frame_pfn(f).n, i);
			return faults + 1;
		}
		if (!maps(i, frame_paddr(f))) {
			printk("check: frame %#lx has alias %#lx, which does not map it\n",
			       frame_pfn(f).n, alias_va(i));
			faults++;
		}
		prev = i;
		i = w & ALIAS_CHAIN ? r->next : 0;
	}
	if (n > VMAP_PAGES || (n > 1 && !(w & ALIAS_CHAIN))) {
		printk("check: frame %#lx has %lu aliases, its word %#lx says otherwise\n",
		       frame_pfn(f).n, n, w);
		faults++;
	}
	return faults;
}

static unsigned check_word(struct frame *f)
{
	u64 w = atomic_read(&f->alias);
	bool nomap = !frame_is_memory(f);
	unsigned faults = 0;

	if (!!(w & ALIAS_NOMAP) != nomap ||
	    !(w & ALIAS_BUSY) != !(w & (ALIAS_HEAD | ALIAS_NOMAP)) ||
	    ((w & ALIAS_CHAIN) && !(w & ALIAS_HEAD))) {
		printk("check: frame %#lx, which is %s, has alias word %#lx\n", frame_pfn(f).n,
		       frame_type_name(f->type), w);
		faults++;
	}
	return w & ALIAS_HEAD ? faults + check_chain(f, w) : faults;
}

unsigned alias_check(void)
{
	unsigned faults = 0;

	for (unsigned r = 0; r < early_nr_ram; r++)
		for (u64 p = early_ram[r].start; p < early_ram[r].end; p++)
			faults += check_word(&frames[p]);
	return faults;
}
