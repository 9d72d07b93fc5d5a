#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes a small corpus for each fuzz target: make_seeds.py DIRECTORY makes DIRECTORY/TARGET/NAME.

One or two good inputs a target are enough: they show the fuzzer the formats' words (magic
numbers, tag types, signatures), from which it finds its way to the bad ones by itself.
"""
import pathlib
import random
import struct
import sys


# Start, size and type of each range; both doors' entries look alike.
RANGES = ((0, 0x9FC00, 1), (0x9FC00, 0x400, 2), (0x100000, 0x7EE0000, 1), (0x7FE0000, 0x20000, 3))
MEMORY_MAP = b"".join(struct.pack("<QQII", *r, 0) for r in RANGES)


def mb2_tag(kind, body):
    tag = struct.pack("<II", kind, 8 + len(body)) + body
    return tag + bytes(-len(tag) % 8)


def multiboot2():
    """What GRUB hands over (Multiboot2 specification 3.6), abridged."""
    mmap = struct.pack("<II", 24, 0) + MEMORY_MAP
    pixels = struct.pack("<QIIIBBH6B", 0xFD000000, 4096, 1024, 768, 32, 1, 0, 16, 8, 8, 8, 0, 8)
    text = struct.pack("<QIIIBBH", 0xB8000, 160, 80, 25, 16, 2, 0)
    module = struct.pack("<II", 0x200000, 0x201000) + b"font.psf\0"
    tags = b"".join((
        mb2_tag(1, b'lazy=off "run=test; check"\0'),
        mb2_tag(2, b"GRUB 2.06\0"),
        mb2_tag(3, module),
        mb2_tag(6, mmap),
        mb2_tag(8, pixels),
        mb2_tag(14, b"RSD PTR " + bytes(12)),
        mb2_tag(15, b"RSD PTR " + bytes(28)),
        mb2_tag(0, b""),
    ))
    small = mb2_tag(6, mmap[:32]) + mb2_tag(8, text) + mb2_tag(0, b"")
    yield "grub", struct.pack("<II", 8 + len(tags), 0) + tags

    def tagged(*all_tags):
        body = b"".join(all_tags) + mb2_tag(0, b"")
        return struct.pack("<II", 8 + len(body), 0) + body

    def with_map(*ranges):
        return tagged(mb2_tag(6, struct.pack("<II", 24, 0) + b"".join(struct.pack("<QQII", *r, 0) for r in ranges)))
    yield "overlaps", with_map((0x100, 0xFF00, 1), (0x3800, 0x1000, 2), (0x3000, 0x1000, 3), (0x8000, 0x2801, 4),
                               (0x9000, 0x1000, 5), (0xA000, 1, 3), (0x5000, 0x1000, 77), (0xC000, 0x4000, 1))
    yield "pieces", with_map((0, 0x1000000, 1), *((0x2000 * n, 0x1000, 2) for n in range(1, 100)))
    yield "range_wraps", with_map(RANGES[0], (2**64 - 0x1000, 0x3000, 1))
    yield "many_ranges", with_map(*((0x2000 * n, 0x1000, 1) for n in range(129)))
    yield "nine_modules", tagged(mb2_tag(6, mmap), *[mb2_tag(3, module)] * 9)
    yield "small", struct.pack("<II", 8 + len(small), 1 << 31) + small


def pvh():
    """What QEMU hands over (Xen's start_info.h), all of it from address 0x10 on (fuzz_pvh.c)."""
    at_map = 0x10 + 56
    at_modules = at_map + len(MEMORY_MAP)
    at_name = at_modules + 32
    at_line = at_name + len(b"initrd\0")
    head = struct.pack("<IIIIQQQQII", 0x336EC578, 1, 0, 1, at_modules, at_line, 0xF5000, at_map,
                       len(RANGES), 0)
    module = struct.pack("<QQQQ", 0x200000, 0x1000, at_name, 0)
    wrapping = struct.pack("<QQQQ", 0x200000, 2**64 - 0x1000, at_name, 0)
    yield "module_wraps", head + MEMORY_MAP + wrapping + b"initrd\0" + b'run="test; check"\0'
    yield "qemu", head + MEMORY_MAP + module + b"initrd\0" + b'run="test; check"\0'


def xen_start():
    """What Xen hands a PV guest (Xen's xen.h, struct start_info), from address 0x10 on (fuzz_xen_start.c)."""
    window = 0xFFFFFFFF80000000
    size = 32 + 12 * 8 + 1024 + 2 * 8
    frames = struct.pack("<16Q", *(2**64 - 1 if pfn in (5, 6, 15) else 0x8000 + pfn * 5 % 16 for pfn in range(16)))

    def head(flags, module, magic=b"xen-3.0-x86_64", line=b'run="test; check"', pages=16, keep=0, at=window, length=0x1000):
        info = struct.pack("<32sQQIxxxxQIxxxxQIxxxx", magic, pages, 0x7000, flags, keep, 0, 0, 0)
        info += struct.pack("<QQQQQ", window + 0x3000, 7, at + 0x10 + size, module, length)
        return info + struct.pack("<1024sQQ", line, 0, 0) + frames

    yield "mapped", head(3, window + 0x2000)
    yield "by_pfn", head(8, 0x123)
    yield "far_pfn", head(8, 1 << 40)
    yield "wrapping_pfn", head(8, (1 << 52) + 5)
    yield "below", head(3, 0x2000)
    yield "no_module", head(3, 0, length=0)
    yield "long_module", head(3, window + 0x2000, length=1 << 52)
    yield "long_line", head(3, 0, line=b"x" * 1024)
    yield "longest_line", head(3, 0, line=b"x" * 1023, length=0)
    yield "long_magic", head(3, 0, magic=b"xen-3.0-x86_64" + b"x" * 18, length=0)
    yield "other_magic", head(3, 0, magic=b"xen-4.0-x86_64", length=0)
    yield "many_pages", head(3, 0, pages=(1 << 40) + 1, keep=1 << 63)
    most = struct.pack("<QQ", 2**64 - 1, 0x8000) * 128  # runs of frames
    yield "most_runs", head(3, 0, pages=272, length=0)[:-len(frames)] + most + bytes(16 * 8)
    yield "many_runs", head(3, 0, pages=272, length=0)[:-len(frames)] + most + frames
    yield "far_list", head(3, 0, at=window - (1 << 32))


def cmdline():
    for name, key, line in (
        ("plain", "lazy", "lazy=off directmap=64M"),
        ("quoted", "run", 'a "run=test; check" lazy'),
        ("escaped", "directmap", 'run=\\"test; check\\" directmap=0x40000000'),
    ):
        yield name, bytes([64]) + key.encode() + b"\0" + line.encode()


def acpi():
    """A root pointer and four tables at 0xe0000 (fuzz_acpi.c, which mends the checksums)."""
    base = 0xE0000

    def table(signature, body):
        return struct.pack("<4sIBB22sI", signature, 36 + len(body), 1, 0, b"", 0) + body

    madt = table(b"APIC", struct.pack("<II", 0xFEE00000, 1)
                 + bytes((0, 8, 0, 0, 1, 0, 0, 0)) + bytes((0, 8, 1, 1, 1, 0, 0, 0))
                 + bytes((1, 12, 0, 0)) + struct.pack("<II", 0xFEC00000, 0)
                 + bytes((2, 10, 0, 0)) + struct.pack("<IH", 2, 13)
                 + bytes((5, 12, 0, 0)) + struct.pack("<Q", 0xFEE00000)
                 + bytes((9, 16, 0, 0)) + struct.pack("<III", 300, 1, 2))
    fadt = bytearray(table(b"FACP", bytes(208)))
    struct.pack_into("<I", fadt, 76, 0x608)
    fadt[91] = 4
    places = {0x40: table(b"RSDT", struct.pack("<II", base + 0x100, base + 0x200)),
              0x80: table(b"XSDT", struct.pack("<QQ", base + 0x200, base + 0x100)),
              0x100: madt, 0x200: bytes(fadt)}
    for revision in (0, 2):
        memory = bytearray(0x200 + len(fadt))
        struct.pack_into("<8sB6sBIIQB3s", memory, 0, b"RSD PTR ", 0, b"", revision, base + 0x40, 36,
                         base + 0x80, 0, b"")
        for at, what in places.items():
            memory[at:at + len(what)] = what
        for way, name in enumerate(("address", "copy", "search")):
            yield f"{name}{revision}", bytes([way]) + memory


def psf():
    """A PSF1 and a PSF2 font with blank glyphs."""
    yield "psf1", bytes((0x36, 0x04, 0, 8)) + bytes(256 * 8)
    yield "psf2", struct.pack("<8I", 0x864AB572, 0, 32, 0, 128, 16, 8, 12) + bytes(128 * 16)


def xenstore():
    """What xenstored sends: two indices and the size of the pieces (fuzz_xenstore.c), then messages."""
    def message(kind, body):
        return struct.pack("<IIII", kind, 1, 0, len(body)) + body
    stream = b"".join((message(2, b"poweroff"), message(15, b"control/shutdown\x000\0"), message(16, b"ENOENT\0"),
                       message(1, b"shutdown\0feature-poweroff\0"), message(11, b"OK\0")))
    yield "whole", struct.pack("<IIB", len(stream), 0, 255) + stream
    yield "pieces", struct.pack("<IIB", 3, 0xFFFFFFFE, 6) + stream
    errors = (b"EINVAL", b"ENOENT", b"EISCONN", b"EQUOTA", b"EPERM", b"EINVALID", b"EIN", b"")
    yield "errors", struct.pack("<IIB", 1025, 0, 63) + b"".join(message(16, error + b"\0") for error in errors)
    yield "too_long", struct.pack("<IIB", 5, 7, 20) + message(2, b"") + struct.pack("<IIII", 2, 1, 0, 4097) + bytes(5000)
    yield "no_body", struct.pack("<IIB", 0x10400, 0, 15) + message(2, b"") + message(16, b"") + message(5, b"x")
    yield "longest", struct.pack("<IIB", 1024, 0, 99) + message(2, bytes(4096))


# The operations of fuzz_engine.c, in the order of its table; the last arms a failure for another.
ENGINE_OPS = """map map map map unmap unmap unmap alloc alloc realloc local local_end reserve sparse_map sparse_map
    sparse_unmap protect device find nonsense purge purge_frames purge_frames policy tune interrupt access access
    access look give take space_create space_copy space_map space_map space_unmap space_load space_destroy
    space_access space_access arm""".split()
ENGINE_WORK = ("map unmap access policy", "map unmap purge_frames give take access", "alloc realloc unmap access",
               "reserve sparse_map sparse_unmap access look", "map alloc protect unmap access", "device unmap access find",
               "space_create space_copy space_map space_unmap space_access", "local local_end map purge_frames",
               "space_create space_map space_load space_destroy", "map give take space_create space_map space_load")


def engine_program(machine, *operations):
    """One of words: the machine's first byte, then for each operation its name, @ and a CPU (or 0), and its arguments."""
    program = bytes((machine, 0, 0, 0))
    for operation in operations:
        words = operation.split()
        name, _, cpu = words[0].partition("@")
        record = [ENGINE_OPS.index(name), int(cpu or 0)]
        record += [ENGINE_OPS.index(word) if word in ENGINE_OPS else int(word) for word in words[1:]]
        program += bytes(record + [0] * (12 - len(record)))
    return program


def engine():
    """Programs of a few operations each, with and without failures: a machine's 4 bytes, then 12 for each."""
    keeps, asks = 8, 16  # policy pte; entries are written by calls
    yield "revived_differently", engine_program(keeps, "map 0 0 1 1 4 1", "unmap", "map 0 2", "unmap")
    yield "rights_refused", engine_program(asks, "map 0 0 1 1 4 1", "arm protect 4 1 2", "access", "unmap")
    yield "sparse_again", engine_program(0, "reserve 1 8", "sparse_map 0 1 0 1 0 1", "sparse_unmap 0 1 0 1",
                                         "sparse_map 0 1 0 1 6 1")
    yield "stack_refused", engine_program(asks, "arm alloc 4 1 0 4 0 4", "alloc 4 0 4")
    yield "copied_rights", engine_program(0, "space_create", "space_map 0 1 0 2 1", "space_copy", "space_load 1 1",
                                          "space_access 1 0 1", "space_access 1 1")
    yield "load_refused", engine_program(0, "space_create", "arm space_load 3 0 0 0 1", "space_destroy")
    two = 1  # CPUs
    yield "table_refused", engine_program(asks, "space_create", "arm space_map 1 0 1 0 1 0 6 0", "space_map 0 1 0 6")
    yield "entry_refused", engine_program(asks, "space_create", "arm space_map 4 0 4 0 1 0 6 0", "space_map 0 1 0 6")
    yield "unmapped_under", engine_program(two, "space_create", "space_load 0 1", "space_load@1 0 1", "space_map 0 0 0 2",
                                           "space_unmap 0 0 0 2", "space_access 1 0 1")
    for n in range(6 * len(ENGINE_WORK)):
        rng = random.Random(n)
        names = ENGINE_WORK[n % len(ENGINE_WORK)].split()
        program = bytes(rng.randrange(256) for _ in range(4))
        for _ in range(24):
            name = rng.choice(names)
            record = [ENGINE_OPS.index(name), rng.randrange(4)]
            if n % 3 and rng.random() < 0.3:
                record = [ENGINE_OPS.index("arm"), record[1], record[0]]
            program += bytes(record + [rng.randrange(256) if rng.random() < 0.5 else rng.randrange(6)
                                       for _ in range(12 - len(record))])
        yield f"{n:02}", program


def monitor():
    """What somebody types at the prompt."""
    yield "plain", b"show a b\rshow \"c;d\" 'e' ; stop x;show\r\x04"
    yield "edited", b"sho\t1\r\x1b[A\x01x\x05\x17y\rhelp\x03spoil a;show b\x1b[D\x7f\r"
    up, down, left = b"\x1b[A", b"\x1b[B", b"\x1b[D"
    full = b"show " + b"x" * 506
    yield "quotes", b"show 'a\"b' \"c'd\" 'e;f' \"g;h\" i''j\r"
    yield "most_words", b"show" + b" w" * 15 + b"\rshow" + b" w" * 16 + b"\r"
    yield "full_line", full + b"\r" + b"y" * 512 + b"\r" + up + b"\rshow 1\r"
    yield "emptied", full + b"yz\x15show 1\r" + full + b"y" + up + b"\r"
    yield "many_lines", b"".join(b"show %d\r" % n for n in range(18)) + up * 17 + down * 3 + b"\r"
    yield "same_lines", b"show a\rshow b\rshow b\rshow abcdefghijk\r" + up * 3 + b"\r"
    yield "typed", b"show longer\rsh" + up + down + b"ow x" + up * 2 + down + b"y\r"
    yield "numbers", b"show ab" + b"".join(b"\x1b[%s~x" % n for n in (b"9", b"10", b"1", b"259", b"8", b"7", b"4", b"1;3",
                                                                     b"99999999999")) + b"\r\x1b[3~\x1bOAx\r"
    yield "words", b"show a  bc  \x17d\r\x17show abc" + left * 2 + b"\x0bx\r"
    yield "enters", b"show a\r\nshow b\n\rshow c\r\r\n\n"
    yield "longest_run", b"rshow " + b"x" * 1018
    yield "long_run", b"rshow " + b"x" * 1019
    yield "run", b"rshow a \"b c\"; spoil x y; stop"


def xenring():
    """Where the rings begin, then for each question what it is and how much may come back, and turns of the daemon."""
    silent = bytes((205,))

    def text(body):
        return bytes((0, len(body))) + body + silent
    begin = struct.pack("<II", 1000, 0xFFFFFFF0)
    late = silent * 103
    yield "answers", begin + b"".join(bytes((what, 9)) + text(b"abc") for what in (0, 1)) + b"".join(
        bytes((what,)) + text(b"") for what in (2, 3, 2))
    yield "refused", begin + bytes((0, 9, 64, 0, 205, 1, 9, 64, 0, 205))
    yield "long", begin + bytes((0, 9)) + text(b"x" * 255) + bytes((0, 4)) + text(b"y" * 100) + bytes((0, 3)) + text(b"z" * 8)
    yield "late", begin + bytes((0, 9)) + late + bytes((0, 9)) + text(b"first") + text(b"second")
    yield "never_read", begin + silent * 1500
    yield "events", begin + bytes((3, 80, 0)) + text(b"OK") + bytes((4, 80, 0, 80, 1))
    yield "watches", begin + (bytes((3, 64, 0)) + silent) * 10
    yield "floods", begin + bytes((0, 9, 118))
    yield "events_flood", begin + bytes((0, 9, 119))
    yield "server_flooded", begin + bytes((0, 9, 118)) + late + bytes((4, 0))
    yield "server_flooded_with_events", begin + bytes((0, 9, 119)) + late + bytes((4, 0))
    for n in range(4):
        yield f"index{n}", begin + bytes((0, 9, 116, n)) + struct.pack("<I", 0x12345678) + silent * 150
    yield "too_long", begin + bytes((0, 9, 113, 2)) + struct.pack("<I", 4097) + silent * 150 + bytes((0, 9)) + text(b"a") * 9


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    for target in (multiboot2, pvh, xen_start, cmdline, acpi, psf, xenstore, xenring, engine, monitor):
        directory = pathlib.Path(sys.argv[1], target.__name__)
        directory.mkdir(parents=True, exist_ok=True)
        for name, data in target():
            (directory / name).write_bytes(data)


if __name__ == "__main__":
    main()
