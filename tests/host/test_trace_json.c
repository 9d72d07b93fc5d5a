// SPDX-License-Identifier: MIT
/*
 * The trace as JSON, line by line, from made-up histories: whole ones, and those of which the rings
 * kept only a part. That what viewers demand holds for a whole dump is checked where a kernel makes
 * one (tests/harness/tracing.py).
 */
// links: kernel/trace_json.c kernel/format.c
#include "tests/host/trace_world.h"

/* => the lines of events, without the names of process and tracks, and with "ph" etc. as they are */
static const char *json(void)
{
	const char *first;

	said[said_len = 0] = '\0';
	trace_dump_json();
	first = strstr(said, "CPU 2\"}}\n");
	return first ? first + 9 : said;
}

#define ID(cpu, n) ((u64)(cpu) << 48 | (n))

static void test_shootdown(void)
{
	fresh();
	at(1000, 0, EV_map, 0xffff900000001000, 4);
	at(2000, 0, EV_purge, 30, 1);
	at(2500, 0, EV_flush, 7, 30);
	at(2750, 0, EV_ipi_send, 6, ID(0, 9));
	at(3001, 1, EV_serve, 0, ID(0, 9));
	at(3002, 2, EV_serve, 0, ID(0, 9));
	at(4000, 1, EV_ack, 0, ID(0, 9));
	at(4001, 2, EV_ack, 0, ID(0, 9));
	at(5000, 0, EV_flush_end, 6, ID(0, 9));
	at(1234567890, 0, EV_purge_end, 30, 1);
	json();
	is_str(said,
	       "TRACE-JSON-BEGIN\n"
	       "{\"traceEvents\":[\n"
	       "{\"name\":\"process_name\",\"ph\":\"M\",\"ts\":0.000,\"pid\":1,\"tid\":1,\"args\":{\"name\":\"Lazymap\"}}\n"
	       ",{\"name\":\"thread_name\",\"ph\":\"M\",\"ts\":0.000,\"pid\":1,\"tid\":1,\"args\":{\"name\":\"CPU 0\"}}\n"
	       ",{\"name\":\"thread_name\",\"ph\":\"M\",\"ts\":0.000,\"pid\":1,\"tid\":2,\"args\":{\"name\":\"CPU 1\"}}\n"
	       ",{\"name\":\"thread_name\",\"ph\":\"M\",\"ts\":0.000,\"pid\":1,\"tid\":3,\"args\":{\"name\":\"CPU 2\"}}\n"
	       ",{\"name\":\"map\",\"ph\":\"i\",\"ts\":1.000,\"pid\":1,\"tid\":1,\"args\":{\"va\":\"0xffff900000001000\",\"pages\":4}}\n"
	       ",{\"name\":\"purge\",\"ph\":\"B\",\"ts\":2.000,\"pid\":1,\"tid\":1,\"args\":{\"pages\":30,\"phase\":1}}\n"
	       ",{\"name\":\"shootdown\",\"ph\":\"B\",\"ts\":2.500,\"pid\":1,\"tid\":1,\"args\":{\"targets\":\"0x7\",\"pages\":30}}\n"
	       ",{\"name\":\"ask\",\"ph\":\"s\",\"ts\":2.500,\"pid\":1,\"tid\":1,\"cat\":\"shootdown\",\"id\":\"0x100000000000009\"}\n"
	       ",{\"name\":\"ask\",\"ph\":\"s\",\"ts\":2.500,\"pid\":1,\"tid\":1,\"cat\":\"shootdown\",\"id\":\"0x200000000000009\"}\n"
	       ",{\"name\":\"ipi_send\",\"ph\":\"i\",\"ts\":2.750,\"pid\":1,\"tid\":1,\"args\":{\"targets\":\"0x6\",\"id\":\"0x9\"}}\n"
	       ",{\"name\":\"serve\",\"ph\":\"B\",\"ts\":3.001,\"pid\":1,\"tid\":2,\"args\":{\"from\":0,\"id\":\"0x9\"}}\n"
	       ",{\"name\":\"ask\",\"ph\":\"f\",\"ts\":3.001,\"pid\":1,\"tid\":2,\"cat\":\"shootdown\",\"id\":\"0x100000000000009\",\"bp\":\"e\"}\n"
	       ",{\"name\":\"serve\",\"ph\":\"B\",\"ts\":3.002,\"pid\":1,\"tid\":3,\"args\":{\"from\":0,\"id\":\"0x9\"}}\n"
	       ",{\"name\":\"ask\",\"ph\":\"f\",\"ts\":3.002,\"pid\":1,\"tid\":3,\"cat\":\"shootdown\",\"id\":\"0x200000000000009\",\"bp\":\"e\"}\n"
	       ",{\"name\":\"serve\",\"ph\":\"E\",\"ts\":4.000,\"pid\":1,\"tid\":2,\"args\":{\"to\":0,\"id\":\"0x9\"}}\n"
	       ",{\"name\":\"serve\",\"ph\":\"E\",\"ts\":4.001,\"pid\":1,\"tid\":3,\"args\":{\"to\":0,\"id\":\"0x9\"}}\n"
	       ",{\"name\":\"shootdown\",\"ph\":\"E\",\"ts\":5.000,\"pid\":1,\"tid\":1,\"args\":{\"targets\":\"0x6\",\"id\":\"0x9\"}}\n"
	       ",{\"name\":\"purge\",\"ph\":\"E\",\"ts\":1234567.890,\"pid\":1,\"tid\":1,\"args\":{\"pages\":30,\"phase\":1}}\n"
	       "],\"otherData\":{\"version\":1,\"tsc_hz\":1000000000,\"cpus\":3,\"events\":18,\"records\":10,\"lost_records\":0,\"command_line\":\"\"}}\n"
	       "TRACE-JSON-END\n",
	       "a purge with one shootdown of two CPUs, as it stands in the file");
}

