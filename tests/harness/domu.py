# SPDX-License-Identifier: MIT
"""What xl can do to domains of the kernel, tried in one boot of Linux as dom0.

Each step is a function of the running Dom0 that returns or raises, or returns checks of its own; STEPS holds
them in order. A domain that a step has made is gone after it, and Xen must have all of its memory back. Domains stay
("preserve") when they have ended, so that the last they printed can be read.
"""

import contextlib
import re

import tap
from dom0 import CRASH, OFF, REBOOT, Dom0
from guest import PROMPT, Failed
from machine import Machine

BOOT_TIMEOUT = 90  # seconds from xl create to the prompt; one or two on a machine that has nothing else to do
ANSWER_TIMEOUT = 40  # seconds for a command
SUITES_TIMEOUT = 600  # seconds for all of the kernel's own tests
HOG = 4  # seconds that a CPU waits: less than kernel/watchdog.c needs to be sure
PAUSE = 12  # seconds: longer than kernel/watchdog.h lets a CPU be silent
LOG = "/var/log/xen/console/guest-{}.log"  # xenconsoled's, in dom0
MACHINE = Machine(door="xl", smp=2, mem="640M")
TAB, CTRL_C = "\t", "\x03"
LOAD = "vmtest case=fix_size loops=200 repeat=100000"  # on all CPUs; Ctrl-C is looked for after each 200

STEPS = []


def step(function):
    STEPS.append(function)
    return function


def need(condition, what):
    if not condition:
        raise Failed(what)


def free_memory(dom0):
    """=> MiB that Xen has left to give to domains"""
    return int(dom0.must("xl info free_memory"))


@contextlib.contextmanager
def domain(dom0, name, **settings):
    """A domain, for as long as the block lasts; it has 64 MiB unless the settings say otherwise."""
    dom0.create(name, **{"memory": 64, "on_poweroff": "preserve", "on_crash": "preserve", **settings})
    yield
    dom0.shell(f"xl destroy {name} 2>/dev/null; rm -f {LOG.format(name)}")
    dom0.wait_until(f"! xl domid {name} >/dev/null 2>&1", ANSWER_TIMEOUT)


def printed(dom0, name, pattern, timeout):
    """Waits until the domain, which nobody is attached to, has printed this grep pattern. => all it has printed"""
    dom0.wait_until(f"grep -q '{pattern}' {LOG.format(name)}", timeout)
    return dom0.must(f"cat {LOG.format(name)}").replace("\r", "")


def store(dom0, path):
    return dom0.must(f"xenstore-read {path}").strip()


def home(dom0, name):
    return f"/local/domain/{dom0.domains()[name].number}"


# --- the prompt ---------------------------------------------------------------------------------

def dialogue(vcpus, **settings):
    def talk(dom0):
        with domain(dom0, "talk", vcpus=vcpus, **settings), dom0.console("talk"):
            dom0.expect(PROMPT, BOOT_TIMEOUT)
            online = re.search(r"cpus +(\d+) online", dom0.command("info", ANSWER_TIMEOUT))
            need(online and int(online[1]) == vcpus, f"not {vcpus} vCPUs online")
            dom0.send(f"che{TAB}\r")
            need(" 0 faults" in dom0.expect(PROMPT, ANSWER_TIMEOUT), "tab does not complete 'che' to 'check'")
            dom0.send(f"{LOAD}\r")
            dom0.expect("\n", ANSWER_TIMEOUT)
            dom0.send(CTRL_C)
            dom0.expect("interrupted", ANSWER_TIMEOUT)
            dom0.expect(PROMPT, ANSWER_TIMEOUT)
            need("unknown command" in dom0.command("nonsense", ANSWER_TIMEOUT), "an unknown command is not named")
            need("-2" in dom0.command("xenstore read nothing/there", ANSWER_TIMEOUT), "a node that is not there is read")
            dom0.command("xenstore write data/said 'a word'", ANSWER_TIMEOUT)
            need("a word" in dom0.command("xenstore read data/said", ANSWER_TIMEOUT), "what was written is not read")
            need("said" in dom0.command("xenstore ls data", ANSWER_TIMEOUT), "what was written is not listed")
    talk.__name__ = f"dialogue_{settings.get('type', 'pv')}_{vcpus}"
    return step(talk)


dialogue(1)
dialogue(2, maxvcpus=4)  # the others are not to be used
dialogue(4)
dialogue(2, type="pvh")


@step
def sixteen_vcpus(dom0):
    with domain(dom0, "many", vcpus=16, memory=128, extra='run="info; demo story; check"'):
        text = printed(dom0, "many", "^LAZYMAP", BOOT_TIMEOUT)
        need("LAZYMAP: PASS" in text and re.search(r"cpus +16 online", text), f"not 16 vCPUs:\n{text}")


