# SPDX-License-Identifier: MIT
"""Tests that are more than "boot and run commands": a person at the prompt, hand-overs that are wrong,
gdb, a panic, a hang, and the figures the project promises.

Each is a function of (build directory, log file) that returns or raises; ALL holds them in order.
"""

import json
import os
import re
import subprocess
import sys

import debug
import screen
import tracing
from guest import PROMPT, Failed, Guest
from machine import Machine

BOOT_TIMEOUT = 60  # seconds to the prompt, on a machine that has other things to do
ANSWER_TIMEOUT = 20  # seconds for a command
SUITES_TIMEOUT = 150  # seconds for some of the kernel's own tests
BOOT_FIGURE = 2.0  # seconds of wall time to the prompt with 4 CPUs
KERNEL_FIGURE = 0.3  # seconds of that in the kernel
IMAGE_FIGURE = 1 << 20  # bytes of lazymap.elf that are loaded

CTRL_C, TAB, UP, BACKSPACE = "\x03", "\t", "\x1b[A", "\x7f"

ALL = []


def scenario(function=None, *, needs=("run",), alone=False, into=ALL):
    """Registers a test, with the sets of tools/packages.txt it needs; alone: it measures time."""
    def register(test):
        test.needs, test.alone = needs, alone
        into.append(test)
        return test
    return register(function) if function else register


def need(condition, what):
    if not condition:
        raise Failed(what)


def check_boot(guest, machine):
    """What the output of every boot of the matrix must hold."""
    online = re.search(r"^ *cpus +(\d+) online of", guest.text, re.MULTILINE)
    if not online or int(online[1]) != machine.smp:
        raise guest.failed(f"not {machine.smp} CPUs online")


# --- a person at the prompt ---------------------------------------------------------------------

@scenario
def commands(build, log):
    with Guest(Machine(), build, log) as guest:
        guest.expect(PROMPT, BOOT_TIMEOUT)
        listed = guest.command("help", ANSWER_TIMEOUT)
        wanted = "help info cpus mem maps area pt lazy purge stats trace check test bench demo panic exit aspace"
        for name in wanted.split():
            need(re.search(rf"^\s*{name}\s", listed, re.MULTILINE), f"help does not list '{name}'")
        for name in ("info", "cpus", "mem", "maps", "lazy", "purge", "stats", "check", "demo", "aspace", "purge policy", "trace dump 5"):
            need(guest.command(name, ANSWER_TIMEOUT).strip(), f"'{name}' prints nothing")
        for line in guest.command("stats -a", ANSWER_TIMEOUT).strip().splitlines():
            need(re.fullmatch(r"\s*\w+ +\d+  \S.*", line), f"'stats' does not say what it counts: {line}")
        need("usage: pt" in guest.command("pt", ANSWER_TIMEOUT), "'pt' without an address gives no usage")
        need("usage: mem" in guest.command("mem x", ANSWER_TIMEOUT), "'mem x' gives no usage")
        need("unknown command" in guest.command("nonsense", ANSWER_TIMEOUT), "an unknown command is not named")
        need("canonical" in guest.command("pt 0x800000000000", ANSWER_TIMEOUT), "pt takes a non-canonical address")
        guest.send("exit\r")
        guest.must_pass(ANSWER_TIMEOUT)


@scenario
def line_editing(build, log):
    with Guest(Machine(smp=2), build, log) as guest:
        guest.expect(PROMPT, BOOT_TIMEOUT)
        guest.send(f"che{TAB}\r")
        need(" 0 faults" in guest.expect(PROMPT, ANSWER_TIMEOUT), "tab does not complete 'che' to 'check'")
        guest.send(f"{UP}\r")
        need(" 0 faults" in guest.expect(PROMPT, ANSWER_TIMEOUT), "the up arrow does not bring 'check' back")
        guest.send(f"mex{BACKSPACE}m\r")
        need("frames:" in guest.expect(PROMPT, ANSWER_TIMEOUT), "backspace does not erase")
        guest.send(f"panic{CTRL_C}")
        guest.expect(PROMPT, ANSWER_TIMEOUT)
        guest.send("exit\r")
        guest.must_pass(ANSWER_TIMEOUT)


