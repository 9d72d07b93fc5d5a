# SPDX-License-Identifier: MIT
"""Where a mutant is tried: what is built there, what is run, and how one sees that it failed.

    host PROGRAM [SCENARIO]        a program of tests/host, or of that only what is called so (a glob); or of PROGRAMS
    host hostile WORKLOAD          all schedules of that workload on the hostile machine (tests/hostile)
    qemu [SETTING=..] COMMAND      the command of the monitor, then `check`, in QEMU; SETTING: smp mem cpu append
    bochs, xen                     the same in Bochs, and as dom0 under Xen
    model BUG                      the same bug in a model (tests/model), which Spin must see
"""

import os
import re
import signal
import subprocess
import sys
import threading
from typing import NamedTuple

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../harness"))
import tap
from guest import Failed, Guest
from machine import Machine
from workshop import DoesNotBuild

DOORS = {"qemu": "pvh", "bochs": "bochs", "xen": "xen"}
KERNEL_TARGETS = {"qemu": ("all",), "bochs": ("all", "build/lazymap.stripped"), "xen": ("all",)}
PANIC = re.compile(r"PANIC on cpu \d+ \([^)]*\): (.*)")
SLOWER, SLACK = 10, 30  # a test hangs if it takes so many times as long as without a bug, and seconds
TIMEOUT = 600  # seconds, where that is not known yet


class Verdict(NamedTuple):
    word: str  # "killed", "hang" or "survived"
    by: str = ""  # what failed


# --- the host ---------------------------------------------------------------------------------

# Those that lie elsewhere, and with what arguments: the engine's fuzzer on its kept inputs (as every fuzzer), the
# hostile machine.
PROGRAMS = {
    "replay_fuzz_engine": ("host/replay_fuzz_engine",),
    "hostile": ("hostile/hostile", "--seed=1", "--schedules=160", "--seconds=240", "--shrink=0"),
}


def host_program(program, scenario=""):
    """=> (its file below the build directory, its arguments)"""
    path, *arguments = PROGRAMS.get(program, (f"host/{program}",))
    if program.startswith("replay_fuzz_"):
        arguments = [f"tests/fuzz/corpus/{program.removeprefix('replay_fuzz_')}"]
    if program == "hostile" and scenario:
        arguments = ["--strategy=exhaustive", f"--workload={scenario}", "--seconds=240", "--shrink=0"]
    return path, arguments


FAILED = re.compile(r"not ok \d+ - (.*)")
# Said before the check that fails of it: this is what happened.
CAUSE = re.compile(r"# (?:PANIC|failed)[^:]*: (.*)|.*ERROR: (AddressSanitizer: .*)|.*(runtime error: .*)"
                   r"|.*(CHECK\(.*\)) failed|WRONG: (.*)")


def first_failure(lines):
    """=> what failed first, or None at the end"""
    cause = ""
    for line in lines:
        if match := CAUSE.match(line):
            cause = next(filter(None, match.groups()))
        elif match := FAILED.match(line):
            return cause or match[1]
    return cause or None


def run_host(tree, test, timeout, log):
    """=> Verdict. Nothing more is run once something has failed"""
    program, _, scenario = test.partition(" ")
    path, arguments = host_program(program, scenario)
    environment = {**os.environ, "SIM_ONLY": scenario} if scenario else None
    with open(log, "w+", encoding="utf-8", errors="replace") as said:
        process = subprocess.Popen([f"{tree.build}/{path}", *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, text=True, errors="replace", start_new_session=True,
                                   env=environment)
        late = threading.Event()

        def stop():
            late.set()
            os.killpg(process.pid, signal.SIGKILL)

        def lines():
            for line in process.stdout:
                said.write(line)
                yield line.rstrip("\n")
        timer = threading.Timer(timeout, stop)
        timer.start()
        try:
            failed = first_failure(lines())
            if failed and not late.is_set():
                os.killpg(process.pid, signal.SIGKILL)
            status = process.wait()
        except ProcessLookupError:
            status = process.wait()
        finally:
            timer.cancel()
            process.stdout.close()
    if late.is_set():
        return Verdict("hang", f"still running after {timeout:.0f} s")
    if failed or status:
        return Verdict("killed", failed or f"ended with status {status}")
    return Verdict("survived")


# --- the kernel -------------------------------------------------------------------------------

def machine_of(world, test):
    """=> (the machine, the command of the monitor)"""
    machine, words = Machine(door=DOORS[world], smp=2 if world == "bochs" else 4, mem="64M"), test.split()
    while "=" in words[0]:
        key, _, value = words.pop(0).partition("=")
        machine = machine._replace(**{key: type(getattr(machine, key))(value)})
    return machine, " ".join(words)


def run_kernel(world, tree, test, timeout, log):
    """=> Verdict"""
    machine, command = machine_of(world, test)
    machine = machine._replace(append=f'{machine.append} run="{command}; check"')
    with Guest(machine, tree.build, log) as guest:
        try:
            if guest.wait(timeout):
                return Verdict("survived")
            ended = "the command fails"
        except Failed as failed:
            ended = str(failed).splitlines()[0]
            if ended.startswith("still running"):
                return Verdict("hang", ended)
        checks = [check.name for check in tap.parse(guest.text)[0] if check.status == "fail"]
        panics = [f"panic: {match[1]}" for match in map(PANIC.search, guest.text.splitlines()) if match]
        return Verdict("killed", (panics + checks + [ended])[0])


# --- models -----------------------------------------------------------------------------------

MODEL = "tests/model/model.py"


def run_model(tree, bug, log):
    """=> Verdict. The source that was changed does not matter: the model has the bug itself"""
    done = subprocess.run([sys.executable, "-B", MODEL, "--build", f"{tree.build}/model", bug], cwd=tree.root,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False)
    with open(log, "w", encoding="utf-8") as file:
        file.write(done.stdout)
    if done.returncode not in (0, 1):
        raise DoesNotBuild(f"{MODEL} {bug}: {done.stdout[-500:]}")
    return Verdict("survived" if done.returncode else "killed", done.stdout.strip().splitlines()[-1])


# --- all --------------------------------------------------------------------------------------

NAMES = ("host", "model", *DOORS)
# Where a change can make a verdict another one.
KERNEL_FILES = ("Makefile", "linker.ld", "arch", "boot", "iso", "kernel", "mm", "xen", "tests/kernel", "tests/xen", "tests/harness")
FILES = {"host": ("arch", "boot", "kernel", "mm", "xen", "tests/host", "tests/hostile", "tests/fuzz", "tests/tests.mk"),
         "model": ("tests/model",)}


def files(world):
    return FILES.get(world, KERNEL_FILES)


def build_targets(world, test):
    return (f"build/{host_program(test.split()[0])[0]}",) if world == "host" else KERNEL_TARGETS.get(world, ())


def run(world, tree, test, timeout, log):
    """Runs a test in a tree that is built. => Verdict"""
    if world == "host":
        return run_host(tree, test, timeout, log)
    if world == "model":
        return run_model(tree, test, log)
    return run_kernel(world, tree, test, timeout, log)
