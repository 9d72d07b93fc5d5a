# SPDX-License-Identifier: MIT
"""Reads TAP (Test Anything Protocol) as the kernel and the host tests print it.

Strict on purpose: a test that never reported, a number out of turn or a missing plan is a failure
just as a "not ok" is, so that a program that dies half way cannot look like success.
"""

import re
from typing import NamedTuple

PLAN = re.compile(r"1\.\.(\d+)\s*(?:#.*)?$")
RESULT = re.compile(r"(not )?ok (\d+)\s*(?:- )?([^#]*)(?:#\s*(SKIP)\b\s*(.*))?", re.IGNORECASE)


class Check(NamedTuple):
    name: str
    status: str  # "pass", "fail" or "skip"
    detail: str  # why it was skipped, or what was found


def parse(text):
    """=> (checks, complaints): every result in order, and what is wrong with the report itself."""
    plan, checks, complaints, remarks = None, [], [], []
    for line in text.splitlines():
        line = line.strip()
        if match := PLAN.match(line):
            if plan is not None:
                complaints.append("two plans in one report")
            plan = int(match[1])
        elif match := RESULT.match(line):
            failed, number, name, skip, reason = match.groups()
            if int(number) != len(checks) + 1:
                complaints.append(f"result {number} where {len(checks) + 1} was due")
            status = "fail" if failed else "skip" if skip else "pass"
            detail = "\n".join(remarks) if failed else reason or ""
            checks.append(Check(name.strip() or f"test {number}", status, detail))
            remarks = []
        elif line.startswith("#"):
            # Of a failure: the kernel gives the reasons before it, the host tests after it.
            remarks.append(line)
            if checks and checks[-1].status == "fail" and not checks[-1].detail:
                checks[-1] = checks[-1]._replace(detail=line)
    if plan is None:
        complaints.append("no plan: the report did not start, or did not end")
    elif plan != len(checks):
        complaints.append(f"planned {plan} tests, {len(checks)} reported")
    return checks, complaints
