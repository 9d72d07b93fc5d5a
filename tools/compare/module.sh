#!/bin/sh
# SPDX-License-Identifier: MIT
#
# module.sh LINUX SOURCE DIR: builds SOURCE (with a Kbuild file) in DIR for the kernel that fetch.sh
# unpacked into LINUX.
#
# The headers' own Makefile expects to be installed below /usr/src; Linux's top Makefile works from
# anywhere, if it is started in the configured tree. It gets an empty environment, lest variables
# meant for our make (O, V, LLVM) be taken for its own.
set -eu

linux=$(cd "$1" && pwd) source=$2
mkdir -p "$3"
dir=$(cd "$3" && pwd)

compiler=$(sed -n 's/^CC = .*\(gcc-[0-9]*\)$/\1/p' "$linux/headers/.kernelvariables")
if ! command -v "${compiler:=gcc}" >/dev/null; then
    echo "compare: the kernel was built by $compiler, and so must modules be;" \
        "run: apt-get install $compiler" >&2
    exit 1
fi
cp "$source"/* "$dir/"
if ! env -i PATH="$PATH" LC_ALL=C make -C "$linux/headers" -f "$linux/source/Makefile" \
    M="$dir" modules >"$dir/make.log" 2>&1; then
    cat "$dir/make.log" >&2
    echo "compare: the Linux module does not build; if the kernel is newer than 6.1, its interface" \
        "may have changed: mend $source/lazybench.c" >&2
    exit 1
fi
