// SPDX-License-Identifier: MIT
/*
 * The simulated machine's memory, its console, and how tests expect things of it.
 *
 * Memory is one sparse file (memfd) mapped twice: sim_ram() shows all of it and is the machine's
 * own view, in which page walks and accesses through TLBs happen; sim_direct and `frames` are what
 * mm/ reaches by pointer, mapped as the page tables say. A read of a hole, a write to the image's
 * text through the direct map, or a frame number off by a gigabyte is a fault, here as there.
 *
 * mm/ boots once in a process, as a kernel does. So each scenario is a process: sim_scenario()
 * forks, relays the child's TAP lines and counts them; a child that dies is a failed check. A
 * panic that is expected happens in a fork as well, with a copy of the memory, so what led to it
 * did not happen.
 */
#define _GNU_SOURCE /* memfd_create, SEEK_DATA */
#include <fcntl.h>
#include <fnmatch.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mm/area.h"
#include "mm/check.h"
#include "mm/chunk.h"
#include "mm/frame.h"
#include "mm/pool.h"
#include "tests/host/sim.h"

#define BOOT_MAP_LIMIT	 (4 * GiB) /* what is reachable before the kernel's own tables are loaded */
#define SCENARIO_SECONDS 300	   /* a scenario that takes longer hangs */
#define DIRTY_BYTES	 (2 * MiB)
#define PRINTED_MAX	 65536
#define TRACED		 32

struct frame *frames;
char *sim_direct;

static int memory_fd = -1;
static char *raw;
static struct sim_config config;
static pfn_t mapped_as; /* the root that sim_direct and frames follow; 0: the boot map */

static u64 random_state;
static char printed[PRINTED_MAX];
static size_t printed_len;
static struct {
	enum trace_event event;
	unsigned cpu;
	u64 a, b;
} traced[TRACED];
static u64 nr_traced;

void (*sim_panicked)(const char *text);
static int panic_fd = -1; /* >= 0: this process is to die of a panic and say so there */

/* --- memory ---------------------------------------------------------------------------------- */

void *sim_ram(paddr_t pa)
{
	KASSERT(pa < SIM_PHYS_MAX, "physical address %#lx", pa);
	return raw + pa;
}

bool sim_is_ram(paddr_t pa)
{
	for (unsigned i = 0; i < ARRAY_SIZE(config.ram); i++)
		if (pa >= config.ram[i].start && pa < config.ram[i].end)
			return true;
	return false;
}

static void *reserve(void *at, u64 size)
{
	void *p = mmap(at, size, PROT_NONE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | (at ? MAP_FIXED : 0), -1, 0);

	KASSERT(p != MAP_FAILED, "cannot reserve %#lx bytes of address space", size);
	return p;
}

static void show(char *at, paddr_t pa, u64 size, int prot)
{
	void *p =
		mmap(at, size, prot, MAP_SHARED | MAP_FIXED | MAP_NORESERVE, memory_fd, (off_t)pa);

	KASSERT(p == at, "cannot map %#lx bytes of simulated memory", size);
}

/* Neighbouring leaves that go on where the last one ended become one host mapping. */
static struct extent {
	char *at;
	paddr_t pa;
	u64 size;
	int prot;
} extent;

static void show_extent(void)
{
	if (extent.size)
		show(extent.at, extent.pa, extent.size, extent.prot);
	extent.size = 0;
}

static void show_leaf(char *at, paddr_t pa, u64 size, int prot)
{
	if (extent.size && at == extent.at + extent.size && pa == extent.pa + extent.size &&
	    prot == extent.prot) {
		extent.size += size;
		return;
	}
	show_extent();
	extent = (struct extent){at, pa, size, prot};
}

/* Shows what lies at [base, base + size) in the tables below `table` at `window`. */
static void show_tables(pfn_t table, int level, vaddr_t va, vaddr_t base, u64 size, char *window)
{
	const pte_t *t = sim_ram(pfn_to_paddr(table));

	for (unsigned slot = 0; slot < PT_ENTRIES; slot++) {
		vaddr_t at = va + slot * pt_entry_size(level);
		pte_t e = t[slot];

		if (level == PT_LEVELS)
			at = (vaddr_t)((s64)(at << 16) >> 16);
		if (!pte_present(e) || at - base >= size)
			continue;
		if (pte_leaf(e, level))
			show_leaf(window + (at - base), pte_addr(e, level), pt_entry_size(level),
				  pte_writable(e) ? PROT_READ | PROT_WRITE : PROT_READ);
		else
			show_tables(paddr_to_pfn(pte_addr(e, level)), level - 1, at, base, size,
				    window);
	}
}

