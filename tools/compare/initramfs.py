#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""initramfs.py OUT INIT MODULE: the file system that Linux is booted with to be measured.

It holds a console to say errors on, /init and the module; nothing else.
"""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))
from cpio import CONSOLE, DEVICE, DIRECTORY, EXECUTABLE, archive, read


def main(out, init, module):
    files = [("dev", DIRECTORY), ("dev/console", DEVICE, b"", CONSOLE), ("init", EXECUTABLE, read(init)),
             ("lazybench.ko", EXECUTABLE, read(module))]
    with open(out, "wb") as file:
        file.write(archive(files))


if __name__ == "__main__":
    main(*sys.argv[1:])
