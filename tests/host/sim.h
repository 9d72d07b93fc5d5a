// SPDX-License-Identifier: MIT
/*
 * The simulated machine that mm/ runs on in the host tests: RAM with holes, up to 64 CPUs each
 * with an interrupt flag, a store buffer, a TLB and paging-structure caches, inter-processor
 * interrupts that arrive when the test or the seed says so, and time. One host thread, no real
 * parallelism: CPUs take turns, and every choice comes from one seed, so every failure can be
 * replayed.
 *
 * It is deliberately less kind than QEMU. A TLB keeps what it once saw for ever and drops only
 * what an executed invalidation guarantees (SDM vol. 3A, 4.10.4); with `remember` (the default)
 * every CPU is taken to have cached each entry at the last moment before it was cleared, which is
 * what speculation permits; and no entry may come to life at an address that any TLB still holds
 * (I3, docs/verification.md), which is checked at every write of an entry in every test.
 *
 *   sim.c         RAM, counters, panics that a test expects, one forked process per scenario
 *   sim_sched.c   CPUs and their turns
 *   sim_irq.c     their interrupts, and how they come online
 *   sim_store.c   their store buffers
 *   sim_locks.c   locks that assert more than the real ones
 *   sim_tlb.c     TLBs, walks, memory accesses through them
 *   sim_mmu.c     the platform's side of mm/mmu_ops.h
 *   sim_boot.c    bringing mm/ up
 */
#ifndef TESTS_HOST_SIM_H
#define TESTS_HOST_SIM_H

#include "mm/mmu_ops.h"
#include "mm/space.h"
#include "tests/host/tap.h"

/* --- the machine ------------------------------------------------------------------------------ */

struct sim_range {
	paddr_t start, end;
};

struct sim_config {
	unsigned cpus; /* online after sim_boot(); 0 means 1 */
	u64 seed;
	struct sim_range ram[8]; /* ends with an empty one; none at all: 1 MiB to 33 MiB */
	u64 dirty_bytes;	/* at the top of each range, that are not zero at first; 0: 2 MiB */
	u64 direct_limit;	/* bytes in the direct map; 0: all */
	bool eager;		/* policy off; */
	bool keep;		/* policy pte; else tlb */
	u64 lazy_max_pages;	/* 0: 1024 */
	int max_leaf_level;	/* 0: 3 */
	bool deferred;		/* entries are written by calls (mmu->set_run) and batches */
	void (*platform)(void); /* sets another `mmu`, before mm/ is brought up */
};

/* What a test may turn while the machine runs. Zero is the kindest machine but for `remember`. */
struct sim {
	unsigned cpu;	     /* the CPU that runs now */
	u64 steps;	     /* shared accesses so far */
	u32 preempt;	     /* one in so many of them changes CPU; 0: only waiting does */
	u32 speculate;	     /* before one in so many a CPU walks somewhere at random; 0: never */
	bool store_buffer;   /* stores may become visible late */
	bool ipi_at_once;    /* a kicked CPU answers before kick() returns */
	bool remember;	     /* every CPU holds each translation up to the clearing of its entry */
	bool deferred;	     /* leaves are written at batch_end(), as by a hypercall */
	u64 batches;	     /* so many of these that wrote anything */
	u32 fail_batch;	     /* the so-many-th entry from now on is refused; 0: none is */
	bool fail_sets_only; /* entries that are cleared do not count, and are not refused */
	u32 fail_attach;     /* the same for tables, */
	u32 fail_pin;	     /*   roots to be pinned */
	u32 fail_load;	     /*   and roots to be loaded */
	bool idles;	     /* CPUs with nothing to do go idle, as mm/shootdown.h means it */
	cpumask_t deaf;	     /* these take no interrupt, NMIs aside */
	cpumask_t asleep;    /* these run nothing at all, unless all others wait for them */
	u32 sleepy;	     /* one in so many hypercalls puts a vCPU to sleep, or wakes it */
	void (*on_trap)(
		void); /* called in every trap once what it owes since the CPU idled is done */
};
extern struct sim sim;

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SIM_ASAN
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define SIM_ASAN
#endif
#ifdef SIM_ASAN
#include <sanitizer/common_interface_defs.h>
#endif

#define SIM_PHYS_MAX	(1 * TiB)
#define SIM_FRAMES_SIZE (SIM_PHYS_MAX / PAGE_SIZE * 32)

/* The raw bytes of the machine's memory, RAM or not; no permission stands in the way. */
void *sim_ram(paddr_t pa);
bool sim_is_ram(paddr_t pa);

/* A machine, before mm/ knows of it: early_* have not been called. => once in a process */
void sim_power_on(const struct sim_config *c);

/* What boot tells mm/ before space_init(): RAM, and that the image and the first MiB are taken. */
void sim_early(const struct sim_config *c);
extern const struct kernel_image sim_image;

/* sim_power_on(), then all of mm/'s boot, on c->cpus CPUs. */
void sim_boot(const struct sim_config *c);

u32 sim_random(u32 below);

/* What mm/ printed since the last call. => valid until the next call */
const char *sim_printed(void);

