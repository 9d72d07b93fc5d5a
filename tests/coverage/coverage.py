#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""`make coverage`: which lines of the tree the tests reach, and whether it is enough of mm/.

On this machine   every host test and every replayed fuzzer input, built with gcov; lcov adds up what all programs did.
In the kernel     the image as it is, optimised and all: QEMU lists each block of instructions that it translates,
                  which it does when the block is about to run, and addr2line tells the source line of each. A block
                  has no branch but at its end, so what is listed was run (unless a fault ended the block early). A
                  line counts if any instruction of it was run. So xen/ is measured where it runs: under Xen.

A line that only says how the kernel ends (KASSERT's arguments) is one with its condition in both.
"""

import argparse
import glob
import os
import re
import subprocess
import sys
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../harness"))
import suite
import xen
from guest import Failed, Guest, end_when_told, kill_all
from machine import Machine

NEEDED = 95  # per cent of mm/
SHOWN = 12  # uncovered runs of lines that are named, of each file of mm/
IMAGE = (0xffffffff80000000, 0xffffffff80800000)  # where instructions of ours are (linker.ld)
BOOT_TIMEOUT = 900  # seconds; listing slows the emulator down

# What is run in the kernel, and the code that it is asked about. What a toolstack has to do with (pvh, xenstore,
# control) is not reached by a dom0.
RUN = 'run="test; demo all; check"'
RUN_XEN = 'run="test; demo all; explain; explain 2; difftest; check"'
KERNEL_RUNS = [
    ("native", Machine(smp=2, append=RUN), {"mmu code": r"arch/x86/mmu_native\.c"}),
    ("xen", Machine("xen", smp=2, mem="128M", cpu="EPYC", append=RUN_XEN),
     {"mmu code": r"xen/(mmu|enter|explain|hypercall|p2m|typing\w*|difftest\w*|inject)\.[ch]",
      "the rest": r"xen/(console|control|demo_asleep|events|platform|smp|time|traps|pvh|xenstore|xs_message)\.c"}),
]


# --- on this machine ------------------------------------------------------------------------------

def run_programs(build, jobs):
    """Runs all; a test that fails is none to count by."""
    settings = suite.Settings(build, f"{build}/coverage/logs", "*", 0)
    os.makedirs(settings.logs, exist_ok=True)
    for stale in glob.glob(f"{build}/coverage/obj/**/*.gcda", recursive=True):
        os.remove(stale)
    work = [[f"{build}/coverage/{test}"] for test in suite.sources("tests/host/test_*.c")]
    work += [[f"{build}/coverage/replay_{fuzzer}", *suite.corpus(settings, fuzzer)]
             for fuzzer in suite.sources("tests/fuzz/fuzz_*.c")]

    def run(argv):
        started = time.monotonic()
        status, output = suite.run_program(settings, os.path.basename(argv[0]), argv, 4 * suite.HOST_TIMEOUT)
        if status:
            raise Failed(f"{argv[0]}: status {status}\n{output[-2000:]}")
        return f"{os.path.basename(argv[0])} {time.monotonic() - started:.0f} s"
    with ThreadPoolExecutor(jobs) as pool:
        for done in pool.map(run, work):
            print(f"  ran {done}", flush=True)


def host_lines(build):
    """=> {file: {line: was it run}}"""
    info = f"{build}/coverage/host.info"
    done = subprocess.run(["lcov", "--quiet", "--capture", "--directory", f"{build}/coverage/obj",
                           "--base-directory", ".", "--output-file", info],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:  # what it says otherwise are warnings about itself
        raise Failed(f"lcov: {done.stdout}")
    lines = defaultdict(lambda: defaultdict(bool))
    with open(info, encoding="utf-8") as file:
        for row in file:
            word, _, rest = row.strip().partition(":")
            if word == "SF":
                path = os.path.relpath(rest)
            elif word == "DA":
                number, count = rest.split(",")[:2]
                lines[path][int(number)] |= int(count) > 0
    return lines


# --- in the kernel --------------------------------------------------------------------------------

def executed(build, name, machine):
    """Boots and runs. => the addresses of all instructions that were run, of the image"""
    log = f"{build}/coverage/{name}"
    listing = f"{log}.in_asm"
    extra = ("-d", "in_asm", "-dfilter", f"{IMAGE[0]:#x}..{IMAGE[1] - 1:#x}", "-D", listing)
    with Guest(machine._replace(extra=extra), build, f"{log}.log") as guest:
        guest.must_pass(BOOT_TIMEOUT)
    with open(listing, encoding="utf-8", errors="replace") as file:
        return {int(match[1], 16) for match in (re.match(r"(0x[0-9a-f]{16}):  \S", row) for row in file) if match}


def kernel_lines(build):
    """=> {address: (file, line)} of each instruction"""
    elf = f"{build}/lazymap.elf"
    code = subprocess.run(["objdump", "-d", "--no-show-raw-insn", elf], stdout=subprocess.PIPE, text=True, check=True)
    addresses = re.findall(r"^ *([0-9a-f]+):\t", code.stdout, re.MULTILINE)
    names = subprocess.run(["addr2line", "-e", elf], input="\n".join(addresses), stdout=subprocess.PIPE, text=True,
                           check=True).stdout.splitlines()
    where = {}
    for address, name in zip(addresses, names):
        if match := re.match(r"(?:\./)?(.*):(\d+)", name):
            where[int(address, 16)] = (os.path.normpath(match[1]), int(match[2]))
    return where


# --- the table --------------------------------------------------------------------------------------

def runs(numbers):
    """=> [1, 2, 3, 7] as ["1-3", "7"]"""
    found = []
    for number in sorted(numbers):
        if found and found[-1][1] == number - 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return [str(a) if a == b else f"{a}-{b}" for a, b in found]


def table(title, lines, pattern, explain=True):
    """Prints a line for each file that matches. => per cent of all"""
    print(f"\n{title}")
    reached = total = 0
    for path in sorted(path for path in lines if re.fullmatch(pattern, path)):
        of = lines[path]
        missed = runs(number for number, hit in of.items() if not hit)
        hits = sum(of.values())
        reached, total = reached + hits, total + len(of)
        more = f", and {len(missed) - SHOWN} more" if len(missed) > SHOWN else ""
        said = f"  not {', '.join(missed[:SHOWN])}{more}" if missed and explain else ""
        print(f"  {100 * hits / len(of):5.1f} %  {hits:4} of {len(of):4}  {path}{said}")
    percent = 100 * reached / total if total else 0
    print(f"  {percent:5.1f} %  {reached:4} of {total:4}  in all")
    return percent


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", default="build")
    parser.add_argument("--jobs", type=int, default=2)
    args = parser.parse_args()
    end_when_told()
    try:
        run_programs(args.build, args.jobs)
        host = host_lines(args.build)
        mm = table("mm/, by the host tests", host, r"mm/.*\.[ch]")
        table("what else runs on this machine", host, r"(boot|kernel|xen|arch/x86)/.*\.[ch]", explain=False)
        where = kernel_lines(args.build)
        for name, machine, patterns in KERNEL_RUNS:
            if machine.door in xen.DOORS and not os.path.exists(f"{args.build}/xen/xen.elf"):
                print(f"\nskipped: {name}, which cannot be had")
                continue
            ran = executed(args.build, name, machine)
            lines = defaultdict(lambda: defaultdict(bool))
            for address, (path, number) in where.items():
                lines[path][number] |= address in ran
            for title, pattern in patterns.items():
                table(f"{title} in the kernel ({name}): {machine.append}", lines, pattern, explain=title == "mmu code")
            table(f"mm/ in the kernel ({name})", lines, r"mm/.*\.[ch]", explain=False)
    except Failed as failed:
        print(failed)
        return 1
    finally:
        kill_all()
    print(f"\nmm/ by the host tests: {mm:.1f} %; {NEEDED} % are promised")
    return 0 if mm >= NEEDED else 1


if __name__ == "__main__":
    sys.exit(main())
