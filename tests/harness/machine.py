# SPDX-License-Identifier: MIT
"""A machine to boot the kernel on: what it is made of, and how QEMU or Bochs is told to be it.

Everything that starts an emulator, for people (tests/harness/run.py) or for tests, takes its command from
here, so a failing test can be repeated by hand with the very same machine.

A door is the way in: "pvh" (QEMU loads the ELF itself), "bios" and "uefi" (GRUB from the ISO, as a CD),
"usb-bios" and "usb-uefi" (the same ISO as a stick), "bochs" (GRUB from the ISO in Bochs), and those that
lead through Xen (xen.py).
"""

import glob
import os
import subprocess
from typing import NamedTuple

import xen

# QEMU's status when the kernel writes 0x10 or 0x11 to the debug-exit port: (value << 1) | 1.
EXIT_PASS, EXIT_FAIL = 33, 35
DEBUG_EXIT = "isa-debug-exit,iobase=0xf4,iosize=4"

DOORS = ("pvh", "bios", "uefi", "usb-bios", "usb-uefi", "bochs", *xen.DOORS)

OVMF_CODE = ("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_CODE.fd",
             "/usr/share/edk2/*/OVMF_CODE.4m.fd", "/usr/share/edk2/*/OVMF_CODE.fd")
BOCHS_ROMS = "/usr/share/bochs"
BOCHS_MAX = "corei7_icelake_u"  # what "max" is there


class Machine(NamedTuple):
    door: str = "pvh"
    kind: str = "q35"  # q35, pc or microvm
    smp: int = 4
    mem: str = "256M"  # what the kernel gets; Xen and its dom0 have more
    cpu: str = "max"  # a model of QEMU's or Bochs's
    accel: str = "tcg"
    append: str = ""  # kernel command line
    video: str = ""  # for GRUB: "text", "auto" or a mode such as 800x600x32; see iso/grub.cfg
    extra: tuple = ()  # more arguments for QEMU


def first_file(patterns):
    for pattern in patterns:
        for path in sorted(glob.glob(pattern)):
            return path
    raise FileNotFoundError(f"none of {', '.join(patterns)} is there (make doctor)")


def megabytes(mem):
    """=> the number that "256M" or "6G" means"""
    return int(mem[:-1]) * {"M": 1, "G": 1024}[mem[-1]]


def image(machine, build, scratch):
    """=> what the machine boots: the ELF, the menu ISO, or an ISO made now for this command line."""
    if machine.door == "pvh":
        return f"{build}/lazymap.elf"
    if not machine.append and not machine.video:
        return f"{build}/lazymap.iso"
    iso = f"{scratch}.iso"
    subprocess.run(["tools/mkiso.sh", f"{build}/lazymap.stripped", iso, machine.append, machine.video],
                   check=True)
    return iso


def native(machine, build, scratch):
    """=> the part of QEMU's command that says what is booted, and what it is given"""
    argv = ["-cpu", machine.cpu, "-m", machine.mem]
    boots = image(machine, build, scratch)
    if machine.door.endswith("uefi"):
        code = first_file(OVMF_CODE)
        # The variables' store is written to; snapshot=on keeps the writes from the file.
        argv += ["-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={code}",
                 "-drive", f"if=pflash,unit=1,format=raw,snapshot=on,file={code.replace('CODE', 'VARS')}"]
    if machine.door == "pvh":
        argv += ["-kernel", boots, "-append", machine.append]
    elif machine.door.startswith("usb"):
        argv += ["-device", "qemu-xhci", "-device", "usb-storage,drive=stick,bootindex=0",
                 "-drive", f"id=stick,if=none,format=raw,snapshot=on,file={boots}"]
    else:
        argv += ["-cdrom", boots]
    return argv


def qemu(machine, build, scratch, serial):
    """=> the command. `serial` is the chardev of the serial port that the kernel is heard by, with id=com1."""
    argv = ["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
            "-machine", machine.kind, "-accel", machine.accel, "-smp", str(machine.smp), "-device", DEBUG_EXIT]
    if machine.kind != "microvm":
        argv += ["-vga", "std"]
    if machine.door in xen.DOORS:
        argv += xen.arguments(machine, megabytes(machine.mem), build, scratch)
    else:
        argv += native(machine, build, scratch)
    return argv + ["-chardev", serial, "-serial", "chardev:com1", *machine.extra]


# One line an option. `-rc` below gives the debugger, which Debian's Bochs is built with, the word
# to go on. Sound is off because asking for a sound card crashes Bochs where there is none.
BOCHSRC = """\
megs: {megs}
cpu: model={model}, count={smp}, ips=100000000, reset_on_triple_fault=0
clock: sync=none
romimage: file={roms}/BIOS-bochs-latest
vgaromimage: file={roms}/VGABIOS-lgpl-latest
ata0-master: type=cdrom, path={iso}, status=inserted
boot: cdrom
com1: enabled=1, mode=term, dev={tty}
display_library: rfb, options="timeout=0"
sound: waveoutdrv=dummy, waveindrv=dummy, midioutdrv=dummy
speaker: enabled=0
log: {scratch}.bochs
panic: action=fatal
error: action=report
info: action=ignore
"""


def bochs(machine, build, scratch, tty):
    """=> the command; the first serial port is the terminal `tty`."""
    with open(f"{scratch}.bochsrc", "w", encoding="ascii") as rc:
        rc.write(BOCHSRC.format(megs=megabytes(machine.mem), smp=machine.smp, roms=BOCHS_ROMS, tty=tty,
                                model=BOCHS_MAX if machine.cpu == "max" else machine.cpu,
                                iso=os.path.abspath(image(machine, build, scratch)), scratch=scratch))
    with open(f"{scratch}.bochsgo", "w", encoding="ascii") as go:
        go.write("continue\n")
    return ["bochs", "-q", "-f", f"{scratch}.bochsrc", "-rc", f"{scratch}.bochsgo"]
