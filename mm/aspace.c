// SPDX-License-Identifier: MIT
/*
 * Address spaces. The tree of one:
 *
 *   root of CPU 0 --slot 0--+         256-511: as that CPU's own root has them
 *   root of CPU 1 --slot 0--+--> user (level 3) --> level 2 --> level 1 --> pages
 *
 * Why a root for each CPU: the kernel half is not quite the same everywhere, each CPU has its own
 * kmap_local slots (mm/kmap_local.c). So each CPU that loads the space gets a top-level table, at
 * its first load; they differ in that one slot, and all lead to the one level-3 table, so what is
 * mapped below it is mapped for all, and no top-level entry is ever to be brought up to date.
 *
 * Who may remember a page. Entries are not global, and a CPU that leaves writes CR3: what its TLB
 * and paging-structure caches had of the space is dropped (SDM vol. 3A, 4.10.4.1; all roots have
 * PCID 0). So only CPUs that run on a space can hold anything of it. `on` knows them:
 *
 *   entering   on |= me (locked)    CR3 := root         unmapping   entries := 0
 *   leaving    CR3 := own root      on &= ~me                       full barrier
 *                                                                   flush those in `on`
 *
 * A CPU whose bit the unmapper does not see sets it after the barrier, and walks the tables later
 * still, when the entries are gone; or has cleared it, and has forgotten them before. Unmapping is
 * eager for that reason: it interrupts few, and frames go back with no stamp to be looked at.
 *
 * Why tables may be freed, though a CPU that merely idles may walk them by speculation (what
 * mm/shootdown.c warns of): not by unmapping, which leaves them where they are; a space is
 * destroyed when no CPU is `on` it, idle or not. The last thing that each did with its tables was
 * to write CR3. Nothing needs to be flushed then, and with no CPU there and the roots unpinned the
 * pages' entries need not be cleared one by one either.
 *
 * Every table comes from pt_alloc_table(), with all that is due before a frame somebody has just
 * unmapped can be one.
 *
 * Next: mm/aspace_pages.c, mapping and unmapping; mm/check_space.c, what must hold;
 * kernel/demo_forge.c, what happens if a table is not made private.
 */
#include "mm/aspace_internal.h"
#include "mm/frame.h"
#include "mm/kmap.h"
#include "mm/pagetable.h"
#include "mm/pool.h"

struct list aspaces = LIST_INIT(aspaces);
static spinlock_t aspaces_lock = SPINLOCK_INIT("address spaces"); /* the list and the ids */
static u32 last_id;

/* Type-stable: what was a space is never anything else, so that its id tells that it is gone. */
static struct pool aspace_pool = {
	.name = "aspace",
	.size = sizeof(struct aspace),
	.type_stable = true,
	.lock = SPINLOCK_INIT("pool aspace"),
	.partial = LIST_INIT(aspace_pool.partial),
};

static struct aspace *loaded[MAX_CPUS]; /* each its own CPU's */

/* --- running on it -------------------------------------------------------------------------- */

struct aspace *aspace_current(void)
{
	return loaded[cpu_id()];
}

/* This CPU's root. => 0, -ENOMEM or what the platform says; then there is none */
static int ensure_root(struct aspace *as, unsigned cpu)
{
	pfn_t root;
	int err;

	if (as->root[cpu].n) /* frame 0 is never a table */
		return 0;
	err = pt_alloc_table(PT_LEVELS, &root);
	if (err)
		return err;
	err = pt_copy_kernel_half(root, kmap_local_root(cpu));
	if (!err)
		err = mmu->attach_table(root, 0, PT_LEVELS, as->user);
	if (!err) {
		spin_lock(&as->lock); /* another CPU may be mapping there */
		err = pt_pin_root(root);
		spin_unlock(&as->lock);
	}
	if (err)
		pt_free_table(root);
	else
		as->root[cpu] = root;
	return err;
}

int aspace_load(struct aspace *as)
{
	unsigned cpu = cpu_id();
	struct aspace *from = loaded[cpu];
	int err;

	must_exist(as);
	err = as == from ? 0 : ensure_root(as, cpu);
	if (err || as == from)
		return err;
	atomic_fetch_or(&as->on, cpu_bit(cpu));
	err = mmu->load_root(as->root[cpu]);
	if (err) {
		atomic_fetch_and(&as->on, ~cpu_bit(cpu));
		return err;
	}
	loaded[cpu] = as;
	if (from)
		atomic_fetch_and(&from->on, ~cpu_bit(cpu));
	return 0;
}

void aspace_leave(void)
{
	unsigned cpu = cpu_id();
	struct aspace *from = loaded[cpu];

	if (!from)
		return;
	KASSERT(!mmu->load_root(kmap_local_root(cpu)), "%s refused CPU %u's own root", mmu->name,
		cpu);
	loaded[cpu] = NULL;
	atomic_fetch_and(&from->on, ~cpu_bit(cpu));
}