@scenario
def interrupt(build, log):
    """Ctrl-C stops a running command, and the prompt works after it."""
    with Guest(Machine(), build, log) as guest:
        guest.expect(PROMPT, BOOT_TIMEOUT)
        guest.send("test\r")
        guest.expect("ok 1 ", ANSWER_TIMEOUT)
        guest.send(CTRL_C)
        guest.expect("interrupted", ANSWER_TIMEOUT)
        guest.expect(PROMPT, ANSWER_TIMEOUT)
        need(" 0 faults" in guest.command("check", ANSWER_TIMEOUT), "an interrupted test leaves faults behind")


def on_screen(machine, build, log, read):
    """What is printed stands on the screen as well, from the kernel's first line on."""
    control = f"{os.path.splitext(log)[0]}.qmp"
    with Guest(screen.watched(machine, control), build, log) as guest:
        guest.expect(PROMPT, BOOT_TIMEOUT)
        guest.command("check", ANSWER_TIMEOUT)
        lines = read(screen.Screen(guest, control))
    shown = "\n".join(lines)
    for wanted in ("Lazymap: what does it cost", f"{PROMPT}check", " 0 faults"):
        need(wanted in shown, f"'{wanted}' is not on the screen:\n{shown}")


@scenario
def vga_text(build, log):
    on_screen(Machine(smp=1), build, log, screen.Screen.text_mode)


@scenario(needs=("run", "iso"))
def vga_text_by_grub(build, log):
    on_screen(Machine("bios", smp=1), build, log, screen.Screen.text_mode)


@scenario(needs=("run", "iso", "uefi"))
def framebuffer_uefi(build, log):
    on_screen(Machine("uefi", smp=1), build, log, screen.Screen.framebuffer)


@scenario(needs=("run", "iso"))
def framebuffer_bios(build, log):
    on_screen(Machine("bios", smp=1, append="lazy=tlb", video="800x600x32"), build, log, screen.Screen.framebuffer)


def make_run(build, stdin, target="run", **variables):
    """`make run` without a terminal. => (status, output)"""
    argv = [os.environ.get("MAKE", "make"), "--no-print-directory", target, f"O={build}"]
    argv += [f"{name}={value}" for name, value in variables.items()]
    done = subprocess.run(argv, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=BOOT_TIMEOUT, check=False)
    return done.returncode, done.stdout


@scenario
def run_without_terminal(build, _):
    status, output = make_run(build, "")
    need(status == 0 and output.rstrip().endswith("LAZYMAP: PASS"), f"no input: status {status}\n{output}")
    status, output = make_run(build, "mem\ncheck\n", SMP=2)
    need(status == 0 and "frames:" in output and " 0 faults" in output, f"two lines: status {status}\n{output}")
    # A command's failure becomes make's, and any quotes reach the kernel.
    status, output = make_run(build, "", APPEND="run=\"exit '7'\"", SMP=1)
    need(status != 0 and "LAZYMAP: FAIL 7" in output, f"exit 7: status {status}\n{output}")


# --- what must be seen as a failure ----------------------------------------------------------------

@scenario
def panic_is_a_failure(build, log):
    with Guest(Machine(append="run=\"panic 'what a pity'\""), build, log) as guest:
        need(not guest.wait(BOOT_TIMEOUT), "a panic counts as success")
        need("PANIC on cpu 0" in guest.text and "what a pity" in guest.text, "the panic does not say why")
        need(re.search(r"cmd_panic\+0x[0-9a-f]+\n(.*\n)*.*kernel_main\+0x", guest.text),
             "the backtrace does not lead from cmd_panic to kernel_main")


