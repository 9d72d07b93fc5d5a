# SPDX-License-Identifier: MIT
"""Tests of the harness itself: what must not pass as success. (scenarios.py has those with a guest.)"""

import copy
import json

import tap
import tracing
from guest import ESCAPE, UNFINISHED_ESCAPE, Failed

# Each report with what parse() must make of it: how many checks of each status, how many complaints.
REPORTS = [
    ("a sound report", "1..2\nok 1 - a\nok 2 - b\n", (2, 0, 0), 0),
    ("the plan at the end", "ok 1 - a\nok 2 - b\n1..2\n", (2, 0, 0), 0),
    ("a failure", "1..2\nok 1 - a\nnot ok 2 - b\n", (1, 1, 0), 0),
    ("a skip", "1..2\nok 1 - a\nok 2 - b # SKIP no TLB\n", (1, 0, 1), 0),
    ("a test that never reported", "1..3\nok 1 - a\nok 2 - b\n", (2, 0, 0), 1),
    ("no plan", "ok 1 - a\n", (1, 0, 0), 1),
    ("nothing at all", "", (0, 0, 0), 1),
    ("a result left out", "1..2\nok 1 - a\nok 3 - c\n", (2, 0, 0), 1),
    ("a result too many", "1..1\nok 1 - a\nok 2 - b\n", (2, 0, 0), 1),
    ("two plans", "1..1\n1..1\nok 1 - a\n", (1, 0, 0), 1),
    ("other lines between", "boot\n1..1\nLAZYMAP\n# ok 9\nok 1 - a\r\nlazymap> x\n", (1, 0, 0), 0),
]


def check_reports():
    for name, text, counts, complaints in REPORTS:
        checks, found = tap.parse(text)
        statuses = [check.status for check in checks]
        right = (tuple(statuses.count(s) for s in ("pass", "fail", "skip")), len(found)) == (counts, complaints)
        yield tap.Check(f"TAP: {name}", "pass" if right else "fail", f"{statuses}, {found}")


def check_details():
    before = tap.parse("1..1\n# x.c:1: why\nnot ok 1 - a\n")[0][0].detail
    after = tap.parse("1..1\nnot ok 1 - a\n# got 1, want 2\n")[0][0].detail
    skip = tap.parse("1..1\nok 1 - a # SKIP no TLB\n")[0][0].detail
    for name, got, want in (("reason before", before, "# x.c:1: why"), ("reason after", after, "# got 1, want 2"),
                            ("reason of a skip", skip, "no TLB")):
        yield tap.Check(f"TAP: {name}", "pass" if got == want else "fail", f"{got!r}, not {want!r}")


def check_escapes():
    for name, good in (("are removed", ESCAPE.sub("", "a\x1b[1;32mb\x1b[Kc\r\n") == "abc\n"),
                       ("wait for their end", bool(UNFINISHED_ESCAPE.search("abc\x1b[1;")))):
        yield tap.Check(f"escapes {name}", "pass" if good else "fail", "")


def event(phase, name, cpu, ts, **more):
    return {"name": name, "ph": phase, "ts": ts, "pid": 1, "tid": cpu + 1, **more}


# One shootdown: CPU 0 asks CPU 1.
TRACE = [
    event("M", "thread_name", 0, 0, args={"name": "CPU 0"}),
    event("M", "thread_name", 1, 0, args={"name": "CPU 1"}),
    event("B", "shootdown", 0, 1.5),
    event("s", "ask", 0, 1.5, cat="shootdown", id="0x100000000000001"),
    event("B", "serve", 1, 2),
    event("f", "ask", 1, 2, cat="shootdown", id="0x100000000000001", bp="e"),
    event("E", "serve", 1, 3),
    event("E", "shootdown", 0, 4),
    event("i", "quiet", 1, 5),
]
ASKS, TAIL, SERVES, HEAD, SERVED, ASKED, QUIET = range(2, 9)

