#!/bin/sh
# SPDX-License-Identifier: MIT
#
# fetch.sh DIR: Debian's packaged kernel, and what modules for it are built with, unpacked into DIR.
#
# Nothing is installed and no privilege is needed: apt works on lists and a cache of its own below
# DIR, from the package sources this system is set up with, and dpkg-deb only unpacks. Packages
# that lie in DIR/debs already are used as they are, so a machine without a network or without apt
# can be served by hand. The result:
#   DIR/vmlinuz   the kernel          DIR/headers  the configured headers
#   DIR/source    the common headers  DIR/version  a line about it all; written last
set -eu

dir=$1
mkdir -p "$dir/debs" "$dir/root" "$dir/apt/lists/partial" "$dir/apt/cache/archives/partial"
dir=$(cd "$dir" && pwd)

fail() {
    echo "compare: $*" >&2
    cat >&2 <<HELP
compare: the comparison runs Debian's packaged kernel (amd64). What can be done:
compare:   - on Debian, see that 'apt-get update' works here, then run 'make compare' again
compare:   - elsewhere, put these four packages of one Debian release into $dir/debs, then run
compare:     'make compare' again: linux-image-VERSION-amd64, linux-headers-VERSION-amd64,
compare:     linux-headers-VERSION-common, linux-kbuild-VERSION
compare: No other target needs them; 'bench' in the monitor shows Lazymap's own figures.
HELP
    exit 1
}

# deb KIND: the newest package of that name pattern in debs; nothing if there is none
deb() {
    find "$dir/debs" -name "$1_*.deb" | sort -V | tail -n 1
}

all_there() {
    for kind in 'linux-image-*-amd64' 'linux-headers-*-amd64' 'linux-headers-*-common' \
        'linux-kbuild-*'; do
        [ -n "$(deb "$kind")" ] || return 1
    done
}

apt() {
    program=$1
    shift
    "$program" -qq -o Dir::State::Lists="$dir/apt/lists" -o Dir::Cache="$dir/apt/cache" \
        -o APT::Sandbox::User="$(id -un)" "$@"
}

# depends PACKAGE PATTERN: those packages it depends on whose names match
depends() {
    apt apt-cache depends "$1" 2>/dev/null | sed -n "s/^ *Depends: \($2\)\$/\1/p"
}

fetch() {
    command -v apt-get >/dev/null || fail "there is no apt-get here to fetch packages with"
    echo "compare: asking for package lists"
    apt apt-get update >&2 || fail "apt-get could not fetch the package lists"
    image=$(depends linux-image-amd64 'linux-image-.*')
    headers=$(depends linux-headers-amd64 'linux-headers-.*')
    if [ -z "$image" ] || [ -z "$headers" ]; then
        fail "this system's package sources do not have linux-image-amd64 and linux-headers-amd64"
    fi
    parts=$(depends "$headers" 'linux-\(headers\|kbuild\)-.*')
    # shellcheck disable=SC2086 # $parts is a list
    echo "compare: fetching" $image $headers $parts
    # shellcheck disable=SC2086
    (cd "$dir/debs" && apt apt-get download $image $headers $parts >&2) ||
        fail "apt-get could not fetch the packages"
}

all_there || fetch
all_there || fail "some of the four packages are still missing in $dir/debs"

image=$(deb 'linux-image-*-amd64')
echo "compare: unpacking"
dpkg-deb --fsys-tarfile "$image" | tar -x -C "$dir/root" ./boot ||
    fail "$image cannot be unpacked; remove it"
for kind in 'linux-headers-*-amd64' 'linux-headers-*-common' 'linux-kbuild-*'; do
    dpkg-deb -x "$(deb "$kind")" "$dir/root" || fail "$(deb "$kind") cannot be unpacked; remove it"
done
release=$(dpkg-deb -f "$image" Package | sed 's/^linux-image-//')
headers=$(dpkg-deb -f "$(deb 'linux-headers-*-amd64')" Package)
common=$(dpkg-deb -f "$(deb 'linux-headers-*-common')" Package)
[ "$headers" = "linux-headers-$release" ] ||
    fail "$dir/debs has headers ($headers) of another kernel than $release; empty it"
ln -sfn "root/boot/vmlinuz-$release" "$dir/vmlinuz"
ln -sfn "root/usr/src/$headers" "$dir/headers"
ln -sfn "root/usr/src/$common" "$dir/source"
for part in vmlinuz headers/.kernelvariables source/Makefile; do
    [ -e "$dir/$part" ] || fail "the packages have no $part; empty $dir"
done
echo "$release (Debian $(dpkg-deb -f "$image" Version))" >"$dir/version"
