#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""`make soak MINUTES=n`: the kernel's endurance test (tests/kernel/soak.c) so long on each kind of machine, one after
the other: QEMU, Bochs, and QEMU with Xen below. Its lines are shown as they come; the last ones are a table of the
operations done and of those that were refused.

The minutes are the guest's: Bochs takes several of ours for one of them.
"""

import argparse
import os
import re
import sys

from guest import Failed, Guest, end_when_told, kill_all
from machine import Machine

MACHINES = {
    "QEMU, 4 CPUs": Machine("pvh", smp=4),
    "Bochs, 2 CPUs": Machine("bochs", smp=2, mem="64M"),
    "Xen, 4 vCPUs": Machine("xen", smp=4, mem="128M"),
}
LINE = re.compile(r"^(soak: .*|PANIC .*|LAZYMAP: .*)\n", re.MULTILINE)
SILENCE = 900  # seconds without a line: it hangs; rounds take a second, in Bochs on a busy machine a minute


def soak(machine, seconds, build, log):
    """Raises Failed"""
    with Guest(machine._replace(append=f'run="soak {seconds}"'), build, log) as guest:
        while True:
            guest.expect(LINE, SILENCE)
            print(f"  {guest.match[1]}", flush=True)
            if guest.match[1].startswith("LAZYMAP"):
                return guest.must_pass(SILENCE)


def main():
    parser = argparse.ArgumentParser(description="random work for a long time, on all kinds of machines")
    parser.add_argument("--build", default="build")
    parser.add_argument("--minutes", type=float, default=5, help="on each of them")
    args = parser.parse_args()
    end_when_told()
    os.makedirs(f"{args.build}/run", exist_ok=True)
    bad = []
    try:
        for name, machine in MACHINES.items():
            print(f"{name}, {args.minutes:g} minutes:", flush=True)
            try:
                soak(machine, max(1, round(args.minutes * 60)), args.build, f"{args.build}/run/soak-{machine.door}.log")
            except Failed as failed:
                bad.append(name)
                print(failed, flush=True)
    finally:
        kill_all()
    print(f"soak: {len(MACHINES) - len(bad)} of {len(MACHINES)} machines passed" + "".join(f"; FAILED: {n}" for n in bad))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
