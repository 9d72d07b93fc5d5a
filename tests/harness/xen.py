# SPDX-License-Identifier: MIT
"""How QEMU is told to boot Xen, with the kernel as a domain of it.

Three arrangements, all of Debian's packages that tools/xen/fetch.sh unpacked:

  xen                the kernel is dom0: Xen's first and privileged domain. Two seconds to a prompt.
  domu-pv, domu-pvh  Linux is dom0, and `xl create -c` makes one domain of the kernel: what a user of Xen does.
                     The emulator ends as the kernel did; that is dom0's doing (tools/xen/init.sh).
  xl                 Linux is dom0, and obeys: several domains can be made in one boot (dom0.py).

Where Linux is dom0, Xen and Linux print on the first serial port, which is kept in a file beside the log, and
the second is the one we talk to.
"""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../tools"))
import cpio

DOORS = ("xen", "domu-pv", "domu-pvh", "xl")

# Deeper idle states use MWAIT, which is a #GP in QEMU's models of some processors with several CPUs.
XEN = "com1=115200,8n1 console=com1 cpuidle=0"
LOG_ALL = "loglvl=all guest_loglvl=all"  # where nothing else is on that port
XEN_MEGABYTES = 128  # its heap and tables
LINUX = "console=hvc0 quiet"
LINUX_MEGABYTES = 384
# Linux returns to user mode by IRETQ in ring 3, which QEMU 7.2 refuses with SMAP on.
LINUX_CPU = ",-smap"

NAME = "lazymap"  # of the domain
IMAGE = "/lazymap.elf"  # in dom0's file system


def text(value):
    """=> a string in the syntax of xl.cfg(5), which knows no escapes: one kind of quotes can be held by the other"""
    if '"' in value and "'" in value:
        raise ValueError(f"xl cannot be told {value!r}: it has both kinds of quotes")
    return f"'{value}'" if '"' in value else f'"{value}"'


def config(name, **settings):
    """=> what xl.cfg(5) describes: a domain of the kernel, with these settings"""
    settings = {"name": name, "type": "pv", "kernel": IMAGE, **settings}
    if settings["type"] == "pvh":
        # Xen would intercept RDTSC and RDTSCP, and cannot tell one from the other in QEMU 7.2.
        settings.setdefault("tsc_mode", "native")
    return "".join(f"{key} = {text(value) if isinstance(value, str) else value}\n" for key, value in settings.items())


def one_domain(machine, megabytes):
    """=> the configuration of the only domain, which is not started again when it ends"""
    return config(NAME, type=machine.door.removeprefix("domu-"), memory=megabytes, vcpus=machine.smp,
                  extra=machine.append, on_reboot="destroy", on_crash="destroy")


def initrd(machine, megabytes, build, scratch):
    """=> dom0's file system: the ready made one, with the kernel behind it"""
    files = [(IMAGE[1:], cpio.EXECUTABLE, cpio.read(f"{build}/lazymap.elf"))]
    if machine.door.startswith("domu"):
        files.append(("domu.cfg", cpio.EXECUTABLE, one_domain(machine, megabytes).encode()))
    path = f"{scratch}.initrd"
    with open(path, "wb") as file:
        file.write(cpio.read(f"{build}/xen/initramfs") + cpio.archive(files))
    return path


def module(path, arguments=""):
    """=> a kernel or file system as QEMU's -initrd takes it, where commas stand between them"""
    return f"{path} {arguments}".replace(",", ",,")


def arguments(machine, megabytes, build, scratch):
    """=> the part of QEMU's command that differs under Xen; the kernel is to get `megabytes`"""
    if machine.door == "xen":
        cpu, mem, vcpus, others = machine.cpu, megabytes, machine.smp, XEN_MEGABYTES
        modules = [module(f"{build}/lazymap.elf", machine.append)]
        logged, log = "", []
    else:
        cpu, mem, vcpus, others = machine.cpu + LINUX_CPU, LINUX_MEGABYTES, 1, XEN_MEGABYTES + megabytes
        modules = [module(f"{build}/xen/vmlinux", LINUX), module(initrd(machine, megabytes, build, scratch))]
        logged, log = LOG_ALL, ["-chardev", f"file,id=log,path={scratch}.xen", "-serial", "chardev:log"]
    dom0 = f"dom0_mem={mem}M,max:{mem}M dom0_max_vcpus={vcpus} dom0_vcpus_pin"
    return ["-cpu", cpu, "-m", f"{mem + others}M", *log, "-kernel", f"{build}/xen/xen.elf",
            "-append", f"{XEN} {logged} {dom0}", "-initrd", ",".join(modules)]
