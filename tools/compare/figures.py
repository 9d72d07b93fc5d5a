# SPDX-License-Identifier: MIT
"""The figures of a comparison: from BENCH lines to rows, from rows to tables and a CSV file, and back.

Both kernels print one JSON object a line after the word BENCH, so one reader serves both. A row is one line of a
table: the same loop on Linux and on ours, what we want ours to be at most, and the floor, which is what the same
stores, clears and reads cost with no allocator and no flush around them.
"""

import csv
import json
import re
from typing import NamedTuple, Optional

LINE = re.compile(r"BENCH (\{.*\})")

# What ours may cost at most, in instructions a loop; chosen before it was built, from Linux 6.1's figures.
AT_MOST = {
    "vmap": {1: 245, 4: 320, 16: 620, 64: 2000, 256: 6300},
    "vm_map_ram": {1: 130, 4: 210, 16: 560, 64: 1900, 256: 6200},
    "vmalloc": {1: 400, 4: 600, 16: 1400, 64: 4500, 256: 16000},
}
REVIVED_KMAP_AT_MOST = 45
SPEED_UP_AT_LEAST = 1.8  # from 1 to 2 CPUs, where there are 2 cores to run them
CPUS = (1, 2, 4)
SCALE_PAGES = 4
MILLION = 1_000_000

UNSAID = {"policy": "tlb", "revival": 0}  # what a line means that does not say; Linux's laziness is our policy tlb


class Row(NamedTuple):
    what: str  # "insns" a loop, "ns" a loop, or "ipis" a million loops
    call: str  # vmap, vm_map_ram, vmalloc, kmap, kmap revived
    pages: int
    cpus: int
    linux: Optional[int] = None
    ours: Optional[int] = None
    at_most: Optional[int] = None
    floor: Optional[int] = None
    revived: Optional[int] = None

    def ratio(self):
        """=> how many times Linux's figure is ours; None where one of them is missing or ours is 0"""
        return self.linux / self.ours if self.linux is not None and self.ours else None

    def verdict(self):
        if self.at_most is None or self.ours is None:
            return ""
        return "met" if self.ours <= self.at_most else "missed"


def bench_lines(text):
    """=> the objects of the BENCH lines in a log; a line that is cut off or garbled is none"""
    found = []
    for match in LINE.finditer(text):
        try:
            found.append(json.loads(match[1]))
        except ValueError:
            continue
    return found


class Figures:
    """What one kernel said, looked up by name; what is not there is remembered."""

    def __init__(self, system, lines):
        self.system, self.gone = system, {}
        self.lines = lines

    def find(self, bench, field, required=True, **wanted):
        for line in self.lines:
            if line.get("bench") == bench and field in line and all(
                    line.get(key, UNSAID.get(key)) == value for key, value in wanted.items()):
                return line[field]
        if required:
            words = ", ".join(f"{key} {value}" for key, value in wanted.items())
            self.gone.setdefault(f"no {field} from bench {bench}", {})[words] = True
        return None

    def missing(self):
        """=> a line for each kind of figure that was not there"""
        return [f"{self.system}: {what}: {'; '.join(words)}" for what, words in self.gone.items()]

    def cost(self, bench, pages, revival=0, required=True):
        # Revived mappings are those of another policy, which keeps the entries of what is unmapped.
        policy = {} if revival else {"policy": "tlb"}
        return self.find(bench, "insns_per_op", required, pages=pages, revival=revival, **policy)

    def ipis(self, cpus):
        """=> for a million loops"""
        ipis, ops = (self.find("scale", field, pages=SCALE_PAGES, cpus=cpus) for field in ("ipis", "ops"))
        return None if ipis is None or not ops else round(ipis * MILLION / ops)


def rows(linux, ours):
    """=> all rows, in the order in which they are shown"""
    found = []
    for call, goals in AT_MOST.items():
        for pages, at_most in goals.items():
            found.append(Row("insns", call, pages, 1, linux.cost(call, pages), ours.cost(call, pages), at_most,
                             ours.cost("floor", pages), ours.cost(call, pages, revival=1, required=False)))
    found.append(Row("insns", "kmap", 1, 1, ours=ours.cost("kmap", 1)))
    found.append(Row("insns", "kmap revived", 1, 1, ours=ours.cost("kmap", 1, revival=1),
                     at_most=REVIVED_KMAP_AT_MOST))
    for cpus in CPUS:
        found.append(Row("ns", "vmap", SCALE_PAGES, cpus, *(
            figures.find("scale", "ns_per_op", pages=SCALE_PAGES, cpus=cpus) for figures in (linux, ours))))
    for cpus in CPUS:
        found.append(Row("ipis", "vmap", SCALE_PAGES, cpus, linux.ipis(cpus), ours.ipis(cpus), at_most=0))
    return found


# --- Tables -------------------------------------------------------------------------------------

def shown(value, form="{}"):
    return "-" if value is None else form.format(value)


def lay_out(head, lines):
    """=> lines of a table: the first column to the left, all others to the right"""
    table = [head, *lines]
    widths = [max(len(line[i]) for line in table) for i in range(len(head))]
    return ["  ".join([line[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:]))])
            .rstrip() for line in table]


def cost_table(all_rows):
    lines = []
    for row in all_rows:
        if row.what == "insns":
            over_floor = row.ours / row.floor if row.ours is not None and row.floor else None
            lines.append([row.call, str(row.pages), shown(row.linux), shown(row.ours), shown(row.ratio(), "{:.1f}"),
                          shown(row.at_most), row.verdict(), shown(row.floor), shown(over_floor, "{:.1f}"),
                          shown(row.revived)])
    return lay_out(["call", "pages", "Linux", "ours", "Linux/ours", "at most", "", "floor", "ours/floor", "revived"],
                   lines)


def speed_up(all_rows, system, cpus):
    """=> how many times the loops a second of one CPU that many do together, or None"""
    ns = {row.cpus: getattr(row, system) for row in all_rows if row.what == "ns"}
    return cpus * ns[1] / ns[cpus] if ns.get(1) and ns.get(cpus) else None


def scale_table(all_rows):
    ipis = {row.cpus: row for row in all_rows if row.what == "ipis"}
    lines = []
    for row in all_rows:
        if row.what == "ns":
            lines.append([str(row.cpus), shown(row.linux), shown(row.ours), shown(row.ratio(), "{:.1f}"),
                          *(shown(speed_up(all_rows, system, row.cpus), "{:.2f}") for system in ("linux", "ours")),
                          shown(ipis[row.cpus].linux), shown(ipis[row.cpus].ours), ipis[row.cpus].verdict()])
    return lay_out(["CPUs", "Linux ns", "ours ns", "Linux/ours", "Linux speed-up", "ours speed-up", "Linux IPIs",
                    "ours IPIs", "(goal 0)"], lines)


# --- CSV ----------------------------------------------------------------------------------------

def write_csv(path, notes, all_rows):
    """`notes`, lines on how the figures came to be, go first, each behind a #."""
    with open(path, "w", encoding="utf-8", newline="") as file:
        file.writelines(f"# {note}\n" for note in notes)
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(Row._fields)
        writer.writerows(all_rows)


def read_csv(path):
    """=> (notes, rows) as they were written"""
    with open(path, encoding="utf-8", newline="") as file:
        lines = file.read().splitlines()
    notes = [line[2:] for line in lines if line.startswith("# ")]
    table = csv.DictReader(line for line in lines if not line.startswith("#"))
    return notes, [Row(**{key: value if key in ("what", "call") else int(value) if value else None
                          for key, value in line.items()}) for line in table]
