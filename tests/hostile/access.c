// SPDX-License-Identifier: MIT
/*
 * What the compiler calls in mm/, compiled with -fsanitize=thread, before each access to memory.
 * One that touches what CPUs share is a step. Accesses the source marks (READ_ONCE, atomics, page
 * table entries) have their own way to the simulator (tests/host/shim/), and are volatile or out of
 * line here, so they are not seen twice. memcpy and memset are not seen: mm/ uses them on memory
 * that nobody else has yet.
 *
 * Frames: what is reached through a plain pointer lies in the direct map or the frame array, or is
 * static. A CPU's own stack is not shared: mm/ waits for whoever it shows something on it.
 */
#include "tests/hostile/hostile.h"

static inline void plain(enum sim_access access, const void *p, unsigned bytes, const void *pc)
{
	if (sim_choose && sim_is_lasting(p))
		sim_step_at(access, p, bytes, pc);
}

#define HOOK(name, access, bytes)                                     \
	void __tsan_##name(void *p);                                  \
	void __tsan_##name(void *p)                                   \
	{                                                             \
		plain(access, p, bytes, __builtin_return_address(0)); \
	}
#define HOOKS(bytes)                                 \
	HOOK(read##bytes, SIM_READ, bytes)           \
	HOOK(write##bytes, SIM_WRITE, bytes)         \
	HOOK(unaligned_read##bytes, SIM_READ, bytes) \
	HOOK(unaligned_write##bytes, SIM_WRITE, bytes)
#define MARKED(bytes)                               \
	void __tsan_volatile_read##bytes(void *p);  \
	void __tsan_volatile_write##bytes(void *p); \
	void __tsan_volatile_read##bytes(void *p)   \
	{                                           \
		(void)p;                            \
	}                                           \
	void __tsan_volatile_write##bytes(void *p)  \
	{                                           \
		(void)p;                            \
	}

HOOKS(1)
HOOKS(2)
HOOKS(4)
HOOKS(8)
HOOKS(16)
MARKED(1)
MARKED(2)
MARKED(4)
MARKED(8)
MARKED(16)

void __tsan_read_range(void *p, long bytes);
void __tsan_write_range(void *p, long bytes);
void __tsan_init(void);
void __tsan_func_entry(void *pc);
void __tsan_func_exit(void);

void __tsan_read_range(void *p, long bytes)
{
	plain(SIM_READ, p, (unsigned)bytes, __builtin_return_address(0));
}

void __tsan_write_range(void *p, long bytes)
{
	plain(SIM_WRITE, p, (unsigned)bytes, __builtin_return_address(0));
}

void __tsan_init(void)
{
}

void __tsan_func_entry(void *pc)
{
	(void)pc;
}

void __tsan_func_exit(void)
{
}
