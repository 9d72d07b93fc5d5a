// SPDX-License-Identifier: MIT
/*
 * The monitor: a small shell on the console. Commands register themselves where they are
 * written; every job the kernel can do from outside is one of them (run="cmd; cmd").
 */
#ifndef KERNEL_MONITOR_H
#define KERNEL_MONITOR_H

#include "kernel/types.h"

#define CMD_MAX_ARGS	 16   /* the command's name included */
#define MONITOR_LINE_MAX 1024 /* with its NUL: as long as the boot command line */

struct command {
	const char *name;
	const char *usage; /* arguments, as in "[glob]"; "" for none */
	const char *help;  /* one line */
	/*
	 * argv[0] is the name, argv[argc] is NULL; the strings are the command's to change.
	 *   => 0; a positive number of failures; -errno, its reason printed; or CMD_USAGE, and the
	 *      monitor prints the usage line
	 */
	int (*fn)(int argc, char **argv);
} __aligned_to(32);

#define CMD_USAGE 1000

/* Every command of the image, in link order: the linker script bounds the section. */
extern const struct command __start_commands[], __stop_commands[];

/*
 * COMMAND(name, usage, help) { body using argc, argv }
 */
#define COMMAND(cmd, usage_, help_)                                                            \
	static int cmd_##cmd(int argc, char **argv);                                           \
	static const struct command command_##cmd                                              \
		__attribute__((section("commands"), used)) = {#cmd, usage_, help_, cmd_##cmd}; \
	static int cmd_##cmd(int argc __attribute__((unused)), char **argv __attribute__((unused)))

/*
 * monitor_exec: run one line, "cmd args; cmd args"; 'quotes' or "quotes" hold blanks and
 * semicolons.
 *   => thread context, IRQs on
 *   => 0, or the first failing command's status; the commands after it run as well, but not
 *      those after one that was interrupted (-EINTR)
 *   => -EINVAL, -E2BIG: not a command line (open quote, too long, too many words); nothing was run
 */
int monitor_exec(const char *line);

/* Runs run="..." if given and exits, else prompts for ever. => thread context; never returns */
void monitor_main(void) __noreturn;

/*
 * Leaves the machine: prints the last line "LAZYMAP: PASS" or "LAZYMAP: FAIL n" and exits QEMU
 * with 33 or 35.
 */
void machine_exit(int status) __noreturn;

#endif
