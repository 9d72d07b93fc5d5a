// SPDX-License-Identifier: MIT
/*
 * The whole mapping engine against a naive reference (naive_engine.h). The input is a machine (how
 * many CPUs, which policy, what is hostile about it) and a program: records of RECORD bytes, which
 * are the number of an operation, a CPU, and arguments. After each operation what came out must be
 * what the reference says:
 *
 *   success or failure    nothing fails but what must, or what an injected failure was hit by; and
 *                         what fails changes nothing
 *   addresses             touch nothing that is live
 *   contents              every CPU reads, through its TLB, what was written last by anybody
 *   rights, faults        as mapped; what was purged faults, and guards always do
 *   aliases of a frame    as many as the reference counts
 *   after a purge         no CPU remembers
 *
 * and now and then, and at the end, when all is taken down again, mm_check() must agree, and no
 * frame may be missing. What the simulated machine watches for at every access comes on top.
 *
 * Each input has a process and a machine of its own (child.h says why). Next: the operations, in
 * engine_areas.c, engine_sparse.c, engine_spaces.c.
 */
// links: mm/*.c tests/host/sim*.c tests/fuzz/naive_engine.c tests/fuzz/engine_areas.c
// links: tests/fuzz/engine_sparse.c tests/fuzz/engine_spaces.c
#include "tests/fuzz/engine.h"
#include "mm/alias.h"
#include "mm/check.h"
#include "mm/park.h"
#include "mm/vmap.h"
#include "tests/fuzz/child.h"
#include "tests/host/scarce.h"

#define HEADER	    4 /* bytes of the input before the first record */
#define RECORD	    12
#define MAX_OPS	    300
#define CHECK_EVERY 32 /* operations */
#define RAM_END	    ((paddr_t)NAIVE_FRAMES << PAGE_SHIFT)

u32 op_number;
unsigned op_cpu;
bool scarce;
struct frame *tester[TESTER_FRAMES];

static const u8 *at, *end, *record_end;
static struct area *scarce_rest;
static struct sim_snapshot before;
static u64 armed_memory;
static u32 armed_batch, armed_attach, armed_pin, armed_load;
static bool all_cleared; /* no entry of an unmapped page is left (policy pte leaves them) */

u8 next_byte(void)
{
	return at < end && at < record_end ? *at++ : 0;
}

void note(const char *fmt, ...)
{
	char line[256];
	va_list ap;
	int n = snprintf(line, sizeof(line), "%3u CPU %u: ", op_number, op_cpu);

	va_start(ap, fmt);
	vsnprintf(line + n, sizeof(line) - (size_t)n, fmt, ap);
	va_end(ap);
	child_log(line);
	child_log("\n");
}

void wrong(const char *fmt, ...)
{
	char line[512] = "WRONG: ";
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line + 7, sizeof(line) - 8, fmt, ap);
	va_end(ap);
	child_log(line);
	child_log("\n");
	fprintf(stderr, "%s\n# mm/ said: %s\n", line, sim_printed());
	_exit(4);
}

/* --- failures --- */

bool injected_hit(void)
{
	bool hit = (armed_batch && !sim.fail_batch) || (armed_attach && !sim.fail_attach) ||
		   (armed_pin && !sim.fail_pin) || (armed_load && !sim.fail_load);

	if (armed_memory) {
		u64 rest = frame_inject_failure(0);

		frame_inject_failure(rest);
		hit |= !rest;
	}
	return hit;
}

static void disarm(void)
{
	frame_inject_failure(0);
	sim.fail_batch = sim.fail_attach = sim.fail_pin = sim.fail_load = 0;
	armed_memory = armed_batch = armed_attach = armed_pin = armed_load = 0;
}

static struct sim_snapshot snapshot(void)
{
	struct sim_snapshot s = sim_snapshot();

	s.lazy = 0; /* a call out of memory or addresses may purge */
	return s;
}

void expect_no_change(void)
{
	before = snapshot();
}

void refused(const char *what)
{
	struct sim_snapshot is = snapshot();

	note("%s was refused", what);
	if (memcmp(&is, &before, sizeof(is)))
		wrong("%s failed, but frames at hand %lu -> %lu, used %lu -> %lu, live pages %lu -> %lu",
		      what, before.at_hand, is.at_hand, before.used, is.used, before.live, is.live);
}

