# SPDX-License-Identifier: MIT
"""As scenarios.py, with the kernel as Xen's first domain: a person at the prompt, wrong words on the command
line, panics, and that a crash of the whole domain is no success.

Xen's own lines come on the same port; none of these tests minds them.
"""

import functools
import re

import scenarios
from guest import PROMPT, Failed, Guest
from machine import Machine
from scenarios import ANSWER_TIMEOUT, BOOT_TIMEOUT, CTRL_C, need

ALL = []
SUITES_TIMEOUT = 300
CRASH_TIMEOUT = 60  # seconds; Xen waits five of them before it resets the machine

scenario = functools.partial(scenarios.scenario, needs=("run", "xen"), into=ALL)


def dom0(append="", smp=2, mem="64M", cpu="max"):
    return Machine("xen", smp=smp, mem=mem, cpu=cpu, append=append)


@scenario
def commands(build, log):
    with Guest(dom0(), build, log) as guest:
        guest.expect(PROMPT, BOOT_TIMEOUT)
        for name in ("help", "info", "cpus", "mem", "maps", "lazy", "purge", "stats", "check", "demo stale", "demo lazy",
                     "trace dump 5", "vmallocinfo", "aliases 0x300", "pt 0xffffffff80100000"):
            need(guest.command(name, ANSWER_TIMEOUT).strip(), f"'{name}' prints nothing")
        need(re.search(r"xen_mmu\w* +[1-9]", guest.command("stats xen*", ANSWER_TIMEOUT)), "no hypercalls are counted")
        guest.send("test vm*\r")
        guest.expect("ok 1 ", ANSWER_TIMEOUT)
        guest.send(CTRL_C)
        guest.expect("interrupted", ANSWER_TIMEOUT)
        guest.expect(PROMPT, ANSWER_TIMEOUT)
        need(" 0 faults" in guest.command("check", ANSWER_TIMEOUT), "an interrupted test leaves faults behind")
        guest.send("exit\r")
        guest.must_pass(ANSWER_TIMEOUT)


@scenario
def run_without_terminal(build, _):
    status, output = scenarios.make_run(build, "mem\ncheck\n", target="run-xen", SMP=2)
    need(status == 0 and "frames:" in output and " 0 faults" in output, f"two lines: status {status}\n{output}")
    # A command's failure becomes make's, and quotes and commas reach the kernel.
    status, output = scenarios.make_run(build, "", target="run-xen", APPEND="run=\"test space,lazy; exit '7'\"", SMP=1)
    need(status != 0 and "LAZYMAP: FAIL 7" in output and "run: test space,lazy; exit '7'" in output,
         f"exit 7: status {status}\n{output}")


@scenario
def poison_and_hold(build, log):
    """Suites that only use mappings, with both debugging aids on all the time."""
    run = "test sparse; test protect; vmtest loops=5 case='random*'; purge; check"
    with Guest(dom0(f'hold=on debug=poison run="{run}"', mem="128M"), build, log) as guest:
        guest.must_pass(scenarios.SUITES_TIMEOUT)


@scenario
def panics(build, log):
    """A panic ends the domain with failure, and its report says what it says on the bare machine."""
    for way in ("null", "unmapped", "twice"):
        with Guest(dom0(f'run="crash {way}"'), build, log) as guest:
            need(not guest.wait(BOOT_TIMEOUT), f"crash {way} counts as success")
            for pattern in ("PANIC on cpu 0", *scenarios.CRASHES[way]):
                need(re.search(pattern, guest.text), f"crash {way}: no /{pattern}/ in the report")


@scenario
def crash_of_the_domain_is_a_failure(build, log):
    """A stack overflow leaves no stack to report on: Xen crashes the domain, and resets the machine."""
    with Guest(dom0('run="crash stack"', smp=1), build, log) as guest:
        try:
            guest.wait(CRASH_TIMEOUT)
        except Failed as failed:
            need("ended (status 0) without a last line" in str(failed), f"called something else: {failed}")
            need("Dom0 crashed: rebooting" in guest.text, "it was not Xen that ended it")
            return
        raise Failed("a domain that crashed counts as one that ended")


