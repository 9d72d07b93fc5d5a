# SPDX-License-Identifier: MIT
"""gdb on a machine that waits for it: stops at kernel_main, with symbols. And its stub without gdb, for what QEMU's
monitor cannot do: to stop one CPU of several.

The breakpoint is a hardware one: before boot.asm has built its page tables and copied nothing, there is
no memory yet at the address to put a software one into.
"""

import os
import signal
import socket as sockets
import subprocess

from guest import Guest

STOP_AT = "kernel_main"


def gdb_command(build, socket, arguments):
    return ["gdb", "-q", "-nx", "-ex", "set confirm off", "-ex", "set pagination off",
            "-ex", f"target remote {socket}", "-ex", f"hbreak {STOP_AT}", "-ex", "continue",
            *arguments, f"{build}/lazymap.elf"]


def stubbed(machine, socket):
    """=> the machine with gdb's stub behind `socket`; it runs until somebody connects"""
    if os.path.exists(socket):  # an earlier run's
        os.unlink(socket)
    stub = ("-chardev", f"socket,id=gdb,path={socket},server=on,wait=off", "-gdb", "chardev:gdb")
    return machine._replace(extra=machine.extra + stub)


def waiting(machine, socket):
    """=> the same with its CPUs stopped from the start"""
    return stubbed(machine._replace(extra=(*machine.extra, "-S")), socket)


class Stub:
    """A connection to the stub, which stops all CPUs (gdb's manual, "Remote Protocol")."""

    def __init__(self, socket):
        self.line = sockets.socket(sockets.AF_UNIX)
        self.line.connect(socket)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.line.close()

    def go_on_without(self, cpu, cpus):
        """All CPUs go on but this one. A thread of gdb's is a CPU, counted from 1."""
        packet = "vCont" + "".join(f";c:{n + 1:x}" for n in range(cpus) if n != cpu)
        self.line.sendall(f"${packet}#{sum(packet.encode()) % 256:02x}".encode())


def session(machine, build, scratch, arguments):
    """Runs gdb on this terminal, and ends the machine with it. => whether gdb ended well"""
    socket = f"{scratch}.socket"
    with Guest(waiting(machine, socket), build, f"{scratch}.log") as guest:
        print(f"(the serial port goes to {scratch}.log)", flush=True)
        guest.wait_for_file(socket)
        # Ctrl-C is gdb's, to stop the kernel with.
        signal.signal(signal.SIGINT, lambda *_: None)
        return subprocess.call(gdb_command(build, socket, arguments)) == 0
