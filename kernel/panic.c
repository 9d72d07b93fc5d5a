// SPDX-License-Identifier: MIT
/*
 * The last output of a machine. One CPU panics; it alone prints, from beginning to end, so the
 * report is in one piece:
 *
 *   claim      the first CPU to come sets `owner`; later ones stop where they are
 *   stop       NMI to all others: each leaves its registers in stopped[] and halts. An NMI,
 *              because a CPU may spin with interrupts off, and that one is the interesting one
 *   report     message, registers, backtrace; where the others were
 *   exit       machine_exit(), so that whoever runs the machine sees a failure and not a timeout
 *
 * A backtrace follows the saved frame pointers (-fno-omit-frame-pointer). The stack may be what is
 * broken, so every word is probed before it is read and the walk is bounded.
 *
 * A panic inside the panic (a fault while printing, say) prints its one message and exits; a third
 * one exits without a word.
 */
#include <stdarg.h>
#include "arch/x86/cpu.h"
#include "arch/x86/idt.h"
#include "arch/x86/regs.h"
#include "kernel/atomic.h"
#include "kernel/console.h"
#include "kernel/cpu.h"
#include "kernel/irq.h"
#include "kernel/monitor.h"
#include "kernel/panic.h"
#include "kernel/platform.h"
#include "kernel/printk.h"
#include "kernel/symbols.h"
#include "kernel/test.h"
#include "kernel/thread.h"
#include "kernel/watchdog.h"
#include "mm/describe.h"
#include "mm/layout.h"

#define BACKTRACE_MAX 32
#define DESCRIBE_MAX  256
#define STOP_WAIT_US  100000 /* for the others to take the NMI */

static atomic_t owner; /* CPU id + 1 of the CPU that panics; 0: none */
static unsigned depth; /* panics on that CPU; the owner's */

static atomic_t stopped_mask;
static struct trap_frame stopped[MAX_CPUS]; /* valid where stopped_mask has the bit */

static void print_location(const char *prefix, u64 addr, bool is_return)
{
	u64 offset;
	/* A return address may be the first byte after its function, if the call never returns. */
	const char *name = symbol_lookup(addr - is_return, &offset);

	if (name)
		printk("%s%#lx %s+%#lx\n", prefix, addr, name, offset + is_return);
	else
		printk("%s%#lx\n", prefix, addr);
}

/* => va is aligned, so one probe answers for all eight bytes */
static bool read_word(vaddr_t va, u64 *out)
{
	if (!IS_ALIGNED(va, 8) || probe_read((void *)va, NULL))
		return false;
	*out = *(const u64 *)va;
	return true;
}

/* The return addresses on the stack, from the frame at `rbp` on. */
static void print_callers(u64 rbp)
{
	u64 ret, next;

	for (int i = 0; i < BACKTRACE_MAX; i++) {
		if (!read_word(rbp, &next) || !read_word(rbp + 8, &ret) || !in_image(ret))
			return;
		print_location("  ", ret, true);
		rbp = next;
	}
	printk("  ...\n");
}

static void print_backtrace(const struct trap_frame *f)
{
	u64 caller;

	printk("backtrace:\n");
	print_location("  ", f->rip, false);
	/* A jump to nowhere has not made a frame; its return address is on top of the stack. */
	if (!in_image(f->rip) && read_word(f->rsp, &caller) && in_image(caller))
		print_location("  ", caller, true);
	print_callers(f->rbp);
}

/* => rbp: of the function that asks for it, which is left out */
static void print_own_backtrace(u64 rbp)
{
	printk("backtrace:\n");
	print_callers(rbp);
}

static void print_registers(const struct trap_frame *f)
{
	print_location("  rip ", f->rip, false);
	printk("  rax %016lx rbx %016lx rcx %016lx rdx %016lx\n", f->rax, f->rbx, f->rcx, f->rdx);
	printk("  rsi %016lx rdi %016lx rbp %016lx rsp %016lx\n", f->rsi, f->rdi, f->rbp, f->rsp);
	printk("  r8  %016lx r9  %016lx r10 %016lx r11 %016lx\n", f->r8, f->r9, f->r10, f->r11);
	printk("  r12 %016lx r13 %016lx r14 %016lx r15 %016lx\n", f->r12, f->r13, f->r14, f->r15);
	printk("  rflags %#lx cs %#lx ss %#lx vector %lu error %#lx\n", f->rflags, f->cs, f->ss,
	       f->vector, f->error);
}

