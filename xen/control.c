// SPDX-License-Identifier: MIT
/*
 * The end of a domain. The toolstack asks for it politely, by a word in the node control/shutdown,
 * and waits for the word to be taken away; then the domain ends itself, by telling Xen a reason
 * (Xen: sched.h), which the toolstack reports and acts upon (xl.cfg(5): on_poweroff, on_reboot,
 * on_crash):
 *
 *   asked "poweroff", "halt"    poweroff        asked "reboot"    reboot
 *   exit 0                      poweroff        exit N, panic     crash
 *
 * The status itself, which no reason has room for, is left in data/lazymap/exit; "data" is where a
 * domain may write what it likes.
 *
 * What we cannot do ("suspend") is not acknowledged: the toolstack then takes it back, and says so.
 */
#include "xen/control.h"
#include "kernel/errno.h"
#include "kernel/monitor.h"
#include "kernel/printk.h"
#include "kernel/string.h"
#include "kernel/thread.h"
#include "xen/hypercall.h"
#include "xen/xenstore.h"

#define ASKED	    "control/shutdown"
#define EXIT_STATUS "data/lazymap/exit"

static unsigned reason_asked = SHUTDOWN_poweroff;

static const struct {
	const char *word;
	unsigned reason;
} wishes[] = {
	{"poweroff", SHUTDOWN_poweroff},
	{"halt", SHUTDOWN_poweroff},
	{"reboot", SHUTDOWN_reboot},
};

static void obey(unsigned wish)
{
	int err = xenstore_write(ASKED, "");

	printk("control: %s, as the toolstack asks\n", wishes[wish].word);
	if (err)
		printk("control: it cannot be acknowledged (%d)\n", err);
	reason_asked = wishes[wish].reason;
	machine_exit(0);
}

static void asked(void)
{
	char word[32];
	int n;

	while ((n = xenstore_read(ASKED, word, sizeof(word))) == -ETIMEDOUT)
		thread_yield(); /* a machine with much to do: what is asked must not be lost */
	if (!n || n == -ENOENT) /* the watch's first call, or our own acknowledgement */
		return;
	if (n < 0) {
		printk("control: what is asked of us cannot be read (%d)\n", n);
		return;
	}
	for (unsigned i = 0; i < ARRAY_SIZE(wishes); i++)
		if (!strcmp(word, wishes[i].word))
			obey(i);
	printk("control: the toolstack asks for '%s', which this kernel cannot do; it can poweroff and reboot\n",
	       word);
}

void xen_control_start(void)
{
	int err;

	xenstore_start();
	err = xenstore_watch(ASKED, asked);
	if (err == -ENODEV)
		return;
	if (!err)
		err = xenstore_write("control/feature-poweroff", "1");
	if (!err)
		err = xenstore_write("control/feature-reboot", "1");
	if (err)
		printk("control: xl shutdown and xl reboot will not be heard (%d)\n", err);
}

void xen_leave(int status)
{
	struct sched_shutdown how = {.reason = status ? SHUTDOWN_crash : reason_asked};
	char text[12];

	snprintf(text, sizeof(text), "%d", status);
	(void)xenstore_write(EXIT_STATUS, text); /* there is nobody to tell that it failed */
	xen_sched_op(SCHEDOP_shutdown, &how);
}
