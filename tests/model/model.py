#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs the models of tests/model/ through Spin, and the bugs that each must be seen to catch.

  model.py                 all models and all bugs; prints TAP
  model.py --only GLOB     those of the models (files) that match
  model.py --full          the runs that take longer, instead
  model.py --list          names of the bugs, with the model and what is wrong
  model.py BUG             does the model catch it? Ends with status 0: killed, 1: survived, 2: not known

A model says in its first lines how it is run and which bugs it knows:

  // run: NAME KIND FLAGS        (full: the same for --full) KIND: safety, or progress
  // bug: NAME RUN EXPECTED ...  -DBUG_NAME in that run must end in an error of that kind

A run is right if the search is complete, without an error, and together a model's runs reach all it says.
"""

import argparse
import fnmatch
import glob
import os
import re
import subprocess
import sys
import time
from typing import NamedTuple

HERE = os.path.dirname(os.path.abspath(__file__))
DEPTH = 1000000  # steps in one run; pan says if that is too few
MEMORY = 3000  # MiB
TIMEOUT = 900  # seconds for one search

# What pan says of each kind of error.
ERRORS = {
    "stale": r"assertion violated .*holds\[",
    "back": r"assertion violated .*(flushed\[|horizon|covered)",
    "lost": r"assertion violated .*(in_hand|mapped_as|tree)",
    "left": r"assertion violated .*present&due",
    "live": r"assertion violated .*(translation|word)",
    "deadlock": r"invalid end state",
    "starved": r"non-progress cycle",
}

# How each kind of run is compiled and run.
KINDS = {
    "safety": (["-DSAFETY"], []),
    "progress": (["-DNP", "-DNFAIR=3"], ["-l", "-f"]),
}


class Run(NamedTuple):
    model: str
    name: str
    kind: str
    flags: list
    full: bool


class Bug(NamedTuple):
    model: str
    name: str
    run: str
    expected: str
    what: str


class Result(NamedTuple):
    error: str  # what pan complained of first; "" if nothing
    states: int
    seconds: float
    steps: set  # as (place, text)
    reached: set


class Broken(Exception):
    """Spin or the compiler refused, or the search was not complete."""


def read_models():
    """=> (runs, bugs) of all models"""
    runs, bugs = [], []
    for path in sorted(glob.glob(f"{HERE}/*.pml")):
        model = os.path.basename(path).removesuffix(".pml")
        with open(path, encoding="utf-8") as file:
            for line in file:
                if match := re.match(r"// (run|full): (\S+)\s+(\S+)\s+(.*)", line):
                    runs.append(Run(model, match[2], match[3], match[4].split(), match[1] == "full"))
                elif match := re.match(r"// bug: (\S+)\s+(\S+)\s+(\S+)\s+(.*)", line):
                    bugs.append(Bug(model, *match.groups()))
    return runs, bugs


def command(argv, directory):
    done = subprocess.run(argv, cwd=directory, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace", timeout=TIMEOUT, check=False)
    return done.returncode, done.stdout


def search(build, run, defines=()):
    """Makes pan and runs it. => Result"""
    directory = os.path.join(build, "-".join([run.model, run.name, *(d.removeprefix("-DBUG_") for d in defines)]))
    os.makedirs(directory, exist_ok=True)
    compiled, searched = KINDS[run.kind]
    model = f"{HERE}/{run.model}.pml"
    for argv in (["spin", "-a", *run.flags, *defines, model],
                 # Compiling well takes longer than a bug is searched for.
                 ["gcc", "-w", "-O0" if defines else "-O1", "-DNOREDUCE", f"-DMEMLIM={MEMORY}", *compiled, "-o", "pan", "pan.c"]):
        status, said = command(argv, directory)
        if status:
            raise Broken(f"{' '.join(argv)}\n{said}")
    started = time.monotonic()
    try:
        output = command(["./pan", f"-m{DEPTH}", *searched], directory)[1]
    except subprocess.TimeoutExpired:
        raise Broken(f"{directory}/pan was still searching after {TIMEOUT} s") from None
    seconds = time.monotonic() - started
    error = re.search(r"^pan:1: (.*)", output, re.M)
    states = re.search(r"^\s*(\d+) states, stored", output, re.M)
    complete = "errors: 0" in output and not re.search(r"not completed|too small|reached|out of memory", re.sub(
        r"unreached.*|depth reached", "", output))
    if not states or not error and not complete:
        raise Broken(f"{directory}/pan did not search everything\n{output[-2000:]}")
    return Result(error[1] if error else "", int(states[1]), seconds, *steps_of(directory, output))


def sections(text, head):
    """=> (name, lines) of each part of pan's output that begins with such a line"""
    return [(name, lines.splitlines()) for name, lines in re.findall(head + r" (.*)\n((?:\t.*\n)*)", text, re.M)]


