# SPDX-License-Identifier: MIT
"""What a user of Xen does to a domain by xl, and what Lazymap must make of it.

All of it happens in one boot of Xen and Linux (dom0.py), one scenario after the other; each makes its own
domains, and what it leaves behind is destroyed before the next one. => one check for each scenario
"""

import re

import tap
from dom0 import CRASH, OFF, REBOOT, Dom0
from guest import PROMPT, Failed
from machine import Machine

PROMPT_TIMEOUT = 60  # seconds to the prompt, on a machine that has other things to do
ANSWER_TIMEOUT = 30  # seconds for a command
TESTS_TIMEOUT = 150  # seconds for one of the kernel's own suites
MACHINE = Machine(door="xl", mem="512M")

ALL = []


def scenario(test):
    ALL.append(test)
    return test


def need(condition, what):
    if not condition:
        raise Failed(what)


def checked(dom0):
    """At the prompt: the walker of the invariants finds nothing."""
    need(" 0 faults" in dom0.command("check", ANSWER_TIMEOUT), "check finds faults")


def prompted(dom0, name, **settings):
    """Makes a domain and sees it prompt, without faults. => it"""
    dom0.create(name, **settings)
    with dom0.console(name):
        dom0.expect(PROMPT, PROMPT_TIMEOUT)
        checked(dom0)
    return dom0.domains()[name]


def leave(dom0, name):
    """Types `exit`: the domain ends, and with success."""
    with dom0.console(name):
        dom0.send("exit\r")
        dom0.expect("LAZYMAP: PASS", ANSWER_TIMEOUT)
    gone(dom0, name)


def ended(dom0, name, reason):
    told = dom0.ended(name, ANSWER_TIMEOUT)
    need(told == reason, f"the domain ended for reason {told}, not {reason}")


def gone(dom0, name):
    """Has ended by itself, and nothing is left of it."""
    ended(dom0, name, OFF)
    dom0.wait_until(f"! xl domid {name} 2>/dev/null", ANSWER_TIMEOUT)


@scenario
def dialogue(dom0):
    """Attached, detached and attached again, then left by its own command."""
    prompted(dom0, "talker", memory=64, vcpus=2)
    with dom0.console("talker"):
        need(re.search(r"cpus +2 online of 2", dom0.command("info", ANSWER_TIMEOUT)), "not 2 vCPUs online")
    leave(dom0, "talker")


@scenario
def many_vcpus(dom0):
    prompted(dom0, "wide", memory=128, vcpus=16)
    with dom0.console("wide"):
        need(re.search(r"cpus +16 online of 16", dom0.command("info", 2 * ANSWER_TIMEOUT)), "not 16 vCPUs online")
    leave(dom0, "wide")


@scenario
def pvh(dom0):
    """The same image through another door: hardware makes the page tables private."""
    prompted(dom0, "hardware", type="pvh", memory=64, vcpus=2)
    leave(dom0, "hardware")


@scenario
def pause(dom0):
    prompted(dom0, "sleeper", memory=64, vcpus=2)
    dom0.xl("pause sleeper")
    need("p" in dom0.domains()["sleeper"].state, "is not paused")
    dom0.xl("unpause sleeper")
    need("p" not in dom0.domains()["sleeper"].state, "is still paused")
    with dom0.console("sleeper"):
        checked(dom0)
    leave(dom0, "sleeper")


@scenario
def shutdown(dom0):
    """xl asks, through the store, and the kernel ends by itself."""
    prompted(dom0, "asked", memory=64, vcpus=2)
    dom0.xl("shutdown asked")
    gone(dom0, "asked")


@scenario
def reboot(dom0):
    """xl asks, the kernel ends for that reason, and xl makes the domain once more."""
    before = prompted(dom0, "again", memory=64, vcpus=2)
    dom0.xl("reboot again")
    ended(dom0, "again", REBOOT)
    dom0.restarted("again", before.number)
    with dom0.console("again"):
        dom0.expect(PROMPT, PROMPT_TIMEOUT)
        checked(dom0)
    leave(dom0, "again")


@scenario
def crash(dom0):
    """A panic is reported as one, and the domain is kept to look at."""
    prompted(dom0, "fallen", memory=64, vcpus=2, on_crash="preserve")
    with dom0.console("fallen"):
        dom0.send("panic\r")
        dom0.expect(re.compile(r"LAZYMAP: FAIL \d+"), ANSWER_TIMEOUT)
    ended(dom0, "fallen", CRASH)
    need("c" in dom0.domains()["fallen"].state, "xl does not list it as crashed")
    dom0.xl("destroy fallen")


@scenario
def destroy(dom0):
    """In the middle of its own tests; Xen gets back every page, so none was still typed or pinned."""
    free = int(dom0.must("xl info free_memory"))
    prompted(dom0, "victim", memory=64, vcpus=4)
    with dom0.console("victim"):
        dom0.send("test vmap\r")
        dom0.expect("ok 1 ", ANSWER_TIMEOUT)
    dom0.xl("destroy victim")
    need("victim" not in dom0.domains(), "is still there")
    dom0.wait_until(f'[ "$(xl info free_memory)" -ge {free} ]', ANSWER_TIMEOUT)


@scenario
def two_at_once(dom0):
    """Each answers while the other works."""
    for name in ("left", "right"):
        prompted(dom0, name, memory=64, vcpus=2)
    for name in ("left", "right"):
        with dom0.console(name):
            dom0.send("test vmap\r")
            dom0.expect("ok 1 ", ANSWER_TIMEOUT)
    for name in ("left", "right"):
        with dom0.console(name):
            dom0.send("check\r")  # typed ahead, should the tests still run
            dom0.expect(" 0 faults", TESTS_TIMEOUT)
            dom0.expect(PROMPT, ANSWER_TIMEOUT)
    for name in ("left", "right"):
        leave(dom0, name)


def run(build, log):
    """=> the checks"""
    checks = []
    with Dom0(build, log, MACHINE) as dom0:
        for test in ALL:
            try:
                test(dom0)
                checks.append(tap.Check(test.__name__, "pass", ""))
            except Failed as failed:
                checks.append(tap.Check(test.__name__, "fail", str(failed)))
                dom0.start_afresh()
    return checks
