# SPDX-License-Identifier: MIT
"""Tests of the harness itself: what must not pass as success. (scenarios.py has those with a guest.)"""

import tap
from guest import ESCAPE, UNFINISHED_ESCAPE

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


def run():
    """=> list of tap.Check"""
    return [*check_reports(), *check_details(), *check_escapes()]