def steps_of(directory, output):
    """=> (steps that the compiled model has, those that were taken)

    An inline is there many times over, so what counts is whether any copy of a line's statement is reached.
    """
    unreached = {(proctype, int(state)) for proctype, lines in sections(output, "^unreached in proctype")
                 for line in lines for state in re.findall(r", state (\d+), ", line)}
    steps, reached = set(), set()
    for proctype, lines in sections(command(["./pan", "-d"], directory)[1], "^proctype"):
        for line in lines:
            if match := re.match(r"\s*state\s+(\d+) .*\] (\S+:\d+) => (.*)", line):
                step = (os.path.basename(match[2]), match[3])
                if match[3] != "-end-":
                    steps.add(step)
                    if (proctype, int(match[1])) not in unreached:
                        reached.add(step)
    return steps, reached


def check_bug(build, runs, bug):
    """=> (killed, what was seen)"""
    run = next(run for run in runs if (run.model, run.name) == (bug.model, bug.run))
    result = search(build, run, [f"-DBUG_{bug.name}"])
    if not result.error:
        return False, f"{bug.model}/{bug.run} sees no error in {result.states} states"
    return bool(re.match(ERRORS[bug.expected], result.error)), f"{bug.expected} expected, seen: {result.error}"


class Tap:
    def __init__(self):
        self.number, self.failed = 0, 0

    def check(self, passed, name, detail=""):
        self.number += 1
        self.failed += not passed
        print(f"{'ok' if passed else 'not ok'} {self.number} - {name}")
        if not passed:
            print("".join(f"# {line}\n" for line in detail.splitlines()), end="")
        sys.stdout.flush()


def check_model(tap, build, runs, bugs, full):
    steps, reached = set(), set()
    for run in runs:
        if run.full != full:
            continue
        name = f"{run.model}/{run.name}"
        try:
            result = search(build, run)
        except Broken as broken:
            tap.check(False, name, str(broken))
            continue
        replay = f"to see how: cd {build}/{run.model}-{run.name} && spin -k {run.model}.pml.trail -p {' '.join(run.flags)} " \
                 f"{HERE}/{run.model}.pml"
        tap.check(not result.error, f"{name}: {result.states} states in {result.seconds:.1f} s",
                  f"{result.error}\n{replay}")
        steps |= result.steps
        reached |= result.reached
    if full:
        return
    tap.check(steps and steps == reached, f"{runs[0].model}: each of its {len(steps)} steps is taken in some run",
              "\n".join(f"{where}: {what}" for where, what in sorted(steps - reached)))
    for bug in bugs:
        try:
            killed, seen = check_bug(build, runs, bug)
        except Broken as broken:
            killed, seen = False, str(broken)
        tap.check(killed, f"{bug.model} sees {bug.name} ({bug.what})", seen)


def main():
    parser = argparse.ArgumentParser(description="run the Spin models")
    parser.add_argument("--build", default="build/model", help="where Spin's output goes")
    parser.add_argument("--only", default="*", help="only models whose name matches this")
    parser.add_argument("--full", action="store_true", help="the runs that take longer, instead")
    parser.add_argument("--list", action="store_true", help="the bugs that are known")
    parser.add_argument("bug", nargs="?", help="look for this bug only")
    args = parser.parse_args()
    runs, bugs = read_models()
    build = os.path.abspath(args.build)

    if args.list:
        for bug in bugs:
            print(f"{bug.name:20} {bug.model:10} {bug.what}")
        return 0
    if args.bug:
        bug = next((bug for bug in bugs if bug.name == args.bug), None)
        if not bug:
            print(f"no bug is called {args.bug}; model.py --list names them")
            return 2
        try:
            killed, seen = check_bug(build, runs, bug)
        except Broken as broken:
            print(broken)
            return 2
        print(f"{'killed' if killed else 'survived'}: {bug.name} ({seen})")
        return 0 if killed else 1

    tap = Tap()
    for model in sorted({run.model for run in runs}):
        if fnmatch.fnmatch(model, args.only):
            check_model(tap, build, [run for run in runs if run.model == model],
                        [bug for bug in bugs if bug.model == model], args.full)
    print(f"1..{tap.number}")
    return 1 if tap.failed or not tap.number else 0


if __name__ == "__main__":
    sys.exit(main())