# What happens to the list of events, and what check() must say of it; "": it is sound.
TRACES = [
    ("a sound trace", lambda events: None, ""),
    ("no track", lambda events: events[QUIET].pop("tid"), "without tid"),
    ("no time", lambda events: events[ASKS].pop("ts"), "without ts"),
    ("an unknown kind", lambda events: events[QUIET].update(ph="Q"), "unknown kind"),
    ("a track without a name", lambda events: events[QUIET].update(tid=3), "no name for the track"),
    ("a track with another name", lambda events: events[1]["args"].update(name="cpu"), "the tracks are called"),
    ("time that goes back", lambda events: events[SERVED].update(ts=1), "time goes back"),
    ("a slice without an end", lambda events: events.pop(ASKED), "does not end"),
    ("a slice without a beginning", lambda events: events[ASKS].update(ph="i"), "ends what has not begun"),
    ("slices that cross", lambda events: events.insert(SERVED, event("B", "purge", 1, 2)), "ends what has not begun"),
    ("an arrow without a head", lambda events: events.pop(HEAD), "an arrow to nowhere"),
    ("an arrow without a tail", lambda events: events.pop(TAIL), "an arrow from nowhere"),
    ("an arrow back in time", lambda events: [e.update(ts=2.5) for e in events[ASKS:SERVES]], "an arrow from nowhere"),
    ("an arrow with two tails", lambda events: events.insert(TAIL, events[TAIL]), "two arrows of one name"),
    ("an arrow with two heads", lambda events: events.insert(HEAD, events[HEAD]), "an arrow from nowhere"),
    ("an arrow from outside", lambda events: events.insert(ASKS, events.pop(TAIL)), "an arrow at None"),
    ("an arrow to outside", lambda events: events.insert(SERVED, events.pop(HEAD)), "an arrow at None"),
    ("an arrow to what follows", lambda events: events[HEAD].pop("bp"), "an arrow to what comes next"),
    ("an arrow to another name", lambda events: events[HEAD].update(id="0x1"), "an arrow from nowhere"),
]


def printed(events):
    """=> the lines that a kernel would print"""
    other = dict.fromkeys(tracing.OTHER_DATA, 0) | {"cpus": 2, "events": len(events)}
    lines = [",{" + json.dumps(event)[1:] for event in events]
    return [tracing.BEGIN, '{"traceEvents":[', lines[0][1:], *lines[1:], '],"otherData":' + json.dumps(other) + "}",
            tracing.END]


def verdict(lines):
    """=> why check() refuses these lines, "" if it does not"""
    try:
        tracing.check("\n".join(lines))
    except Failed as failed:
        return str(failed)
    return ""


def check_traces():
    sound = printed(TRACE)
    cases = [
        ("lines between", [*sound[:4], "panic? no", "{x}", *sound[4:]], ""),
        ("an earlier dump", [*sound, "lazymap> trace dump json", *sound], ""),
        ("a lost line", [line for line in sound if "quiet" not in line], "8 events, 9 were printed"),
        ("half a line", [line.replace("quiet", '"') for line in sound], "is not JSON"),
        ("no end", sound[:-1], "the line TRACE-JSON-END is missing"),
        ("no beginning", sound[1:], "the line TRACE-JSON-BEGIN is missing"),
        ("no tsc_hz", [line.replace("tsc_hz", "tsc") for line in sound], "otherData has no tsc_hz"),
    ]
    for name, change, wanted in TRACES:
        events = copy.deepcopy(TRACE)
        change(events)
        cases.append((name, printed(events), wanted))
    for name, lines, wanted in cases:
        got = verdict(lines)
        good = wanted in got if wanted else not got
        yield tap.Check(f"trace: {name}", "pass" if good else "fail", f"{got!r}, not {wanted!r}")


def run():
    """=> list of tap.Check"""
    return [*check_reports(), *check_details(), *check_escapes(), *check_traces()]
