// SPDX-License-Identifier: MIT
/* The engine's fuzzer: operations on address spaces. See fuzz_engine.c. */
#include "mm/aspace.h"
#include "tests/fuzz/engine.h"

/* The kernel's, by the reference's index. */
static struct aspace *spaces[NAIVE_SPACES];

/* Where tables of each level end. */
static const u64 bases[] = {1, PT_ENTRIES - 3, PT_ENTRIES *PT_ENTRIES - 3,
			    (USER_SIZE >> PAGE_SHIFT) - 10};

static u64 some_page(void)
{
	return bases[below(ARRAY_SIZE(bases))] + below(6);
}

/* => its index; NAIVE_SPACES: there is none such */
static unsigned some_space(bool exists)
{
	unsigned first = next_byte();

	for (unsigned i = 0; i < NAIVE_SPACES; i++)
		if (naive_spaces[(first + i) % NAIVE_SPACES].exists == exists)
			return (first + i) % NAIVE_SPACES;
	return NAIVE_SPACES;
}

/* Half of the time a page that the space has, if there is one, and no more than follow it. */
static void rather_mapped(unsigned s, u64 *page, u64 *n)
{
	const struct naive_space *space = &naive_spaces[s];
	u32 which = next_byte(), i = which / 2 % NAIVE_SPACE_PAGES;

	if (which % 2 == 0 || !naive_space_pages(space))
		return;
	while (!space->pages[i].page)
		i = (i + 1) % NAIVE_SPACE_PAGES;
	*page = space->pages[i].page;
	for (u64 have = 1; have < *n; have++)
		if (!naive_space_page(&naive_spaces[s], *page + have))
			*n = have;
}

static void add_page(unsigned s, u64 page, unsigned prot, u64 word)
{
	struct naive_space_page *p = naive_spaces[s].pages;
	const struct frame *f = aspace_frame(spaces[s], page << PAGE_SHIFT);

	if (!f)
		wrong("page %#lx of space %u has no frame", page, s);
	while (p->page)
		p++;
	p->page = page;
	p->pfn = pfn_of(f);
	p->prot = prot;
	naive_own(p->pfn, NAIVE_SPACE, word);
}

static void remove_page(struct naive_space_page *p)
{
	naive_disown(p->pfn);
	p->page = 0;
}

void op_space_create(void)
{
	unsigned s = some_space(false);

	if (s == NAIVE_SPACES)
		return;
	expect_no_change();
	spaces[s] = aspace_create("fuzzed");
	if (!spaces[s]) {
		failed("aspace_create");
		return;
	}
	note("space %u is created", s);
	naive_spaces[s].exists = true;
}

void op_space_copy(void)
{
	unsigned from = some_space(true), to = some_space(false);

	if (from == NAIVE_SPACES || to == NAIVE_SPACES)
		return;
	expect_no_change();
	spaces[to] = aspace_copy(spaces[from], "copied");
	if (!spaces[to]) {
		failed("aspace_copy");
		return;
	}
	note("space %u is a copy of space %u", to, from);
	naive_spaces[to].exists = true;
	for (unsigned i = 0; i < NAIVE_SPACE_PAGES; i++) {
		const struct naive_space_page *p = &naive_spaces[from].pages[i];

		if (p->page)
			add_page(to, p->page, p->prot, *naive_word(p->pfn));
	}
}

/* => how many of the pages are mapped */
static u64 count_mapped(unsigned s, u64 page, u64 n)
{
	u64 mapped = 0;

	for (u64 i = 0; i < n; i++)
		mapped += !!naive_space_page(&naive_spaces[s], page + i);
	return mapped;
}

/* A failure of its own may leave tables behind, which are the space's. */
static void space_failed(const char *what)
{
	if (!injected_hit())
		wrong("%s failed, and nothing was in its way", what);
	note("%s failed", what);
}

void op_space_map(void)
{
	static const unsigned prots[] = {VM_W, VM_R, VM_X, VM_W | VM_X};
	unsigned s = some_space(true);
	u64 page = some_page(), n = below(7);
	unsigned prot = prots[below(ARRAY_SIZE(prots))];
	int err;

	if (s == NAIVE_SPACES || naive_space_pages(&naive_spaces[s]) + n > NAIVE_SPACE_PAGES)
		return;
	expect_no_change();
	err = aspace_map(spaces[s], page << PAGE_SHIFT, n, prot);
	note("space %u, pages %#lx+%lu, prot %u: %d", s, page, n, prot, err);
	if (!n || prot == (VM_W | VM_X) || page + n > USER_SIZE >> PAGE_SHIFT) {
		if (err != -EINVAL)
			wrong("aspace_map of nonsense: %d", err);
		refused("aspace_map");
		return;
	}
	if (count_mapped(s, page, n)) {
		if (err != -EEXIST)
			wrong("aspace_map over pages that are there: %d", err);
		refused("aspace_map");
		return;
	}
	if (err) {
		space_failed("aspace_map");
		for (u64 i = 0; i < n; i++)
			if (aspace_frame(spaces[s], (page + i) << PAGE_SHIFT))
				wrong("aspace_map failed, but page %#lx is mapped", page + i);
		return;
	}
	for (u64 i = 0; i < n; i++)
		add_page(s, page + i, prot, 0);
}