/* --- the beginning and the end -------------------------------------------------------------- */

struct aspace *aspace_create(const char *name)
{
	struct aspace *as = pool_alloc(&aspace_pool);

	if (!as)
		return NULL;
	if (pt_alloc_table(USER_LEVEL, &as->user)) {
		pool_free(&aspace_pool, as);
		return NULL;
	}
	strlcpy(as->name, name, sizeof(as->name));
	as->lock = (spinlock_t)SPINLOCK_INIT("address space");
	as->tables = 1;
	spin_lock(&aspaces_lock);
	as->id = ++last_id;
	list_add_tail(&aspaces, &as->link);
	spin_unlock(&aspaces_lock);
	return as;
}

struct copy {
	struct aspace *to;
	int err;
};

/* Not all of the user half at once: a page is mapped, filled, and then comes the next. */
static bool copy_entry(void *arg, vaddr_t va, int level, pfn_t table __attribute__((unused)),
		       unsigned slot __attribute__((unused)), pte_t e)
{
	struct copy *c = arg;
	unsigned prot = pte_writable(e) ? VM_W : pte_executable(e) ? VM_X : VM_R;

	if (c->err || level > 1)
		return !c->err;
	c->err = aspace_map_pages(c->to, va, 1, prot);
	if (!c->err)
		aspace_copy_page(aspace_frame(c->to, va), pfn_frame(paddr_to_pfn(pte_addr(e, 1))));
	return true;
}

struct aspace *aspace_copy(const struct aspace *as, const char *name)
{
	struct copy c = {.err = 0};

	must_exist(as);
	c.to = aspace_create(name);
	if (!c.to)
		return NULL;
	pt_visit(as->user, USER_LEVEL, 0, copy_entry, &c);
	if (!c.err)
		return c.to;
	KASSERT(!aspace_destroy(c.to), "somebody runs on a copy nobody knows of");
	return NULL;
}

/* Tables on their way out, given back so many at a time. */
struct doomed {
	unsigned n;
	pfn_t table[256];
};

static void doom(struct doomed *d, pfn_t table)
{
	d->table[d->n++] = table;
	if (d->n < ARRAY_SIZE(d->table))
		return;
	pt_free_tables(d->table, d->n);
	d->n = 0;
}

/* The pages at once, a table after all that it leads to. => nothing walks them */
static void doom_tree(const struct aspace *as, pfn_t table, int level, vaddr_t va, struct doomed *d)
{
	for (unsigned slot = 0; slot < PT_ENTRIES; slot++, va += pt_entry_size(level)) {
		pte_t e = pt_read(table, slot);
		struct frame *f;

		if (!pte_present(e))
			continue;
		if (level > 1) {
			doom_tree(as, paddr_to_pfn(pte_addr(e, level)), level - 1, va, d);
			continue;
		}
		f = aspace_own_frame(as, va, e);
		WRITE_ONCE(f->type, FRAME_USED);
		frame_free(f, 0);
	}
	doom(d, table);
}

int aspace_destroy(struct aspace *as)
{
	struct doomed d = {.n = 0};

	must_exist(as);
	if (atomic_read(&as->on)) {
		printk("mm: '%s' is not destroyed: CPUs %#lx run on it; aspace_leave() there first\n",
		       as->name, atomic_read(&as->on));
		return -EBUSY;
	}
	spin_lock(&aspaces_lock);
	list_del(&as->link);
	spin_unlock(&aspaces_lock);
	for (unsigned cpu = 0; cpu < nr_cpus; cpu++)
		if (as->root[cpu].n)
			pt_unpin_root(as->root[cpu]);
	doom_tree(as, as->user, USER_LEVEL, 0, &d);
	for (unsigned cpu = 0; cpu < nr_cpus; cpu++)
		if (as->root[cpu].n)
			doom(&d, as->root[cpu]);
	pt_free_tables(d.table, d.n);
	WRITE_ONCE(as->id, 0);
	pool_free(&aspace_pool, as);
	return 0;
}

static void tell(const struct aspace *as, struct aspace_info *info)
{
	*info = (struct aspace_info){.id = as->id,
				     .pages = READ_ONCE(as->pages),
				     .tables = READ_ONCE(as->tables),
				     .on = atomic_read(&as->on)};
	strlcpy(info->name, as->name, sizeof(info->name));
	for (unsigned cpu = 0; cpu < nr_cpus; cpu++)
		info->roots += !!GLANCE(as->root[cpu]).n;
}

bool aspace_next(u32 id, struct aspace_info *info)
{
	struct list *l;
	bool found = false;

	spin_lock(&aspaces_lock);
	list_for_each (l, &aspaces) {
		const struct aspace *as = list_entry(l, struct aspace, link);

		if (as->id <= id)
			continue;
		tell(as, info);
		found = true;
		break;
	}
	spin_unlock(&aspaces_lock);
	return found;
}
