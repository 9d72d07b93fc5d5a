// SPDX-License-Identifier: MIT
/*
 * In front of kernel/types.h: the same, but what is read and written once is so as C11 means it,
 * without order. ThreadSanitizer then knows that such a word is shared on purpose, and still sees
 * every plain word whose reader relied on an order that READ_ONCE does not give.
 */
#ifndef THREADS_TYPES_H
#define THREADS_TYPES_H

#include_next "kernel/types.h"

#undef READ_ONCE
#undef WRITE_ONCE
#define READ_ONCE(x)	 __atomic_load_n(&(x), __ATOMIC_RELAXED)
#define WRITE_ONCE(x, v) __atomic_store_n(&(x), (v), __ATOMIC_RELAXED)

/*
 * The only accesses ThreadSanitizer does not see. What is meant by them is in kernel/types.h; that
 * each is meant is for the reader of the code to judge.
 */
#undef GLANCE
#undef GLANCE_COPY
#define UNSEEN __attribute__((no_sanitize("thread"), noinline, unused))
#define GLANCE(x)                                                   \
	({                                                          \
		__typeof__(x) glance_;                              \
		glance_at((void *)&glance_, &(x), sizeof(glance_)); \
		glance_;                                            \
	})
#define GLANCE_COPY(to, from) glance_at(to, from, sizeof(*(to)))

/* => 4 bytes, or a multiple of 8 */
UNSEEN static void glance_at(void *to, const volatile void *from, size_t n)
{
	if (n == sizeof(u32))
		*(u32 *)to = *(const volatile u32 *)from;
	for (size_t i = 0; i < n / sizeof(u64); i++)
		((u64 *)to)[i] = ((const volatile u64 *)from)[i];
}

#endif
