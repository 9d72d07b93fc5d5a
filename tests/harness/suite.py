#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""`make test`: builds and runs the parts named, and ends with one line: N passed, M failed, K skipped.

A part is a list of jobs. A job is a function that returns None for success, raises Failed or Skipped,
or returns a TAP report whose checks are counted one by one. Jobs run two at a time, but for those
that measure. What each guest printed is in build/test-logs/.
"""

import argparse
import fnmatch
import functools
import glob
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Callable, NamedTuple

import checked
import domu
import matrix
import scenarios
import scenarios_faults
import scenarios_xen
import selftest
import tap
import xen
from guest import Failed, Guest, Skipped, end_when_told, kill_all
from machine import Machine

HOST_TIMEOUT = 300  # seconds for one host test program
MODEL_TIMEOUT = 600  # for one model with all its bugs
THREADS_SECONDS = 8  # of work on real threads, each way to write entries
HOSTILE_TIMEOUT = 900
SHOWN = 8  # failures of one job
FUZZ_SEED = "2007"
FUZZ_SLACK = 240  # seconds a fuzzer may take beyond what it was given, to read its corpus first
# A machine is booted for each input: so many times as long, its corpus included.
SLOW_FUZZERS = {"fuzz_engine": 8}


class Job(NamedTuple):
    name: str
    run: Callable
    needs: tuple  # sets of tools/packages.txt; where one is incomplete the job is skipped
    alone: bool = False  # it measures time: nothing else may run beside it


class Part(NamedTuple):
    jobs: Callable  # (Settings) => list of Job
    targets: tuple  # of the Makefile, built first; variables too
    fetched: str = ""  # a target that fetches packages: where they cannot be had, the jobs are skipped


class Settings(NamedTuple):
    build: str
    logs: str
    only: str  # a glob: jobs whose name matches
    fuzz_seconds: int

    def log(self, name):
        return f"{self.logs}/{name.replace('/', '-')}.log"


# --- jobs of the host ---------------------------------------------------------------------------

@functools.cache
def missing(needed):
    """=> what this machine lacks of one set of tools/packages.txt"""
    return subprocess.run(["tools/setup.sh", "--missing", needed], stdout=subprocess.PIPE, text=True,
                          check=True).stdout.strip()


def run_program(settings, name, argv, timeout):
    """=> (status, what it printed), kept in its log too"""
    # A session of its own, because the host tests fork: one kill ends all of them.
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               text=True, errors="replace", start_new_session=True)
    try:
        output, late = process.communicate(timeout=timeout)[0], False
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        output, late = process.communicate()[0], True
    with open(settings.log(name), "w", encoding="utf-8") as log:
        log.write(output)
    if late:
        raise Failed(f"still running after {timeout} s\n{output[-2000:]}")
    return process.returncode, output


def tap_report(output, status):
    """=> the checks; a report that is not sound, or a bad end without a failed check, is one more failure"""
    checks, complaints = tap.parse(output)
    if status and not any(check.status == "fail" for check in checks):
        complaints.append(f"ended with status {status}:\n{output[-2000:]}")
    return checks + [tap.Check("report", "fail", complaint) for complaint in complaints]


def sources(pattern):
    """=> the names of the programs, after their sources: what is left of deleted ones is not run"""
    return [os.path.splitext(os.path.basename(path))[0] for path in sorted(glob.glob(pattern))]


def corpus(settings, fuzzer):
    """=> the directories with inputs for it: made ones, and those that once found a bug"""
    target = fuzzer.removeprefix("fuzz_")
    return [path for path in (f"{settings.build}/fuzz/seeds/{target}", f"tests/fuzz/corpus/{target}")
            if os.path.isdir(path)]


def host_jobs(settings):
    def test(program):
        def run():
            status, output = run_program(settings, f"host/{program}", [f"{settings.build}/host/{program}"],
                                         HOST_TIMEOUT)
            return tap_report(output, status)
        return Job(f"host/{program}", run, ("host",))

    def replay(fuzzer):
        def run():
            argv = [f"{settings.build}/host/replay_{fuzzer}", *corpus(settings, fuzzer)]
            status, output = run_program(settings, f"host/replay_{fuzzer}", argv, HOST_TIMEOUT)
            if status:
                raise Failed(f"status {status}\n{output[-4000:]}")
        return Job(f"host/replay_{fuzzer}", run, ("host",))
    return [*map(test, sources("tests/host/test_*.c")), *map(replay, sources("tests/fuzz/fuzz_*.c")),
            Job("host/harness", selftest.run, ())]


def hostile_jobs(settings):
    def job(name, *options):
        def run():
            argv = [f"{settings.build}/hostile/hostile", *options]
            status, output = run_program(settings, f"hostile/{name}", argv, HOSTILE_TIMEOUT)
            print("".join(f"     {line[2:]}\n" for line in output.splitlines() if line.startswith("ok ")), end="")
            return tap_report(output, status)
        return Job(f"hostile/{name}", run, ("host",))

    def finds(strategy):
        """A planted bug is found, and what is left of it when it is made smaller fails in the same way."""
        def run():
            argv = [f"{settings.build}/hostile/hostile", "--workload=planted", f"--strategy={strategy}", "--seconds=60"]
            status, output = run_program(settings, f"hostile/finds-{strategy}", argv, HOSTILE_TIMEOUT)
            runs = re.findall(r"--replay='([^']+)'", output)
            if status != 1 or len(runs) != 2:
                raise Failed(f"the planted bug was not found and made smaller (status {status})\n{output[-2000:]}")
            replay = [argv[0], f"--replay={runs[-1]}"]
            status, output = run_program(settings, f"hostile/replays-{strategy}", replay, HOSTILE_TIMEOUT)
            if status != 1 or "some were lost" not in output or runs[-1].count(";") > 1:
                raise Failed(f"{' '.join(replay)}: status {status}, not the small failure it was\n{output[-2000:]}")
        return Job(f"hostile/finds-{strategy}", run, ("host",))
    # The first two are the same each time; the others have seeds of their own, which they print.
    return [job("all-schedules", "--strategy=exhaustive", "--seconds=240"),
            job("fixed-seeds", "--seed=1", "--schedules=160", "--seconds=240"),
            job("fresh-seeds", "--seed=fresh", "--seconds=20", "--workload=mixed"),
            job("fresh-seeds-guest", "--seed=fresh", "--seconds=15", "--workload=guest"),
            *map(finds, ("random", "pct", "exhaustive"))]


def fuzz_jobs(settings):
    def job(fuzzer):
        def run():
            # New finds go to a directory of their own, so that the corpus in the tree stays as it is.
            found = f"{settings.build}/fuzz/found/{fuzzer}"
            os.makedirs(found, exist_ok=True)
            seconds = settings.fuzz_seconds * SLOW_FUZZERS.get(fuzzer, 1)
            argv = [f"{settings.build}/fuzz/{fuzzer}", f"-seed={FUZZ_SEED}", "-timeout=10",
                    f"-max_total_time={seconds}", f"-artifact_prefix={found}/", found, *corpus(settings, fuzzer)]
            status, output = run_program(settings, f"fuzz/{fuzzer}", argv, seconds + FUZZ_SLACK)
            if status:
                raise Failed(f"seed {FUZZ_SEED}; to repeat: {' '.join(argv)}\n{output[-4000:]}")
        return Job(f"fuzz/{fuzzer}", run, ("fuzz",))
    return [job(fuzzer) for fuzzer in sources("tests/fuzz/fuzz_*.c")]


def model_jobs(settings):
    def job(model):
        def run():
            argv = [sys.executable, "-B", "tests/model/model.py", "--build", f"{settings.build}/model", "--only", model]
            status, output = run_program(settings, f"model/{model}", argv, MODEL_TIMEOUT)
            return tap_report(output, status)
        return Job(f"model/{model}", run, ("model",))
    return [job(model) for model in sources("tests/model/*.pml") if model != "machine"]


def threads_jobs(settings):
    def job(entries):
        def run():
            argv = [f"{settings.build}/threads/test_threads", entries, str(THREADS_SECONDS)]
            status, output = run_program(settings, f"threads/{entries}", argv, HOST_TIMEOUT)
            if "ThreadSanitizer" in output:
                raise Failed(f"a race; to repeat: {' '.join(argv)} {output.partition('seed ')[2].split()[0]}\n{output}")
            return tap_report(output, status)
        return Job(f"threads/{entries}", run, ("threads",))
    return [job("written"), job("asked")]


# --- jobs of the kernel ---------------------------------------------------------------------------

def needs_of(machine):
    if machine.door == "pvh":
        return ("run",)
    if machine.door in xen.DOORS:
        return ("xen",) if machine.door == "xen" else ("xen", "domu")
    return ("iso", "bochs" if machine.door == "bochs" else "run", *(["uefi"] if "uefi" in machine.door else []))


def boot_job(settings, name, machine):
    def run():
        booted = machine._replace(append=f'{machine.append} run="{matrix.commands(machine)}"')
        with Guest(booted, settings.build, settings.log(name)) as guest:
            guest.must_pass(matrix.TIMEOUT)
            scenarios.check_boot(guest, machine)
    return Job(name, run, needs_of(machine))


def boot_jobs(settings, bochs):
    return [boot_job(settings, f"boot/{matrix.name(machine)}", machine)
            for machine in matrix.BOOTS if (machine.door == "bochs") == bochs]


def scenario_job(settings, part, scenario):
    name = f"{part}/{scenario.__name__}"
    return Job(name, lambda: scenario(settings.build, settings.log(name)), scenario.needs, scenario.alone)


def scenario_jobs(settings):
    return [scenario_job(settings, "scenario", scenario) for scenario in scenarios.ALL + scenarios_faults.ALL]


def suites_job(settings, name, machine):
    """=> the job that runs all of the kernel's own tests on that machine"""
    timeout = matrix.XEN_TIMEOUT if machine.door in xen.DOORS else matrix.TIMEOUT

    def run():
        booted = machine._replace(append=f'{machine.append} run="test; check"')
        with Guest(booted, settings.build, settings.log(name)) as guest:
            passed = guest.wait(timeout)
            report = tap_report(guest.text, 0 if passed else 1)
            if not passed and not any(check.status == "fail" for check in report):
                raise guest.failed("the kernel reports failure")
            return report
    return Job(name, run, needs_of(machine))


