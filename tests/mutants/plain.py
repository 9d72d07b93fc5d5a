# SPDX-License-Identifier: MIT
"""The plain pass: a token of mm/ is changed or a statement deleted, and the host tests must notice.

Operators become their neighbours or opposites, integers one more, conditions their negation, simple statements
nothing. Left alone, because a change there is none, or is not the engine's:

  - comments, texts, preprocessor lines (tuning constants among them), static assertions
  - assertions, messages, counters and the trace: KASSERT, panic, printk, count, count_add, trace, trace_fast
  - what is only for reports: the fields name, mapper, unmapper, mapped_at, unmapped_at
  - declarations without a value, and return statements as a whole
  - what a processor may do with or without: likely, unlikely, cpu_relax, and the time that a watchdog starts at

The judges are the host programs that are linked with all of mm/, but for scenarios that take too long
(SLOW), and then the engine's fuzzer on its kept inputs and the hostile machine. Those that have found most in the
same file, for the time they take, come first; the first that fails ends it. A sample by a
seed is taken, because all would take hours. What does not compile does not count.
"""

import fnmatch
import glob
import os
import random
import re
import threading
import time
from collections import Counter
from typing import NamedTuple

import worlds
from workshop import DoesNotBuild

FILES = ("mm/*.c", "mm/shootdown.h", "mm/park.h", "mm/alias.h", "mm/fast.h", "mm/run.h", "mm/gather.h")
# Reports and the walker that looks for faults: they are judged by what they print, and change nothing.
NOT = ("mm/check*.c", "mm/describe.c", "mm/area_report.c")
SAMPLE, SEED, WANTED = 100, 2007, 90
# Programs of which only some scenarios judge, and how they are chosen (SIM_ONLY).
SLOW = {"test_vmap": "!random", "test_vmap_smp": "shared frame", "test_failures": "one purge", "test_park": "!concurrent",
        "test_space": "!random map"}

SKIPPED_CALL = re.compile(r"\b(KASSERT|panic|printk|count|count_add|trace|trace_fast|EXPECT\w*|cpu_relax|watchdog_expired"
                          r"|cpu_unresponsive|_Static_assert|complain|refuse)\s*\(")
SKIPPED_FIELD = re.compile(r"\b(name|mapper|unmapper|mapped_at|unmapped_at|tsc_now|tsc_coarse)\b")
HIDDEN = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|^[ \t]*#(?:\\\n|[^\n])*', re.S | re.M)
OPERATORS = {"==": "!=", "!=": "==", "<=": "<", ">=": ">", "<": "<=", ">": ">=", "&&": "||", "||": "&&", "+": "-", "-": "+",
             "++": "--", "--": "++", "+=": "-=", "-=": "+=", "<<": ">>", ">>": "<<", "&": "|", "|": "&", "&=": "|=",
             "|=": "&=", "^": "|"}
# A binary operator has spaces around it in this code; one that stands close is a sign, a pointer or an address.
BINARY = re.compile(r"(?<=[\w)\]] )(==|!=|<=|>=|<<|>>|&&|\|\||\+=|-=|&=|\|=|[-+<>&|^])(?= )")
BINARY_AT_END = re.compile(r"(?<=[\w)\]] )(==|!=|<=|>=|<<|>>|&&|\|\||[-+&|^])(?=\n)")
STEP = re.compile(r"(\+\+|--)")
NEGATION = re.compile(r"(?<![\w!=])!(?=[\w(*])")
CONDITION = re.compile(r"\b(?:if|while) \((?=[^\n]*\)(?: \{)?\n)")
NUMBER = re.compile(r"(?<![\w.])(\d+)(?=[uUlL]*\b)(?!\.)")
TRUTH = re.compile(r"\breturn (true|false);")
STATEMENT = re.compile(r"(?<=[;{})\n])\n(\t+)((?!return\b|break\b|goto\b|else\b|case\b|default\b|do\b|struct\b|const\b|static\b"
                       r"|u\d+ |s\d+ |bool |unsigned |int |vaddr_t |paddr_t |pfn_t |pte_t |cpumask_t |atomic_t |irqflags_t |enum )"
                       r"[\w*(][^\n{}]*;)(?=[ \t]*\n)")


