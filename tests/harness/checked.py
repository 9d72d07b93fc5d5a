# SPDX-License-Identifier: MIT
"""What a checked kernel (UBSAN=1) must notice: each way of kernel/ubsan.c to do what C does not define, and of
kernel/lock_check.c to break a rule of locks, ends in a panic that says so.
"""

import re

from guest import Failed, Guest
from machine import Machine

TIMEOUT = 120  # seconds for a boot and a panic

# Command and way: what the panic must say.
WAYS = {
    ("undefined", "overflow"): r"signed overflow: 2147483647 \+ 4 does not fit in 'int'",
    ("undefined", "shift"): r"shift of 4 \('int'\) by 33",
    ("undefined", "index"): r"index 4 is out of bounds of 'int ?\[4\]'",
    ("undefined", "null"): r"load of a null pointer of type",
    ("undefined", "align"): r"load of misaligned address 0x\w+ for type .*, which needs 4 bytes",
    ("undefined", "divide"): r"division: 4 by 0 in 'int'",
    ("undefined", "bool"): r"value 0x2 is none of type '_Bool'",
    ("locks", "order"): r"'test outer' is taken inside 'zone test': wrong order",
    ("locks", "reverse"): r"'test outer' is released before 'zone test'",
    ("locks", "interrupts"): r"interrupts were turned on while lock 'test outer' was held",
    ("locks", "handler"): r"a handler began with 0 locks and left 1 \('test outer'\)",
    ("locks", "rank"): r"lock 'of no rank' has no rank",
}


def must_notice(command, ways):
    """=> a job that tries these ways, one boot each"""
    def run(build, log):
        for way in ways:
            with Guest(Machine(smp=1, append=f'run="{command} {way}"'), build, log) as guest:
                if guest.wait(TIMEOUT) or not re.search(rf"PANIC.*{WAYS[command, way]}", guest.text):
                    raise Failed(f"{command} {way}: no panic that says /{WAYS[command, way]}/\n{guest.text[-2000:]}")
        # What the kernel can do is what is tried here: it lists its ways in its help.
        with Guest(Machine(smp=1, append=f'run="help {command}"'), build, log) as guest:
            guest.wait(TIMEOUT)
            listed = re.search(r"\(([\w ]+)\)", guest.text.split("run: help")[-1])
            if not listed or set(listed[1].split()) != set(ways):
                raise Failed(f"tried {sorted(ways)}, but 'help {command}' says\n{guest.text[-500:]}")
    run.__name__ = f"notices_{command}"
    return run


NOTICED = [must_notice(command, [way for one, way in WAYS if one == command]) for command in ("undefined", "locks")]
