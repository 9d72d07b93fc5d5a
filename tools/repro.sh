#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Builds the tree in two directories whose names differ in every way that could leak into the
# result, at different times, and compares the ELF and the ISO byte for byte.
set -eu

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

build() {
    mkdir -p "$1"
    tar -c --exclude=./.git --exclude='./build*' . | tar -x -C "$1"
    make -C "$1" O=build all iso >/dev/null
}

build "$work/a"
build "$work/another place/deeper"
status=0
for file in lazymap.elf lazymap.iso; do
    if cmp "$work/a/build/$file" "$work/another place/deeper/build/$file"; then
        echo "repro: $file: the same bytes ($(sha256sum <"$work/a/build/$file" | cut -c1-16)...)"
    else
        status=1
    fi
done
exit $status