/* The events in short: "cpu phase name" each, and what flows are called. */
static const char *shape(void)
{
	static char got[4096];
	size_t n = 0;

	got[0] = '\0';
	for (const char *s = json(); (s = strstr(s, "{\"name\":\"")); s++) {
		const char *name = s + 9, *tid = strstr(s, "\"tid\":") + 6;
		const char *id = strstr(s, "shootdown\",\"id\":\"");
		char phase = *(strstr(s, "\"ph\":\"") + 6);

		n += (size_t)snprintf(got + n, sizeof(got) - n, "%u%c ", atoi(tid) - 1, phase);
		n += (size_t)snprintf(got + n, sizeof(got) - n, "%.*s",
				      (int)(strchr(name, '"') - name), name);
		if (phase == 's' || phase == 'f')
			n += (size_t)snprintf(got + n, sizeof(got) - n, " %lx",
					      strtoul(id + 17, NULL, 16));
		n += (size_t)snprintf(got + n, sizeof(got) - n, "; ");
	}
	return got;
}

static void test_half_slices(void)
{
	fresh();
	at(1, 1, EV_ack, 0, ID(0, 1));
	at(2, 0, EV_flush_end, 2, ID(0, 1));
	at(3, 0, EV_purge_end, 1, 1);
	is_str(shape(), "", "ends whose beginnings are lost are left out");

	fresh();
	at(1, 0, EV_purge, 1, 1);
	at(2, 0, EV_flush, 3, 1);
	at(3, 1, EV_quiet, 1, 0);
	is_str(shape(), "0B purge; 0B shootdown; 1i quiet; 0E shootdown; 0E purge; ",
	       "slices that are open at the end of the dump are closed there");
	ok(strstr(said, "\"name\":\"purge\",\"ph\":\"E\",\"ts\":0.003,\"pid\":1,\"tid\":1,"
			"\"args\":{\"end\":\"not recorded\"}}\n"),
	   "at its last time, and say so");

	fresh();
	at(1, 0, EV_purge, 1, 1);
	at(2, 0, EV_flush, 3, 1);
	begin_record(0);
	at(4, 0, EV_purge_end, 1, 1);
	at(5, 0, EV_purge, 2, 2);
	at(6, 0, EV_purge_end, 2, 2);
	is_str(shape(), "0B purge; 0B shootdown; 0E shootdown; 0E purge; 0B purge; 0E purge; ",
	       "an end closes what is open inside");

	fresh();
	at(1, 0, EV_purge, 1, 1);
	at(2, 0, EV_flush, 3, 1);
	begin_record(0);
	begin_record(0);
	at(5, 0, EV_purge, 2, 2);
	at(6, 0, EV_purge_end, 2, 2);
	is_str(shape(), "0B purge; 0B shootdown; 0E shootdown; 0E purge; 0B purge; 0E purge; ",
	       "and so does a beginning of what cannot happen within itself");

	fresh();
	at(1, 1, EV_serve, 0, ID(0, 1));
	at(2, 0, EV_missed, 5, 5);
	at(3, 1, EV_quiet, 1, 0);
	at(4, 1, EV_ack, 0, ID(0, 1));
	is_str(shape(), "1B serve; 0i missed; 1E serve; 1i quiet; ", "a pause closes what is open");
}