# What the report of each way to crash must hold (kernel/crash.c, kernel/crash_mm.c).
CRASHES = {
    "null": ("PANIC.*page fault writing 0x10: nothing is mapped there", "null page",
             r"rip .* use_null\+0", r"backtrace:\n.* use_null\+0", r"cpu 1 \(idle\) was at"),
    "text": ("page fault writing .*: its protection forbids it", r"text: kernel_main\+0"),
    "stack": ("double fault, perhaps a stack overflow", "just below stack 'deep': an overflow",
              r"backtrace:\n(.* recurse\S*\+0x.*\n){3}"),
    "deaf": ("cpu 3 does not answer: shootdown", r"cpu 3 \(deaf\), where an NMI stopped it:", r"go_deaf\+0x"),
    "unmapped": (r"use after unmap: page 0 of area 'vmap' .* unmapped by use_after_unmap\+0x.* us ago",),
    "poison": (r"page fault writing", r"use after unmap: page 0 of area 'vmap' .* unmapped by "
               r"use_long_after_unmap\+0x.* us ago", "quarantined by debug=poison"),
    "guard": ("page fault writing", r"guard page after area 'vmap' .* mapped by mapping\+0x"),
    "redzone": (r"byte 100 of .* was overwritten: it is behind the 100 bytes asked for by overrun_into_redzone\+0x",),
    "readonly": ("page fault writing .*: its protection forbids it", r"live area 'vmap'"),
    "twice": (r"vunmap of .*: double unmap of area 'vmap' .* unmapped by unmap_twice\+0x",),
    "interior": (r"vunmap of .* inside area 'vmap' .* mapped by mapping\+0x",),
    "nothing": (r"vunmap of 0xffff907fffffe000, where nothing is mapped",),
    "elsewhere": (r"vunmap of 0xffff88.*, where nothing is mapped",),
    "foreign": (r"vfree of area 'vmap' .*, which is for vunmap",),
    "count": (r"vm_unmap_ram of 1 pages at .*, where 2 are mapped",),
    "kunmap": (r"kunmap of .*: double unmap of area 'kmap'",),
    "unordered": (r"kunmap_local",),
    "doublefree": (r"double free of frame .*, freed before by free_twice\+0x",),
    "freemapped": (r"free of frame .*, which is still mapped 1 times",),
    "irqsoff": (r"interrupts",),
}


def crashes(way):
    def test(build, log):
        with Guest(Machine(append=f'run="crash {way}"'), build, log) as guest:
            need(not guest.wait(BOOT_TIMEOUT), f"crash {way} counts as success")
            for pattern in ("PANIC on cpu 0", *CRASHES[way]):
                need(re.search(pattern, guest.text), f"crash {way}: no /{pattern}/ in the report")
    test.__name__ = f"crash_{way}"
    return test


for crash in CRASHES:
    scenario(crashes(crash))


@scenario
def crashes_are_all_tried(build, log):
    with Guest(Machine(smp=1, append="run=crash"), build, log) as guest:
        guest.must_pass(BOOT_TIMEOUT)
        ways = re.findall(r"^(\w+) {2,}\w", guest.text.split("run: crash")[-1], re.MULTILINE)
        need(sorted(ways) == sorted(CRASHES), f"the ways are {ways}")


@scenario
def poison_and_hold(build, log):
    """Suites that only use mappings, with both debugging aids on all the time, which others turn on and off."""
    run = ("test sparse; test protect; test purge_race; vmtest loops=20 case='random*'; vmtest loops=20 case='v*'; "
           "vmtest threads=1 case=long_busy_list; purge; check")
    with Guest(Machine(smp=3, append=f'hold=on debug=poison run="{run}"'), build, log) as guest:
        guest.must_pass(SUITES_TIMEOUT)


@scenario
def hang_is_a_failure(build, log):
    """A kernel that does not end is one, here one that waits at its prompt."""
    with Guest(Machine(smp=1), build, log) as guest:
        guest.expect(PROMPT, BOOT_TIMEOUT)
        try:
            guest.wait(1)
        except Failed as failed:
            need("still running" in str(failed), f"called something else: {failed}")
            return
        raise Failed("a guest at its prompt counts as one that ended")


@scenario
def reset_is_a_failure(build, log):
    """A machine that resets ends QEMU with status 0; without the kernel's last line that is a failure."""
    control = f"{os.path.splitext(log)[0]}.qmp"
    with Guest(screen.watched(Machine(smp=1), control), build, log) as guest:
        guest.expect(PROMPT, BOOT_TIMEOUT)
        screen.Screen(guest, control).ask("system_reset")
        try:
            guest.wait(ANSWER_TIMEOUT)
        except Failed as failed:
            need("ended (status 0) without a last line" in str(failed), f"called something else: {failed}")
            return
        raise Failed("a reset counts as success")