def try_memory(dom0, settings):
    """A domain of so little memory is refused by xl, or runs, or says why it cannot start; it does not panic."""
    try:
        dom0.create("little", extra='run="check"', on_poweroff="preserve", on_crash="preserve", **settings)
    except Failed:
        need("little" not in dom0.domains(), f"xl refuses {settings}, and leaves it behind")
        return False
    reason = dom0.ended("little")
    text = dom0.must(f"cat {LOG.format('little')}")
    clear = re.search("Lazymap cannot start: .*memory", text) if reason == CRASH else "LAZYMAP: PASS" in text
    need(clear and "PANIC" not in text, f"{settings}: no clear message:\n{text}")
    dom0.must(f"xl destroy little; rm -f {LOG.format('little')}")
    return True


@step
def little_memory(dom0):
    made = [try_memory(dom0, {"memory": size, "type": kind}) for kind in ("pv", "pvh") for size in (0, 1, 4, 6, 8)]
    need(any(made) and not all(made), "xl makes none of them, or all")


# --- the kernel's own tests -----------------------------------------------------------------------

def suites(vcpus, **settings):
    def run(dom0):
        with domain(dom0, "suites", vcpus=vcpus, memory=128, extra='run="test; check"', **settings):
            text = printed(dom0, "suites", "^LAZYMAP", SUITES_TIMEOUT)
            checks, complaints = tap.parse(text)
            if "LAZYMAP: PASS" not in text and not any(check.status == "fail" for check in checks):
                complaints.append("the kernel reports failure")
            return checks + [tap.Check("report", "fail", complaint) for complaint in complaints]
    run.__name__ = f"suites_{settings.get('type', 'pv')}_{vcpus}"
    return step(run)


suites(2)  # with more than there are processors they mostly wait for each other; test-xen has 4
suites(2, type="pvh")


# --- what xl does to a domain ---------------------------------------------------------------------

def pause(**settings):
    """Longer than a CPU may be silent, in the middle of a wait and of shootdowns; it goes on as if nothing had been."""
    def paused(dom0):
        with domain(dom0, "rest", vcpus=4, memory=128, extra="lazy=off", **settings):
            for line, told in ((f"hog {HOG}", "waits for it"), (LOAD, "repeat")):
                with dom0.console("rest"):
                    dom0.send("\r")
                    dom0.expect(PROMPT, BOOT_TIMEOUT)
                    dom0.send(f"{line}\r")
                    dom0.expect(told, ANSWER_TIMEOUT)
                dom0.xl("pause rest")
                need("p" in dom0.domains()["rest"].state, "it is not paused")
                need(dom0.shell(f"grep -q 'has had it' {LOG.format('rest')}")[0] or line == LOAD, "paused too late")
                dom0.must(f"sleep {PAUSE}")
                dom0.xl("unpause rest")
            with dom0.console("rest"):
                dom0.send(CTRL_C)
                dom0.expect("interrupted", BOOT_TIMEOUT)
                dom0.expect(PROMPT, ANSWER_TIMEOUT)
                need(" 0 faults" in dom0.command("check", ANSWER_TIMEOUT), "faults after a pause")
            need("has had it" in dom0.must(f"cat {LOG.format('rest')}"), "the wait did not go on")
    paused.__name__ = f"pause_{settings.get('type', 'pv')}"
    return step(paused)


pause()
pause(type="pvh")


@step
def hang_is_named(dom0):
    """The pause's patience does not go so far that a CPU that really hangs is not found."""
    with domain(dom0, "deaf", type="pvh", vcpus=2, extra='run="crash deaf"'):
        need(dom0.ended("deaf", SUITES_TIMEOUT) == CRASH, "not a crash")
        text = dom0.must(f"cat {LOG.format('deaf')}")
        need("cpu 1 does not answer: shootdown" in text, f"the CPU that hangs is not named:\n{text}")


def shutdown(**settings):
    def ask(dom0):
        with domain(dom0, "obey", vcpus=2, **settings):
            printed(dom0, "obey", "^lazymap> ", BOOT_TIMEOUT)
            path = home(dom0, "obey")
            need(store(dom0, f"{path}/control/feature-poweroff") == "1", "it does not say that it can")
            dom0.xl("shutdown obey")
            need(dom0.ended("obey") == OFF, "it did not end as powered off")
            need(dom0.domains()["obey"].state == "s", "it is not shut down")
            need(store(dom0, f"{path}/control/shutdown") == "", "the word was not taken away")
            need(store(dom0, f"{path}/data/lazymap/exit") == "0", "its status is not 0")
            need("poweroff, as the toolstack asks" in dom0.must(f"cat {LOG.format('obey')}"), "it does not say why")
    ask.__name__ = f"shutdown_{settings.get('type', 'pv')}"
    return step(ask)


shutdown()
shutdown(type="pvh")