static void test_nested(void)
{
	fresh();
	at(1, 1, EV_serve, 0, ID(0, 1));
	at(2, 1, EV_serve, 2, ID(2, 1));
	at(3, 1, EV_ack, 2, ID(2, 1));
	at(4, 1, EV_ack, 0, ID(0, 1));
	is_str(shape(), "1B serve; 1B serve; 1E serve; 1E serve; ",
	       "an interrupt serves while its CPU serves");
	ok(strstr(said, "E\",\"ts\":0.003,\"pid\":1,\"tid\":2,\"args\":{\"to\":2,"),
	   "each acknowledgement ends its own");

	fresh();
	at(1, 1, EV_serve, 0, ID(0, 1));
	at(2, 1, EV_serve, 2, ID(2, 1));
	begin_record(1);
	at(4, 1, EV_ack, 0, ID(0, 1));
	at(5, 1, EV_quiet, 1, 0);
	is_str(shape(), "1B serve; 1B serve; 1E serve; 1E serve; 1i quiet; ",
	       "also if the inner one's is lost");

	fresh();
	for (u64 i = 0; i < 20; i++)
		at(i, 0, EV_serve, 1, ID(1, i));
	for (u64 i = 20; i-- > 0;)
		at(40 - i, 0, EV_ack, 1, ID(1, i));
	is_str(shape(),
	       "0B serve; 0B serve; 0B serve; 0B serve; 0B serve; 0B serve; 0B serve; 0B serve; "
	       "0E serve; 0E serve; 0E serve; 0E serve; 0E serve; 0E serve; 0E serve; 0E serve; ",
	       "what is nested too deep is left out with both its ends");
}

/* CPU `cpu` serves shootdown `nr` of CPU `asker`, which takes it a nanosecond. */
static void serve(u64 ns, unsigned cpu, unsigned asker, u64 nr)
{
	at(ns, cpu, EV_serve, asker, ID(asker, nr));
	at(ns + 1, cpu, EV_ack, asker, ID(asker, nr));
}