/* Whoever runs on the space remembers them afterwards: those CPUs must be made to forget. */
static void read_by_all(unsigned s, u64 page, u64 n)
{
	u64 v;

	for (unsigned cpu = 0; cpu < nr_cpus; cpu++)
		for (u64 i = 0; naive_spaces[s].on & cpu_bit(cpu) && i < n; i++)
			if (sim_read(cpu, (page + i) << PAGE_SHIFT, &v))
				wrong("page %#lx of space %u: CPU %u cannot read it", page + i, s,
				      cpu);
}

void op_space_unmap(void)
{
	unsigned s = some_space(true);
	u64 page = some_page(), n = below(7);
	int err;

	if (s == NAIVE_SPACES)
		return;
	rather_mapped(s, &page, &n);
	if (count_mapped(s, page, n) == n)
		read_by_all(s, page, n);
	expect_no_change();
	err = aspace_unmap(spaces[s], page << PAGE_SHIFT, n);
	note("space %u, pages %#lx+%lu are unmapped: %d", s, page, n, err);
	if (!n || count_mapped(s, page, n) != n) {
		if (err != -EINVAL)
			wrong("aspace_unmap of what is not there: %d", err);
		refused("aspace_unmap");
		return;
	}
	if (err)
		wrong("aspace_unmap: %d", err);
	for (u64 i = 0; i < n; i++) {
		u64 bits = sim_tlb_holders((page + i) << PAGE_SHIFT, 1).bits & sim_online().bits &
			   naive_spaces[s].on;

		if (bits)
			wrong("page %#lx is unmapped, but CPUs %#lx remember it", page + i, bits);
		remove_page(naive_space_page(&naive_spaces[s], page + i));
	}
}

/* => the space that CPU `cpu` runs on; NAIVE_SPACES: none */
static unsigned space_of(unsigned cpu)
{
	unsigned s = 0;

	while (s < NAIVE_SPACES && !(naive_spaces[s].on & cpu_bit(cpu)))
		s++;
	return s;
}

static void leave(void)
{
	unsigned s = space_of(op_cpu);

	if (s < NAIVE_SPACES)
		naive_spaces[s].on &= ~cpu_bit(op_cpu);
	sim.fail_load = 0; /* nobody refuses a CPU its own root */
	aspace_leave();
}

void op_space_load(void)
{
	unsigned s = some_space(true), was = space_of(op_cpu);
	int err;

	if (s == NAIVE_SPACES || !below(3)) {
		note("leaves space %u", was);
		leave();
		return;
	}
	expect_no_change();
	err = aspace_load(spaces[s]);
	note("loads space %u: %d", s, err);
	if (err) {
		space_failed("aspace_load");
		s = was;
	}
	if (was < NAIVE_SPACES)
		naive_spaces[was].on &= ~cpu_bit(op_cpu);
	if (s < NAIVE_SPACES)
		naive_spaces[s].on |= cpu_bit(op_cpu);
	if (aspace_current() != (s < NAIVE_SPACES ? spaces[s] : NULL))
		wrong("CPU %u runs on another space", op_cpu);
}

static void destroy(unsigned s)
{
	int err = aspace_destroy(spaces[s]);

	note("space %u is destroyed: %d", s, err);
	if (err != (naive_spaces[s].on ? -EBUSY : 0))
		wrong("aspace_destroy: %d", err);
	if (err)
		return;
	for (unsigned i = 0; i < NAIVE_SPACE_PAGES; i++)
		if (naive_spaces[s].pages[i].page)
			remove_page(&naive_spaces[s].pages[i]);
	naive_spaces[s].exists = false;
}

void op_space_destroy(void)
{
	unsigned s = some_space(true);

	if (s < NAIVE_SPACES)
		destroy(s);
}

/* On the space that the CPU runs on, if any. */
void op_space_access(void)
{
	unsigned s = space_of(op_cpu);
	u64 page = some_page(), n = 1, v = op_number;
	u32 how = below(3);
	struct naive_space_page *p = NULL;
	enum sim_fault got, want;
	vaddr_t va;

	if (s < NAIVE_SPACES) {
		rather_mapped(s, &page, &n);
		p = naive_space_page(&naive_spaces[s], page);
	}
	va = page << PAGE_SHIFT;
	got = how == 0	 ? sim_read(op_cpu, va, &v)
	      : how == 1 ? sim_write(op_cpu, va, v)
			 : sim_fetch(op_cpu, va);
	want = !p			     ? SIM_NOT_PRESENT
	       : how == 1 && p->prot != VM_W ? SIM_NOT_WRITABLE
	       : how == 2 && p->prot != VM_X ? SIM_NOT_EXECUTABLE
					     : SIM_OK;
	note("space %u, access %u of %#lx: fault %d, %#lx", s, how, va, got, v);
	if (got != want)
		wrong("fault %d, not %d", got, want);
	if (!got && how == 0 && v != *naive_word(p->pfn))
		wrong("%#lx reads %#lx, not %#lx", va, v, *naive_word(p->pfn));
	if (!got && how == 1)
		*naive_word(p->pfn) = v;
}

void end_spaces(void)
{
	for (op_cpu = 0; op_cpu < nr_cpus; op_cpu++) {
		sim_on(op_cpu);
		leave();
	}
	op_cpu = 0;
	sim_on(0);
	for (unsigned s = 0; s < NAIVE_SPACES; s++)
		if (naive_spaces[s].exists)
			destroy(s);
}
