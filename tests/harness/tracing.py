# SPDX-License-Identifier: MIT
"""`make trace`: a machine runs something, then dumps its trace, which becomes a file that Perfetto opens.

The kernel prints the JSON (kernel/trace_json.c) on its serial port, between two lines of its own. Here it is
cut out and checked for what the viewers demand, and forgive the lack of only by drawing something else.
"""

import json
import re

from guest import Failed, Guest

TIMEOUT = 600  # seconds; 64 CPUs have some megabytes to tell
BEGIN, END = "TRACE-JSON-BEGIN", "TRACE-JSON-END"
# Every line of JSON begins like this, and nothing else that may come between.
LINE = re.compile(r'(\{"|,\{"|\],")')
OTHER_DATA = ("version", "tsc_hz", "cpus", "events", "records", "lost_records", "command_line")


def extract(text):
    """=> the JSON of the last dump in what a guest printed"""
    lines = text.splitlines()
    if END not in lines:
        raise Failed(f"no complete trace: the line {END} is missing")
    end = len(lines) - 1 - lines[::-1].index(END)
    if BEGIN not in lines[:end]:
        raise Failed(f"no complete trace: the line {BEGIN} is missing")
    begin = end - 1 - lines[:end][::-1].index(BEGIN)
    return "\n".join(line for line in lines[begin + 1:end] if LINE.match(line))


def metadata_complaints(trace):
    other, events = trace["otherData"], trace["traceEvents"]
    for name in OTHER_DATA:
        if name not in other:
            yield f"otherData has no {name}"
    if other.get("events") != len(events):
        yield f"{len(events)} events, {other.get('events')} were printed"
    named = {event["tid"]: event["args"]["name"] for event in events if event["name"] == "thread_name"}
    if sorted(named.values()) != sorted(f"CPU {n}" for n in range(other.get("cpus", 0))):
        yield f"the tracks are called {named}"
    for event in events:
        if event["tid"] not in named:
            yield f"no name for the track of {event}"


def track_complaints(events):
    """One track: time goes on, and slices nest. Adds to each event the slice it happens in, as `in`."""
    last, slices = 0, []
    for event in events:
        if event["ts"] < last:
            yield f"time goes back from {last} to {event}"
        last = event["ts"]
        if event["ph"] == "B":
            slices.append(event)
        elif event["ph"] == "E":
            if not slices or slices.pop()["name"] != event["name"]:
                yield f"ends what has not begun: {event}"
        event["in"] = slices[-1]["name"] if slices else None
    for event in slices:
        yield f"does not end: {event}"


def flow_complaints(events):
    tails = {}
    for event in sorted((event for event in events if event["ph"] in "sf"), key=lambda event: event["ts"]):
        flow = event["cat"], event["name"], event["id"]
        if event["in"] != {"s": "shootdown", "f": "serve"}[event["ph"]]:
            yield f"an arrow at {event['in']}: {event}"
        if event["ph"] == "s":
            if flow in tails:
                yield f"two arrows of one name: {event}"
            tails[flow] = event
        elif event.get("bp") != "e":
            yield f"an arrow to what comes next: {event}"
        elif not tails.get(flow):
            yield f"an arrow from nowhere: {event}"
        else:
            tails[flow] = None
    for tail in filter(None, tails.values()):
        yield f"an arrow to nowhere: {tail}"


def complaints(trace):
    """=> what a viewer would stumble over"""
    for event in trace["traceEvents"]:
        if lacking := {"name", "ph", "ts", "pid", "tid"} - event.keys():
            yield f"without {', '.join(sorted(lacking))}: {event}"
            return
        if event["ph"] not in "MBEisf":
            yield f"of an unknown kind: {event}"
    yield from metadata_complaints(trace)
    tracks = {}
    for event in trace["traceEvents"]:
        tracks.setdefault(event["tid"], []).append(event)
    for events in tracks.values():
        yield from track_complaints(events)
    yield from flow_complaints(trace["traceEvents"])


def check(text):
    """=> the trace in what a guest printed, and its JSON; Failed if there is anything wrong with it"""
    dumped = extract(text)
    try:
        trace = json.loads(dumped)
    except json.JSONDecodeError as error:
        raise Failed(f"the trace is not JSON: {error}") from None
    found = list(complaints(trace))
    if found:
        raise Failed("\n".join(["the trace is not sound:", *found[:10]]))
    return trace, dumped


def count(trace, name, phase):
    return sum(event["name"] == name and event["ph"] == phase for event in trace["traceEvents"])


def traced(machine, commands):
    """=> `machine`, to run the commands and print their trace. The last run= on a command line counts."""
    run = f'run="trace clear; trace on; {commands}; trace off; trace dump json"'
    return machine._replace(append=f"{machine.append} {run}".strip())


def record(machine, build, commands):
    """Writes build/trace.json, a trace of these commands of the monitor. => whether they succeeded"""
    path, log = f"{build}/trace.json", f"{build}/run/trace.log"
    with Guest(traced(machine, commands), build, log) as guest:
        passed = guest.wait(TIMEOUT)
    try:
        trace, dumped = check(guest.text)
    except Failed as failed:
        raise guest.failed(str(failed)) from None
    with open(path, "w", encoding="ascii") as file:
        file.write(dumped)
    other = trace["otherData"]
    print(f"{path}: CPUs: {other['cpus']}; records: {other['records']}, older ones lost: {other['lost_records']}; "
          f"shootdowns: {count(trace, 'shootdown', 'B')}; requests to CPUs: {count(trace, 'ask', 's')}\n"
          "Open it in Perfetto or chrome://tracing.")
    if not passed:
        print(f"Some of '{commands}' failed; see {log}.")
    return passed
