# SPDX-License-Identifier: MIT
"""The machines that the kernel must boot on. Each boots, runs commands and must end with success.

Not every combination: each door meets 1 CPU and several, little memory and memory above 4 GiB, each
kind of machine, an old processor (qemu64: no 1 GiB pages, no SMEP, SMAP, UMIP) and a new one (max).
"""

from machine import Machine

COMMANDS = "info; mem; cpus; maps; test space; demo stale; purge; check"
COMMANDS_SMALL = f"test frame; {COMMANDS}"  # uses up all memory, which takes a minute where there is much
# Bochs keeps global entries across CR3 writes and has PCIDs and x2APIC, QEMU's TCG has none of it.
TLB_SUITES = ("shootdown", "smp", "vmap", "lazy", "stale", "revival", "frame_aliases", "kmap_local", "sparse", "protect",
              "huge", "hold", "poison", "bugs")
COMMANDS_BOCHS = "; ".join([COMMANDS, *(f"test {suite}" for suite in TLB_SUITES)])
TIMEOUT = 400  # seconds; most boots take one to five, UEFI ten, Bochs and Xen with 4 CPUs a minute or two
XEN_TIMEOUT = 600  # under Xen CPUs wait for each other more, and where they are more than the real ones for long

BOOTS = [
    # door        kind       CPUs memory  processor
    Machine("pvh", "q35", 1, "32M", "qemu64"),
    Machine("pvh", "q35", 2, "256M", "max"),
    Machine("pvh", "q35", 4, "256M", "max"),
    Machine("pvh", "q35", 8, "6G", "max"),
    Machine("pvh", "q35", 4, "16G", "max"),
    Machine("pvh", "q35", 64, "512M", "max"),
    Machine("pvh", "pc", 1, "256M", "max"),
    Machine("pvh", "pc", 4, "32M", "max"),
    Machine("pvh", "pc", 8, "256M", "qemu64"),
    Machine("pvh", "microvm", 1, "32M", "qemu64"),
    Machine("pvh", "microvm", 4, "256M", "max"),
    Machine("pvh", "microvm", 2, "6G", "max"),
    Machine("bios", "pc", 1, "32M", "max"),
    Machine("bios", "pc", 2, "6G", "qemu64"),
    Machine("bios", "q35", 4, "256M", "max"),
    Machine("bios", "q35", 8, "256M", "max"),
    Machine("uefi", "q35", 1, "256M", "qemu64"),
    Machine("uefi", "q35", 4, "256M", "max"),
    Machine("uefi", "q35", 2, "6G", "max"),
    Machine("uefi", "pc", 8, "256M", "max"),
    Machine("usb-bios", "q35", 2, "256M", "max"),
    Machine("usb-uefi", "q35", 2, "256M", "max"),
    Machine("bochs", "q35", 4, "256M"),
    Machine("bochs", "q35", 2, "64M", "corei7_sandy_bridge_2600k"),  # PCIDs, but no INVPCID
    Machine("bochs", "q35", 1, "32M"),
]

# Where all of the kernel's own tests run, and with what words on the command line.
TESTED = [
    Machine(smp=4),
    Machine(smp=1, cpu="qemu64", append="directmap=64M"),
    Machine(smp=4, append="directmap=64M lazy=off"),
    Machine(smp=2, append="directmap=25169920 lazy_max=0"),
    Machine(smp=8, append="lazy=pte"),
]

# All of them with the kernel that is built with UBSAN=1: in `make test`, and in `make test-ubsan`.
CHECKED = TESTED[:1]
CHECKED_ALL = [
    Machine(smp=1, cpu="qemu64", append="directmap=64M"),
    Machine(smp=8, append="lazy=pte"),
    Machine("xen", smp=2, mem="128M", cpu="Haswell", append="lazy=pte"),
]

# All of them again as a guest of Xen, as dom0 (as xl makes one: domu.py). Each number of vCPUs, size, policy and switch
# occurs, not each with each. Haswell has XPTI (Xen hides itself from the guest's page tables), the others have not.
XEN = [
    Machine("xen", smp=1, mem="64M", cpu="qemu64"),
    Machine("xen", smp=2, mem="128M", cpu="Haswell", append="lazy=off"),
    Machine("xen", smp=4, mem="256M", cpu="EPYC", append="lazy=pte"),
    Machine("xen", smp=2, mem="128M", append="directmap=32M"),
]
# With much memory the tests that use all of it up would take minutes.
XEN_BOOTS = [
    Machine("xen", smp=1, mem="1G", cpu="Haswell", append="lazy=pte"),
    Machine("xen", smp=4, mem="1G"),
    Machine("xen", smp=2, mem="5G"),  # more frames of its own than some addresses of the machine
]

def commands(machine):
    if machine.door == "bochs" and machine.smp > 1:
        return COMMANDS_BOCHS
    return COMMANDS_SMALL if machine.mem.endswith("M") else COMMANDS


def name(machine):
    return f"{machine.door}/{machine.kind}-{machine.smp}cpu-{machine.mem}-{machine.cpu}"
