#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""`make mutants`: puts small bugs into the sources, one at a time, and sees whether the tests find them.

First the named mutants (catalog.py): each stands for a bug somebody really had, or a rule of the protocol, and
says which test must find it. Then the plain pass (plain.py): whatever can be got wrong in a token. Before that
every test must pass without a bug, or its failing would prove nothing.

A mutant that no test finds fails the run. A run of all named ones writes the table, docs/results/mutants.md.
"""

import argparse
import fnmatch
import hashlib
import json
import os
import queue
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import catalog
import plain
import worlds
from workshop import DoesNotBuild, Tree, contents

HERE = os.path.dirname(__file__)
TABLE = "docs/results/mutants.md"
HEADINGS = {"host": "host", "model": "model", "qemu": "QEMU", "bochs": "Bochs", "xen": "Xen"}


class Result(NamedTuple):
    mutant: catalog.Mutant
    verdicts: list  # (trial, Verdict)
    error: str = ""

    def good(self):
        return not self.error and all(came_true(trial, verdict) for trial, verdict in self.verdicts)


def came_true(trial, verdict):
    return trial.verb == "try" or verdict.word == {"kill": "killed", "hang": "hang"}[trial.verb]


class Known:
    """Verdicts of earlier runs, good as long as nothing has changed that they depend on: a run that was ended goes on
    where it was."""

    def __init__(self, path, again):
        self.path, self.lock = path, threading.Lock()
        self.verdicts = {}
        if not again and os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                self.verdicts = json.load(file)
        self.trees = {}
        for world in worlds.NAMES:
            digest = hashlib.sha256()
            for name in sorted(contents(".", worlds.files(world))):
                if os.path.isfile(name):
                    with open(name, "rb") as file:
                        digest.update(name.encode() + file.read())
            self.trees[world] = digest.hexdigest()

    def key(self, world, change):
        return hashlib.sha256(repr((self.trees[world], world, change)).encode()).hexdigest()

    def get(self, world, change):
        """=> Verdict on a change that was tried there, or None. `change`: anything that names it"""
        found = self.verdicts.get(self.key(world, change))
        return worlds.Verdict(*found) if found else None

    def put(self, world, change, verdict):
        with self.lock:
            self.verdicts[self.key(world, change)] = verdict
            with open(f"{self.path}.new", "w", encoding="utf-8") as file:
                json.dump(self.verdicts, file)
            os.replace(f"{self.path}.new", self.path)


class Workshop:
    """The trees, and a worker for each: what is tried is tried in any of them."""

    def __init__(self, settings):
        self.root, self.jobs = f"{settings.build}/mutants", settings.jobs
        self.logs = f"{self.root}/logs"
        os.makedirs(self.logs, exist_ok=True)
        self.pristine = Tree(f"{self.root}/pristine")
        self.pristine.take_sources(f"{settings.build}/xen")
        self.trees = queue.Queue()
        self.known = Known(f"{self.root}/verdicts.json", settings.again)
        self.normal = {}  # what each run takes without a bug, in seconds

    def build(self, targets):
        self.pristine.make(sorted(targets), self.jobs)

    def open(self):
        for number in range(self.jobs):
            tree = Tree(f"{self.root}/worker{number}")
            tree.become(self.pristine)
            self.trees.put(tree)

    def timeout(self, world, test):
        return worlds.SLACK + worlds.SLOWER * self.normal.get((world, test), 0)

    def log(self, name, world):
        return f"{self.logs}/{name}-{world}.log"

    def each(self, function, items):
        """=> function(tree, item) for each, in order, as they come; the tree is pristine again after each"""
        def one(item):
            tree = self.trees.get()
            try:
                return function(tree, item)
            finally:
                tree.become(self.pristine)
                self.trees.put(tree)
        with ThreadPoolExecutor(self.jobs) as pool:
            yield from pool.map(one, items)


def say(text):
    print(text, flush=True)


def must_pass_without(workshop, mutants):
    """Every test that is named, without a bug; of the models `make test-model` asks that. => False: some fail"""
    tests = sorted({(t.world, t.test) for m in mutants for t in m.trials
                    if t.world != "model" and not workshop.known.get(t.world, (m.hunks, t.test))})
    say(f"{len(tests)} tests without a bug:")

    def one(numbered):
        number, (world, test) = numbered
        started = time.monotonic()
        verdict = worlds.run(world, workshop.pristine, test, worlds.TIMEOUT, workshop.log(f"pristine-{number}", world))
        workshop.normal[world, test] = time.monotonic() - started
        passed = verdict.word == "survived"
        say(f"[{number}/{len(tests)}] {'ok' if passed else 'FAIL'} {world} {test} "
            f"({workshop.normal[world, test]:.1f} s) {verdict.by}")
        return passed
    with ThreadPoolExecutor(workshop.jobs) as pool:
        return all(list(pool.map(one, enumerate(tests, 1))))


def try_mutant(workshop, tree, mutant):
    """=> Result"""
    verdicts = {trial: workshop.known.get(trial.world, (mutant.hunks, trial.test)) for trial in mutant.trials}
    trials = [trial for trial in mutant.trials if not verdicts[trial]]
    try:
        for path, text in catalog.apply(mutant, tree.read).items():
            tree.write(path, text)
        if trials:
            tree.make(sorted({target for t in trials for target in worlds.build_targets(t.world, t.test)}) or ["all"])
        for trial in trials:
            verdicts[trial] = worlds.run(trial.world, tree, trial.test, workshop.timeout(trial.world, trial.test),
                                         workshop.log(mutant.name, trial.world))
            workshop.known.put(trial.world, (mutant.hunks, trial.test), verdicts[trial])
    except (catalog.Refused, DoesNotBuild) as problem:
        return Result(mutant, [], f"{type(problem).__name__}: {problem}")
    return Result(mutant, list(verdicts.items()))


def report(number, total, result):
    if result.error:
        say(f"[{number}/{total}] ERROR {result.mutant.name}: {result.error}")
    for trial, verdict in result.verdicts:
        word = verdict.word if came_true(trial, verdict) else verdict.word.upper()
        what = verdict.by or "nothing fails"
        say(f"[{number}/{total}] {word:8} {result.mutant.name}: {trial.world} {trial.test}: {what}")


def named_pass(workshop, mutants):
    """=> results"""
    say(f"{len(mutants)} named mutants:")
    results = []
    for result in workshop.each(lambda tree, mutant: try_mutant(workshop, tree, mutant), mutants):
        results.append(result)
        report(len(results), len(mutants), result)
    return results


def cell(result, world):
    words = []
    for trial, verdict in result.verdicts:
        if trial.world == world:
            missed = {"killed": "", "hang": "hangs: "}.get(verdict.word, "not seen by ")
            words.append(f"{missed}`{trial.test}`")
    return "<br>".join(words)


def table(results, command, remarks):
    """=> the Markdown"""
    lines = ["# Mutants", "", f"Made by `{command}`. Each line is a wrong change to the sources (tests/mutants) and the "
             "test that found it: a program and scenario of tests/host, a model, or a command of the monitor, in "
             "the world named above it. Blank: not tried there.", "", *remarks, "",
             f"| mutant | stands for | {' | '.join(HEADINGS.values())} |", "|---|---|" + "---|" * len(HEADINGS)]
    for result in results:
        story = " ".join(result.mutant.story)
        lines.append(f"| {result.mutant.name} | {story} | "
                     f"{' | '.join(cell(result, world) for world in HEADINGS)} |")
    return "\n".join(lines) + "\n"


def chosen(settings):
    """=> the mutants that are asked for, with the trials that are"""
    mutants = [m._replace(trials=[t for t in m.trials if not settings.world or t.world in settings.world])
               for m in catalog.load(HERE, worlds.NAMES) if fnmatch.fnmatch(m.name, settings.only)]
    return [m for m in mutants if m.trials]


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", choices=["named", "plain", []], help="which mutants (both)")
    parser.add_argument("--build", default="build", help="where to work: BUILD/mutants (build)")
    parser.add_argument("--jobs", type=int, default=2, help="how many at once (2)")
    parser.add_argument("--again", action="store_true", help="try also what was tried on the same sources before")
    parser.add_argument("--list", action="store_true", help="only say which there are")
    parser.add_argument("--only", default="*", help="a glob: named mutants called so; files of the plain pass")
    parser.add_argument("--world", action="append", choices=worlds.NAMES, help="try the named ones only there")
    plain.add_arguments(parser)
    return parser.parse_args()


def main():
    settings = parse_arguments()
    os.chdir(f"{HERE}/../..")
    started = time.monotonic()
    what = settings.what or ["named", "plain"]
    try:
        mutants = chosen(settings) if "named" in what else []
        edits = plain.chosen(settings) if "plain" in what else []
        for mutant in mutants:
            catalog.apply(mutant, Tree(".").read)
    except catalog.Refused as refused:
        sys.exit(f"mutants: {refused}")
    if settings.list:
        for mutant in mutants:
            print(f"{mutant.name}: {' '.join(mutant.story)}")
            for trial in mutant.trials:
                print(f"    {trial.verb} {trial.world} {trial.test}")
        plain.show(edits)
        return
    if not mutants and not edits:
        sys.exit("mutants: none is called so; --list shows them")

    workshop = Workshop(settings)
    targets = {target for m in mutants for t in m.trials for target in worlds.build_targets(t.world, t.test)}
    say("building without a bug")
    try:
        workshop.build(targets | plain.targets(edits))
    except DoesNotBuild as problem:
        sys.exit(f"mutants: does not build, even without a bug:\n{problem}")
    if mutants and not must_pass_without(workshop, mutants):
        sys.exit("mutants: a test fails without a bug; mend that first")
    workshop.open()
    results = named_pass(workshop, mutants) if mutants else []
    survived = [result.mutant.name for result in results if not result.good()]
    score = plain.run(workshop, edits, settings.seed, say) if edits else None

    remarks = [f"{len(results) - len(survived)} of {len(results)} named mutants were found as they must be."] if mutants else []
    remarks += score.remarks() if score else []
    remarks += [f"In {(time.monotonic() - started) / 60:.0f} minutes, {settings.jobs} at once."]
    say("\n" + "\n".join(remarks))
    if mutants and settings.only == "*" and not settings.world:
        with open(TABLE, "w", encoding="utf-8") as file:
            arguments = os.environ.get("MUTANTS")
            file.write(table(results, f"make mutants MUTANTS='{arguments}'" if arguments else "make mutants", remarks))
        say(f"the table is in {TABLE}")
    for name in survived:
        say(f"SURVIVED {name}: see {workshop.logs}/{name}-*.log")
    sys.exit(1 if survived or (score and not score.good()) else 0)


if __name__ == "__main__":
    main()
