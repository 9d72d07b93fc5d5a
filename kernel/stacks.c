// SPDX-License-Identifier: MIT
/*
 * See stacks.h. Which stacks there are needs no list: but for the boot CPU's, which is part of the
 * image, each is an area of the vmap area that says so (AREA_STACK), with the thread's name, or the
 * exception's whose stack it is. Under Xen, which has no exception stacks, there are threads' only.
 *
 * `stacks` shows them; the epilogue of every in-kernel test asks stacks_check().
 */
#include "kernel/stacks.h"
#include "kernel/cpu.h"
#include "kernel/main.h"
#include "kernel/monitor.h"
#include "kernel/printk.h"
#include "mm/area.h"

#define FILLED	   0x57ac57ac57ac57acull
#define FILL_SPARE 256 /* bytes below us that are left alone: what is called here may be there */

extern u8 boot_stack[], boot_stack_top[]; /* boot/boot.asm */

/*
 * Ended threads: each CPU notes those that its threads join, so nobody else writes there. `fresh`
 * is since the last check.
 */
static struct stack_depth ended[MAX_CPUS], fresh[MAX_CPUS];

static void fill(void *from, void *to)
{
	for (u64 *word = from; word < (u64 *)to; word++)
		WRITE_ONCE(*word, FILLED);
}

void stack_fill(void *stack, u64 size)
{
	fill(stack, (u8 *)stack + size);
}

void stack_fill_boot(void)
{
	fill(boot_stack, (u8 *)__builtin_frame_address(0) - FILL_SPARE);
}

u64 stack_used(const void *stack, u64 size)
{
	const u64 *word = stack, *end = (const u64 *)((const u8 *)stack + size);

	while (word < end && READ_ONCE(*word) == FILLED)
		word++;
	return (u64)((const u8 *)end - (const u8 *)word);
}

void stack_ended(const void *stack, u64 size, const char *name)
{
	const struct stack_depth d = {name, stack_used(stack, size), size};
	unsigned cpu = cpu_id();

	if (d.used > ended[cpu].used)
		ended[cpu] = d;
	if (d.used > fresh[cpu].used)
		fresh[cpu] = d;
}

bool stacks_deepest_ended(struct stack_depth *d)
{
	*d = (struct stack_depth){.used = 0};
	for (unsigned cpu = 0; cpu < nr_cpus; cpu++)
		if (ended[cpu].used > d->used)
			*d = ended[cpu];
	return d->used;
}

void stacks_for_each(void (*fn)(const char *name, const void *stack, u64 size, void *arg),
		     void *arg)
{
	struct area a;

	fn("boot", boot_stack, (u64)(boot_stack_top - boot_stack), arg);
	for (vaddr_t va = VMAP_BASE; area_find(va, &a); va = area_end(&a)) {
		u64 w = atomic_read(&a.word);

		if (word_state(w) == AREA_LIVE && word_kind(w) == AREA_STACK)
			fn(a.name, (void *)a.start, (u64)a.pages << PAGE_SHIFT, arg);
	}
}

static unsigned check_depth(const struct stack_depth *d)
{
	if (d->used <= d->size - STACK_RESERVE(d->size))
		return 0;
	printk("stacks: %lu of %lu bytes of the stack '%s' were used: less than a quarter is left\n",
	       d->used, d->size, d->name);
	return 1;
}

static void check_one(const char *name, const void *stack, u64 size, void *arg)
{
	const struct stack_depth d = {name, stack_used(stack, size), size};

	*(unsigned *)arg += check_depth(&d);
}

unsigned stacks_check(void)
{
	unsigned faults = 0;

	stacks_for_each(check_one, &faults);
	for (unsigned cpu = 0; cpu < nr_cpus; cpu++) {
		faults += check_depth(&fresh[cpu]);
		fresh[cpu] = (struct stack_depth){.used = 0};
	}
	return faults;
}

static void print_one(const char *name, const void *stack, u64 size, void *arg)
{
	(void)arg;
	printk("%p  %5lu of %5lu bytes used, %2lu %% left  %s\n", stack, stack_used(stack, size),
	       size, (size - stack_used(stack, size)) * 100 / size, name);
}

COMMAND(stacks, "", "how deep each stack has been used, and those of threads that have ended")
{
	struct stack_depth d;

	(void)argv;
	if (argc != 1)
		return CMD_USAGE;
	stacks_for_each(print_one, NULL);
	if (stacks_deepest_ended(&d))
		printk("ended threads   %5lu of %5lu bytes used, %2lu %% left  %s\n", d.used,
		       d.size, (d.size - d.used) * 100 / d.size, d.name);
	return 0;
}
