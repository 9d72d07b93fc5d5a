#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""initramfs.py OUT XEN: the file system of the Linux that is dom0 where Lazymap is a domU.

XEN is what fetch.sh unpacked. Picked from it are xl and its daemons, the libraries they need (as the dynamic
linker will look for them), busybox for everything else, and the kernel's drivers of Xen's interfaces.
/init is init.sh. The guest's image is not in it: Linux takes archives one after the other, so a new image
is put behind this one.
"""

import glob
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))
from cpio import CONSOLE, DEVICE, DIRECTORY, EXECUTABLE, LINK, archive, read

TOOLS = "usr/lib/xen-*/bin"
PROGRAMS = ("bin/busybox", f"{TOOLS}/xl", f"{TOOLS}/xenstored", f"{TOOLS}/xenconsoled", f"{TOOLS}/xenconsole",
            f"{TOOLS}/xen-init-dom0", f"{TOOLS}/xenctx", "usr/bin/xenstore")
MODULES = ("xen-privcmd", "xen-evtchn", "xen-gntdev", "xen-gntalloc", "xenfs/xenfs")
LINKER = "lib64/ld-linux-x86-64.so.2"
# glibc loads this one by itself, when a thread is cancelled or ends: no program names it.
THREADS_NEED = "libgcc_s.so.1"
LIBRARIES = ("lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu")


def one(pattern):
    """=> the one file of that name"""
    found = glob.glob(pattern)
    if len(found) != 1:
        sys.exit(f"xen: {len(found)} files are {pattern}, not one: remove the packages and their directory, "
                 "then try again")
    return found[0]


def library(root, name):
    for directory in LIBRARIES:
        if os.path.exists(f"{root}/{directory}/{name}"):
            return f"{root}/{directory}/{name}"
    sys.exit(f"xen: no package has {name}, which a program needs: remove {root} and try again")


def needed(path):
    """=> the names of the libraries it is linked with"""
    told = subprocess.run(["readelf", "--dynamic", path], stdout=subprocess.PIPE, text=True, check=True).stdout
    return re.findall(r"\(NEEDED\).*\[(.*)\]", told)


def libraries(root, programs):
    """=> the libraries these need, directly or not"""
    found, names = {}, [THREADS_NEED, *(name for path in programs for name in needed(path))]
    while names:
        name = names.pop()
        if name not in found:
            found[name] = library(root, name)
            names += needed(found[name])
    return found


def directories(names):
    """=> the directories these lie in, each after the one it lies in"""
    found = set()
    for name in names:
        while name := os.path.dirname(name):
            found.add(name)
    return sorted(found)


def main(out, xen):
    root = f"{xen}/root"
    programs = [one(f"{root}/{pattern}") for pattern in PROGRAMS]
    files = [(os.path.relpath(path, root), EXECUTABLE, read(path)) for path in programs]
    files += [(f"usr/lib/{name}", EXECUTABLE, read(path)) for name, path in libraries(root, programs).items()]
    files += [(LINKER, EXECUTABLE, read(f"{root}/{LINKER}"))]
    files += [(f"modules/{number}-{os.path.basename(name)}.ko", EXECUTABLE, read(f"{xen}/modules/{name}.ko"))
              for number, name in enumerate(MODULES)]
    files += [("init", EXECUTABLE, read(f"{os.path.dirname(__file__)}/init.sh")),
              ("dev/console", DEVICE, b"", CONSOLE),
              ("var/run", LINK, b"/run"), ("var/lock", LINK, b"/run")]
    made = [(name, DIRECTORY) for name in directories(name for name, *_ in files)]
    with open(out, "wb") as file:
        file.write(archive(made + files))


if __name__ == "__main__":
    main(*sys.argv[1:])
