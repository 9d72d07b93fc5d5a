// SPDX-License-Identifier: MIT
/*
 * The monitor: how lines are cut into words, what runs, what is said about what does not, and the
 * two ways in. The commands are the test's own, registered as any others; the console's input is a
 * string, whose end is an error: a monitor that reads more than it is given has failed.
 */
// links: kernel/monitor.c kernel/lineedit.c kernel/format.c boot/cmdline.c
#include <setjmp.h>
#include <stdlib.h>
#include "kernel/console.h"
#include "kernel/errno.h"
#include "kernel/main.h"
#include "kernel/monitor.h"
#include "kernel/printk.h"
#include "kernel/string.h"
#include "kernel/symbols.h"
#include "tests/host/said.h"
#include "tests/host/tap.h"

struct boot_info boot_info;

/* What the commands were given: "name(arg,arg)" each. */
static char ran[4096];

static const char *input;
static unsigned nr_cleared;
static jmp_buf left;
static int exit_status;

void printk(const char *fmt, ...)
{
	char text[2048];
	va_list ap;

	va_start(ap, fmt);
	console_write(text, (size_t)vsnprintf(text, sizeof(text), fmt, ap));
	va_end(ap);
}

char console_getc(void)
{
	if (!*input) {
		ok(false, "the monitor reads on after the input's end");
		exit(1);
	}
	return *input++;
}

void console_clear_interrupt(void)
{
	nr_cleared++;
}

void machine_exit(int status)
{
	exit_status = status;
	longjmp(left, 1);
}

const char *symbol_lookup(u64 addr, u64 *offset)
{
	(void)addr;
	(void)offset;
	return NULL;
}

static void record(int argc, char **argv)
{
	size_t n = strlen(ran);

	for (int i = 0; i < argc; i++)
		n += (size_t)snprintf(ran + n, sizeof(ran) - n, "%s%s",
				      i == 0   ? ""
				      : i == 1 ? "("
					       : ",",
				      argv[i]);
	snprintf(ran + n, sizeof(ran) - n, "%s;", argc > 1 ? ")" : "");
	if (argv[argc])
		ok(false, "argv ends with NULL");
}

COMMAND(show, "[words]", "record the words")
{
	record(argc, argv);
	return 0;
}

COMMAND(fail, "status", "return the status given")
{
	record(argc, argv);
	return argc == 2 ? atoi(argv[1]) : CMD_USAGE;
}

COMMAND(scribble, "word", "change an argument, as commands may")
{
	record(argc, argv);
	if (argc > 1)
		memset(argv[1], 'X', strlen(argv[1]));
	return 0;
}

static void reset(void)
{
	said[0] = ran[0] = '\0';
	said_len = 0;
}

static int exec(const char *line)
{
	reset();
	return monitor_exec(line);
}

