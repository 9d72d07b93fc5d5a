// SPDX-License-Identifier: MIT
/*
 * The console, in all the contexts printing happens in. A context here is two variables: which CPU
 * this is and whether its interrupts are on. The fake device calls back in the middle of a write,
 * and there a trap on the same CPU, a print on another, or a panic is acted out. A deadlock is a
 * test that does not end; the alarm makes that a failure. At the end real threads print at once.
 */
// links: kernel/format.c
#include "../../kernel/atomic.h" /* before the simulated one takes its place */

#include <pthread.h>
#include <setjmp.h>
#include <stdlib.h>
#include <unistd.h>
#include "kernel/string.h"
#include "kernel/symbols.h"

static void (*in_copy)(void); /* called in the middle of the log's next copy, if set */

static void *hooked_memcpy(void *dst, const void *src, size_t n)
{
	void (*hook)(void) = in_copy;

	if (hook) {
		in_copy = NULL;
		hook();
	}
	return memcpy(dst, src, n);
}

#define memcpy hooked_memcpy
#include "kernel/log.c"
#undef memcpy
#include "kernel/console.c"
#include "kernel/printk.c"
#include "tests/host/tap.h"

/* The machine. */
struct cpu cpus[MAX_CPUS];
static __thread unsigned here;
static __thread bool irqs_on = true;
static __thread bool asleep;
static void (*in_block)(void); /* what happens while a thread sleeps */
static unsigned nr_wakes, nr_yields;
u64 tsc_hz = 1000000;

struct cpu *this_cpu(void)
{
	cpus[here].id = here;
	return &cpus[here];
}

bool irqs_enabled(void)
{
	return irqs_on;
}

void spin_lock(spinlock_t *l)
{
	if (l->holder.v)
		ok(false, "lock '%s' is taken twice", l->name);
	l->holder.v = here + 1;
}

void spin_unlock(spinlock_t *l)
{
	l->holder.v = 0;
}

u64 tsc_now(void)
{
	static atomic_t us;

	return atomic_fetch_add(&us, 1);
}

struct thread *thread_current(void)
{
	return (struct thread *)&here;
}

void thread_wake(struct thread *t)
{
	ok(t == (struct thread *)&here, "the reader is woken");
	nr_wakes++;
	asleep = false;
}

void thread_block(void)
{
	asleep = true;
	in_block();
	ok(!asleep, "a sleeping reader does not sleep for ever");
}

void thread_yield(void)
{
	nr_yields++;
	in_block();
}

const char *symbol_lookup(u64 addr, u64 *offset)
{
	(void)addr;
	(void)offset;
	return NULL;
}

/* The devices: what they have shown, and what happens in the middle of the next write. */
static char screen1[1 << 18], screen2[1 << 18];
static size_t len1, len2;
static void (*in_write)(void), (*in_write2)(void);
static unsigned depth, max_depth;

static void write1(struct console_dev *dev, const char *s, size_t n)
{
	void (*hook)(void) = in_write;

	(void)dev;
	depth++;
	max_depth = depth > max_depth ? depth : max_depth;
	for (size_t i = 0; i < n; i++) {
		if (i == n / 2 && hook) {
			in_write = NULL;
			hook();
		}
		screen1[len1++] = s[i];
	}
	screen1[len1] = '\0';
	depth--;
}

static void write2(struct console_dev *dev, const char *s, size_t n)
{
	void (*hook)(void) = in_write2;

	(void)dev;
	in_write2 = NULL;
	if (hook)
		hook();
	memcpy(screen2 + len2, s, n);
	len2 += n;
	screen2[len2] = '\0';
}

static struct console_dev dev1, dev2;

static void fresh(void)
{
	memset(ring, 0, sizeof(ring));
	atomic_set(&next, 0);
	atomic_set(&owner, 0);
	atomic_set(&panic_cpu, 0);
	devices = NULL;
	dev1 = (struct console_dev){.name = "one", .write = write1};
	dev2 = (struct console_dev){.name = "two", .write = write2};
	len1 = len2 = depth = max_depth = 0;
	screen1[0] = screen2[0] = '\0';
	here = 0;
	irqs_on = true;
	input_head = input_tail = 0;
	interrupted = false;
	reader = NULL;
	memset(cpus, 0, sizeof(cpus));
	console_register(&dev1);
}

