#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""initramfs.py OUT INIT MODULE: the file system that Linux is booted with to be measured.

It holds a console to say errors on, /init and the module; nothing else. The format is cpio's "newc"
(Linux, Documentation/driver-api/early-userspace/buffer-format.rst): for each file a header of 13 numbers, name,
contents, padded to 4 bytes. Written here rather than by cpio because a device needs root there, and because
the same inputs must give the same bytes.
"""

import stat
import sys

CONSOLE = (5, 1)  # device number, major and minor
EXECUTABLE, DIRECTORY, DEVICE = stat.S_IFREG | 0o755, stat.S_IFDIR | 0o755, stat.S_IFCHR | 0o600


def padded(data):
    return data + bytes(-len(data) % 4)


def entry(number, name, mode, contents=b"", device=(0, 0)):
    links, nobody, epoch, no_checksum = 1, 0, 0, 0
    numbers = (number, mode, nobody, nobody, links, epoch, len(contents), 0, 0, *device, len(name) + 1, no_checksum)
    header = "070701" + "".join(f"{value:08x}" for value in numbers)
    return padded(f"{header}{name}\0".encode()) + padded(contents)


def read(path):
    with open(path, "rb") as file:
        return file.read()


def main(out, init, module):
    files = [("dev", DIRECTORY), ("dev/console", DEVICE, b"", CONSOLE), ("init", EXECUTABLE, read(init)),
             ("lazybench.ko", EXECUTABLE, read(module)), ("TRAILER!!!", 0)]
    with open(out, "wb") as file:
        for number, args in enumerate(files):
            file.write(entry(number, *args))


if __name__ == "__main__":
    main(*sys.argv[1:])
