# SPDX-License-Identifier: MIT
"""As scenarios.py: what goes wrong outside of the kernel. A CPU that stops, a loader that tells nonsense, more CPUs
than there is room for, a serial line that does not stop talking. (Spurious interrupts: the kernel's `soak` sends
them to itself. A domain that is paused in mid-shootdown: domu.py.)
"""

import functools
import glob
import os
import random
import re
import subprocess

import debug
import scenarios
from guest import PROMPT, Guest
from machine import Machine
from scenarios import ANSWER_TIMEOUT, BOOT_TIMEOUT, need

ALL = []
WATCHDOG_TIMEOUT = 60  # seconds; the kernel's own is 10
FLOOD_LINES = 2048  # and some garbage amid them
ENDS = str.maketrans("", "", "\x03\x04")  # Ctrl-C and Ctrl-D, which do what they are for
SEED = 2007

scenario = functools.partial(scenarios.scenario, into=ALL)


def stop(cpu, before, after, words):
    """=> a test: boots, types `before`, stops that CPU from outside, types `after`; a panic must name the CPU"""
    def run(build, log):
        socket = f"{os.path.splitext(log)[0]}.socket"
        with Guest(debug.stubbed(Machine(smp=4), socket), build, log) as guest:
            guest.expect(PROMPT, BOOT_TIMEOUT)
            if before:
                guest.send(f"{before[0]}\r")
                guest.expect(before[1], ANSWER_TIMEOUT)
            with debug.Stub(socket) as stub:
                stub.go_on_without(cpu, 4)
                guest.send(f"{after}\r")
                need(not guest.wait(WATCHDOG_TIMEOUT), "a CPU that has stopped counts as success")
            need(re.search(rf"PANIC on cpu \d .*cpu {cpu} does not answer: {words}", guest.text), "it is not named")
    return run


@scenario
def idle_cpu_stops(build, log):
    """It never wakes when it is asked to forget: who has asked names it."""
    stop(2, None, "shootdown broadcast; lazy off; demo story", "shootdown")(build, log)


@scenario
def cpu_stops_with_a_lock(build, log):
    """Who waits for the lock names the CPU that has it."""
    stop(1, ("hog 9", "waits for it"), "", "hog")(build, log)


# What the loader says, by gdb's words, before the kernel has looked at it; and what is said to it. INFO is the PVH
# start info (Xen: public/arch-x86/hvm/start_info.h), MAP its memory map.
INFO = "(0xffffffff80000000 + handover)"
MAP = f"(0xffffffff80000000 + *(unsigned long *)({INFO} + 40))"
RSDP = f"(0xffffffff80000000 + *(unsigned long *)({INFO} + 32))"  # ACPI 6.4, 5.2.5.3
RSDT = f"(0xffffffff80000000 + *(unsigned int *)({RSDP} + 16))"
REFUSED = {
    f"set *(int *){INFO} = 7": "wrong magic number",
    f"set *(int *)({INFO} + 48) = 0": "no memory map",
    f"set *(int *)({INFO} + 48) = 0x7fffffff": "more than 128 ranges",
    f"set *(long *)({INFO} + 40) = -4096": "memory map lies outside",
    f"set *(long *)({MAP} + 8) = -1": "wraps or ends beyond",
    f"set *(long *){MAP} = 0x4000000000000000": "wraps or ends beyond",
    f"set *(long *)({INFO} + 24) = -4096": "command line lies outside",
    f"set *(int *)({INFO} + 12) = 9": "more than 8 modules",
}
RSDP_DAMAGED = r"acpi: the ACPI root pointer \(RSDP\) the loader named is damaged; going on with one CPU"
RSDT_DAMAGED = r"acpi: ACPI's list of tables \(RSDT or XSDT\) is damaged; going on with one CPU"
PUT_UP_WITH = {
    # a reserved range, of half a page, comes to lie in the midst of RAM
    f"set *(long *)({MAP} + 24) = 0x8000000": r"RAM +0x100000 - +0x8000000 .*\s+RAM +0x8001000 - ",
    f"set *(long *)({INFO} + 32) = 0x1234": RSDP_DAMAGED,
    f"set *(short *){RSDP} = 0x5253": RSDP_DAMAGED,  # 'SR', not 'RS': the checksum is right
    f"set *(int *)({RSDP} + 16) = -4096": RSDP_DAMAGED,  # the checksum is wrong
    f"set *(int *)({RSDT} + 4) = 0x7fffffff": RSDT_DAMAGED,  # its length
    f"set *(int *)({RSDT} + 36) = -8": RSDT_DAMAGED,  # its first table; the checksum is wrong
}