@step
def reboot(dom0):
    """It comes back to a prompt, as another domain; twice."""
    with domain(dom0, "again", vcpus=2):
        for _ in range(2):
            with dom0.console("again"):
                dom0.expect(PROMPT, BOOT_TIMEOUT)
            number = dom0.domains()["again"].number
            dom0.xl("reboot again")
            need(dom0.ended("again") == REBOOT, "it did not end for a reboot")
            dom0.restarted("again", number)
        with dom0.console("again"):
            dom0.expect(PROMPT, BOOT_TIMEOUT)
            need(" 0 faults" in dom0.command("check", ANSWER_TIMEOUT), "faults after a reboot")


@step
def refused_words(dom0):
    """What it cannot do is said, is not acknowledged, and changes nothing; 'halt' is obeyed."""
    with domain(dom0, "words", vcpus=1):
        printed(dom0, "words", "^lazymap> ", BOOT_TIMEOUT)
        path = home(dom0, "words")
        for word in ("suspend", "dance", "x" * 100):
            dom0.must(f"xenstore-write {path}/control/shutdown {word}")
            printed(dom0, "words", f"asks for .{word}.\\|read (-7)" if len(word) < 32 else "read (-7)", ANSWER_TIMEOUT)
            need(store(dom0, f"{path}/control/shutdown") == word, f"'{word[:8]}' was acknowledged")
        with dom0.console("words"):
            need(" 0 faults" in dom0.command("check", ANSWER_TIMEOUT), "faults")
        dom0.must(f"xenstore-write {path}/control/shutdown halt")
        need(dom0.ended("words") == OFF, "it does not halt")


def ends(command, reason, status, state):
    def end(dom0):
        with domain(dom0, "end", vcpus=2, extra=f'run="{command}"'):
            need(dom0.ended("end") == reason, "another reason")
            need(dom0.domains()["end"].state == state, f"xl list shows '{dom0.domains()['end'].state}'")
            found = store(dom0, f"{home(dom0, 'end')}/data/lazymap/exit")
            need(found == status, f"the status is {found}")
    end.__name__ = f"ends_by_{command.split()[0]}_{status}"
    return step(end)


ends("exit 0", OFF, "0", "s")
ends("exit 3", CRASH, "3", "sc")
ends("panic enough", CRASH, "1", "sc")


@step
def destroy(dom0):
    """In the middle of its work; nothing is left of it."""
    with domain(dom0, "gone", vcpus=4, extra="lazy=off"):
        with dom0.console("gone"):
            dom0.expect(PROMPT, BOOT_TIMEOUT)
            dom0.send(f"{LOAD}\r")
            dom0.expect("\n", ANSWER_TIMEOUT)
        path = home(dom0, "gone")
        dom0.xl("destroy gone")
        need("gone" not in dom0.domains(), "xl list still shows it")
        need(dom0.shell(f"xenstore-exists {path}")[0], "the xenstore still has it")


@step
def two_at_once(dom0):
    """A PV and a PVH domain side by side, each with its own console."""
    with domain(dom0, "one", vcpus=2), domain(dom0, "two", vcpus=2, type="pvh"):
        for name in ("one", "two"):
            with dom0.console(name):
                dom0.expect(PROMPT, BOOT_TIMEOUT)
                dom0.command(f"xenstore write data/name {name}", ANSWER_TIMEOUT)
        for name in ("two", "one"):
            with dom0.console(name):
                need(name in dom0.command("xenstore read data/name", ANSWER_TIMEOUT), "they are not two")
                need(" 0 faults" in dom0.command("check", ANSWER_TIMEOUT), f"faults in {name}")
        for name in ("one", "two"):
            dom0.xl(f"shutdown {name}")
            need(dom0.ended(name) == OFF, f"{name} did not end as powered off")


def memory_is_back(dom0, before):
    """Xen cleans what it got back in its own time."""
    dom0.wait_until(f"[ $(xl info free_memory) -ge {before} ]", ANSWER_TIMEOUT)
    after = free_memory(dom0)
    need(after == before, f"Xen had {before} MiB free before, and {after} after")


def perform(dom0, function, before):
    """=> checks"""
    name = function.__name__
    try:
        checks = function(dom0)
        memory_is_back(dom0, before)
    except Failed as failed:
        dom0.start_afresh()
        return [tap.Check(name, "fail", str(failed))]
    return [check._replace(name=f"{name}: {check.name}") for check in checks or []] or [tap.Check(name, "pass", "")]


def run(build, log):
    """=> checks of all steps"""
    checks = []
    with Dom0(build, log, MACHINE) as dom0:
        before = free_memory(dom0)
        for function in STEPS:
            started = dom0.seconds()
            checks += perform(dom0, function, before)
            print(f"     domu: {function.__name__} ({dom0.seconds() - started:.1f} s)", flush=True)
    return checks
