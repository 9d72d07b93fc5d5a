// SPDX-License-Identifier: MIT
/*
 * The words every other file is written in: sized integers, bool, and a few macros of the
 * language C forgot. Freestanding, so that the host tests can use it as well.
 */
#ifndef KERNEL_TYPES_H
#define KERNEL_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int32_t s32;
typedef int64_t s64;

typedef u64 paddr_t; /* a physical address, in bytes */
typedef u64 vaddr_t; /* a virtual address that is computed with rather than dereferenced */

#define KiB	      1024ul
#define MiB	      (1024 * KiB)
#define GiB	      (1024 * MiB)
#define TiB	      (1024 * GiB)

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
/* a: a power of two */
#define ALIGN_UP(x, a)			(((x) + (a)-1) & ~((__typeof__(x))(a)-1))
#define ALIGN_DOWN(x, a)		((x) & ~((__typeof__(x))(a)-1))
#define IS_ALIGNED(x, a)		(((x) & ((__typeof__(x))(a)-1)) == 0)
#define MIN(a, b)			((a) < (b) ? (a) : (b))
#define MAX(a, b)			((a) > (b) ? (a) : (b))

#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

#define likely(x)			__builtin_expect(!!(x), 1)
#define unlikely(x)			__builtin_expect(!!(x), 0)

#define __packed			__attribute__((packed))
#define __aligned_to(n)			__attribute__((aligned(n)))
#define __noreturn			__attribute__((noreturn))
#define __noinline			__attribute__((noinline))
#undef __always_inline /* libc has one, in host tests */
#define __always_inline		 inline __attribute__((always_inline))
#define __must_check		 __attribute__((warn_unused_result))
#define __printf_like(fmt, args) __attribute__((format(printf, fmt, args)))

#define CACHE_LINE		 64

/* One access, neither torn nor repeated nor invented by the compiler. */
#define READ_ONCE(x)	 (*(const volatile __typeof__(x) *)&(x))
#define WRITE_ONCE(x, v) (*(volatile __typeof__(x) *)&(x) = (v))

/*
 * A word that leads to something new, mostly a pointer: it is written when what it leads to is
 * complete, and read before anything there is. Plain moves on x86; the compiler, too, must keep the
 * order, which the two above do not ask of it.
 */
#define PUBLISH(x, v)	  __atomic_store_n(&(x), (v), __ATOMIC_RELEASE)
#define READ_PUBLISHED(x) __atomic_load_n(&(x), __ATOMIC_ACQUIRE)

/*
 * A look at what its owner, another CPU, may be changing just now by plain writes: whole words, as
 * they were at some moment, and no two of them at the same one. For what is shown to people,
 * counted roughly, or asked again before anybody relies on it. On x86 an ordinary read; who checks
 * for races (tests/threads, tests/hostile) knows by this word where one is meant.
 */
#define GLANCE(x)	      (x)
#define GLANCE_COPY(to, from) ((void)(*(to) = *(from)))

/*
 * What the caller's caller sees: who asked. Kept with areas and frames so that reports name names.
 */
#define CALLER() ((u64)__builtin_return_address(0))

#endif
