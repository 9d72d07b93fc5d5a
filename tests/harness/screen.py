# SPDX-License-Identifier: MIT
"""Reads the emulated screen, as a person would: what characters stand on it.

QEMU tells over its control socket (QMP): in text mode the characters are in memory; on a framebuffer
each cell's pixels are compared with the glyphs of the font that the kernel was given.
"""

import gzip
import json
import socket

from machine import first_file

FONTS = ("/usr/share/consolefonts/Lat15-Fixed16.psf.gz", "/usr/*/kbd/consolefonts/default8x16.psfu.gz")
PSF1_MAGIC, PSF1_HEADER = b"\x36\x04", 4  # magic, mode, bytes a glyph; 8 pixels wide
GLYPH_WIDTH = 8
TEXT_PA, TEXT_COLUMNS, TEXT_ROWS = 0xB8000, 80, 25


def watched(machine, path):
    """=> the machine with a control socket at `path`"""
    return machine._replace(extra=machine.extra + ("-qmp", f"unix:{path},server=on,wait=off"))


class Screen:
    def __init__(self, guest, path):
        guest.wait_for_file(path)
        self.file = path + ".dump"
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.lines = self.socket.makefile("r", encoding="utf-8")
        self.lines.readline()  # the greeting
        self.ask("qmp_capabilities")

    def ask(self, command, **arguments):
        self.socket.sendall(json.dumps({"execute": command, "arguments": arguments}).encode())
        while True:
            answer = json.loads(self.lines.readline())
            if "error" in answer:
                raise RuntimeError(f"{command}: {answer['error']['desc']}")
            if "return" in answer:
                return

    def text_mode(self):
        """=> the lines on a VGA text screen"""
        self.ask("pmemsave", val=TEXT_PA, size=2 * TEXT_COLUMNS * TEXT_ROWS, filename=self.file)
        with open(self.file, "rb") as dump:
            characters = dump.read()[::2].decode("latin-1")  # every other byte is a colour
        return [characters[at:at + TEXT_COLUMNS].rstrip() for at in range(0, len(characters), TEXT_COLUMNS)]

    def framebuffer(self):
        """=> the lines on a framebuffer that were drawn with the font; '.' where no glyph fits"""
        with gzip.open(first_file(FONTS)) as file:
            font = file.read()
        assert font[:2] == PSF1_MAGIC
        height = font[3]
        glyphs = {font[PSF1_HEADER + code * height:][:height]: chr(code) for code in range(126, 31, -1)}
        self.ask("screendump", filename=self.file)
        with open(self.file, "rb") as dump:
            _, size, _, pixels = dump.read().split(b"\n", 3)  # P6, width and height, 255
        width, rows = map(int, size.split())
        lit = [any(pixels[at:at + 3]) for at in range(0, len(pixels), 3)]

        def cell(column, row):
            shape = bytearray()
            for y in range(row * height, (row + 1) * height):
                at = y * width + column * GLYPH_WIDTH
                shape.append(sum(128 >> x for x in range(GLYPH_WIDTH) if lit[at + x]))
            return glyphs.get(bytes(shape), ".")
        return ["".join(cell(column, row) for column in range(width // GLYPH_WIDTH)).rstrip()
                for row in range(rows // height)]
