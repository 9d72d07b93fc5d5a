// SPDX-License-Identifier: MIT
/*
 * The console: what is printed goes to every output device that has registered, what is typed
 * comes from every input device into one ring. Devices know nothing of each other.
 */
#ifndef KERNEL_CONSOLE_H
#define KERNEL_CONSOLE_H

#include "kernel/types.h"

#define CTRL_C 0x03

struct console_dev {
	const char *name;
	/* Shows n bytes, in bounded time. => any context; one call at a time, but in a panic */
	void (*write)(struct console_dev *dev, const char *s, size_t n);
	/* Waits, bounded, until all that was written has left the machine. => may be NULL */
	void (*flush)(struct console_dev *dev);
	/* Gives what has been received to console_input(). => thread context; may be NULL */
	void (*poll)(struct console_dev *dev);
	bool polled; /* its input comes by poll() only: no interrupt wakes the reader */
	/* The console's: */
	u64 seen; /* log records shown so far; written by whoever owns the console */
	struct console_dev *next;
};

/*
 * console_register: adds an output, and replays the log to it, so that a late screen shows the
 * whole boot. => boot, one CPU
 */
void console_register(struct console_dev *dev);

/*
 * console_write: shows n bytes and keeps them in the log.
 *   => any context, NMI and panic included. In thread context with IRQs on the text has been shown
 *      on return; elsewhere, if a CPU is printing just then, that CPU shows it
 */
void console_write(const char *s, size_t n);

/*
 * console_flush: all printed before has left the machine on return, or a second has passed.
 *   => any context; for the last words of a machine that is about to stop
 */
void console_flush(void);

/*
 * console_enter_panic: from here on only this CPU prints, and it waits for nobody; what other CPUs
 * print is kept in the log and shown with this CPU's next text. => any context
 */
void console_enter_panic(void);

/*
 * console_input: one byte received. Ctrl-C is not queued: it throws away what was typed before it
 * and raises the flag below. A byte that finds the ring full is dropped and counted (input_lost).
 *   => any context but NMI
 */
void console_input(char c);

/* => how many bytes console_input() would take now; a device that can hold back its sender asks */
size_t console_input_room(void);

/*
 * console_getc: the next byte typed; CTRL_C if the flag below is up, which it takes down.
 *   => thread context, IRQs on, one reader at a time; sleeps until there is one
 */
char console_getc(void);

/*
 * console_interrupted: has Ctrl-C been typed since console_clear_interrupt()?
 * Long-running commands ask now and then, and return -EINTR. => any context
 */
bool console_interrupted(void);
void console_clear_interrupt(void);

#endif
