# SPDX-License-Identifier: MIT
"""gdb on a machine that waits for it: stops at kernel_main, with symbols.

The breakpoint is a hardware one: before boot.asm has built its page tables and copied nothing, there is
no memory yet at the address to put a software one into.
"""

import os
import signal
import subprocess

from guest import Guest

STOP_AT = "kernel_main"


def gdb_command(build, socket, arguments):
    return ["gdb", "-q", "-nx", "-ex", "set confirm off", "-ex", "set pagination off",
            "-ex", f"target remote {socket}", "-ex", f"hbreak {STOP_AT}", "-ex", "continue",
            *arguments, f"{build}/lazymap.elf"]


def waiting(machine, socket):
    """=> the machine with its CPUs stopped and gdb's stub behind `socket`"""
    if os.path.exists(socket):  # an earlier run's
        os.unlink(socket)
    stub = ("-S", "-chardev", f"socket,id=gdb,path={socket},server=on,wait=off", "-gdb", "chardev:gdb")
    return machine._replace(extra=machine.extra + stub)


def session(machine, build, scratch, arguments):
    """Runs gdb on this terminal, and ends the machine with it. => whether gdb ended well"""
    socket = f"{scratch}.socket"
    with Guest(waiting(machine, socket), build, f"{scratch}.log") as guest:
        print(f"(the serial port goes to {scratch}.log)", flush=True)
        guest.wait_for_file(socket)
        # Ctrl-C is gdb's, to stop the kernel with.
        signal.signal(signal.SIGINT, lambda *_: None)
        return subprocess.call(gdb_command(build, socket, arguments)) == 0