/* Runs fn as CPU 1, interrupts off. */
static void on_cpu1(void (*fn)(void))
{
	bool was_on = irqs_on;

	here = 1;
	irqs_on = false;
	fn();
	here = 0;
	irqs_on = was_on;
}

static void test_output(void)
{
	char big[PRINTK_MAX + 100];

	fresh();
	printk("one %d\n", 1);
	is_str(screen1, "one 1\n", "a text is shown");
	console_register(&dev2);
	is_str(screen2, "one 1\n", "a device that comes later shows it too");
	printk("two\n");
	is_str(screen1, "one 1\ntwo\n", "and then both show");
	is_str(screen2, "one 1\ntwo\n", "everything");
	fresh();
	memset(big, 'x', sizeof(big));
	big[sizeof(big) - 1] = '\0';
	printk("%s\n", big);
	is_u64(len1, PRINTK_MAX, "a text that is too long is cut");
	is_str(screen1 + len1 - 8, "xx[cut]\n", "and says so");
}

static void test_late_device(void)
{
	fresh();
	for (int i = 0; i < LOG_RECORDS + 5; i++)
		printk("%d\n", i);
	console_register(&dev2);
	is_str((screen2[41] = '\0', screen2), "\n[5 log records lost]\n5\n6\n7\n8\n9\n10\n11\n12\n",
	       "a device that comes very late says what it missed");
}

static void trap(void)
{
	irqs_on = false;
	printk("(trap)\n");
	irqs_on = true;
}

static void device_prints(void)
{
	printk("(device)\n");
}

static void print_there(void)
{
	printk("(cpu 1)\n");
	ok(!strstr(screen1, "(cpu 1)"), "CPU 1 does not wait with interrupts off");
}

static void other_cpu(void)
{
	on_cpu1(print_there);
}

static void test_nesting(void)
{
	fresh();
	in_write = trap;
	printk("outer\n");
	is_str(screen1, "outer\n(trap)\n", "a trap inside printing prints after it");
	is_u64(max_depth, 1, "and not inside the device");
	fresh();
	in_copy = trap;
	printk("outer\n");
	is_str(screen1, "outer\n(trap)\n", "also inside the log");
	fresh();
	in_write = device_prints;
	printk("outer\n");
	is_str(screen1, "outer\n(device)\n", "also with interrupts on: nobody waits for himself");
	fresh();
	console_register(&dev2);
	in_write2 = trap;
	printk("outer\n");
	is_str(screen1, "outer\n(trap)\n",
	       "a text that comes when a device is done is not left lying");
	is_str(screen2, "outer\n(trap)\n", "on any");
	fresh();
	in_write = other_cpu;
	printk("outer\n");
	is_str(screen1, "outer\n(cpu 1)\n",
	       "what another CPU prints meanwhile is shown by the owner");
	is_u64(atomic_read(&owner), 0, "who then lets go");
}

static jmp_buf stopped;

static void panic_there(void)
{
	console_enter_panic();
	printk("PANIC\n");
	printk("done\n");
	console_flush();
	here = 2; /* a third CPU that has not been stopped yet */
	printk("late\n");
	ok(!strstr(screen1, "late"), "in a panic other CPUs do not print");
	here = 1;
	printk("end\n");
	longjmp(stopped, 1); /* CPU 0 was stopped by NMI where it was */
}

static void panic_on_cpu1(void)
{
	on_cpu1(panic_there);
}

static void panic_here(void)
{
	panic_there();
}

static void test_panic(void)
{
	fresh();
	in_write = panic_on_cpu1;
	if (!setjmp(stopped))
		printk("0123456789\n");
	is_str(screen1, "012340123456789\nPANIC\ndone\nlate\nend\n",
	       "a panic takes the console from a CPU inside a device");
	fresh();
	in_write = panic_here;
	if (!setjmp(stopped))
		printk("0123456789\n");
	ok(strstr(screen1, "PANIC\ndone\n"), "or from itself");
	fresh();
	in_copy = panic_on_cpu1;
	if (!setjmp(stopped))
		printk("0123456789\n");
	is_str(screen1, "[lost]\nPANIC\ndone\nlate\nend\n",
	       "a CPU stopped inside the log holds up nothing");
}

static void type(const char *s)
{
	while (*s)
		console_input(*s++);
}