/* --- CPUs (sim_sched.c) ---------------------------------------------------------------------- */

/* From here on the test's own code runs as CPU `cpu`. */
void sim_on(unsigned cpu);

/* fn(arg) is to run on CPU `cpu` in thread context; sim_run() runs all of that to its end. */
void sim_spawn(unsigned cpu, void (*fn)(void *), void *arg);
void sim_run(void);
void sim_run_for(u64 steps); /* or until so many shared accesses have happened */

/*
 * sim_run_all: fn(arg) on CPUs 0 to nr-1 at once, to its end; one in `preempt` shared accesses
 * changes CPU. => then nothing is pending and only waiting does
 */
void sim_run_all(unsigned nr, u32 preempt, void (*fn)(void *), void *arg);

/* Interrupts: what a CPU calls shootdown_serve() and shootdown_quiet_point() for, NMIs aside. */
enum sim_interrupt {
	SIM_IPI,
	SIM_TICK,
	SIM_NMI
};
void sim_raise(unsigned cpu, enum sim_interrupt irq);
bool sim_pending(unsigned cpu, enum sim_interrupt irq);

/* Every CPU takes what is pending, and all but the running one idle. */
void sim_settle(void);

/*
 * sim_cpu_power: a CPU appears. It walks the tables, with interrupts off, but is in no set yet.
 * sim_cpu_join:  it comes online. => acting as that CPU
 * sim_online:    those that have, less those bound to flush first: what they remember, they may use
 */
void sim_cpu_power(unsigned cpu);
void sim_cpu_join(unsigned cpu);
cpumask_t sim_online(void);

/* --- what happens, and when (sim_sched.c) ----------------------------------------------------- */

/* What a CPU is about to do at a step. */
enum sim_access {
	SIM_ELSE,  /* what is no access to memory: an invalidation */
	SIM_FLAG,  /* nor this, and nobody else can see it: the interrupt flag changes */
	SIM_FENCE, /* a full barrier, or a write of an entry */
	SIM_READ,  /* a plain access; only seen in tests/hostile/ */
	SIM_WRITE,
	SIM_LOAD_ONCE, /* READ_ONCE, WRITE_ONCE */
	SIM_STORE_ONCE,
	SIM_LOAD, /* atomic */
	SIM_STORE,
	SIM_UPDATE, /* by a locked instruction */
	SIM_ENTRY,  /* a page table entry is, which every TLB may have until then */
	SIM_WAIT,   /* nothing, until somebody else has done something; or it has no work */

	/* what has just happened: for sim_saw alone */
	SIM_LOCKED,   /* the lock at `word` */
	SIM_UNLOCKED, /* is about to be */
	SIM_RAISED,   /* an interrupt for CPU `bytes` */
	SIM_TAKEN,    /* interrupt `bytes` */
	SIM_JOINED,   /* all work is done, sim_run() goes on */
};

struct sim_point {
	enum sim_access access;
	unsigned bytes;
	const void *word; /* NULL: none */
	const void *pc;
};

/* One step: the access is about to happen. => pc: whose it is, in mm/ */
void sim_step_at(enum sim_access access, const void *word, unsigned bytes, const void *pc);
void sim_step(void); /* SIM_ELSE */
void sim_note(enum sim_access access, const void *word, unsigned bytes, const void *pc);

/* Memory that outlives a call, and is not one CPU's own: what CPUs share. */
bool sim_is_lasting(const void *word);

/*
 * All that is left to chance goes through here, if it is set; else sim.preempt and its like decide.
 * One thing may happen at each step before its access: nothing, or
 *   SIM_RUN        CPU `cpu` runs (sim_can_run); at SIM_WAIT, if nothing is chosen, the next does
 *   SIM_TAKE       the running CPU takes interrupt `arg`, if it is pending and due
 *   SIM_RAISE      interrupt `arg` is pending on CPU `cpu`: a tick, an NMI, an IPI nobody sent
 *   SIM_LEAK       the oldest store in CPU `cpu`'s buffer becomes visible (sim_stores_wait)
 *   SIM_SPECULATE  CPU `cpu` walks somewhere, which `arg` tells
 * A CPU that waits, or lets interrupts in, takes what is pending whatever is chosen.
 */
enum sim_what {
	SIM_NOTHING,
	SIM_RUN,
	SIM_TAKE,
	SIM_RAISE,
	SIM_LEAK,
	SIM_SPECULATE
};

struct sim_choice {
	enum sim_what what;
	unsigned cpu;
	u32 arg;
};

extern struct sim_choice (*sim_choose)(const struct sim_point *at);
extern void (*sim_saw)(const struct sim_point *at); /* after the choice, before the access */
bool sim_can_run(unsigned cpu);
bool sim_can_take(enum sim_interrupt irq); /* the running CPU */

/* --- memory through a TLB (sim_tlb.c) -------------------------------------------------------- */

enum sim_fault {
	SIM_OK,
	SIM_NOT_PRESENT,
	SIM_NOT_WRITABLE,
	SIM_NOT_EXECUTABLE,
	SIM_NOT_CANONICAL
};