class Edit(NamedTuple):
    path: str
    start: int
    end: int
    new: str
    line: int
    what: str


def add_arguments(parser):
    parser.add_argument("--sample", type=int, default=SAMPLE, help=f"plain: how many are tried; 0: all ({SAMPLE})")
    parser.add_argument("--seed", type=int, default=SEED, help=f"plain: by which they are chosen ({SEED})")


def blank(text):
    """=> the same length, with spaces for what is no code"""
    return HIDDEN.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), text)


def statement_at(code, position):
    """=> the text of the statement, or the condition, around it"""
    start = max(code.rfind(mark, 0, position) for mark in ";{}") + 1
    end = min((found for found in (code.find(mark, position) for mark in ";{") if found >= 0), default=len(code))
    return code[start:end]


def edits_of(path, text):
    """=> all edits of one file"""
    code = blank(text)
    found = []

    def add(start, end, new, kind):
        # An assertion, a message or a report, whatever line of it this is.
        if SKIPPED_CALL.search(statement_at(code, start)) or SKIPPED_FIELD.search(statement_at(code, start)):
            return
        line = code.count("\n", 0, start) + 1
        found.append(Edit(path, start, end, new, line, f"{kind}: {' '.join(text[start:end].split())!r} -> {new!r}"))
    for pattern in (BINARY, BINARY_AT_END, STEP):
        for match in pattern.finditer(code):
            add(match.start(1), match.end(1), OPERATORS[match[1]], "operator")
    for match in NEGATION.finditer(code):
        add(match.start(), match.end(), "", "negation")
    for match in CONDITION.finditer(code):
        add(match.end(), match.end(), "!(", "condition")
    for match in NUMBER.finditer(code):
        add(match.start(1), match.end(1), str(int(match[1]) + 1 if match[1] != "1" else 0), "constant")
    for match in TRUTH.finditer(code):
        add(match.start(1), match.end(1), {"true": "false", "false": "true"}[match[1]], "truth")
    for match in STATEMENT.finditer(code):
        add(match.start(2), match.end(2), ";", "deleted")
    return [close_condition(code, edit) if edit.new == "!(" else edit for edit in found]


def close_condition(code, edit):
    """The negation of a whole condition needs its end."""
    depth, at = 1, edit.start
    while depth:
        depth += {"(": 1, ")": -1}.get(code[at], 0)
        at += 1
    inner = code[edit.start:at - 1]
    return edit._replace(end=at - 1, new=f"!({inner})", what=f"condition: {' '.join(inner.split())!r} negated")


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def files():
    """=> the files that are changed"""
    paths = sorted({path for pattern in FILES for path in glob.glob(pattern)})
    return [path for path in paths if not any(fnmatch.fnmatch(path, pattern) for pattern in NOT)]


def count_all():
    """=> how many edits there are"""
    return sum(len(edits_of(path, read(path))) for path in files())


def chosen(settings):
    """=> the edits of this run"""
    edits = [edit for path in files() if fnmatch.fnmatch(path, settings.only) for edit in edits_of(path, read(path))]
    if not settings.sample or settings.sample >= len(edits):
        return edits
    return sorted(random.Random(settings.seed).sample(edits, settings.sample))


def show(edits):
    for edit in edits:
        print(f"{edit.path}:{edit.line}: {edit.what}")


def judges():
    """=> the programs that are linked with all of mm/"""
    return [os.path.splitext(os.path.basename(path))[0] for path in sorted(glob.glob("tests/host/test_*.c"))
            if "links: mm/*.c" in read(path)] + list(worlds.PROGRAMS)


def targets(edits):
    return {f"build/{worlds.host_program(program)[0]}" for program in judges()} if edits else set()