static void type_a_key(void)
{
	type("k");
}

static void poll(struct console_dev *dev)
{
	(void)dev;
	type("p");
	dev1.poll = NULL;
}

static void come_later(void)
{
	dev1.poll = poll;
}

/* => the next byte, or -1: what console_getc() does before it sleeps */
static int try_getc(void)
{
	int c = take_input(NULL);

	if (c < 0) {
		poll_devices();
		c = take_input(NULL);
	}
	return c;
}

static void test_input(void)
{
	fresh();
	is_u64((u64)try_getc(), (u64)-1, "no input: -1");
	type("ab\xff");
	is_u64((u64)console_getc(), 'a', "bytes come in order");
	is_u64((u64)try_getc(), 'b', "also when asked without waiting");
	is_u64((u64)try_getc(), 0xff, "and 0xff is not -1");
	in_block = type_a_key;
	is_u64((u64)console_getc(), 'k', "a reader sleeps until there is a byte");
	is_u64(nr_wakes, 1, "and was woken by it");
	dev1.poll = poll;
	is_u64((u64)console_getc(), 'p', "a device is polled before sleeping");
	dev1.polled = true;
	in_block = come_later;
	is_u64((u64)console_getc(), 'p', "and one without interrupts instead of sleeping");
	is_u64(nr_yields, 1, "while others run");
}

static void test_flood(void)
{
	unsigned n = 0;

	fresh();
	is_u64(console_input_room(), INPUT_SIZE, "an empty ring has room");
	for (int i = 0; i < INPUT_SIZE; i++)
		console_input((char)('a' + i % 26));
	is_u64(console_input_room(), 0, "a full one has none");
	type("xyz");
	is_u64(cpus[0].counters[CNT_input_lost], 3, "what does not fit is counted");
	for (int c; (c = try_getc()) >= 0; n++)
		if (c != (int)('a' + n % 26))
			ok(false, "byte %u is %c", n, c);
	is_u64(n, INPUT_SIZE, "what did fit is all there");
}

static void test_interrupt(void)
{
	fresh();
	type("typed ahead\x03"
	     "b");
	ok(console_interrupted(), "Ctrl-C raises the flag");
	is_u64((u64)console_getc(), CTRL_C, "a reader gets it first");
	ok(!console_interrupted(), "and takes the flag down");
	is_u64((u64)console_getc(), 'b',
	       "what was typed before it is gone, what came after is not");
	type("\x03");
	console_clear_interrupt();
	is_u64((u64)try_getc(), (u64)-1, "a flag that was cleared is not read");
}

/* Threads, each a CPU with interrupts on: as they wait, each sees its own line on return. */
#define THREADS 3
#define LINES	1000

static atomic_t unseen;

static void *print_lines(void *arg)
{
	here = (unsigned)(size_t)arg;
	for (int i = 0; i < LINES; i++) {
		u64 before = log_end();

		printk("%u:%d\n", here, i);
		if (!shown(before + 1))
			atomic_fetch_add(&unseen, 1);
	}
	irqs_on = false;
	for (int i = LINES; i < 2 * LINES; i++)
		printk("%u:%d\n", here, i);
	return NULL;
}

static void test_threads(void)
{
	pthread_t threads[THREADS];
	unsigned next_line[THREADS] = {0}, bad = 0;
	char *line = screen1;

	fresh();
	for (size_t i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, print_lines, (void *)i);
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	is_u64(atomic_read(&unseen), 0, "who may wait has seen its line when printk() returns");
	is_u64(max_depth, 1, "%d threads print: the device is never entered twice", THREADS);
	for (char *end; (end = strchr(line, '\n')); line = end + 1) {
		unsigned cpu, n;

		if (sscanf(line, "%u:%u", &cpu, &n) != 2 || cpu >= THREADS || n != next_line[cpu]++)
			bad++;
	}
	is_u64(bad, 0, "lines are whole and in order");
	for (size_t i = 0; i < THREADS; i++)
		is_u64(next_line[i], 2 * LINES, "nothing is left lying (thread %zu)", i);
	ok(!pending(log_end()) && shown(log_end()), "and nothing is pending");
}

int main(void)
{
	alarm(30);
	test_output();
	test_late_device();
	test_nesting();
	test_panic();
	test_input();
	test_flood();
	test_interrupt();
	test_threads();
	return done_testing();
}
