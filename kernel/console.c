// SPDX-License-Identifier: MIT
/*
 * The console joins the log (kernel/log.c) to the devices. Printing is two steps: append to the
 * log, which never waits, and show what the log holds, which needs the console to oneself. Each
 * device keeps its own place in the log, so a late one simply starts at the beginning.
 *
 * Whoever appends tries to become the console's owner and shows everything there is, its own text
 * and others'. Who cannot, because
 *
 *   the owner is this very CPU    (a trap or NMI inside printing): the owner will find the text,
 *   it has interrupts off         it may hold a lock that the owner's CPU waits for in a handler
 *                                 on top of the printing, so it must not wait: likewise,
 *   it is an ordinary thread      it waits, so that a flood is slowed down to the device's pace,
 *
 * and an owner looks again after letting go, so a text appended in between is not left lying. With
 * this there is no lock order and no context in which printing deadlocks. A panic takes the
 * console by force and asks nobody.
 *
 * Input is the other way round and plain: a ring under a spinlock, and one sleeping reader. Ctrl-C
 * is a flag instead of a byte, because the command it is to stop reads no input.
 *
 * Next: arch/x86/uart.c for a device, kernel/monitor.c for the reader.
 */
#include "kernel/console.h"
#include "kernel/cpu.h"
#include "kernel/irq.h"
#include "kernel/log.h"
#include "kernel/printk.h"
#include "kernel/spinlock.h"
#include "kernel/string.h"
#include "kernel/thread.h"
#include "kernel/time.h"

#define FLUSH_US 1000000

static struct console_dev *devices;

static atomic_t owner;	   /* who shows: CPU id + 1; 0: nobody */
static atomic_t panic_cpu; /* CPU id + 1 of the one that prints from now on; 0: no panic */

/* => is there a record before `end` that some device has not shown, and could show now? */
static bool pending(u64 end)
{
	for (struct console_dev *d = devices; d; d = d->next) {
		u64 seen = READ_ONCE(d->seen);

		if (seen < end && log_readable(seen))
			return true;
	}
	return false;
}

/* => has every device shown everything before `end`? */
static bool shown(u64 end)
{
	for (struct console_dev *d = devices; d; d = d->next) {
		if (READ_ONCE(d->seen) < end)
			return false;
	}
	return true;
}

static void show_lost(struct console_dev *d, u64 lost)
{
	char note[48];

	d->write(d, note, (size_t)snprintf(note, sizeof(note), "\n[%lu log records lost]\n", lost));
}

/* => this CPU owns the console, or has taken it in a panic */
static void show_all(void)
{
	for (struct console_dev *d = devices; d; d = d->next) {
		char text[LOG_TEXT];
		u64 pos = d->seen, lost = 0;
		size_t n;

		/* Only after the write: what a panic interrupts is shown again. */
		for (; (n = log_read(&pos, text, &lost)) > 0; WRITE_ONCE(d->seen, pos)) {
			if (lost)
				show_lost(d, lost);
			d->write(d, text, n);
			lost = 0;
		}
	}
}

/*
 * => may this CPU wait for another to finish printing? irqs_enabled() comes first: before the boot
 *    CPU has its struct cpu, interrupts are off.
 */
static bool may_wait(void)
{
	return irqs_enabled() && !this_cpu()->irq_depth && !this_cpu()->locks_held;
}

static void show(void)
{
	u64 me = (u64)cpu_id() + 1;
	u64 end = log_end();

	if (atomic_read(&panic_cpu) == me) {
		log_abandon_unfinished();
		show_all();
	}
	while (!shown(end) && !atomic_read(&panic_cpu)) {
		if (pending(end) && atomic_cmpxchg(&owner, 0, me)) {
			show_all();
			/* Let go, a full barrier, and only then look what came meanwhile. */
			atomic_xchg(&owner, 0);
			end = log_end();
		} else if (atomic_read(&owner) == me || !may_wait()) {
			return;
		} else {
			cpu_relax();
		}
	}
}

void console_write(const char *s, size_t n)
{
	log_append(s, n);
	show();
}

void console_register(struct console_dev *dev)
{
	struct console_dev **link = &devices;

	while (*link)
		link = &(*link)->next;
	*link = dev;
	show();
}

void console_flush(void)
{
	u64 start = tsc_now(), end = log_end();

	while (!shown(end) && tsc_to_us(tsc_now() - start) < FLUSH_US) {
		show();
		cpu_relax();
	}
	for (struct console_dev *d = devices; d; d = d->next) {
		if (d->flush)
			d->flush(d);
	}
}

void console_enter_panic(void)
{
	atomic_set(&panic_cpu, (u64)cpu_id() + 1);
}

/*
 * Input.
 */
#define INPUT_SIZE 4096 /* a power of two */

static spinlock_t input_lock = SPINLOCK_INIT("console input");
/* Under input_lock: */
static char input[INPUT_SIZE];
static size_t input_head, input_tail; /* count bytes, modulo the type: head - tail are queued */
static struct thread *reader;	      /* sleeps until there is input */
static bool interrupted;	      /* read without the lock as well */

size_t console_input_room(void)
{
	size_t room;

	spin_lock(&input_lock);
	room = INPUT_SIZE - (input_head - input_tail);
	spin_unlock(&input_lock);
	return room;
}

void console_input(char c)
{
	struct thread *wake;

	spin_lock(&input_lock);
	if (c == CTRL_C) {
		input_tail = input_head;
		WRITE_ONCE(interrupted, true);
	} else if (input_head - input_tail < INPUT_SIZE) {
		input[input_head++ % INPUT_SIZE] = c;
	} else {
		count(input_lost);
	}
	wake = reader;
	reader = NULL;
	spin_unlock(&input_lock);
	if (wake)
		thread_wake(wake);
}

/* => the next byte, or -1, and then `sleeper` will be woken by the next one */
static int take_input(struct thread *sleeper)
{
	int c = -1;

	spin_lock(&input_lock);
	if (interrupted) {
		WRITE_ONCE(interrupted, false);
		c = CTRL_C;
	} else if (input_head != input_tail) {
		c = (u8)input[input_tail++ % INPUT_SIZE];
	} else {
		reader = sleeper;
	}
	spin_unlock(&input_lock);
	return c;
}

/* => is there a device whose input comes in no other way? */
static bool poll_devices(void)
{
	bool again = false;

	for (struct console_dev *d = devices; d; d = d->next) {
		if (d->poll)
			d->poll(d);
		again |= d->polled;
	}
	return again;
}

char console_getc(void)
{
	for (;;) {
		bool poll_again = poll_devices();
		int c = take_input(thread_current());

		if (c >= 0)
			return (char)c;
		if (poll_again)
			thread_yield();
		else
			thread_block();
	}
}

bool console_interrupted(void)
{
	for (struct console_dev *d = devices; d; d = d->next)
		if (d->polled && d->poll)
			d->poll(d);
	return READ_ONCE(interrupted);
}

void console_clear_interrupt(void)
{
	WRITE_ONCE(interrupted, false);
}