# --- hand-overs and machines that are wrong -----------------------------------------------------------

def refused(machine, build, log, words):
    """The kernel must say one of the words and end with failure."""
    with Guest(machine, build, log) as guest:
        need(not guest.wait(BOOT_TIMEOUT), "the kernel reports success")
        need(re.search(words, guest.text), f"no word of /{words}/ in:\n{guest.text}")


@scenario
def command_line_too_long_pvh(build, log):
    refused(Machine(append="x" * 2000), build, log, "command line")


@scenario(needs=("run", "iso"))
def command_line_too_long_grub(build, log):
    refused(Machine("bios", append="x" * 1500), build, log, "command line")


@scenario
def no_long_mode_pvh(build, log):
    refused(Machine(cpu="qemu32", smp=1), build, log, "64-bit|long mode")


@scenario(needs=("run", "iso"))
def no_long_mode_grub(build, log):
    refused(Machine("bios", cpu="qemu32", smp=1, append="run=info"), build, log, "64-bit|long mode")


@scenario
def no_memory(build, log):
    """Too little for most of the image, for its end, and for what boot allocates."""
    image = "no memory for the end of this image"
    for mem, words in ("2M", image), ("4M", image), ("5M", "not enough memory|out of memory"):
        refused(Machine(smp=1, mem=mem), build, log, words)


@scenario
def wrong_arguments(build, log):
    """A wrong option is named, and the boot goes on where it can."""
    refused(Machine(append="directmap=much run=info", smp=1), build, log, "directmap")
    with Guest(Machine(append="lazy=perhaps run=info", smp=1), build, log) as guest:
        guest.must_pass(BOOT_TIMEOUT)
        need("lazy=" in guest.text, "lazy=perhaps goes unnoticed")


@scenario
def absent_cpus(build, log):
    """Of 8 CPUs in the tables 3 are there; the others must not be waited for."""
    with Guest(Machine(append="run=cpus", extra=("-smp", "3,maxcpus=8")), build, log) as guest:
        guest.must_pass(BOOT_TIMEOUT)
        need("3 CPUs online" in guest.text, "not 3 CPUs online")


# --- tools -------------------------------------------------------------------------------------

@scenario(needs=("run", "gdb"))
def silent_cpu(build, log):
    """A CPU that the tables promise and that never answers is reported and left out. gdb plants it: an
    entry more in the parsed table, with an APIC id that nobody has."""
    socket = f"{os.path.splitext(log)[0]}.socket"
    with Guest(debug.waiting(Machine(smp=3, append="run=\"cpus; test smp; check\""), socket), build, log) as guest:
        guest.wait_for_file(socket)
        argv = debug.gdb_command(build, socket, [
            "-batch", "-ex", "hbreak smp_init", "-ex", "continue", "-ex", "set madt.apic_id[madt.nr_cpus] = 77",
            "-ex", "set madt.nr_cpus = madt.nr_cpus + 1", "-ex", "delete", "-ex", "detach"])
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, timeout=BOOT_TIMEOUT, check=False)
        guest.must_pass(BOOT_TIMEOUT)
        need("the CPU with APIC id 77 does not answer; left out" in guest.text,
             f"it goes unnoticed; gdb said:\n{done.stdout}")
        need("3 CPUs online" in guest.text, "not 3 CPUs online")


@scenario(needs=("run", "gdb"))
def gdb_stops_at_kernel_main(build, log):
    socket = f"{os.path.splitext(log)[0]}.socket"
    with Guest(debug.waiting(Machine(), socket), build, log) as guest:
        guest.wait_for_file(socket)
        argv = debug.gdb_command(build, socket, ["-batch", "-ex", "info args", "-ex", "backtrace"])
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, timeout=BOOT_TIMEOUT, check=False)
    need(re.search(r"Breakpoint 1, kernel_main \(.*kernel/main\.c:\d+", done.stdout, re.DOTALL)
         and "door = 2" in done.stdout, f"gdb did not stop at kernel_main:\n{done.stdout}")


