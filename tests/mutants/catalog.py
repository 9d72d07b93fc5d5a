# SPDX-License-Identifier: MIT
"""The named mutants: what stands in *.mutants, and how one is put into a source.

    mutant NAME
      What bug it stands for, and where that was had. Indented; as many lines as it takes.
    kill WORLD TEST
    in FILE
     a line that stays
    -a line that goes
    +a line that comes

Of `kill` lines there may be several, each must come true. `hang` says that the test does not end, where that
is what the bug does. `try` is for the table: the test may miss it, and should be seen to. Of `in` there may be
several too. The lines that stay and go must be found in the file exactly once, one after the other; there are
no line numbers, so code may move. `#` at the beginning of a line is a comment.
"""

import glob
from typing import NamedTuple

VERBS = ("kill", "hang", "try")


class Refused(Exception):
    """The catalog or a mutant is not good; str() says what to do."""


class Trial(NamedTuple):
    verb: str
    world: str
    test: str


class Hunk(NamedTuple):
    path: str
    old: list
    new: list


class Mutant(NamedTuple):
    name: str
    where: str  # file:line in the catalog
    story: list
    trials: list
    hunks: list


def parse(path, text, worlds):
    """=> its mutants, in order"""
    mutants = []
    for number, line in enumerate(text.splitlines(), 1):
        where = f"{path}:{number}"
        word, _, rest = line.partition(" ")
        if line.startswith("#") or not line:
            continue
        if word == "mutant":
            mutants.append(Mutant(rest, where, [], [], []))
            continue
        if not mutants:
            raise Refused(f"{where}: {line!r} comes before the first 'mutant NAME'")
        mutant = mutants[-1]
        if word in VERBS:
            world, _, test = rest.partition(" ")
            if world not in worlds or not test:
                raise Refused(f"{where}: expected '{word} WORLD TEST', WORLD one of {' '.join(worlds)}")
            mutant.trials.append(Trial(word, world, test))
        elif word == "in":
            mutant.hunks.append(Hunk(rest, [], []))
        elif mutant.hunks and line[0] in " -+":
            if line[0] != "+":
                mutant.hunks[-1].old.append(line[1:])
            if line[0] != "-":
                mutant.hunks[-1].new.append(line[1:])
        elif line.startswith("  "):
            mutant.story.append(line.strip())
        else:
            raise Refused(f"{where}: {line!r} is not understood (tests/mutants/catalog.py)")
    return mutants


def load(directory, worlds):
    """=> all mutants. Refused, if one lacks something"""
    mutants = []
    for path in sorted(glob.glob(f"{directory}/*.mutants")):
        with open(path, encoding="utf-8") as file:
            mutants += parse(path, file.read(), worlds)
    names = set()
    for m in mutants:
        if m.name in names:
            raise Refused(f"{m.where}: a second mutant is called '{m.name}'")
        names.add(m.name)
        if not m.story or not m.hunks or not any(trial.verb != "try" for trial in m.trials):
            raise Refused(f"{m.where}: '{m.name}' needs a story, a test that kills it, and a change")
    return mutants


def apply(mutant, read):
    """=> {path: text} with the bug in. `read(path)` gives a source"""
    changed = {}
    for hunk in mutant.hunks:
        text = changed.get(hunk.path) or read(hunk.path)
        old, new = ("".join(f"{line}\n" for line in lines) for lines in (hunk.old, hunk.new))
        found = f"\n{text}".count(f"\n{old}") if old else 0
        if found != 1:
            raise Refused(f"{mutant.where}: the text of '{mutant.name}' is {found} times in {hunk.path}: "
                          "the code moved; mend the mutant")
        at = f"\n{text}".index(f"\n{old}")
        changed[hunk.path] = text[:at] + new + text[at + len(old):]
    return changed