def boot_told(build, log, words):
    """Boots with that said by the loader. => (whether it came up and passed, what it printed, what gdb printed)"""
    socket = f"{os.path.splitext(log)[0]}.socket"
    with Guest(debug.waiting(Machine(smp=2, append='run="mem; check"'), socket), build, log) as guest:
        guest.wait_for_file(socket)
        argv = debug.gdb_command(build, socket, ["-batch", "-ex", words, "-ex", "delete", "-ex", "detach"])
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, timeout=BOOT_TIMEOUT, check=False)
        return guest.wait(BOOT_TIMEOUT), guest.text, done.stdout


@scenario(needs=("run", "gdb"))
def loader_tells_nonsense(build, log):
    for words, answer in {**REFUSED, **PUT_UP_WITH}.items():
        passed, text, gdb = boot_told(build, log, words)
        if words in REFUSED:
            need(not passed and re.search(f"cannot start: .*({answer})", text),
                 f"{words}: not refused for that; gdb said:\n{gdb}")
        else:
            need(passed and " 0 faults" in text, f"{words}: it does not boot; gdb said:\n{gdb}")
            need(re.search(answer, text), f"{words}: nothing like {answer!r} is printed; gdb said:\n{gdb}")
        need("PANIC" not in text, f"{words}: a panic")


@scenario
def more_cpus_than_room(build, log):
    """Those that a mask of 64 bits has no place for are left out, and that is said."""
    with Guest(Machine(smp=66, append="run=\"cpus; demo story; check\""), build, log) as guest:
        guest.must_pass(BOOT_TIMEOUT)
        need("64 CPUs online" in guest.text, "not 64 CPUs online")
        need("2 CPUs beyond the first 64 are left out" in guest.text, "that there are more is not said")


@scenario
def soak_for_a_moment(build, log):
    """`make soak` does this for as long as one wants. Every kind of work must have been done, and some refused."""
    kinds = set()
    for path in glob.glob("tests/kernel/soak*.c"):
        with open(path, encoding="utf-8") as file:
            kinds.update(re.findall(r"^SOAK\((\w+)\)", file.read(), re.MULTILINE))
    with Guest(Machine(smp=4, append='run="soak 10"'), build, log) as guest:
        guest.must_pass(BOOT_TIMEOUT + WATCHDOG_TIMEOUT)
        need(re.search(r"soak: all +\d{3,} +[1-9]", guest.text), "hardly anything was done, or nothing refused")
        idle = kinds - set(re.findall(r"soak: (\w+) +[1-9]\d* +\d+$", guest.text, re.MULTILINE))
        need(kinds and not idle, f"never done: {', '.join(sorted(idle))}")


@scenario
def serial_flood(build, log):
    """Whatever is typed ahead, more than there is room for, while all CPUs work: the line is held back, and then all of
    it is taken for what it is, and nothing is missing. Afterwards the prompt is there, and nothing is broken."""
    chance = random.Random(SEED)
    with Guest(Machine(smp=4), build, log) as guest:
        guest.expect(PROMPT, BOOT_TIMEOUT)
        guest.send(f"soak 3 {SEED}\r")
        guest.expect("soak: ", ANSWER_TIMEOUT)
        for n in range(FLOOD_LINES):
            if n % 128 == 0:
                guest.send(chance.randbytes(512).decode("latin-1").translate(ENDS) + "\r\r\r")
            guest.send(f"typed-{n}\r")
        guest.expect("no frame was missing", BOOT_TIMEOUT)
        guest.send("the-end\r")
        guest.expect("unknown command 'the-end'", BOOT_TIMEOUT)
        typed = [int(n) for n in re.findall(r"unknown command 'typed-(\d+)'", guest.text)]
        need(typed == list(range(FLOOD_LINES)), f"of {FLOOD_LINES} lines {len(typed)} came, or not in order")
        guest.expect(PROMPT, ANSWER_TIMEOUT)
        lost = guest.command("stats input_lost", ANSWER_TIMEOUT)
        need("input_lost" not in lost, f"bytes were lost:\n{lost}")  # what is 0 is not shown
        need(" 0 faults" in guest.command("check", ANSWER_TIMEOUT), "faults after a flood")
        guest.send("exit\r")
        guest.must_pass(ANSWER_TIMEOUT)