def kernel_jobs(settings):
    return [suites_job(settings, "-".join([f"kernel/{machine.smp}cpu", machine.cpu, *machine.append.split()]), machine)
            for machine in matrix.TESTED]


def xen_jobs(settings):
    def name(kind, machine):
        return "-".join([f"xen/{kind}-{machine.smp}cpu", machine.mem, machine.cpu, *machine.append.split()])
    return [*(suites_job(settings, name("suites", machine), machine) for machine in matrix.XEN),
            *(boot_job(settings, name("boot", machine), machine) for machine in matrix.XEN_BOOTS),
            *(scenario_job(settings, "xen", scenario) for scenario in scenarios_xen.ALL)]


def domu_jobs(settings):
    return [Job("domu/xl", lambda: domu.run(settings.build, settings.log("domu/xl")), ("run", "xen", "domu"), alone=True)]


def llvm_jobs(settings):
    def run():
        with Guest(Machine(append='run="test; check"'), f"{settings.build}/llvm", settings.log("llvm/boot")) as guest:
            guest.must_pass(matrix.TIMEOUT)
    return [Job("llvm/boot", run, ("run", "llvm"))]


CHECKED_TARGETS = ("UBSAN=1", "O={build}/checked", "all")


def checked_jobs(settings, machines):
    """=> the kernel's own tests, and what must be noticed, by the kernel built with UBSAN=1"""
    build = f"{settings.build}/checked"
    os.makedirs(build, exist_ok=True)
    if not os.path.lexists(f"{build}/xen"):
        os.symlink("../xen", f"{build}/xen")  # Xen itself is the same

    def job(name, run):
        return Job(name, lambda: run(build, settings.log(name)), ("run",))
    there = Settings(build, *settings[1:])
    suites = [suites_job(there, f"checked/{machine.door}-{machine.smp}cpu-{machine.cpu}", machine) for machine in machines]
    return [*suites, *(job(f"checked/{way.__name__}", way) for way in checked.NOTICED)]