static void test_words(void)
{
	static const struct {
		const char *line, *ran;
	} cases[] = {
		{"", ""},
		{"   ", ""},
		{";", ""},
		{" ; ;; ", ""},
		{"show", "show;"},
		{"  show  ", "show;"},
		{"show a b", "show(a,b);"},
		{"show\ta \t b", "show(a,b);"},
		{"show a;show b", "show(a);show(b);"},
		{"show a ; show b ;", "show(a);show(b);"},
		{"show 'a b' \"c;d\"", "show(a b,c;d);"},
		{"show 'say \"x\"' \"it's\"", "show(say \"x\",it's);"},
		{"show a'b c'd", "show(ab cd);"},
		{"show ''", "show();"},
		{"show '' x", "show(,x);"},
		{"show 'a';show b", "show(a);show(b);"},
		{"'show' a", "show(a);"},
		{"scribble a;show b", "scribble(a);show(b);"},
		{"show 1 2 3 4 5 6 7 8 9 a b c d e f", "show(1,2,3,4,5,6,7,8,9,a,b,c,d,e,f);"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int status = exec(cases[i].line);

		is_str(ran, cases[i].ran, "\"%s\" runs", cases[i].line);
		if (status || said_len)
			ok(false, "\"%s\": status %d, said \"%s\"", cases[i].line, status, said);
	}
}

static void test_refused(void)
{
	char *line = malloc(MONITOR_LINE_MAX + 1);

	ok(exec("show a; show 'b") == -EINVAL && !*ran, "an open quote: nothing runs");
	ok(strstr(said, "quote"), "and it is said");
	ok(exec("show; show 1 2 3 4 5 6 7 8 9 a b c d e f g") == -E2BIG && !*ran,
	   "too many words: nothing runs");
	ok(strstr(said, "16 words"), "and the limit is named");
	memset(line, ' ', MONITOR_LINE_MAX);
	memcpy(line, "show", 4);
	line[MONITOR_LINE_MAX] = '\0';
	ok(exec(line) == -E2BIG && !*ran, "a line that is too long: nothing runs");
	line[MONITOR_LINE_MAX - 1] = '\0';
	is_u64((u64)exec(line), 0, "one character less runs");
	free(line);
}

static void test_status(void)
{
	is_u64((u64)exec("show; fail 3; fail 4; show"), 3, "the status is the first failure's");
	is_str(ran, "show;fail(3);fail(4);show;", "and the rest runs");
	is_u64((u64)exec("show; fail -4; show"), (u64)-EINTR, "after an interrupted one");
	is_str(ran, "show;fail(-4);", "the rest does not run");
	is_u64((u64)exec("fail; show"), CMD_USAGE, "wrong arguments");
	is_str(said, "usage: fail status\n", "get the usage, one line");
	is_str((exec("fail -4"), said), "fail: interrupted\n", "an interrupted command is named");
	is_u64((u64)exec("fail -12"), (u64)-12, "other failures");
	is_str(said, "", "are the command's to explain");
}

static void test_unknown(void)
{
	is_u64((u64)exec("shwo a; show b"), (u64)-ENOENT, "an unknown command");
	is_str(said, "unknown command 'shwo'; did you mean 'show'?\n",
	       "gets the nearest as a hint");
	is_str(ran, "show(b);", "and the rest of the line runs");
	exec("scrible");
	ok(strstr(said, "'scribble'"), "a letter missing");
	exec("ffail");
	ok(strstr(said, "'fail'"), "a letter too many");
	exec("zzzzzz");
	is_str(said, "unknown command 'zzzzzz'; 'help' lists the commands\n", "nothing like it");
	exec("a-word-that-is-much-longer-than-any-command-could-be");
	ok(strstr(said, "'help' lists"), "a very long one");
	is_u64((u64)exec("''"), (u64)-ENOENT, "an empty name");
}

/* => the status the machine ended with */
static int boot(const char *cmdline, const char *typed)
{
	reset();
	strlcpy(boot_info.cmdline, cmdline, sizeof(boot_info.cmdline));
	input = typed;
	if (!setjmp(left))
		monitor_main();
	return exit_status;
}

static void test_run(void)
{
	is_u64((u64)boot("run=show", "show typed\n\x04"), 0, "run=");
	is_str(ran, "show;", "runs its command, reads no input and exits");
	is_u64((u64)boot("lazy=off run=\"show a; fail 7; show 'b c'\" x", ""), 7,
	       "its status counts");
	is_str(ran, "show(a);fail(7);show(b c);", "all its commands run");
	is_u64((u64)boot("run=\"show 'a\"", ""), (u64)-EINVAL, "a line that is none fails");
	is_u64((u64)boot("run=", ""), 0, "an empty one is fine");
}

static void test_prompt(void)
{
	is_u64((u64)boot("", "show a\rshow b; show c\r\nshow d\n\x04"), 0,
	       "Ctrl-D ends the prompt, passed");
	is_str(ran, "show(a);show(b);show(c);show(d);", "every line runs");
	ok(!strncmp(said, "lazymap> show a\nlazymap> show b", 31), "the prompt is before each");
	boot("", "sh\tq\n\x04");
	is_str(ran, "show(q);", "Tab completes commands");
	boot("", "show;fa\t3\nshow fa\t\nhelp sc\t\n\x04");
	is_str(ran, "show;fail(3);show(fa);", "after a semicolon, not among arguments");
	ok(strstr(said, "help scribble"), "but after help");
	nr_cleared = 0;
	boot("", "show x\x03show y\n\x04");
	is_str(ran, "show(y);", "Ctrl-C drops the line");
	ok(nr_cleared > 0, "the flag is taken down after each line");
}

static void test_too_long(void)
{
	static char typed[2000];

	memset(typed, 'x', sizeof(typed) - 1);
	memcpy(typed, "show ", 5);
	memcpy(typed + 1500, "\nshow b\n\x04", 10);
	boot("", typed);
	is_str(ran, "show(b);", "a line beyond the editor's bound does not run in part");
	ok(strstr(said, "a line may have 511 characters"), "and that is said");
}

int main(void)
{
	test_words();
	test_refused();
	test_status();
	test_unknown();
	test_run();
	test_prompt();
	test_too_long();
	return done_testing();
}