static void test_arrows(void)
{
	fresh();
	at(1, 0, EV_flush, 6, 1);
	at(2, 2, EV_flush, 3, 1);
	serve(3, 1, 2, 5);
	serve(5, 1, 0, 5);
	at(7, 2, EV_flush_end, 2, ID(2, 5));
	at(8, 0, EV_flush_end, 2, ID(0, 5));
	is_str(shape(),
	       "0B shootdown; 0s ask 100000000000005; 2B shootdown; 2s ask 102000000000005; "
	       "1B serve; 1f ask 102000000000005; 1E serve; "
	       "1B serve; 1f ask 100000000000005; 1E serve; 2E shootdown; 0E shootdown; ",
	       "two shootdowns at once, and only the CPU that served got arrows");

	fresh();
	at(1, 0, EV_flush, 6, 1);
	serve(2, 1, 0, 5);
	is_str(shape(), "0B shootdown; 1B serve; 1E serve; 0E shootdown; ",
	       "a shootdown whose end is lost has no arrows");

	fresh();
	at(1, 0, EV_flush, 6, 1);
	begin_record(0);
	at(3, 0, EV_flush, 6, 1);
	serve(4, 1, 0, 6);
	at(6, 0, EV_flush_end, 0, ID(0, 6));
	is_str(shape(),
	       "0B shootdown; 0E shootdown; 0B shootdown; 0s ask 100000000000006; "
	       "1B serve; 1f ask 100000000000006; 1E serve; 0E shootdown; ",
	       "nor does it take the next one's end for its own");

	fresh();
	at(1, 0, EV_flush, 2, 1);
	at(2, 2, EV_flush, 2, 1);
	serve(3, 1, 0, 5);
	at(5, 2, EV_flush_end, 2, ID(2, 5));
	at(6, 0, EV_flush_end, 2, ID(0, 5));
	is_str(shape(),
	       "0B shootdown; 0s ask 100000000000005; 2B shootdown; "
	       "1B serve; 1f ask 100000000000005; 1E serve; 2E shootdown; 0E shootdown; ",
	       "nor another CPU's request");

	fresh();
	at(1, 0, EV_flush, 2, 1);
	serve(2, 1, 0, 5);
	serve(4, 1, 0, 6);
	at(6, 0, EV_flush_end, 2, ID(0, 6));
	is_str(shape(),
	       "0B shootdown; 0s ask 100000000000006; 1B serve; 1E serve; "
	       "1B serve; 1f ask 100000000000006; 1E serve; 0E shootdown; ",
	       "an arrow leads to the serving of its own shootdown");

	fresh();
	serve(2, 1, 0, 5);
	at(4, 0, EV_flush_end, 2, ID(0, 5));
	is_str(shape(), "1B serve; 1E serve; ", "an arrow whose tail is lost has no head");

	fresh();
	at(1, 0, EV_flush, 2, 1);
	at(2, 0, EV_flush_end, 0, ID(0, 7));
	at(3, 1, EV_serve, 0, ID(0, 7));
	is_str(shape(), "0B shootdown; 0E shootdown; 1B serve; 1E serve; ",
	       "no arrow leads to what comes after the shootdown");
}

static void test_other_data(void)
{
	char longest[sizeof(boot_info.cmdline)];

	fresh();
	for (u64 i = 0; i < TRACE_RECORDS; i++)
		at(i, 1, EV_quiet, i, 0);
	begin_record(1);
	strlcpy(boot_info.cmdline, "run=\"a; b\" \\x\t\x7f\xe9", sizeof(boot_info.cmdline));
	json();
	ok(strstr(said, "\"records\":503,\"lost_records\":10,\"command_line\":"
			"\"run=\\\"a; b\\\" \\\\x\\u0009\\u007f\\u00e9\"}}\nTRACE-JSON-END\n"),
	   "what is lost is counted, an unfinished record too; the command line is escaped");
	memset(longest, '\1', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	strlcpy(boot_info.cmdline, longest, sizeof(boot_info.cmdline));
	json();
	ok(strstr(said, "\\u0001\"}}\nTRACE-JSON-END\n"), "the worst one comes out whole");
	boot_info.cmdline[0] = '\0';
}

static void test_interrupted(void)
{
	fresh();
	at(1, 0, EV_quiet, 1, 0);
	at(2, 0, EV_quiet, 2, 0);
	interrupt_in = 2;
	json();
	ok(!strstr(said, "\"clock\":2") && !strstr(said, TRACE_JSON_END),
	   "Ctrl-C ends the dump, without the line that says it is complete");
	interrupt_in = NEVER;
	at(3, 0, EV_quiet, 3, 0);
	is_str(shape(), "0i quiet; 0i quiet; 0i quiet; ", "and recording goes on");

	fresh();
	at(1, 0, EV_purge, 1, 1);
	at(2, 0, EV_quiet, 1, 0);
	interrupt_in = 2;
	json();
	interrupt_in = NEVER;
	trace_clear();
	is_str(shape(), "", "what was open then is not in the next dump");
}

int main(void)
{
	test_shootdown();
	test_half_slices();
	test_nested();
	test_arrows();
	test_other_data();
	test_interrupted();
	return done_testing();
}