void sim_memory_map_as(pfn_t root)
{
	mapped_as = root;
	reserve(sim_direct, SIM_PHYS_MAX);
	reserve(frames, SIM_FRAMES_SIZE);
	if (root.n) {
		show_tables(root, PT_LEVELS, 0, DIRECT_BASE, DIRECT_SIZE, sim_direct);
		show_extent();
		show_tables(root, PT_LEVELS, 0, FRAMES_BASE, FRAMES_SIZE, (char *)frames);
		show_extent();
		return;
	}
	for (unsigned i = 0; i < ARRAY_SIZE(config.ram); i++) {
		paddr_t start = config.ram[i].start, end = MIN(config.ram[i].end, BOOT_MAP_LIMIT);

		if (start < end)
			show(sim_direct + start, start, end - start, PROT_READ | PROT_WRITE);
	}
}

static int make_memory(void)
{
	int fd = memfd_create("simulated RAM", 0);

	KASSERT(fd >= 0 && !ftruncate(fd, SIM_PHYS_MAX), "no memory for the machine");
	return fd;
}

/* After a fork the memory is still the parent's: go on with a copy of it. */
static void copy_memory(void)
{
	int old = memory_fd, fd;
	off_t from = 0, to;

	if (old < 0)
		return;
	fd = make_memory();
	while ((from = lseek(old, from, SEEK_DATA)) >= 0) {
		to = lseek(old, from, SEEK_HOLE);
		for (ssize_t n; from < to; from += n) {
			n = pwrite(fd, raw + from, (size_t)(to - from), from);
			KASSERT(n > 0, "cannot copy simulated memory");
		}
	}
	close(old);
	memory_fd = fd;
	show(raw, 0, SIM_PHYS_MAX, PROT_READ | PROT_WRITE);
	sim_memory_map_as(mapped_as);
}

/* RAM is not zero when it is handed over; what is taken first, the top of each range, shows it. */
static void make_dirty(const struct sim_range *r)
{
	u64 dirty = config.dirty_bytes ? config.dirty_bytes : DIRTY_BYTES;
	paddr_t start = r->end - MIN(r->end - r->start, dirty);

	if (start < SIM_PHYS_MAX)
		memset(raw + start, 0xa5, r->end - start);
}

void sim_power_on(const struct sim_config *c)
{
	KASSERT(memory_fd < 0, "one machine a process: use sim_scenario()");
	config = *c;
	random_state = c->seed;
	raw = reserve(NULL, SIM_PHYS_MAX);
	sim_direct = reserve(NULL, SIM_PHYS_MAX);
	frames = reserve(NULL, SIM_FRAMES_SIZE);
	memory_fd = make_memory();
	show(raw, 0, SIM_PHYS_MAX, PROT_READ | PROT_WRITE);
	for (unsigned i = 0; i < ARRAY_SIZE(c->ram); i++)
		make_dirty(&c->ram[i]);
	sim_memory_map_as((pfn_t){0});
	sim_sched_init();
}

u32 sim_random(u32 below)
{
	u64 x = random_state += 0x9e3779b97f4a7c15ull; /* splitmix64 */

	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
	x ^= x >> 31;
	return (u32)(((x >> 32) * below) >> 32);
}

/* --- words mm/ uses -------------------------------------------------------------------------- */

void vprintk(const char *fmt, va_list ap)
{
	if (printed_len > PRINTED_MAX / 2) { /* the older half is forgotten */
		memmove(printed, printed + PRINTED_MAX / 4, printed_len - PRINTED_MAX / 4 + 1);
		printed_len -= PRINTED_MAX / 4;
	}
	printed_len += (size_t)vsnprintf(printed + printed_len, PRINTED_MAX / 2, fmt, ap);
}

void printk(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vprintk(fmt, ap);
	va_end(ap);
}

const char *sim_printed(void)
{
	printed_len = 0;
	return printed;
}

u32 trace_hot;

void trace(enum trace_event ev, u64 a, u64 b)
{
	KASSERT(ev < NR_TRACE_EVENTS, "trace event %u", ev);
	traced[nr_traced % TRACED].event = ev;
	traced[nr_traced % TRACED].cpu = sim.cpu;
	traced[nr_traced % TRACED].a = a;
	traced[nr_traced++ % TRACED].b = b;
}

static void print_trace(void)
{
	static const char *const formats[] = {
#define X(name, a, b) #name " " a " " b,
		TRACE_EVENTS(X, TRACE_HEX, TRACE_DEC)
#undef X
	};

	for (u64 i = nr_traced > TRACED ? nr_traced - TRACED : 0; i < nr_traced; i++) {
		printf("#   CPU %u  ", traced[i % TRACED].cpu);
		printf(formats[traced[i % TRACED].event], traced[i % TRACED].a,
		       traced[i % TRACED].b);
		putchar('\n');
	}
}