@scenario
def trace_for_perfetto(build, log):
    """What `trace dump json` prints is sound and tells what happened: maps and unmaps if asked for, and every
    request of a shootdown as an arrow."""
    with Guest(Machine(), build, log) as guest:
        guest.expect(PROMPT, BOOT_TIMEOUT)
        for hot in ("off", "on"):
            # In the second demonstration the other CPUs are busy, so they must be asked.
            for line in ("trace clear", f"trace {hot}", "demo story", "demo lazy"):
                guest.command(line, ANSWER_TIMEOUT)
            trace, _ = tracing.check(guest.command("trace dump json", ANSWER_TIMEOUT))
            for name in ("map", "unmap"):
                traced = [event["args"] for event in trace["traceEvents"] if event["name"] == name]
                need(any(args["pages"] == 6 for args in traced) == (hot == "on"), f"trace {hot}: {name}: {traced}")
            served, asked = tracing.count(trace, "serve", "B"), tracing.count(trace, "ask", "f")
            need(asked and served == asked, f"trace {hot}: {asked} requests by arrows, {served} served")
            need(trace["otherData"]["lost_records"] == 0, "records are lost that had room")
        guest.send("exit\r")
        guest.must_pass(ANSWER_TIMEOUT)


@scenario
def make_trace(build, _):
    status, output = make_run(build, "", target="trace", SMP=8, TRACE_RUN="demo story; cpus")
    need(status == 0, f"status {status}\n{output}")
    with open(f"{build}/trace.json", encoding="ascii") as file:
        trace = json.load(file)
    need(trace["otherData"]["cpus"] == 8 and "demo story; cpus" in trace["otherData"]["command_line"],
         f"another machine's trace: {trace['otherData']}")
    # One that failed is shown as well, but not called a success.
    status, output = make_run(build, "", target="trace", SMP=1, TRACE_RUN="nonsense")
    need(status != 0 and "'nonsense' failed" in output, f"nonsense: status {status}\n{output}")


@scenario
def bench_is_exact(build, log):
    """Under -icount a tick is an instruction, so two runs give the same numbers."""
    def measure():
        with Guest(Machine(smp=1, append='run="bench vmap"', extra=("-icount", "shift=0")), build, log) as guest:
            guest.must_pass(BOOT_TIMEOUT)
            return [json.loads(line[len("BENCH "):]) for line in guest.text.splitlines() if line.startswith("BENCH ")]
    lines = measure()
    rows = [(line["policy"], line["revival"], line["pages"]) for line in lines]
    need(rows == [(policy, revival, pages) for policy, revival in (("tlb", 0), ("pte", 0), ("pte", 1), ("off", 0))
                  for pages in (1, 4, 16, 64, 256)], f"not each policy with the five sizes: {rows}")
    for line in lines:
        need(line["bench"] == "vmap" and line["ops"] > 0 and line["insns_per_op"] > 0, f"nothing measured: {line}")
        print(f"     BENCH {json.dumps(line)}")
    need(measure() == lines, "a second run gives other numbers")


# --- figures --------------------------------------------------------------------------------------

@scenario
def image_size(build, _):
    """What a loader loads; the debugging sections of the ELF do not count."""
    size = os.path.getsize(f"{build}/lazymap.stripped")
    print(f"     image: {size} bytes")
    need(size < IMAGE_FIGURE, f"the image has {size} bytes, more than {IMAGE_FIGURE}")


@scenario(alone=True)
def boot_time(build, log):
    """The best of three, since this machine may be doing other things."""
    best, kernel = sys.maxsize, None
    for _ in range(3):
        with Guest(Machine(), build, log) as guest:
            guest.expect(PROMPT, BOOT_TIMEOUT)
            if guest.seconds() < best:
                best, kernel = guest.seconds(), re.search(r"boot: done in (\d+) us", guest.text)
    need(kernel, "the kernel does not say how long it took")
    seconds = int(kernel[1]) / 1e6
    print(f"     boot to the prompt: {best:.2f} s, of which the kernel {seconds:.3f} s")
    need(best < BOOT_FIGURE, f"{best:.2f} s to the prompt; {BOOT_FIGURE} s are promised")
    need(seconds < KERNEL_FIGURE, f"{seconds:.3f} s in the kernel; {KERNEL_FIGURE} s are promised")
