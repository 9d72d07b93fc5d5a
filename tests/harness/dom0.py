# SPDX-License-Identifier: MIT
"""Linux as Xen's dom0, obeying: domains are made, spoken to, and ended by xl, several in one boot.

    with Dom0(build, log) as dom0:
        dom0.create("one", memory=64, vcpus=2, extra='run="check"')
        with dom0.console("one"):
            dom0.expect(PROMPT, 30)
            dom0.command("stats", 20)
        dom0.xl("shutdown -w one")

There is one serial port (tools/xen/init.sh is at its other end): while a console is attached, all that is
typed and expected is the guest's; else it is the shell's in dom0. What a guest prints while nobody is attached
is not lost, it comes when somebody is.
"""

import contextlib
import re
import shlex
from typing import NamedTuple

import xen
from guest import Failed, Guest
from machine import Machine

READY = "dom0> "
BOOT_TIMEOUT = 120  # seconds; ten on a machine that has nothing else to do
TIMEOUT = 60  # seconds for what xl does
SILENCE = 5  # seconds after which nothing more is expected
STATUS = re.compile(r"\[status (\d+)\]\n")
DETACH = "\x1d"  # Ctrl-]
NEW_LINE = "\x15"  # Ctrl-U: the shell forgets what was typed so far
OFF, REBOOT, CRASH = 0, 1, 3  # SHUTDOWN_poweroff and so on in xen/sched.h


class Domain(NamedTuple):
    """A line of `xl list`."""
    number: int
    megabytes: int
    vcpus: int
    state: str  # of r(unning), b(locked), p(aused), s(hut down), c(rashed), d(ying): those that apply


class Dom0(Guest):
    def __init__(self, build, log, machine=Machine(door="xl", mem="512M"), echo=None):
        """Boots; `machine.mem` is what all domains together may have"""
        super().__init__(machine, build, log, echo)
        self.ends = {}  # name of domain => how many of its ends ended() has told
        try:
            self.expect(READY, BOOT_TIMEOUT)
        except BaseException:
            self.kill()
            raise

    def shell(self, line, timeout=TIMEOUT):
        """Runs `line`. => (status, what it printed)"""
        self.send(f"{NEW_LINE}{line}\n")
        output = self.expect(STATUS, timeout)
        status = int(self.match[1])
        self.expect(READY, timeout)
        return status, output

    def must(self, line, timeout=TIMEOUT):
        """Runs `line`, which must succeed. => what it printed"""
        status, output = self.shell(line, timeout)
        if status:
            raise self.failed(f"status {status} of '{line}' in dom0")
        return output

    def wait_until(self, line, timeout):
        """Runs `line` until it succeeds. => what it printed then"""
        # Ended in dom0, which then still obeys; the time it takes on a slow machine is not counted.
        loop = f"until {line}; do sleep 0.1; done"
        status, output = self.shell(f"timeout {timeout} sh -c {shlex.quote(loop)}", timeout + TIMEOUT)
        if status:
            raise self.failed(f"not so within {timeout} s in dom0: {line}")
        return output

    def xl(self, arguments, timeout=TIMEOUT):
        """Runs xl, which must succeed. => what it printed"""
        return self.must(f"xl {arguments}", timeout)

    def create(self, name, **settings):
        """Makes a domain of the kernel with these settings of xl.cfg(5), as in memory=64, vcpus=2, extra=ARGUMENTS"""
        lines = " ".join(map(shlex.quote, xen.config(name, **settings).splitlines()))
        self.must(f"printf '%s\\n' {lines} > /run/{name}.cfg")
        self.xl(f"create -q /run/{name}.cfg")
        self.ends[name] = 0  # xl begins a new log

    def domains(self):
        """=> {name: Domain} of all that there are, dom0 too"""
        found = {}
        for line in self.xl("list").splitlines()[1:]:
            name, *numbers, state, _ = line.split()
            found[name] = Domain(*map(int, numbers), state.strip("-"))
        return found

    @contextlib.contextmanager
    def console(self, name):
        """Attached to the domain's console, until it is left or the domain ends

        => before it is left, what was typed must have been answered: xl would not see the key to leave by
        """
        self.send(f"{NEW_LINE}xl console {shlex.quote(name)}\n")
        yield self
        self.send(DETACH)
        self.expect(STATUS, TIMEOUT)
        self.expect(READY, TIMEOUT)

    def ended(self, name, timeout=TIMEOUT):
        """Waits for the domain's end. => the reason that Xen was given: OFF, REBOOT or CRASH"""
        self.ends[name] += 1
        told = f"grep -o 'shut down, reason code [0-9]*' /var/log/xen/xl-{name}.log | sed -n {self.ends[name]}p | grep ."
        return int(self.wait_until(told, timeout).split()[-1])

    def restarted(self, name, number, timeout=TIMEOUT):
        """Waits until the domain is another one than that of this number, which has ended for REBOOT."""
        self.wait_until(f"xl domid {name} 2>/dev/null | grep -vx {number}", timeout)

    def start_afresh(self):
        """After a failure, wherever it came: out of a console, and no domain is left."""
        self.send(DETACH)
        with contextlib.suppress(Failed):  # the shell says nothing if no console was attached
            self.expect(READY, SILENCE)
        for name in self.domains():
            if name != "Domain-0":
                self.xl(f"destroy {shlex.quote(name)}")
