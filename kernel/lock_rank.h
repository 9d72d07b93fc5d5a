// SPDX-License-Identifier: MIT
/*
 * The order of all spinlocks, by name: whoever holds one may take only those further down. Two of
 * one rank are never held together. A name that ends in '*' stands for all that begin so.
 *
 * There are few nestings, on purpose: most sections take nothing at all.
 */
#ifndef KERNEL_LOCK_RANK_H
#define KERNEL_LOCK_RANK_H

/* X(name): outermost first */
/* clang-format off */
#define LOCK_RANKS(X)          \
	X("test*")             \
	X("hog")               \
	X("address spaces")    \
	X("address space")     \
	X("page tables")       \
	X("area")              \
	X("chunks")            \
	X("alias chains")      \
	X("held frames")       \
	X("pool *")            \
	X("zone *")            \
	X("xen console input") \
	X("uart receiver")     \
	X("console input")     \
	X("run queue")         \
	X("refusals")          \
	X("ioapic")
/* clang-format on */

#endif
