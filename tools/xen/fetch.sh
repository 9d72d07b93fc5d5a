#!/bin/sh
# SPDX-License-Identifier: MIT
#
# fetch.sh DEBS DIR: Debian's packaged Xen, its tools, and a Linux for dom0, unpacked into DIR.
#
# The packages are kept in DEBS (tools/debs.sh says how they come there). The result:
#   DIR/xen.elf   the hypervisor, as QEMU's -kernel takes it
#   DIR/vmlinuz   Linux           DIR/modules  its drivers for Xen
#   DIR/root      xl and its daemons with their libraries, busybox; what initramfs.py picks from
#   DIR/version   a line about it all; written last
set -eu

debs=$1
dir=$2

fail() {
    echo "xen: $*" >&2
    cat >&2 <<HELP
xen: under Xen means Debian's packaged hypervisor, tools and Linux (amd64). What can be done:
xen:   - on Debian, see that 'apt-get update' works here, then try again
xen:   - elsewhere, put the packages of one Debian release into $debs, then try again:
xen:     xen-hypervisor-VERSION-amd64, xen-utils-VERSION, xenstore-utils, busybox-static,
xen:     linux-image-VERSION-amd64, and the libraries they depend on
xen: 'make test' without them skips what needs Xen; all other targets do not need it.
HELP
    exit 1
}

# shellcheck source=tools/debs.sh
. "$(dirname "$0")/../debs.sh"

xen='xen-hypervisor-[0-9]*-amd64'
utils='xen-utils-[0-9]*'
linux='linux-image-[0-9]*-amd64'

all_there() {
    for kind in "$xen" "$utils" xenstore-utils busybox-static "$linux" libc6; do
        [ -n "$(deb "$kind")" ] || return 1
    done
}

fetch() {
    update_lists
    kernel=$(depends 'linux-image-.*' linux-image-amd64)
    parts=$(depends 'xen-\(hypervisor-[0-9.]*-amd64\|utils-[0-9.]*\)' xen-system-amd64)
    if [ -z "$kernel" ] || [ -z "$parts" ]; then
        fail "cannot be had: the package sources lack linux-image-amd64 and xen-system-amd64"
    fi
    # shellcheck disable=SC2046,SC2086 # lists
    download $kernel $(closure 'lib.*\|zlib1g' $parts xenstore-utils busybox-static)
}

all_there || fetch
all_there || fail "some of the packages are still missing in $debs"

echo "xen: unpacking"
rm -rf "$dir"
mkdir -p "$dir/root" "$dir/linux"
for name in $(find "$debs" -maxdepth 1 -name '*.deb' | sed 's,.*/,,; s,_.*,,' | sort -u); do
    case $name in
    xen* | lib* | zlib* | busybox*) unpack "$(deb "$name")" "$dir/root" ;;
    esac
done

kernel=$(deb "$linux")
release=$(dpkg-deb -f "$kernel" Package | sed 's/^linux-image-//')
unpack "$kernel" "$dir/linux" "./boot/vmlinuz-$release" "./lib/modules/$release/kernel/drivers/xen"
ln -s "linux/boot/vmlinuz-$release" "$dir/vmlinuz"
ln -s "linux/lib/modules/$release/kernel/drivers/xen" "$dir/modules"
hypervisor=$(dpkg-deb -f "$(deb "$xen")" Package | sed 's/^xen-hypervisor-//')
gunzip -c "$dir/root/boot/xen-$hypervisor.gz" >"$dir/xen.elf" ||
    fail "the package of the hypervisor has no boot/xen-$hypervisor.gz"
echo "Xen $(dpkg-deb -f "$(deb "$xen")" Version), Linux $release" >"$dir/version"
