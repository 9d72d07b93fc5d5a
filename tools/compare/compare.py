#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""`make compare`: the same loops on Linux and on Lazymap, in the same QEMU, one after the other.

Each kernel is booted twice. With one CPU under `-icount shift=0` a TSC tick is an instruction, so what a loop
costs is exact and repeats; that needs TCG, whatever ACCEL says. With four CPUs that really run at once, time and
interrupts are measured, and differ from run to run.

The tables are printed in any case. docs/results is written only if every figure is there: half a comparison
would replace a whole one. A goal that is missed is shown, and is no failure: these are benchmarks.

=> 0 if every figure was measured, else 1
"""

import argparse
import os
import platform
import subprocess
import sys

import figures
import plot

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../tests/harness"))
from guest import Failed, Guest, end_when_told
from machine import Machine

TIMEOUT = 600  # seconds for one boot, on a slow machine
RESULTS = "docs/results"
COMMAND = "make compare"
EXACT = ("-icount", "shift=0")
SCALE_CPUS = max(figures.CPUS)
BUSY = 0.5  # load average beyond which other work would be measured, too

# Pages would be cleared at allocation otherwise, which our vmalloc does only if it is asked to.
LINUX_ARGS = "console=ttyS0 loglevel=6 printk.time=0 panic=-1 init_on_alloc=0"
LINUX_ENDS = "reboot: Power down"
OUR_COST = "; ".join(f"bench {name}" for name in (*figures.AT_MOST, "kmap", "floor"))
OUR_SCALE = "bench scale"


def show(line):
    """One figure, as it comes."""
    if "cpus" in line:
        told = f"CPUs {line['cpus']}: {line.get('ns_per_op')} ns, {line.get('ipis')} IPIs"
    else:
        by = f", {line['policy']}{' revived' if line.get('revival') else ''}" if "policy" in line else ""
        told = f"pages {line.get('pages')}{by}: {line.get('insns_per_op')}"
    print(f"    {line.get('bench')}, {told}", flush=True)


class Teller:
    """Hears a serial port; shows each BENCH line once it is whole."""

    def __init__(self):
        self.unfinished = b""

    def __call__(self, chunk):
        *lines, self.unfinished = (self.unfinished + chunk).split(b"\n")
        for line in figures.bench_lines(b"\n".join(lines).decode(errors="replace")):
            show(line)


class Runs:
    """Boots kernels on the machine that the arguments describe; remembers what went wrong."""

    def __init__(self, args):
        self.args, self.wrong = args, []
        self.directory = f"{args.build}/compare"

    def machine(self, smp, append, extra):
        exact = EXACT == extra[:len(EXACT)]
        return Machine(smp=smp, mem=self.args.mem, cpu=self.args.cpu, accel="tcg" if exact else self.args.accel,
                       append=append, extra=extra)

    def boot(self, name, title, machine, end):
        """Boots and waits for the end. => the BENCH lines; a failure is shown, and what was said before it counts"""
        log = f"{self.directory}/{name}.log"
        print(f"  {title}", flush=True)
        with Guest(machine, self.args.build, log, Teller()) as guest:
            try:
                end(guest)
                if not figures.LINE.search(guest.text):
                    raise guest.failed("no figure was printed")
            except Failed as failure:
                self.wrong.append(f"{title}: {failure}\n  the whole log is {log}")
            guest.kill()
            return figures.bench_lines(guest.text)

    def linux(self, name, title, smp, what, extra=()):
        # The same machine as ours: of two -kernel QEMU takes the later.
        kernel = ("-kernel", f"{self.directory}/linux/vmlinuz", "-initrd", f"{self.directory}/initramfs")
        machine = self.machine(smp, f"{LINUX_ARGS} -- what={what}", (*extra, *kernel))
        return self.boot(name, title, machine, lambda guest: guest.expect(LINUX_ENDS, TIMEOUT))

    def ours(self, name, title, smp, commands, extra=()):
        machine = self.machine(smp, f'run="{commands}"', extra)
        return self.boot(name, title, machine, lambda guest: guest.must_pass(TIMEOUT))


def first_line(*command):
    """=> the first line that a command prints; a program that is not there has none"""
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False)
    except FileNotFoundError:
        return "unknown"
    return (done.stdout.splitlines() or ["unknown"])[0]


def notes(args):
    """=> what made the figures, for those who find them later"""
    with open(f"{args.build}/compare/linux/version", encoding="utf-8") as file:
        linux = file.read().strip()
    return [
        f"made by: {COMMAND} MEM={args.mem} CPU={args.cpu} ACCEL={args.accel}",
        f"Linux: {linux}, init_on_alloc=0",
        f"Lazymap: {first_line('git', 'describe', '--always', '--dirty')}",
        f"{first_line('qemu-system-x86_64', '--version')}",
        f"instructions: 1 CPU, -accel tcg {' '.join(EXACT)}; time and IPIs: {SCALE_CPUS} CPUs, "
        f"-accel {args.accel}, on {os.cpu_count()} host cores ({platform.machine()})",
    ]


def print_tables(rows, ours_per_second):
    print("\nInstructions a loop: map, read a byte of every page, unmap; purges included; one CPU.")
    print("floor: the same stores, clears and reads alone. revived: the same frames again, from a lazy mapping.\n")
    print("\n".join(figures.cost_table(rows)))
    print(f"\n{figures.SCALE_PAGES} pages by vmap on several of {SCALE_CPUS} CPUs at once: time a loop takes on each "
          f"({os.cpu_count()} host cores),\nthroughput against one CPU's, and IPIs in a million loops.\n")
    print("\n".join(figures.scale_table(rows)))
    if ours_per_second is not None:
        verdict = "met" if ours_per_second >= figures.SPEED_UP_AT_LEAST else "missed"
        print(f"\nFrom 1 to 2 CPUs ours does {ours_per_second:.2f} times the loops a second; "
              f"goal {figures.SPEED_UP_AT_LEAST}: {verdict}")


def parse_arguments():
    parser = argparse.ArgumentParser(description="compare Lazymap with Linux")
    parser.add_argument("--build", default="build")
    for name in ("mem", "cpu", "accel"):
        parser.add_argument(f"--{name}", default=Machine._field_defaults[name])
    return parser.parse_args()


def main():
    args = parse_arguments()
    end_when_told()
    runs = Runs(args)
    print("compare: four boots; a minute or two")
    if os.getloadavg()[0] > BUSY:
        print(f"compare: this machine is busy (load {os.getloadavg()[0]:.1f}): instructions are exact all the same, "
              "times are not")
    linux = runs.linux("linux-cost", "Linux, one CPU, instructions a loop", 1, "cost", EXACT)
    ours = runs.ours("lazymap-cost", "Lazymap, one CPU, instructions a loop", 1, OUR_COST, EXACT)
    linux += runs.linux("linux-scale", f"Linux, {SCALE_CPUS} CPUs, time and IPIs", SCALE_CPUS, "scale")
    ours += runs.ours("lazymap-scale", f"Lazymap, {SCALE_CPUS} CPUs, time and IPIs", SCALE_CPUS, OUR_SCALE)

    of_linux, of_ours = figures.Figures("Linux", linux), figures.Figures("Lazymap", ours)
    rows = figures.rows(of_linux, of_ours)
    print_tables(rows, figures.speed_up(rows, "ours", 2))
    wrong = runs.wrong + of_linux.missing() + of_ours.missing()
    if wrong:
        print("\n" + "\n".join(f"compare: {line}" for line in wrong), file=sys.stderr)
        print(f"compare: incomplete, so {RESULTS} is left as it was. The logs are {runs.directory}/*.log; to see one\n"
              "compare: of our benches alone: make run SMP=1 QEMU_ARGS='-icount shift=0' APPEND='run=\"bench vmap\"'",
              file=sys.stderr)
        return 1
    os.makedirs(RESULTS, exist_ok=True)
    csv = f"{RESULTS}/compare.csv"
    figures.write_csv(csv, notes(args), rows)
    print(f"\ncompare: written: {', '.join([csv, *plot.draw_all(csv)])}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("compare: interrupted")