void failed(const char *what)
{
	if (!injected_hit())
		wrong("%s failed, and nothing was in its way", what);
	refused(what);
}

/* --- what can be seen --- */

bool forgotten_at_once(void)
{
	return lazy_policy() == LAZY_OFF || lazy_poison();
}

static void check_fault(vaddr_t va, enum sim_fault got, enum sim_fault want)
{
	if (got != want)
		wrong("%#lx: CPU %u gets fault %d, not %d", va, op_cpu, got, want);
}

void check_read(unsigned cpu, vaddr_t va)
{
	enum naive_answer answer;
	enum sim_fault fault;
	bool writable;
	u64 pfn, v = 0, want;

	answer = naive_look(va & ~(PAGE_SIZE - 1), &pfn, &writable);
	fault = sim_read(cpu, va, &v);
	note("read of %#lx: fault %d, %#lx", va, fault, v);
	if (answer == NAIVE_WHATEVER)
		return;
	check_fault(va, fault, answer == NAIVE_READS ? SIM_OK : SIM_NOT_PRESENT);
	want = fault ? 0 : *naive_word(pfn);
	if (!fault && want != NAIVE_NOT_KNOWN && v != want)
		wrong("%#lx reads %#lx, not %#lx, the word of frame %#lx", va, v, want, pfn);
}

void check_write(unsigned cpu, vaddr_t va)
{
	u64 pfn, v = (u64)op_number << 32 | 0xabcd;
	enum naive_answer answer;
	enum sim_fault fault;
	bool writable;

	answer = naive_look(va, &pfn, &writable);
	if (answer == NAIVE_WHATEVER)
		return; /* it would be a bug of ours to write there */
	fault = sim_write(cpu, va, v);
	note("write of %#lx: fault %d, %#lx", va, fault, v);
	check_fault(va, fault,
		    answer == NAIVE_FAULTS ? SIM_NOT_PRESENT
		    : writable		   ? SIM_OK
					   : SIM_NOT_WRITABLE);
	if (!fault)
		*naive_word(pfn) = v;
}

static void check_gone(vaddr_t va)
{
	u64 bits = sim_tlb_holders(va, 1).bits & sim_online().bits;

	if (bits)
		wrong("%#lx was purged, but CPUs %#lx remember it", va, bits);
}

void check_purged(void)
{
	naive_for_each_gone(check_gone);
	naive_purged();
	for (unsigned i = 0; i < TESTER_FRAMES; i++) {
		u64 bits;

		if (!tester[i] || naive_aliases(pfn_of(tester[i])))
			continue;
		bits = sim_tlb_frame_holders(frame_pfn(tester[i])).bits & sim_online().bits;
		if (bits)
			wrong("frame %#lx is nobody's alias, but CPUs %#lx map it",
			      pfn_of(tester[i]), bits);
	}
	all_cleared = true;
}

void check_aliases(void)
{
	bool lazy_ones = lazy_policy() == LAZY_PTE && !all_cleared;

	for (u64 pfn = 0; pfn < NAIVE_FRAMES; pfn++) {
		struct frame *f = pfn_frame((pfn_t){pfn});
		unsigned is, want;

		if (naive_owner(pfn) == NAIVE_NOBODY)
			continue;
		is = frame_aliases(f);
		want = naive_aliases(pfn);
		if (is < want || (is > want && !lazy_ones) || frame_mapped_live(f) != !!want)
			wrong("frame %#lx has %u aliases, not %u, and is%s mapped", pfn, is, want,
			      frame_mapped_live(f) ? "" : " not");
	}
}

/* --- operations on everything --- */

static void op_purge(void)
{
	switch (below(4)) {
	case 0:
		note("lazy_purge(PURGE_PTES)");
		lazy_purge(PURGE_PTES);
		all_cleared = true;
		check_aliases();
		return;
	case 1:
		note("lazy_unhook");
		lazy_unhook();
		break;
	default:
		note("vm_unmap_aliases");
		vm_unmap_aliases();
	}
	check_purged();
}