PARTS = {
    "host": Part(host_jobs, ("host-programs",)),
    "model": Part(model_jobs, ()),
    "threads": Part(threads_jobs, ("thread-programs",)),
    "hostile": Part(hostile_jobs, ("hostile-program",)),
    "fuzz": Part(fuzz_jobs, ("fuzz-programs",)),
    "kernel": Part(kernel_jobs, ("all",)),
    "boot": Part(lambda settings: boot_jobs(settings, bochs=False) + scenario_jobs(settings),
                 ("all", "{build}/lazymap.stripped", "iso")),
    "xen": Part(xen_jobs, ("all",), "xen-dom0"),
    "domu": Part(domu_jobs, ("all",), "xen-domu"),
    "bochs": Part(lambda settings: boot_jobs(settings, bochs=True), ("iso",)),
    "checked": Part(lambda settings: checked_jobs(settings, matrix.CHECKED), CHECKED_TARGETS),
    "checked-all": Part(lambda settings: checked_jobs(settings, matrix.CHECKED_ALL), CHECKED_TARGETS, "xen-dom0"),
    "llvm": Part(llvm_jobs, ("LLVM=1", "O={build}/llvm", "all")),
}


# --- running them ------------------------------------------------------------------------------

class Score:
    def __init__(self, logs):
        self.logs = logs
        self.counts = {"pass": 0, "fail": 0, "skip": 0}
        self.remarks = []  # failures and skips, said again at the end

    def add(self, name, checks, seconds):
        """One job's checks: one line if all is well, else a line for each that is not."""
        counted = {status: sum(check.status == status for check in checks) for status in self.counts}
        for status, number in counted.items():
            self.counts[status] += number
        word = "FAIL" if counted["fail"] else "skip" if counted["skip"] == len(checks) else "ok"
        many = f", {len(checks)} checks" if len(checks) != 1 else ""
        print(f"{word:4} {name}  ({seconds:.1f} s{many})")
        bad = [check for check in checks if check.status == "fail"]
        for check in bad[:SHOWN]:
            print("     " + f"{check.name}: {check.detail}".replace("\n", "\n     "))
        for check in bad[:SHOWN] + [check for check in checks if check.status == "skip"]:
            label = f"{name}: {check.name}" if check.name != name else name
            self.remarks.append(f"{check.status}: {label}: {check.detail.split(chr(10))[0]}")
        if len(bad) > SHOWN:
            self.remarks.append(f"fail: {name}: and {len(bad) - SHOWN} more; see {self.logs}/")
        sys.stdout.flush()


