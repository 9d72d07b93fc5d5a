// SPDX-License-Identifier: MIT
/* Between the files of the engine's fuzzer. Its essay is in fuzz_engine.c. */
#ifndef TESTS_FUZZ_ENGINE_H
#define TESTS_FUZZ_ENGINE_H

#include "mm/frame.h"
#include "mm/lazy.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/naive_engine.h"
#include "tests/host/sim.h"

#define TESTER_FRAMES 24

/* The input, as numbers. At its end they are all 0. */
u8 next_byte(void);
static inline u32 below(u32 n)
{
	return next_byte() % n;
}

/* A line for whoever reads a failure; and a failure. */
void note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void wrong(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

/* What a failure is made of: NULL or -errno came back. Dies if nothing stood in its way. */
void failed(const char *what);
/* The same where the engine had to refuse. */
void refused(const char *what);
/* A call is made that must fail, or may: what must be the same afterwards is noted down. */
void expect_no_change(void);
/* => was an injected failure hit by the present operation? */
bool injected_hit(void);

extern bool scarce; /* there are SCARCE_PAGES addresses in all */
#define SCARCE_PAGES 80

extern u32 op_number;	/* of this operation, from 1 */
extern unsigned op_cpu; /* it runs there */

extern struct frame *tester[TESTER_FRAMES]; /* NULL: given back */

static inline u64 pfn_of(const struct frame *f)
{
	return frame_pfn(f).n;
}

static inline u64 *raw_word(u64 pfn)
{
	return sim_ram(pfn << PAGE_SHIFT);
}

/* What an unmapping leaves behind under the present policy. */
bool forgotten_at_once(void);

/* Everything unmapped is gone from every CPU, says the engine; so it must be. */
void check_purged(void);
void check_aliases(void);

/* A look at one address from one CPU. */
void check_read(unsigned cpu, vaddr_t va);
void check_write(unsigned cpu, vaddr_t va);

/* engine_areas.c, for engine_sparse.c: */
extern struct frame *picked[NAIVE_PAGES];
/* A list of n frames, each of which may come often. => some may be mapped in no case */
bool pick_frames(u64 n);
bool tester_has_frames(void);
u64 some_pages(void);
bool list_is_full(void);
struct naive_region *some_region(bool (*fit)(const struct naive_region *));
/* A call for addresses came back with none: was that right? */
void not_mapped(const char *what, u64 pages);

/* The operations: engine_areas.c, */
void op_map(void);
void op_unmap(void);
void op_alloc(void);
void op_realloc(void);
void op_local(void);
void op_local_end(void);
void op_give_frame(void);
void op_take_frame(void);
void end_areas(void);

/* engine_sparse.c, */
void op_reserve(void);
void op_sparse_map(void);
void op_sparse_unmap(void);
void op_protect(void);
void op_device(void);
void op_find(void);
void op_nonsense(void);

/* and engine_spaces.c */
void op_space_create(void);
void op_space_copy(void);
void op_space_map(void);
void op_space_unmap(void);
void op_space_load(void);
void op_space_destroy(void);
void op_space_access(void);
void end_spaces(void);

#endif
