#!/bin/sh
# SPDX-License-Identifier: MIT
#
# fetch.sh DEBS DIR: Debian's packaged kernel, and what modules for it are built with, unpacked into
# DIR. The packages are kept in DEBS (tools/debs.sh says how they come there). The result:
#   DIR/vmlinuz   the kernel          DIR/headers  the configured headers
#   DIR/source    the common headers  DIR/version  a line about it all; written last
set -eu

debs=$1
dir=$2

fail() {
    echo "compare: $*" >&2
    cat >&2 <<HELP
compare: the comparison runs Debian's packaged kernel (amd64). What can be done:
compare:   - on Debian, see that 'apt-get update' works here, then run 'make compare' again
compare:   - elsewhere, put these four packages of one Debian release into $debs, then run
compare:     'make compare' again: linux-image-VERSION-amd64, linux-headers-VERSION-amd64,
compare:     linux-headers-VERSION-common, linux-kbuild-VERSION
compare: No other target needs them; 'bench' in the monitor shows Lazymap's own figures.
HELP
    exit 1
}

# shellcheck source=tools/debs.sh
. "$(dirname "$0")/../debs.sh"

all_there() {
    for kind in 'linux-image-*-amd64' 'linux-headers-*-amd64' 'linux-headers-*-common' \
        'linux-kbuild-*'; do
        [ -n "$(deb "$kind")" ] || return 1
    done
}

fetch() {
    update_lists
    image=$(depends 'linux-image-.*' linux-image-amd64)
    headers=$(depends 'linux-headers-.*' linux-headers-amd64)
    if [ -z "$image" ] || [ -z "$headers" ]; then
        fail "cannot be had: the package sources lack linux-image-amd64 and linux-headers-amd64"
    fi
    # shellcheck disable=SC2046 # a list
    download "$image" "$headers" $(depends 'linux-\(headers\|kbuild\)-.*' "$headers")
}

all_there || fetch
all_there || fail "some of the four packages are still missing in $debs"

image=$(deb 'linux-image-*-amd64')
echo "compare: unpacking"
mkdir -p "$dir/root"
unpack "$image" "$dir/root" ./boot
for kind in 'linux-headers-*-amd64' 'linux-headers-*-common' 'linux-kbuild-*'; do
    unpack "$(deb "$kind")" "$dir/root"
done
release=$(dpkg-deb -f "$image" Package | sed 's/^linux-image-//')
headers=$(dpkg-deb -f "$(deb 'linux-headers-*-amd64')" Package)
common=$(dpkg-deb -f "$(deb 'linux-headers-*-common')" Package)
[ "$headers" = "linux-headers-$release" ] ||
    fail "$debs has headers ($headers) of another kernel than $release; empty it"
ln -sfn "root/boot/vmlinuz-$release" "$dir/vmlinuz"
ln -sfn "root/usr/src/$headers" "$dir/headers"
ln -sfn "root/usr/src/$common" "$dir/source"
for part in vmlinuz headers/.kernelvariables source/Makefile; do
    [ -e "$dir/$part" ] || fail "the packages have no $part; empty $dir"
done
echo "$release (Debian $(dpkg-deb -f "$image" Version))" >"$dir/version"