def perform(job):
    """Runs a job. => (job, checks, seconds)"""
    started = time.monotonic()
    try:
        checks = job.run()
        if checks is None:
            checks = [tap.Check(job.name, "pass", "")]
    except Skipped as skipped:
        checks = [tap.Check(job.name, "skip", str(skipped))]
    except Failed as failed:
        checks = [tap.Check(job.name, "fail", str(failed))]
    except Exception as problem:  # a fault of the harness is a failure too, never silence
        checks = [tap.Check(job.name, "fail", f"{type(problem).__name__}: {problem}")]
    return job, checks, time.monotonic() - started


def make(settings, targets):
    """=> (status, what was printed)"""
    argv = [os.environ.get("MAKE", "make"), "--no-print-directory", f"-j{os.cpu_count()}", f"O={settings.build}"]
    done = subprocess.run([*argv, *targets], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return done.returncode, done.stdout


def prepare(part, settings, score):
    """Builds what a part needs. => its jobs that can run; the others are counted here, as skipped or failed"""
    able = []
    for job in part.jobs(settings):
        if not fnmatch.fnmatch(job.name, settings.only):
            continue
        lacks = " ".join(filter(None, map(missing, job.needs)))
        if lacks:
            score.add(job.name, [tap.Check(job.name, "skip", f"not on this machine: {lacks}")], 0)
        else:
            able.append(job)
    if able and part.fetched:
        status, said = make(settings, [part.fetched])
        if status and (reason := re.search(r"cannot be had: .*", said)):
            for job in able:
                score.add(job.name, [tap.Check(job.name, "skip", f"packages {reason[0]}")], 0)
            return []
    # Without the ISO's tools no job is left that wants one.
    targets = [target.format(build=settings.build) for target in (part.fetched, *part.targets)
               if target and (target != "iso" or not missing("iso"))]
    if not able or not targets:
        return able
    started = time.monotonic()
    status, said = make(settings, targets)
    if status:
        name = f"make {' '.join(targets)}"
        detail = "\n".join(said.splitlines()[-40:])
        score.add(name, [tap.Check(name, "fail", f"does not build:\n{detail}")], time.monotonic() - started)
        return []
    return able


def main():
    parser = argparse.ArgumentParser(description="run Lazymap's tests")
    parser.add_argument("--build", default="build")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--fuzz-seconds", type=int, default=3)
    parser.add_argument("--only", default="*", help="only jobs whose name matches this")
    parser.add_argument("parts", nargs="+", choices=PARTS)
    args = parser.parse_args()
    end_when_told()

    settings = Settings(args.build, f"{args.build}/test-logs", args.only, args.fuzz_seconds)
    started = time.monotonic()
    shutil.rmtree(settings.logs, ignore_errors=True)
    os.makedirs(settings.logs)
    score = Score(settings.logs)
    jobs = [job for name in args.parts for job in prepare(PARTS[name], settings, score)]
    pool = ThreadPoolExecutor(args.jobs)
    try:
        for job, checks, seconds in pool.map(perform, [job for job in jobs if not job.alone]):
            score.add(job.name, checks, seconds)
        for job in jobs:
            if job.alone:
                score.add(job.name, *perform(job)[1:])
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        kill_all()
    if score.remarks:
        print("\n" + "\n".join(score.remarks))
    counts = score.counts
    print(f"\n(in {time.monotonic() - started:.0f} s; the logs are in {settings.logs}/)")
    print(f"{counts['pass']} passed, {counts['fail']} failed, {counts['skip']} skipped")
    return 1 if counts["fail"] or not any(counts.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
