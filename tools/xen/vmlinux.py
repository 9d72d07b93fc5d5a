#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""vmlinux.py VMLINUZ OUT: the ELF file packed into a Linux image, which Xen then need not unpack.

Unpacking takes Xen in an emulator seconds at each boot, and us a moment once. Where the packed part lies is
told by the image's header (Linux, Documentation/arch/x86/boot.rst: setup_sects, payload_offset and
payload_length). Debian packs it by xz; an image packed otherwise is copied as it is, and unpacked by Xen.
"""

import lzma
import struct
import sys

SECTOR = 512
SETUP_SECTORS, PAYLOAD = 0x1f1, 0x248
XZ = b"\xfd7zXZ\0"


def unpacked(image):
    """=> the ELF file, or the image where it is packed by something else than xz"""
    offset, length = struct.unpack_from("<II", image, PAYLOAD)
    start = (image[SETUP_SECTORS] + 1) * SECTOR + offset
    payload = image[start:start + length]
    return lzma.LZMADecompressor(lzma.FORMAT_XZ).decompress(payload) if payload.startswith(XZ) else image


def main(vmlinuz, out):
    with open(vmlinuz, "rb") as file:
        image = file.read()
    with open(out, "wb") as file:
        file.write(unpacked(image))


if __name__ == "__main__":
    main(*sys.argv[1:])
