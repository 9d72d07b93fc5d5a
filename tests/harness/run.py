#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""`make run` and its kin: one machine, with its serial port on this terminal.

At a terminal, what is typed goes to the kernel, Ctrl-C included; Ctrl-A X ends the emulator.

Where the input is no terminal (a pipe, a file, /dev/null), each line is typed when the kernel prompts,
and `exit` after the last one, so the run always ends: also if the kernel says nothing for long.

=> 0 if the kernel ended with success or was left by Ctrl-A X, else 1
"""

import argparse
import os
import select
import shlex
import subprocess
import sys
import termios
import time
import tty

import debug
import machine as machines
import tracing
from guest import PROMPT, Failed, Guest, end_when_told

SILENCE = 60  # seconds
LINUX_SILENCE = 180  # where Linux has to boot first
CTRL_A = 1


def parse_arguments():
    parser = argparse.ArgumentParser(description="boot Lazymap")
    parser.add_argument("--door", choices=[door for door in machines.DOORS if door != "xl"], default="pvh")
    parser.add_argument("--build", default="build")
    parser.add_argument("--gdb", metavar="ARGUMENTS", help="debug it, with more arguments for gdb")
    parser.add_argument("--trace", metavar="COMMANDS", help="run these, and write a trace of it")
    for name, default in machines.Machine()._asdict().items():
        if name in ("kind", "smp", "mem", "cpu", "accel", "append"):
            parser.add_argument(f"--{name}", type=type(default), default=default)
    parser.add_argument("--extra", default="", help="more arguments for QEMU")
    return parser.parse_args()


def qemu_at_terminal(machine, build, scratch):
    """QEMU itself does the work: its serial port and its monitor share the terminal."""
    argv = machines.qemu(machine, build, scratch, "stdio,id=com1,mux=on,signal=off")
    settings = termios.tcgetattr(sys.stdin)
    try:
        status = subprocess.call(argv + ["-mon", "chardev=com1"])
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, settings)
    return status in (0, machines.EXIT_PASS)


def show(chunk):
    sys.stdout.buffer.write(chunk)
    sys.stdout.flush()


def bochs_at_terminal(machine, build, scratch):
    """Bochs' serial port is a terminal of its own: carry bytes to and fro."""
    settings = termios.tcgetattr(sys.stdin)
    tty.setraw(sys.stdin)
    try:
        with Guest(machine, build, f"{scratch}.log", show) as guest:
            left = False
            while guest.exit_code is None:
                if not select.select([sys.stdin], [], [], 0.1)[0]:
                    continue
                for byte in os.read(sys.stdin.fileno(), 1024):
                    if left and byte in b"xX":
                        return True
                    left = byte == CTRL_A
                    if not left:
                        os.write(guest.writing, bytes([byte]))
            return guest.wait(0)
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, settings)


def without_terminal(machine, build, scratch):
    """Types the lines of the input, one a prompt, and `exit` at its end."""
    heard = time.monotonic()
    patience = LINUX_SILENCE if machine.door.startswith("domu") else SILENCE

    def hear(chunk):
        nonlocal heard
        if chunk:
            heard = time.monotonic()
            show(chunk)

    with Guest(machine, build, f"{scratch}.log", hear) as guest:
        while guest.exit_code is None:
            if PROMPT in guest.text[guest.seen:]:
                guest.seen = guest.text.rindex(PROMPT) + len(PROMPT)
                line = sys.stdin.readline()
                heard = time.monotonic()
                guest.send(line.rstrip("\r\n") + "\r" if line else "exit\r")
            elif time.monotonic() - heard > patience:
                raise guest.failed(f"the kernel has said nothing for {patience} s")
            else:
                with guest.changed:
                    guest.changed.wait(1)
        return guest.wait(0)


def main():
    args = parse_arguments()
    end_when_told()
    os.makedirs(f"{args.build}/run", exist_ok=True)
    scratch = f"{args.build}/run/{args.door}"
    machine = machines.Machine(args.door, args.kind, args.smp, args.mem, args.cpu, args.accel, args.append,
                               extra=tuple(shlex.split(args.extra)))
    if args.gdb is not None:
        return debug.session(machine, args.build, f"{scratch}-gdb", shlex.split(args.gdb))
    if args.trace is not None:
        return tracing.record(machine, args.build, args.trace)
    if not sys.stdin.isatty():
        return without_terminal(machine, args.build, scratch)
    print("(Ctrl-A X ends the emulator)")
    if args.door.startswith("domu"):
        print(f"(Xen and Linux boot first, which takes some ten seconds; what they say is in {scratch}.xen)")
    at_terminal = bochs_at_terminal if args.door == "bochs" else qemu_at_terminal
    return at_terminal(machine, args.build, scratch)


if __name__ == "__main__":
    try:
        sys.exit(0 if main() else 1)
    except (Failed, FileNotFoundError) as failure:
        sys.exit(f"run: {failure}")
