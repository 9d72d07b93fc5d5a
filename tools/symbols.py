#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes the kernel's symbol table (kernel/symbols.h) as NASM source.

  symbols.py < /dev/null         the table of the first link: no symbols
  nm -n first.elf | symbols.py   the table of the second link

The table lies at the end of .rodata, behind all text, so the second link moves no function and the
addresses of the first stay true; `nm -n second.elf | symbols.py | cmp - symbols.asm` proves it.
Same input, same output: nothing but the addresses and the names decides the order.
"""

import sys

IMAGE_BASE = 0xFFFFFFFF80000000  # mm/layout.h
IMAGE_SIZE = 1 << 30
TEXT_TYPES = "tTwW"
# Bounds of the text, from linker.ld; the end gets the nameless last entry.
TEXT_START, TEXT_END = "text_start", "text_end"


def read_nm(lines):
    """The text symbols as {offset: name}; of several names at one place the first by alphabet."""
    table, bounds = {}, {}
    for line in lines:
        fields = line.split()
        if len(fields) != 3:
            continue  # undefined symbols have no address
        offset, kind, name = int(fields[0], 16) - IMAGE_BASE, fields[1], fields[2]
        if name in (TEXT_START, TEXT_END):
            bounds[name] = offset
        elif kind in TEXT_TYPES and 0 <= offset < IMAGE_SIZE:
            table[offset] = min(name, table.get(offset, name))
    if not table:
        return []
    if len(bounds) != 2:
        sys.exit(f"symbols.py: the image does not define {TEXT_START} and {TEXT_END} (linker.ld)")
    start, end = bounds[TEXT_START], bounds[TEXT_END]
    table = {at: name for at, name in table.items() if start <= at < end}
    table[end] = ""
    return sorted(table.items())


def emit(table):
    print("; Made by tools/symbols.py; the format is in kernel/symbols.h.")
    print("section .symtab_blob progbits alloc noexec nowrite align=8")
    print("global symtab_count, symtab_addr, symtab_name_at, symtab_names")
    print(f"symtab_count:\n\tdd {len(table)}")
    print("symtab_addr:")
    for offset, _ in table:
        print(f"\tdd {offset:#x}")
    print("symtab_name_at:")
    at = 0
    for _, name in table:
        print(f"\tdd {at}")
        at += len(name) + 1
    print("symtab_names:")
    for _, name in table:
        print(f"\tdb '{name}', 0" if name else "\tdb 0")


if len(sys.argv) > 1:
    sys.exit(__doc__)
emit(read_nm(sys.stdin))