@scenario
def wrong_arguments(build, log):
    """A wrong option is named, and the boot goes on where it can."""
    scenarios.refused(dom0("directmap=much run=info", smp=1), build, log, "directmap")
    with Guest(dom0("lazy=perhaps run=info", smp=1), build, log) as guest:
        guest.must_pass(BOOT_TIMEOUT)
        need("lazy=" in guest.text, "lazy=perhaps goes unnoticed")


@scenario
def command_line_too_long(build, log):
    """Xen cuts it to 1023 bytes, and does not say so; what is left is one."""
    scenarios.refused(dom0('run="info' + "x" * 2000 + '"', smp=1), build, log, r"unknown command 'infox{900}")


# What cannot be taken back when Xen refuses it, and a command that asks for it. By the hypercall refused.
REFUSED = {
    "clear 1 'demo story'": r"xen refused to clear \d+ entries",
    "clear 1 'demo lazy'": r"xen refused to clear \d+ entries",
    "flush 1 'demo stale'": "Xen refuses to flush",
    "event 1 'demo lazy'": r"event channel \d+ cannot be used",
}


@scenario
def refused_hypercalls(build, log):
    """Refused mappings are reported and leave no fault behind; what the kernel cannot do without panics by name."""
    with Guest(dom0("run=\"inject set 1 'demo story'; inject set 1 'test space'; check\""), build, log) as guest:
        need(not guest.wait(BOOT_TIMEOUT), "a demonstration without its mapping counts as success")
        need("set 1: was refused" in guest.text and "PANIC" not in guest.text, "the refusal is not reported")
        need(guest.text.count(" 0 faults") == 2, "a refusal leaves faults behind")
    for what, words in REFUSED.items():
        with Guest(dom0(f'run="inject {what}"'), build, log) as guest:
            need(not guest.wait(BOOT_TIMEOUT), f"inject {what} counts as success")
            need(re.search(f"PANIC.*{words}", guest.text), f"inject {what}: no panic by name")


BOOT_STRIDE = 12  # one hypercall of so many: all of them take a few minutes


@scenario
def refused_at_boot(build, log):
    """Whichever hypercall of boot is refused, the kernel says which, or does without; its checks stay clean."""
    n = asked = 1
    while n <= asked:
        with Guest(dom0(f"xen_refuse={n} run=check"), build, log) as guest:
            passed = guest.wait(BOOT_TIMEOUT)
            count = re.search(rf"of the (\d+) hypercalls of boot number {n} was refused", guest.text)
            if passed:
                need(count and " 0 faults" in guest.text, f"hypercall {n} of boot was to be refused, and was not")
                asked = int(count[1])
            else:
                need(re.search("PANIC.*(refuse|does not|cannot be|no event channel)|Lazymap cannot start: ", guest.text), f"{n}: no reason is given")
                asked = max(asked, n + BOOT_STRIDE)
        n += BOOT_STRIDE


@scenario
def memory_with_holes(build, log):
    """Frames that were given back before the start: nothing maps them, nothing is given them, all else works."""
    with Guest(dom0("xen_holes=12 run=\"test space; test frame*; test vmap*; test aspace; demo stray; check\"", mem="128M"), build,
               log) as guest:
        guest.must_pass(SUITES_TIMEOUT)
        free = re.search(r"mm: own page tables at .*, (\d+) MiB free", guest.text)
        need("12 holes" in guest.text and free and int(free[1]) <= 128 - 16, "the holes count as memory")
    scenarios.refused(dom0("xen_holes=13 run=info", smp=1), build, log, "xen_holes=")


@scenario
def soak_for_a_moment(build, log):
    """Address spaces are pinned all the time, hypercalls refused; `make soak` does it for longer."""
    with Guest(dom0("run=\"soak 10\"", mem="128M"), build, log) as guest:
        guest.must_pass(SUITES_TIMEOUT)
        need(re.search(r"soak: xen_refuses +\d+ +[1-9]", guest.text), "nothing was refused")
