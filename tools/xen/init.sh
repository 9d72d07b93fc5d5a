#!/bin/busybox sh
# SPDX-License-Identifier: MIT
# shellcheck shell=dash
#
# /init of the Linux that is dom0: starts what xl needs, then makes a domain, or obeys.
#
# The first serial port is Xen's and Linux's log; the second is for whoever started the emulator.
# Where there is a /domu.cfg, `xl create -c` makes that domain with its console on the second port,
# and the emulator ends with the status that the kernel gives it natively. Else each line that comes
# is run by the shell, and answered by what it prints and a line "[status N]", without an echo; while
# `xl console` runs, the port is the guest's console, up to Ctrl-]. (tests/harness/dom0.py is at the
# other end.)

/bin/busybox mkdir -p /proc /sys /dev /run/xen /run/xenstored /tmp /sbin /usr/sbin /etc/xen \
    /var/lib/xen /var/lib/xenstored /var/log/xen/console
/bin/busybox --install -s
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mkdir /dev/pts
mount -t devpts pts /dev/pts
for module in /modules/*; do
    insmod "$module" || echo "dom0: $module cannot be loaded"
done
mount -t xenfs xen /proc/xen
echo 'autoballoon="off"' >/etc/xen/xl.conf

tools=$(echo /usr/lib/xen-*/bin)
PATH=$tools:/usr/bin:/bin:/sbin:/usr/sbin
for name in ls read write list watch rm exists; do
    ln -s xenstore "/usr/bin/xenstore-$name"
done
{ xenstored && xen-init-dom0 && xenconsoled --log=guest; } || echo "dom0: xl's daemons do not start"

# What is typed goes to xl console byte by byte; only the shell wants whole lines.
exec </dev/ttyS1 >/dev/ttyS1 2>&1
stty raw -echo

if [ -e /domu.cfg ]; then
    xl create -q -c /domu.cfg
    # What the kernel writes natively: 0x10 for PASS, 0x11 for FAIL, which all else is, too.
    value=021 # octal
    grep -qs "^LAZYMAP: PASS" /var/log/xen/console/guest-*.log && value=020
    printf '%b' "\\$value" | dd of=/dev/port bs=1 seek=$((0xf4)) 2>/dev/null
fi

# A carriage return is no line's end here: what is typed for a console too early is kept for it.
stty icanon
while printf 'dom0> ' && read -r line; do
    eval "$line"
    printf '[status %s]\n' $?
done