/*
 * claim: makes this CPU the one that panics, or does not return.
 *   => true: the first panic; false: one inside it
 */
static bool claim(void)
{
	u64 me;

	irq_disable();
	if (!rdmsr(MSR_GS_BASE)) /* a panic before the CPU knows who it is */
		cpu_init_boot();
	me = cpu_id() + 1;
	if (!atomic_cmpxchg(&owner, 0, me) && atomic_read(&owner) != me)
		platform->halt(); /* the owner's NMI finds us here and shows who called */
	if (++depth > 2)
		machine_exit(1);
	return depth == 1;
}

/* => the CPUs that were asked to stop */
static cpumask_t stop_others(void)
{
	cpumask_t others = {cpus_online().bits & ~cpu_bit(cpu_id())};
	u64 start = tsc_now();

	if (!platform->stop_cpus(others))
		return (cpumask_t){0};
	while ((atomic_read(&stopped_mask) & others.bits) != others.bits &&
	       tsc_to_us(tsc_now() - start) < STOP_WAIT_US)
		cpu_relax();
	return others;
}

static void print_others(cpumask_t others, unsigned but)
{
	unsigned cpu;

	cpumask_for_each (cpu, others) {
		char prefix[64];

		if (cpu == but)
			continue;
		if (!(atomic_read(&stopped_mask) & cpu_bit(cpu))) {
			printk("cpu %u did not stop: it does not even take an NMI\n", cpu);
			continue;
		}
		snprintf(prefix, sizeof(prefix), "cpu %u (%s) was at ", cpu,
			 thread_name(cpus[cpu].current));
		print_location(prefix, stopped[cpu].rip, false);
	}
}

/* => the other CPUs are stopped: what describes the address is not being changed */
static void print_meaning(u64 va)
{
	char text[DESCRIBE_MAX];

	mm_describe(va, text, sizeof(text));
	printk("  that address: %s\n", text);
}

/* => f: the interrupted code, or NULL: then rbp is panic()'s frame */
static void vreport(const struct trap_frame *f, const u64 *about, u64 rbp, const char *fmt,
		    va_list ap)
{
	bool first = claim();
	cpumask_t others = {0};

	console_enter_panic();
	if (first)
		others = stop_others();
	printk(first ? "\nPANIC on cpu %u (%s): " : "\nanother panic inside it, on cpu %u (%s): ",
	       cpu_id(), thread_name(this_cpu()->current));
	vprintk(fmt, ap);
	printk("\n");
	if (first) {
		if (about)
			print_meaning(*about);
		if (f) {
			print_registers(f);
			print_backtrace(f);
		} else {
			print_own_backtrace(rbp);
		}
		print_others(others, MAX_CPUS);
	}
}

void panic(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vreport(NULL, NULL, (u64)__builtin_frame_address(0), fmt, ap);
	va_end(ap);
	machine_exit(1);
}

void panic_trap(const struct trap_frame *f, const u64 *about, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vreport(f, about, 0, fmt, ap);
	va_end(ap);
	machine_exit(1);
}

void panic_nmi(const struct trap_frame *f)
{
	unsigned me = cpu_id();

	/*
	 * An NMI button hits all CPUs at once: one of them becomes the owner, here and not by
	 * claim().
	 */
	if (atomic_cmpxchg(&owner, 0, me + 1))
		panic_trap(f, NULL, "NMI that no CPU of ours has sent");
	if (atomic_read(&owner) == me + 1)
		return;
	stopped[me] = *f;
	atomic_fetch_or(&stopped_mask, cpu_bit(me));
	platform->halt();
}

void cpu_unresponsive(unsigned cpu, const char *what)
{
	cpumask_t others;

	if (!claim())
		machine_exit(1);
	console_enter_panic();
	others = stop_others();
	printk("\nPANIC on cpu %u (%s): cpu %u does not answer: %s (waited %d s)\n", cpu_id(),
	       thread_name(this_cpu()->current), cpu, what, WATCHDOG_SECONDS);
	print_own_backtrace((u64)__builtin_frame_address(0));
	if (atomic_read(&stopped_mask) & cpu_bit(cpu)) {
		printk("cpu %u (%s), where an NMI stopped it:\n", cpu,
		       thread_name(cpus[cpu].current));
		print_registers(&stopped[cpu]);
		print_backtrace(&stopped[cpu]);
		print_others(others, cpu);
	} else {
		print_others(others, MAX_CPUS);
	}
	machine_exit(1);
}
