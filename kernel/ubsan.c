// SPDX-License-Identifier: MIT
/*
 * What the compiler calls where the program does something C does not define: built with UBSAN=1
 * only. Each handler is a panic that says what, where and with which values; nothing is survived,
 * so that no test can pass over it (-fno-sanitize-recover: the names end in _abort).
 *
 * The structs are the compilers' ABI, the same for gcc and clang (LLVM: compiler-rt/lib/ubsan,
 * ubsan_handlers.h and ubsan_value.h). A value of up to 64 bits is handed over as it is, its type
 * tells how many of them count; a larger one by its address.
 *
 * `undefined WAY` does one of each, so that the harness can see that it is noticed.
 */
#include "kernel/console.h"
#include "kernel/errno.h"
#include "kernel/monitor.h"
#include "kernel/panic.h"
#include "kernel/printk.h"
#include "kernel/string.h"

struct location {
	const char *file;
	u32 line, column;
};

struct type {
	u16 kind; /* 0: an integer */
	u16 info; /* of an integer: bit 0 signed; above it log2 of its bits */
	char name[];
};

struct at_type {
	struct location at;
	const struct type *type;
};

struct type_mismatch {
	struct location at;
	const struct type *type;
	u8 log2_alignment;
	u8 access; /* index of accesses[] */
};

struct shift {
	struct location at;
	const struct type *left, *right;
};

struct bounds {
	struct location at;
	const struct type *array, *index;
};

static const char *const accesses[] = {
	"load of",	  "store to",	    "reference to", "member access in",
	"member call on", "constructor of", "downcast of",  "downcast of",
	"upcast of",	  "cast of",	    "_Nonnull of",  "dynamic operation on"};

#define UB(d, fmt, ...)                                                                            \
	panic("undefined behaviour at %s:%u:%u: " fmt, (d)->at.file, (d)->at.line, (d)->at.column, \
	      ##__VA_ARGS__)

/* => as a signed number, whatever its type: one look at it is enough for a report */
static s64 number(const struct type *t, u64 value)
{
	unsigned bits = 1u << (t->info >> 1);

	if (t->kind)
		return 0;
	if (bits > 64)
		return (s64) * (const u64 *)value;
	if (bits == 64 || !(t->info & 1) || !(value >> (bits - 1) & 1))
		return (s64)value;
	return (s64)(value | ~0ull << bits);
}

#define HANDLER(name, ...)                                  \
	void __noreturn __ubsan_handle_##name(__VA_ARGS__); \
	void __noreturn __ubsan_handle_##name(__VA_ARGS__)

HANDLER(type_mismatch_v1_abort, const struct type_mismatch *d, u64 p)
{
	const char *what = accesses[MIN(d->access, ARRAY_SIZE(accesses) - 1)];

	if (!p)
		UB(d, "%s a null pointer of type %s", what, d->type->name);
	if (p & ((1ull << d->log2_alignment) - 1))
		UB(d, "%s misaligned address %#lx for type %s, which needs %u bytes", what, p,
		   d->type->name, 1u << d->log2_alignment);
	UB(d, "%s address %#lx, where there is no room for an object of type %s", what, p,
	   d->type->name);
}

#define OVERFLOW(op, sign)                                                                        \
	HANDLER(op##_overflow_abort, const struct at_type *d, u64 a, u64 b)                       \
	{                                                                                         \
		UB(d, "signed overflow: %ld " sign " %ld does not fit in %s", number(d->type, a), \
		   number(d->type, b), d->type->name);                                            \
	}
OVERFLOW(add, "+")
OVERFLOW(sub, "-")
OVERFLOW(mul, "*")

HANDLER(divrem_overflow_abort, const struct at_type *d, u64 a, u64 b)
{
	UB(d, "division: %ld by %ld in %s", number(d->type, a), number(d->type, b), d->type->name);
}

HANDLER(negate_overflow_abort, const struct at_type *d, u64 a)
{
	UB(d, "signed overflow: -(%ld) does not fit in %s", number(d->type, a), d->type->name);
}

HANDLER(shift_out_of_bounds_abort, const struct shift *d, u64 a, u64 b)
{
	UB(d, "shift of %ld (%s) by %ld", number(d->left, a), d->left->name, number(d->right, b));
}

HANDLER(out_of_bounds_abort, const struct bounds *d, u64 index)
{
	UB(d, "index %ld is out of bounds of %s", number(d->index, index), d->array->name);
}

HANDLER(load_invalid_value_abort, const struct at_type *d, u64 value)
{
	UB(d, "value %#lx is none of type %s", value, d->type->name);
}

HANDLER(vla_bound_not_positive_abort, const struct at_type *d, u64 bound)
{
	UB(d, "an array of %ld elements", number(d->type, bound));
}

struct at {
	struct location at;
};

HANDLER(pointer_overflow_abort, const struct at *d, u64 base, u64 result)
{
	UB(d, "pointer arithmetic from %#lx to %#lx", base, result);
}

HANDLER(builtin_unreachable, const struct at *d)
{
	UB(d, "what cannot be reached was reached");
}

HANDLER(missing_return, const struct at *d)
{
	UB(d, "a function ends without its value");
}

HANDLER(nonnull_arg_abort, const struct at *d)
{
	UB(d, "a null pointer as an argument that must not be one");
}

HANDLER(nonnull_return_v1_abort, const struct at *d __attribute__((unused)), const struct at *where)
{
	UB(where, "a null pointer returned where that must not be");
}

HANDLER(invalid_builtin_abort, const struct at *d)
{
	UB(d, "a builtin that counts the zeros of zero");
}

/* --- one of each, on purpose ------------------------------------------------------------------ */

/* Volatile, or the compiler sees what is coming. */
static volatile int int_max = 0x7fffffff, thirty_three = 33, zero, four = 4;
static volatile u8 two = 2;
static u32 *volatile nowhere;
static u8 bytes[16] __aligned_to(8);
static u32 *volatile crooked = (u32 *)(bytes + 1);

static int overflow(void)
{
	return int_max + four;
}

static int shift(void)
{
	return four << thirty_three;
}

static int index(void)
{
	static int array[4];

	return array[four];
}

static int null(void)
{
	return (int)*nowhere;
}

static int align(void)
{
	return (int)*crooked;
}

static int divide(void)
{
	return four / zero;
}

static int boolean(void)
{
	return *(volatile bool *)&two;
}

static const struct {
	const char *name;
	int (*fn)(void);
} ways[] = {
	{"overflow", overflow}, {"shift", shift},   {"index", index},  {"null", null},
	{"align", align},	{"divide", divide}, {"bool", boolean},
};

COMMAND(undefined, "WAY", "do what C does not define (overflow shift index null align divide bool)")
{
	if (argc != 2)
		return CMD_USAGE;
	for (unsigned i = 0; i < ARRAY_SIZE(ways); i++)
		if (!strcmp(argv[1], ways[i].name)) {
			printk("undefined: %d, and nobody noticed\n", ways[i].fn());
			return -EIO;
		}
	return CMD_USAGE;
}