/* As CPU `cpu`, through its TLB. => va 8-aligned */
enum sim_fault sim_read(unsigned cpu, vaddr_t va, u64 *value);
enum sim_fault sim_write(unsigned cpu, vaddr_t va, u64 value);
enum sim_fault sim_fetch(unsigned cpu, vaddr_t va);

/* The CPUs whose TLB holds a translation for a page of [va, va + pages). */
cpumask_t sim_tlb_holders(vaddr_t va, u64 pages);
/* The CPUs whose TLB maps a page to that frame. */
cpumask_t sim_tlb_mappers(vaddr_t va, pfn_t pfn);
/* The CPUs whose TLB maps a frame anywhere in the vmap area or the user half. */
cpumask_t sim_tlb_frame_holders(pfn_t pfn);
/* The CPUs that run on `table`, or have it in a paging-structure cache. */
cpumask_t sim_tlb_walkers(pfn_t table);
u64 sim_tlb_entries(unsigned cpu);

void sim_tlb_fill(unsigned cpu, vaddr_t va, int level, pte_t e);
void sim_tlb_load_root(unsigned cpu, pfn_t root);
pfn_t sim_tlb_root(unsigned cpu);
void sim_tlb_speculate(unsigned cpu, u32 where);
void sim_tlb_invalidate_page(unsigned cpu, vaddr_t va);
void sim_tlb_invalidate_all(unsigned cpu);
void sim_tlb_forget_frame(pfn_t pfn); /* no CPU maps it any more, anywhere */

/* => true with the leaf and its level if the tables under `root` map va */
bool sim_walk(pfn_t root, vaddr_t va, int *level, pte_t *leaf);

/* --- expectations ---------------------------------------------------------------------------- */

/*
 * Runs fn in a process of its own, with a machine of its own; its checks count with ours. When fn
 * returns nobody may hold a lock, have interrupts off or a batch open, and mm_check() must agree
 * (if mm/ is up). SIM_ONLY=GLOB in the environment leaves out what is not called so, SIM_ONLY=!GLOB
 * what is.
 */
void sim_scenario(const char *name, void (*fn)(void));

/*
 * EXPECT_PANIC("in the message", statement): the statement is run in a copy of this process, which
 * must die of a panic that says so; here nothing has happened.
 */
#define EXPECT_PANIC(text, statement)              \
	do {                                       \
		if (sim_panic_expect()) {          \
			statement;                 \
			sim_panic_missed();        \
		}                                  \
		sim_panic_check(text, #statement); \
	} while (0)

bool sim_panic_expect(void);
void sim_panic_missed(void) __noreturn;
void sim_panic_check(const char *text, const char *statement);

/* A copy of this process with a machine of its own, as it is now. => as fork() */
int sim_fork(void);

/* Is told of a panic instead of standard output, and may not return. */
extern void (*sim_panicked)(const char *text);

/* The same question at any other time the machine is at rest: panics if the answer is bad. */
void sim_check(void);

/*
 * What must be the same before and after a call that failed. Cleared areas are not in it: addresses
 * may have come from the tree and wait on a list now. That none is lost is mm_check()'s to say.
 */
struct sim_snapshot {
	u64 at_hand, used, live, lazy;
};
struct sim_snapshot sim_snapshot(void);
bool sim_unchanged(const struct sim_snapshot *s, const char *what);

/* --- between the files of the simulator ------------------------------------------------------ */

/*
 * For another platform. What address a table maps, and at which level; SIM_NO_TABLE: it is none any
 * more. sim_entry_changes: an entry of a table is written, and what the TLBs make of it is checked.
 */
#define SIM_NO_TABLE -1
int sim_table_level(pfn_t table); /* 0, SIM_NO_TABLE: no table */
void sim_table_is_at(pfn_t table, int level, vaddr_t va);
vaddr_t sim_table_slot_va(pfn_t table, unsigned slot);
void sim_entry_changes(pfn_t table, unsigned slot, pte_t e);

void sim_store_drain(unsigned cpu);
void sim_store_leak(unsigned cpu); /* the oldest store becomes visible */
bool sim_stores_wait(unsigned cpu);

enum sim_cpu_state {
	SIM_CPU_ABSENT,
	SIM_CPU_BOOTING, /* runs on the tables, interrupts off, in no set */
	SIM_CPU_JOINING, /* in cpus_online(), has not flushed yet */
	SIM_CPU_ONLINE,
};
enum sim_cpu_state sim_cpu_state(unsigned cpu);
/* The simulator itself looks at mm/'s words, as CPU `cpu`: no step happens until sim_unpeek(). */
unsigned sim_peek_as(unsigned cpu);
void sim_unpeek(unsigned was);

void sim_sched_init(void);
void sim_sched_at_rest(void);
void sim_locks_at_rest(unsigned cpu);
void sim_mmu_at_rest(void);
void sim_memory_map_as(pfn_t root);
void sim_kick(cpumask_t targets);
void sim_empty_table(pfn_t parent, unsigned slot, pfn_t table);

extern struct mmu_ops sim_mmu_ops;
extern bool sim_mm_is_up;

#endif
