// SPDX-License-Identifier: MIT
/*
 * The input is what somebody types at the prompt, byte by byte; or, where its first byte is 'r',
 * one line as the boot command line's run= gives it, which no line editor has seen.
 *
 * What must hold, by a screen, an editor (naive_editor.h) and a parser of our own: before each key
 * the screen shows the prompt, the line and the cursor as the keys so far have made them, and when
 * Enter was pressed the commands that run, and their words, are those of that line. The prompt runs
 * for ever and remembers lines, so each input has a process of its own.
 */
// links: kernel/monitor.c kernel/lineedit.c kernel/format.c boot/cmdline.c
#include "kernel/console.h"
#include "kernel/errno.h"
#include "kernel/main.h"
#include "kernel/monitor.h"
#include "kernel/printk.h"
#include "kernel/string.h"
#include "kernel/symbols.h"
#include "tests/fuzz/child.h"
#include "tests/fuzz/naive_editor.h"
#include "tests/host/toy_terminal.h"

#define PROMPT "lazymap> "

struct boot_info boot_info;

static const u8 *at, *end;
static char ran[16384], want[16384]; /* "name(arg,arg);" of each command that runs, or is to */
static enum naive_event event;	     /* what the last key was */
static const char *const names[] = {"show", "stop", "spoil", NULL};

/* --- a parser of our own --- */

struct word {
	char text[MONITOR_LINE_MAX];
};

static void add(char *list, size_t size, int argc, const struct word *word)
{
	size_t n = strlen(list);

	for (int i = 0; i < argc; i++)
		n += (size_t)snprintf(list + n, size - n, "%s%s",
				      i == 0   ? ""
				      : i == 1 ? "("
					       : ",",
				      word[i].text);
	snprintf(list + n, size - n, "%s;", argc > 1 ? ")" : "");
	CHECK(strlen(list) < size - 1);
}

static bool known(const char *name)
{
	unsigned i = 0;

	while (names[i] && strcmp(name, names[i]))
		i++;
	return names[i];
}

/* One character at a time. => false: it is no line to be run */
static bool parse(const char *line, char *list, size_t size)
{
	static struct word word[CMD_MAX_ARGS + 1];
	bool in_word = false, stopped = false;
	char quote = '\0';
	size_t len = 0;
	int argc = 0;

	list[0] = '\0';
	for (;; line++) {
		char c = *line;

		if (quote && c && c != quote) {
			word[argc].text[len++] = c;
			continue;
		}
		if (quote && !c)
			return false;
		if (quote || c == '"' || c == '\'') {
			in_word = true;
			quote = quote ? '\0' : c;
		} else if (c && c != ' ' && c != '\t' && c != ';') {
			in_word = true;
			word[argc].text[len++] = c;
		} else if (in_word) {
			word[argc++].text[len] = '\0';
			in_word = false;
		}
		if (in_word && argc == CMD_MAX_ARGS)
			return false;
		if (!in_word)
			len = 0;
		if (!quote && (!c || c == ';')) {
			if (argc && known(word[0].text) && !stopped) {
				add(list, size, argc, word);
				stopped = !strcmp(word[0].text, "stop");
			}
			argc = 0;
		}
		if (!c)
			return true;
	}
}

/* --- the commands --- */

static void record(int argc, char **argv)
{
	static struct word word[CMD_MAX_ARGS];

	CHECK(argc >= 1 && argc <= CMD_MAX_ARGS && !argv[argc]);
	for (int i = 0; i < argc; i++)
		CHECK(strlcpy(word[i].text, argv[i], sizeof(word[i].text)) < MONITOR_LINE_MAX);
	add(ran, sizeof(ran), argc, word);
}

COMMAND(show, "[words]", "take the words down")
{
	record(argc, argv);
	return argc == 2 ? CMD_USAGE : argc;
}

COMMAND(stop, "", "be interrupted")
{
	record(argc, argv);
	return -EINTR;
}

COMMAND(spoil, "[words]", "change the words, as commands may")
{
	record(argc, argv);
	for (int i = 0; i < argc; i++)
		memset(argv[i], '\'', strlen(argv[i]));
	return 0;
}

/* --- the console --- */

void console_write(const char *s, size_t n)
{
	terminal(s, n);
}

void printk(const char *fmt, ...)
{
	char text[4096];
	va_list ap;
	size_t n;

	va_start(ap, fmt);
	n = (size_t)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	CHECK(n < sizeof(text));
	console_write(text, n);
}

/* What the last key did has been done. */
static void check_commands(void)
{
	if (event != NAIVE_ENTERED || !parse(naive.done, want, sizeof(want)))
		want[0] = '\0';
	if (strcmp(ran, want))
		fprintf(stderr, "\"%s\" runs %s\n   instead of %s\n", naive.done, ran, want);
	CHECK(!strcmp(ran, want));
	ran[0] = '\0';
}

static void check_screen(void)
{
	size_t n = strlen(naive.line), prompt = strlen(PROMPT);

	if (memcmp(row + prompt, naive.line, n))
		fprintf(stderr, "\"%.*s\" is shown\n   instead of %s\n", (int)n, row + prompt,
			naive.line);
	CHECK(!memcmp(row, PROMPT, prompt) && !memcmp(row + prompt, naive.line, n));
	for (n += prompt; n < COLS; n++)
		CHECK(row[n] == ' ');
	CHECK(col == prompt + naive.pos && !edge_hits);
}

char console_getc(void)
{
	static unsigned ends; /* rows, before the last key */

	check_commands();
	check_screen();
	CHECK(row_ends == ends || event != NAIVE_TYPING || at[-1] == '\t');
	ends = row_ends;
	if (at == end) {
		fflush(NULL);
		child_done();
	}
	event = naive_key(*at, names);
	return (char)*at++;
}

void console_clear_interrupt(void)
{
}

void machine_exit(int status)
{
	CHECK(!status && !ran[0] && event == NAIVE_ENDED);
	child_done();
}

const char *symbol_lookup(u64 addr, u64 *offset)
{
	(void)addr;
	(void)offset;
	return NULL;
}

static void run_line(void)
{
	size_t n = (size_t)(end - at);
	char *line = malloc(n + 1);
	bool good;
	int status;

	memcpy(line, at, n);
	line[n] = '\0';
	status = monitor_exec(line);
	good = strlen(line) < MONITOR_LINE_MAX && parse(line, want, sizeof(want));
	CHECK(good || status == -EINVAL || status == -E2BIG);
	CHECK(!strcmp(ran, good ? want : ""));
	free(line);
}

static void run(const u8 *data, size_t size)
{
	at = data;
	end = data + size;
	blank_row();
	if (size && *at == 'r') {
		at++;
		run_line();
	} else {
		monitor_main();
	}
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	in_child(run, data, size);
	return 0;
}
