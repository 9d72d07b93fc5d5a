// SPDX-License-Identifier: MIT
/*
 * The monitor: splits lines, finds commands, and is the only reader of the console.
 *
 *   line     commands separated by ;
 *   command  words separated by blanks; 'quotes' or "quotes" keep blanks, ; and the other quote
 *
 * A line is checked as a whole before any of it runs: an open quote at its end must not be found
 * out after its first command has been obeyed. Words are cut in place, so the same walk is done
 * twice, each time in a fresh copy of the line.
 *
 * Two ways in. With run="..." on the boot command line that line is the only input there is: it
 * runs, and the machine ends with its status; the console is not read, so no harness hangs on it.
 * Otherwise there is a prompt. What was typed (or piped in) before the prompt came up has been kept
 * by the console and is read as if typed now.
 *
 * Commands: kernel/cmd_system.c, kernel/cmd_mm.c.
 */
#include "kernel/monitor.h"
#include "kernel/console.h"
#include "kernel/errno.h"
#include "kernel/lineedit.h"
#include "kernel/main.h"
#include "kernel/printk.h"
#include "kernel/string.h"

#define HINT_DISTANCE 2 /* with more typing errors than this another name is no likely meaning */
#define NAME_MAX      31

#define for_each_command(c) \
	for (const struct command *c = __start_commands; c < __stop_commands; c++)

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/*
 * Cuts the word at *in, takes its quotes away and terminates it, all in place.
 *   => the character that ended it (blank, ; or NUL), *in past it; or -EINVAL: a quote stays open
 */
static int cut_word(char **in)
{
	char *out = *in, quote = '\0', c;

	for (; (c = **in) && (quote || !(is_blank(c) || c == ';')); ++*in) {
		if (quote ? c == quote : c == '"' || c == '\'')
			quote = quote ? '\0' : c;
		else
			*out++ = c;
	}
	if (quote)
		return -EINVAL;
	if (c)
		++*in;
	*out = '\0';
	return c;
}

/*
 * Cuts the next command off *line into words.
 *   => their number, *line at the next command, NULL if it was the last; -EINVAL, -E2BIG
 */
static int next_command(char **line, char *argv[CMD_MAX_ARGS + 1])
{
	char *in = *line;
	int argc = 0, end = ' ';

	while (is_blank((char)end)) {
		while (is_blank(*in))
			in++;
		if (!*in || *in == ';') {
			end = *in++;
			break;
		}
		if (argc == CMD_MAX_ARGS)
			return -E2BIG;
		argv[argc++] = in;
		end = cut_word(&in);
		if (end < 0)
			return end;
	}
	argv[argc] = NULL;
	*line = end ? in : NULL;
	return argc;
}

/* Levenshtein's distance: how many letters to add, drop or change. => of b, the first NAME_MAX */
static unsigned distance(const char *a, const char *b)
{
	unsigned row[NAME_MAX + 1], n = (unsigned)strnlen(b, NAME_MAX);

	for (unsigned j = 0; j <= n; j++)
		row[j] = j;
	for (unsigned i = 1; *a; i++, a++) {
		unsigned diagonal = row[0];

		row[0] = i;
		for (unsigned j = 1; j <= n; j++) {
			unsigned change = diagonal + (*a != b[j - 1]);

			diagonal = row[j];
			row[j] = MIN(change, MIN(row[j], row[j - 1]) + 1);
		}
	}
	return row[n];
}

static void print_unknown(const char *name)
{
	const char *nearest = NULL;
	unsigned best = HINT_DISTANCE + 1;

	for_each_command(c)
	{
		unsigned d = distance(name, c->name);

		if (d < best) {
			best = d;
			nearest = c->name;
		}
	}
	if (nearest)
		printk("unknown command '%s'; did you mean '%s'?\n", name, nearest);
	else
		printk("unknown command '%s'; 'help' lists the commands\n", name);
}

static int run_command(int argc, char **argv)
{
	for_each_command(c)
	{
		int status;

		if (strcmp(c->name, argv[0]))
			continue;
		status = c->fn(argc, argv);
		if (status == CMD_USAGE)
			printk("usage: %s%s%s\n", c->name, *c->usage ? " " : "", c->usage);
		else if (status == -EINTR)
			printk("%s: interrupted\n", c->name);
		return status;
	}
	print_unknown(argv[0]);
	return -ENOENT;
}

/* => 0, or what is wrong with the line, which has been said */
static int check_line(char *line)
{
	char *argv[CMD_MAX_ARGS + 1];
	int argc = 0;

	while (line && argc >= 0)
		argc = next_command(&line, argv);
	if (argc == -EINVAL)
		printk("a quote is not closed; nothing was run\n");
	else if (argc == -E2BIG)
		printk("a command has more than %d words; nothing was run\n", CMD_MAX_ARGS);
	return MIN(argc, 0);
}

int monitor_exec(const char *line)
{
	char copy[MONITOR_LINE_MAX], *rest = copy, *argv[CMD_MAX_ARGS + 1];
	int first_failure = 0;

	if (strlcpy(copy, line, sizeof(copy)) >= sizeof(copy)) {
		printk("a line may have %u characters; nothing was run\n", MONITOR_LINE_MAX - 1);
		return -E2BIG;
	}
	first_failure = check_line(copy);
	if (first_failure)
		return first_failure;
	strlcpy(copy, line, sizeof(copy));
	while (rest) {
		int argc = next_command(&rest, argv);
		int status = argc ? run_command(argc, argv) : 0;

		if (!first_failure)
			first_failure = status;
		if (status == -EINTR)
			break;
	}
	return first_failure;
}

/* Commands can stand where a command begins, and after `help`. See struct lineedit. */
static const char *candidate(const char *line, unsigned start, unsigned i)
{
	while (start && is_blank(line[start - 1]))
		start--;
	if (start >= 4 && !strncmp(line + start - 4, "help", 4))
		start -= 4;
	while (start && is_blank(line[start - 1]))
		start--;
	if (start && line[start - 1] != ';')
		return NULL;
	return __start_commands + i < __stop_commands ? __start_commands[i].name : NULL;
}

static void prompt(void) __noreturn;
static void prompt(void)
{
	static struct lineedit editor; /* its history is too large for a stack */

	editor.echo = console_write;
	editor.candidate = candidate;
	editor.prompt = "lazymap> ";
	for (;;) {
		enum line_event ev;

		lineedit_start(&editor);
		do
			ev = lineedit_key(&editor, console_getc());
		while (ev == LINE_MORE);
		if (ev == LINE_TOO_LONG)
			printk("a line may have %u characters; nothing was run\n",
			       LINE_MAX_LEN - 1);
		if (ev == LINE_EOF) {
			printk("exit\n");
			machine_exit(0);
		}
		if (ev == LINE_DONE)
			monitor_exec(editor.line);
		console_clear_interrupt();
	}
}

void monitor_main(void)
{
	static char line[BOOT_CMDLINE_MAX];
	int len = cmdline_get(boot_info.cmdline, "run", line, sizeof(line));

	if (len == -ENOENT)
		prompt();
	if (len < 0) {
		printk("run=\"...\" on the boot command line cannot be read (%d)\n", len);
		machine_exit(len);
	}
	printk("run: %s\n", line);
	machine_exit(monitor_exec(line));
}