class Score:
    def __init__(self, sample):
        self.sample = sample  # which they are, in words
        self.words = Counter()
        self.survivors = []

    def rate(self):
        counted = sum(self.words[word] for word in ("killed", "hang", "survived"))
        return 100 * (self.words["killed"] + self.words["hang"]) / max(counted, 1)

    def good(self):
        return self.rate() >= WANTED

    def remarks(self):
        w = self.words
        lines = [f"Plain mutants, {self.sample}: {w['killed']} of {w['killed'] + w['hang'] + w['survived']} killed by a check that "
                 f"failed, {w['hang']} more by a test that did not end, {w['survived']} survived: {self.rate():.1f} %. "
                 f"{w['not compiled']} did not compile."]
        return lines + [""] + [f"- survived: {line}" for line in self.survivors] if self.survivors else lines


class Judges:
    """The programs, those first that have found most in the file."""

    def __init__(self, workshop):
        self.lock = threading.Lock()
        self.found = Counter()  # (path, program)
        self.seconds = {}
        self.tests = {program: f"{program} {SLOW[program]}" if program in SLOW else program for program in judges()}
        for program, test in self.tests.items():
            started = time.monotonic()
            verdict = worlds.run("host", workshop.pristine, test, worlds.TIMEOUT, workshop.log("pristine", program))
            if verdict.word != "survived":
                raise SystemExit(f"mutants: {test} fails without a bug: {verdict.by}")
            self.seconds[program] = time.monotonic() - started

    def order(self, path):
        stem = os.path.splitext(os.path.basename(path))[0]
        with self.lock:
            return sorted(self.tests, key=lambda p: -(self.found[path, p] + 3 * (p == f"test_{stem}") + 0.1)
                          / (self.seconds[p] + 0.3))

    def note(self, path, program):
        with self.lock:
            self.found[path, program] += 1


def judge(workshop, all_judges, tree, edit):
    """=> Verdict on the tree as it is now; "not compiled" is one as well"""
    for program in all_judges.order(edit.path):
        try:
            tree.make([f"build/{worlds.host_program(program)[0]}"])
        except DoesNotBuild as problem:
            return worlds.Verdict("not compiled", str(problem).splitlines()[-1])
        verdict = worlds.run("host", tree, all_judges.tests[program],
                             worlds.SLACK + worlds.SLOWER * all_judges.seconds[program],
                             workshop.log(f"plain-{os.path.basename(edit.path)}-{edit.line}-{edit.start}", "host"))
        if verdict.word != "survived":
            all_judges.note(edit.path, program)
            return verdict._replace(by=f"{program}: {verdict.by}")
    return worlds.Verdict("survived", "by all judges")


def try_edit(workshop, all_judges, tree, edit):
    """=> (edit, Verdict)"""
    verdict = workshop.known.get("host", tuple(edit))
    if not verdict:
        text = tree.read(edit.path)
        tree.write(edit.path, text[:edit.start] + edit.new + text[edit.end:])
        verdict = judge(workshop, all_judges, tree, edit)
        workshop.known.put("host", tuple(edit), verdict)
    return edit, verdict


def run(workshop, edits, seed, say):
    """=> Score"""
    score, all_judges = Score(f"{len(edits)} of {count_all()} by seed {seed}"), Judges(workshop)
    say(f"{len(edits)} plain mutants, judged by {len(all_judges.tests)} programs that take "
        f"{sum(all_judges.seconds.values()):.0f} s:")
    results = workshop.each(lambda tree, edit: try_edit(workshop, all_judges, tree, edit), edits)
    for number, (edit, verdict) in enumerate(results, 1):
        score.words[verdict.word] += 1
        if verdict.word == "survived":
            score.survivors.append(f"{edit.path}:{edit.line}: {edit.what}")
        word = verdict.word.upper() if verdict.word == "survived" else verdict.word
        say(f"[{number}/{len(edits)}] {word:12} {edit.path}:{edit.line}: {edit.what}: {verdict.by[:100]}")
    return score