void panic(const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (panic_fd >= 0) {
		if (write(panic_fd, text, strlen(text)) < 0)
			abort();
		_exit(0);
	}
	if (sim_panicked)
		sim_panicked(text);
	printf("# PANIC on CPU %u after %lu steps (seed %lu): %s\n", sim.cpu, sim.steps,
	       config.seed, text);
	print_trace();
	fflush(stdout);
#ifdef SIM_ASAN
	__sanitizer_print_stack_trace();
#endif
	_exit(3);
}

/* Nobody stops a simulated CPU but the simulator, whose time stands still meanwhile. */
bool watchdog_is_sure(u64 start)
{
	(void)start;
	return true;
}

void cpu_unresponsive(unsigned cpu, const char *what)
{
	panic("CPU %u does not answer: %s", cpu, what);
}

/* --- expectations ---------------------------------------------------------------------------- */

static int answer_fd;
static pid_t child;

int sim_fork(void)
{
	int pid;

	fflush(NULL);
	pid = fork();
	KASSERT(pid >= 0, "cannot fork");
	if (!pid)
		copy_memory();
	return pid;
}

bool sim_panic_expect(void)
{
	int fd[2];

	KASSERT(!pipe(fd), "no pipe");
	child = sim_fork();
	if (!child) {
		alarm(SCENARIO_SECONDS);
		panic_fd = fd[1];
		return true;
	}
	close(fd[1]);
	answer_fd = fd[0];
	return false;
}

void sim_panic_missed(void)
{
	_exit(1);
}

void sim_panic_check(const char *text, const char *statement)
{
	char said[1024];
	size_t len = 0;
	ssize_t n;
	int status;

	while ((n = read(answer_fd, said + len, sizeof(said) - 1 - len)) > 0)
		len += (size_t)n;
	said[len] = 0;
	close(answer_fd);
	waitpid(child, &status, 0);
	if (ok(len && strstr(said, text), "panics with \"%s\": %s", text, statement))
		return;
	if (len)
		printf("# it said: %s\n", said);
	else
		printf("# it did not panic (status %#x)\n", (unsigned)status);
}

void sim_run_all(unsigned nr, u32 preempt, void (*fn)(void *), void *arg)
{
	sim.preempt = preempt;
	for (unsigned cpu = 0; cpu < nr; cpu++)
		sim_spawn(cpu, fn, arg);
	sim_run();
	sim_settle();
	sim.preempt = 0;
}

void sim_check(void)
{
	unsigned was;
	bool good;

	sim_sched_at_rest();
	sim_mmu_at_rest();
	was = sim_peek_as(sim.cpu);
	good = !sim_mm_is_up || !mm_check(false);
	sim_unpeek(was);
	if (!good)
		panic("mm_check: %s", sim_printed());
}

/* SIM_ONLY is a glob, or one after a '!'. */
static bool is_asked_for(const char *name)
{
	const char *only = getenv("SIM_ONLY");
	bool not = only && *only == '!';

	return !only || !fnmatch(only + not, name, 0) != not ;
}

void sim_scenario(const char *name, void (*fn)(void))
{
	char line[2048];
	FILE *lines;
	int fd[2], status;

	if (!is_asked_for(name))
		return;
	KASSERT(!pipe(fd), "no pipe");
	printf("# %s\n", name);
	child = sim_fork();
	if (!child) {
		alarm(SCENARIO_SECONDS);
		dup2(fd[1], STDOUT_FILENO);
		close(fd[0]);
		close(fd[1]);
		fn();
		sim_check();
		ok(true, "%s: at rest, and mm_check() finds nothing", name);
		_exit(0);
	}
	close(fd[1]);
	lines = fdopen(fd[0], "r");
	while (fgets(line, sizeof(line), lines)) {
		fputs(line, stdout);
		tap_count += !strncmp(line, "ok ", 3) || !strncmp(line, "not ok ", 7);
		tap_failures += !strncmp(line, "not ok ", 7);
	}
	fclose(lines);
	waitpid(child, &status, 0);
	if (status)
		ok(false, "%s: died with status %#x", name, (unsigned)status);
}

struct sim_snapshot sim_snapshot(void)
{
	struct frame_stats fs;
	struct area_stats as;

	frame_stats(&fs);
	area_stats(&as);
	return (struct sim_snapshot){mm_frames_at_hand(), fs.used - pool_frames() - chunk_frames(),
				     as.pages[AREA_LIVE], as.pages[AREA_LAZY]};
}

bool sim_unchanged(const struct sim_snapshot *was, const char *what)
{
	struct sim_snapshot is = sim_snapshot();

	if (!memcmp(&is, was, sizeof(is)))
		return true;
	printf("# %s: frames at hand %lu -> %lu, used %lu -> %lu, live pages %lu -> %lu, lazy "
	       "%lu -> %lu\n",
	       what, was->at_hand, is.at_hand, was->used, is.used, was->live, is.live, was->lazy,
	       is.lazy);
	return false;
}
