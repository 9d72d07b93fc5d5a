# SPDX-License-Identifier: MIT
"""Trees to put bugs into: copies of the sources with all that was built of them.

`pristine` is kept from one run to the next and built first; each worker has a copy of it. After a mutant was
tried the worker's tree is made equal to the pristine one again, objects included, so that the next one costs
the compilation of what it changes and no more.
"""

import filecmp
import os
import shutil
import subprocess

SOURCES = ("Makefile", "linker.ld", "arch", "boot", "iso", "kernel", "mm", "tests", "tools", "xen")
PACKAGES = "build/xen"  # fetched and unpacked by the tree that we are part of; trees link to it


class DoesNotBuild(Exception):
    """make failed; str() is what it said last."""


def contents(tree, tops):
    """=> paths of all files below tree/top for each of tops, links included"""
    for top in tops:
        if not os.path.isdir(f"{tree}/{top}"):
            yield top
        for path, directories, files in os.walk(f"{tree}/{top}"):
            directories[:] = [name for name in directories if name != "__pycache__"]
            links = [name for name in directories if os.path.islink(f"{path}/{name}")]
            for name in (*files, *links):
                yield os.path.relpath(f"{path}/{name}", tree)


def copy(source, target):
    os.makedirs(os.path.dirname(target), exist_ok=True)
    if os.path.lexists(target):
        os.remove(target)
    shutil.copy2(source, target, follow_symlinks=False)


def remove_others(tree, tops, wanted):
    for path in list(contents(tree, tops)):
        if path not in wanted and os.path.lexists(f"{tree}/{path}"):
            os.remove(f"{tree}/{path}")


def same_file(a, b):
    """=> one is a copy of the other, by size and time"""
    if not os.path.lexists(b):
        return False
    a, b = os.lstat(a), os.lstat(b)
    return (a.st_mode, a.st_size, a.st_mtime_ns) == (b.st_mode, b.st_size, b.st_mtime_ns)


class Tree:
    def __init__(self, root):
        self.root = os.path.abspath(root)
        self.build = f"{self.root}/build"

    def read(self, path):
        with open(f"{self.root}/{path}", encoding="utf-8") as file:
            return file.read()

    def write(self, path, text):
        with open(f"{self.root}/{path}", "w", encoding="utf-8") as file:
            file.write(text)

    def take_sources(self, packages):
        """What differs from the tree that we are in is copied, and newer than all that was built of it."""
        wanted = set(contents(".", SOURCES))
        for path in wanted:
            if not (os.path.exists(f"{self.root}/{path}") and filecmp.cmp(path, f"{self.root}/{path}", shallow=False)):
                copy(path, f"{self.root}/{path}")
                os.utime(f"{self.root}/{path}")
        remove_others(self.root, SOURCES, wanted)
        os.makedirs(self.build, exist_ok=True)
        if not os.path.lexists(f"{self.root}/{PACKAGES}"):
            os.symlink(os.path.abspath(packages), f"{self.root}/{PACKAGES}")

    def become(self, other):
        """Equal to `other`, what was built too."""
        wanted = set(contents(other.root, (*SOURCES, "build")))
        for path in wanted:
            if not same_file(f"{other.root}/{path}", f"{self.root}/{path}"):
                copy(f"{other.root}/{path}", f"{self.root}/{path}")
        remove_others(self.root, (*SOURCES, "build"), wanted)

    def make(self, targets, jobs=1):
        # CURDIR goes into the kernel's flags, and so would make every tree's objects different.
        argv = [os.environ.get("MAKE", "make"), "-C", self.root, f"-j{jobs}", "--no-print-directory", "O=build",
                "CURDIR=.", *targets]
        environment = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MFLAGS")}
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, check=False, env=environment)
        if done.returncode:
            raise DoesNotBuild("\n".join(done.stdout.splitlines()[-20:]))