static void op_purge_frames(void)
{
	u32 n = 1 + below(8), first = below(TESTER_FRAMES);
	enum purge_phase phase = below(2) ? PURGE_FLUSH : PURGE_PTES;
	struct frame *list[8];
	bool busy = false;
	int err;

	for (u32 i = 0; i < n; i++) {
		u32 k = (first + i) % TESTER_FRAMES;

		list[i] = tester[k] ? tester[k] : frames + 256 + k; /* perhaps reserved, or free */
		busy |= naive_aliases(pfn_of(list[i])) > 0;
	}
	err = vm_unmap_frame_aliases(list, n, phase);
	note("vm_unmap_frame_aliases of %u from tester %u, phase %d: %d", n, first, phase, err);
	if (err != (busy ? -EBUSY : 0))
		wrong("vm_unmap_frame_aliases: %d", err);
	for (u32 i = 0; i < n; i++) {
		unsigned aliases = frame_aliases(list[i]), want = naive_aliases(pfn_of(list[i]));
		u64 bits = sim_tlb_frame_holders(frame_pfn(list[i])).bits & sim_online().bits;

		if (aliases != want)
			wrong("frame %#lx has %u aliases, not %u", pfn_of(list[i]), aliases, want);
		if (phase == PURGE_FLUSH && !want && bits &&
		    pfn_frame(frame_pfn(list[i]))->type != FRAME_SPACE)
			wrong("frame %#lx: CPUs %#lx map it", pfn_of(list[i]), bits);
	}
}

static void op_policy(void)
{
	lazy_set_policy((enum lazy_policy)below(NR_LAZY_POLICIES));
	note("policy %s", lazy_policy_name(lazy_policy()));
	check_purged();
}

static void op_tune(void)
{
	u32 what = below(4), arg = next_byte();

	note("tune %u, %u", what, arg);
	if (what == 0)
		lazy_set_max(1 + arg);
	else if (what == 1)
		lazy_set_poison(arg & 1);
	else if (what == 2)
		frame_set_hold(arg & 1);
	else
		sim.idles = arg & 1;
}

static void op_interrupt(void)
{
	u32 what = below(5);

	note("interrupts %u", what);
	if (what < 3)
		sim_raise(below(nr_cpus), (enum sim_interrupt)what);
	else if (what == 3)
		sim_settle();
	else {
		u32 cpu = below(nr_cpus);

		sim_tlb_speculate(cpu, below(1u << 16));
	}
}

static void op_access(void)
{
	struct naive_region *r;
	vaddr_t va;

	if (!naive_regions())
		return;
	r = naive_region(below(naive_regions()));
	va = r->va + (next_byte() * 5u % (r->pages + 1)) * PAGE_SIZE; /* the guard, too */
	if (r->kind == NAIVE_VMALLOC && va + sizeof(u64) > r->va + r->bytes &&
	    va < r->va + r->pages * PAGE_SIZE)
		return; /* the redzone */
	if (below(2))
		check_write(op_cpu, va);
	check_read(op_cpu, va);
}

/* Where something was, or never: purged or not. */
static void op_look_around(void)
{
	vaddr_t va = VMAP_BASE + next_byte() * PAGE_SIZE;
	struct naive_region *r = naive_region_at(va);

	if (!r || r->kind != NAIVE_VMALLOC)
		check_read(op_cpu, va);
}

/* The next operation meets a failure, if it comes that far. */
static void arm(void)
{
	u32 what = below(5), nth = 1 + (below(2) ? below(4) : below(24));

	note("failure %u of kind %u is to come", nth, what);
	if (what == 0)
		frame_inject_failure(armed_memory = nth);
	else if (what == 1)
		sim.fail_attach = armed_attach = 1 + nth % 4;
	else if (what == 2)
		sim.fail_pin = armed_pin = 1;
	else if (what == 3)
		sim.fail_load = armed_load = 1;
	else
		sim.fail_batch = armed_batch = nth;
}

