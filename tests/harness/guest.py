# SPDX-License-Identifier: MIT
"""A running emulator seen through its serial port: wait for text, type, wait for the end.

No test sleeps. Each waits for something the guest prints, and not getting it in time is a failure that
shows what the guest printed last. Leaving the `with` block always ends the emulator.
"""

import codecs
import os
import pty
import re
import select
import signal
import subprocess
import sys
import threading
import time
import tty

import machine as machines

PROMPT = "lazymap> "
LAST_LINE = re.compile(r"LAZYMAP: (PASS|FAIL -?\d+)")
# GRUB, OVMF and the monitor's line editing move the cursor; the text is read without that.
ESCAPE = re.compile(r"\x1b\[[0-9;?=]*[A-Za-z]|\x1b[^\[]|\r")
UNFINISHED_ESCAPE = re.compile(r"\x1b(\[[0-9;?=]*)?$")
TAIL_LINES = 15  # of the guest's output, shown with a failure
POLL = 0.2  # seconds between looks whether the emulator still runs

running = set()  # of Guest: what kill_all() has to end


class Failed(Exception):
    """A test did not get what it needs; str() says what."""


class Skipped(Exception):
    """A test cannot be made on this machine; str() says why."""


class Guest:
    def __init__(self, machine, build, log, echo=None):
        """Starts `machine`. `log` gets what it prints (escapes removed), `echo(bytes)` too, as it comes."""
        scratch = os.path.splitext(log)[0]
        self.machine, self.scratch, self.echo = machine, scratch, echo
        self.text = ""  # what it printed
        self.seen = 0  # how much of that expect() has used up
        self.match = None  # what expect() found last
        self.exit_code = None  # set once it has ended and all is read
        self.changed = threading.Condition()
        self.log = open(log, "w", encoding="utf-8")
        errors = open(f"{scratch}.stderr", "w", encoding="utf-8")
        if machine.door == "bochs":
            self.reading, line = pty.openpty()
            tty.setraw(line)
            self.writing = self.reading
            argv = machines.bochs(machine, build, scratch, os.ttyname(line))
            pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}
        else:
            argv = machines.qemu(machine, build, scratch, "stdio,id=com1,signal=off")
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.started = time.monotonic()
        # A session of its own: one kill ends all of it, and a Ctrl-C typed at a terminal is ours.
        self.process = subprocess.Popen(argv, stderr=errors, start_new_session=True, **pipes)
        running.add(self)
        if machine.door != "bochs":
            self.reading, self.writing = self.process.stdout.fileno(), self.process.stdin.fileno()
        self.reader = threading.Thread(target=self._read)
        self.reader.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()

    def kill(self):
        """Ends the emulator, if it has not ended by itself."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.reader.join()
        running.discard(self)

    def _read(self):
        """The reader's thread: from the port to text, log and echo, until the emulator has ended."""
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        pending = ""
        while True:
            ended = self.process.poll() is not None
            chunk = b""
            if select.select([self.reading], [], [], 0 if ended else POLL)[0]:
                chunk = os.read(self.reading, 65536)
            if self.echo:
                self.echo(chunk)
            pending += decoder.decode(chunk)
            cut = UNFINISHED_ESCAPE.search(pending)
            ready = pending[:cut.start()] if cut else pending
            pending = pending[len(ready):]
            with self.changed:
                self.text += ESCAPE.sub("", ready)
                self.log.write(ESCAPE.sub("", ready))
                self.log.flush()
                if ended and not chunk:
                    self.exit_code = self.process.returncode
                self.changed.notify_all()
            if self.exit_code is not None:
                return

    def seconds(self):
        """=> how long it has run"""
        return time.monotonic() - self.started

    def send(self, text):
        """Types `text`; a line ends with a carriage return, as the Enter key sends it."""
        try:
            os.write(self.writing, text.encode())
        except BrokenPipeError:
            raise self.failed(f"the emulator had ended before {text[:40]!r} was typed") from None

    def wait_for_file(self, path, timeout=10):
        """Waits until the emulator has made `path`, a socket of its."""
        deadline = time.monotonic() + timeout
        while not os.path.exists(path):
            if self.exit_code is not None or time.monotonic() > deadline:
                raise self.failed(f"the emulator did not make {path}")
            time.sleep(0.05)

    def failed(self, what):
        """=> the exception for `what`, with what the guest, Xen below it and the emulator printed last."""
        tail = [f"  | {line}" for line in self.text.splitlines()[-TAIL_LINES:]]
        for path in (f"{self.scratch}.xen", f"{self.scratch}.stderr"):
            if os.path.exists(path):
                with open(path, encoding="utf-8", errors="replace") as file:
                    tail += file.read().splitlines()[-TAIL_LINES:]
        return Failed("\n".join([what, *tail]))

    def expect(self, wanted, timeout):
        """Waits for `wanted` (text, or a compiled pattern) in what has not been used up yet.

        => what came before it; the text up to the end of `wanted` is used up
        """
        pattern = wanted if isinstance(wanted, re.Pattern) else re.compile(re.escape(wanted))
        deadline = time.monotonic() + timeout
        with self.changed:
            while True:
                if match := pattern.search(self.text, self.seen):
                    before, self.seen, self.match = self.text[self.seen:match.start()], match.end(), match
                    return before
                if self.exit_code is not None:
                    raise self.failed(f"ended (status {self.exit_code}) before {pattern.pattern!r} came")
                if not self.changed.wait(deadline - time.monotonic()):
                    raise self.failed(f"no {pattern.pattern!r} in {timeout} s")

    def command(self, line, timeout):
        """Types `line` at the prompt. => what it printed, without its echo"""
        self.send(f"{line}\r")
        self.expect("\n", timeout)
        return self.expect(PROMPT, timeout)

    def wait(self, timeout):
        """Waits for the end. => True for success; Failed if it does not end, or not as the kernel ends

        The kernel says it twice, by its last line and by the emulator's status, and both must agree. Bochs
        has no status to set: there the line alone counts.
        """
        deadline = time.monotonic() + timeout
        with self.changed:
            while self.exit_code is None:
                if not self.changed.wait(deadline - time.monotonic()):
                    raise self.failed(f"still running after {timeout} s")
        lines = [line for line in self.text.splitlines() if line.strip()]
        last = LAST_LINE.fullmatch(lines[-1].strip()) if lines else None
        status = machines.EXIT_PASS if last and last[1] == "PASS" else machines.EXIT_FAIL
        if not last:
            raise self.failed(f"ended (status {self.exit_code}) without a last line 'LAZYMAP: ...': "
                              "a reset, or the emulator failed")
        if self.machine.door != "bochs" and self.exit_code != status:
            raise self.failed(f"status {self.exit_code} with the last line '{last[0]}'")
        return last[1] == "PASS"

    def must_pass(self, timeout):
        """Waits for the end, which must be success."""
        if not self.wait(timeout):
            raise self.failed("the kernel reports failure")


def kill_all():
    for guest in list(running):
        guest.kill()


def end_when_told():
    """Makes a signal that would end this program end the `with` blocks, and so the emulators, first."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(f"ended by signal {number}"))
