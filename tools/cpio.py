# SPDX-License-Identifier: MIT
"""Archives in cpio's "newc" format, which is what Linux takes as its first file system (initramfs).

For each file a header of 13 numbers, name, contents, padded to 4 bytes (Linux,
Documentation/driver-api/early-userspace/buffer-format.rst). Written here rather than by cpio because a device
needs root there, and because the same inputs must give the same bytes.
"""

import stat

EXECUTABLE, DIRECTORY = stat.S_IFREG | 0o755, stat.S_IFDIR | 0o755
LINK, DEVICE = stat.S_IFLNK | 0o777, stat.S_IFCHR | 0o600
CONSOLE = (5, 1)  # device number, major and minor


def padded(data):
    return data + bytes(-len(data) % 4)


def entry(number, name, mode, contents=b"", device=(0, 0)):
    links, nobody, epoch, no_checksum = 1, 0, 0, 0
    numbers = (number, mode, nobody, nobody, links, epoch, len(contents), 0, 0, *device, len(name) + 1, no_checksum)
    header = "070701" + "".join(f"{value:08x}" for value in numbers)
    return padded(f"{header}{name}\0".encode()) + padded(contents)


def archive(files):
    """=> the archive. A file is (name, mode, contents, device), the last two where it has them."""
    return b"".join(entry(number, *file) for number, file in enumerate([*files, ("TRAILER!!!", 0)]))


def read(path):
    with open(path, "rb") as file:
        return file.read()