static const struct {
	void (*fn)(void);
	bool may_be_hit; /* else it promises to succeed */
} ops[] = {
	{op_map, true},		  {op_map, true},	    {op_map, true},
	{op_map, true},		  {op_unmap, false},	    {op_unmap, false},
	{op_unmap, false},	  {op_alloc, true},	    {op_alloc, true},
	{op_realloc, true},	  {op_local, false},	    {op_local_end, false},
	{op_reserve, true},	  {op_sparse_map, true},    {op_sparse_map, true},
	{op_sparse_unmap, false}, {op_protect, true},	    {op_device, true},
	{op_find, false},	  {op_nonsense, false},	    {op_purge, false},
	{op_purge_frames, false}, {op_purge_frames, false}, {op_policy, false},
	{op_tune, false},	  {op_interrupt, false},    {op_access, false},
	{op_access, false},	  {op_access, false},	    {op_look_around, false},
	{op_give_frame, false},	  {op_take_frame, true},    {op_space_create, true},
	{op_space_copy, true},	  {op_space_map, true},	    {op_space_map, true},
	{op_space_unmap, false},  {op_space_load, true},    {op_space_destroy, false},
	{op_space_access, false}, {op_space_access, false},
};
#define OP_ARM ARRAY_SIZE(ops) /* and one more: arm(), then the next that may be hit */

static void check_all(void)
{
	check_aliases();
	sim_check();
}

static void run_op(void)
{
	u32 op = below(OP_ARM + 1);
	bool armed = op == OP_ARM;

	op_number++;
	op_cpu = below(nr_cpus);
	sim_run(); /* whoever is in the middle of an interrupt comes out of it */
	sim_on(op_cpu);
	if (armed)
		op = below(OP_ARM);
	if (armed && ops[op].may_be_hit)
		arm();
	ops[op].fn();
	disarm();
	all_cleared &= lazy_policy() != LAZY_PTE;
	if (op_number % CHECK_EVERY == 0)
		check_all();
}

/* --- the machine --- */

static void boot(void)
{
	u8 a = next_byte(), b = next_byte(), c = next_byte();

	sim_boot(&(struct sim_config){.cpus = 1 + a % 4,
				      .eager = a & 4,
				      .keep = a & 8,
				      .deferred = a & 16,
				      .max_leaf_level = (a & (16 | 32)) == 32 ? 1 : 3,
				      .direct_limit = a & 64 ? 16 * MiB : 0,
				      .lazy_max_pages = b & 1 ? 8 : 200,
				      .seed = c,
				      .ram = {{1 * MiB, RAM_END}}});
	scarce = a & 128;
	sim.fail_sets_only = true; /* that an entry is cleared is refused by nobody */
	sim.speculate = b & 2 ? 150 : 0;
	sim.ipi_at_once = b & 4;
	sim.idles = b & 8;
	sim.preempt = b & 16 ? 5 : 0;
}

static void run(const u8 *data, size_t size)
{
	struct sim_snapshot first;

	at = data;
	end = data + size;
	record_end = data + HEADER;
	boot();
	first = sim_snapshot();
	naive_init(VMAP_BASE, VMAP_END);
	if (scarce)
		scarce_rest = take_addresses_but(SCARCE_PAGES);
	for (unsigned i = 0; i < TESTER_FRAMES; i++) {
		tester[i] = frame_alloc(0, i % 2 ? FRAME_HIGH : 0);
		KASSERT(tester[i], "no frames");
		*raw_word(pfn_of(tester[i])) = i;
		naive_own(pfn_of(tester[i]), NAIVE_TESTER, i);
	}
	for (size_t i = HEADER; i < size && op_number < MAX_OPS; i += RECORD) {
		at = data + i;
		record_end = at + RECORD;
		run_op();
	}
	check_all();
	end_spaces();
	end_areas();
	sim_on(0);
	lazy_set_poison(false);
	frame_set_hold(false);
	vm_unmap_aliases();
	check_purged();
	check_all();
	for (unsigned i = 0; i < TESTER_FRAMES; i++)
		if (tester[i])
			frame_free(tester[i], 0);
	park_drain();
	if (scarce)
		give_addresses(scarce_rest);
	sim_check();
	if (!sim_unchanged(&first, "everything"))
		wrong("frames are missing, or too many");
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	in_child(run, data, size);
	return 0;
}
