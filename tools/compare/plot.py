#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""plot.py CSV: draws the figures of `make compare` as SVG beside the CSV file.

  compare-cost.svg   instructions a loop over pages, a panel for each call; both axes logarithmic
  compare-scale.svg  time a loop and IPIs, bars for each number of CPUs

Drawn by hand, so that nothing has to be installed and the same figures give the same bytes. Colours follow the
reader's light or dark theme; what made the figures is in each picture's <desc>.
"""

import math
import os
import sys
from xml.sax.saxutils import escape

import figures

STYLE = """
text { font: 13px sans-serif; fill: #24292f }
.title { font-size: 15px; font-weight: bold }
.small { font-size: 11px }
.paper { fill: #ffffff }
.grid { stroke: #d8dee4; stroke-width: 1 }
.line { fill: none; stroke-width: 2 }
.linux { fill: #c4510a } .line.linux { fill: none; stroke: #c4510a }
.ours { fill: #0b62c4 } .line.ours { fill: none; stroke: #0b62c4 }
.goal { stroke: #1a7f37; stroke-dasharray: 7 4 }
.floor { stroke: #6e7781; stroke-dasharray: 2 4 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 }
  .paper { fill: #0d1117 }
  .grid { stroke: #30363d }
  .linux { fill: #f0883e } .line.linux { fill: none; stroke: #f0883e }
  .ours { fill: #58a6ff } .line.ours { fill: none; stroke: #58a6ff }
  .goal { stroke: #3fb950 }
  .floor { stroke: #8b949e }
}
"""
TOP, BOTTOM, GAP, LEFT = 92, 56, 34, 90  # around and between panels
HEIGHT = 320  # of a panel
DOT = 3.5


def number(value):
    """=> the figure for people, in groups of three"""
    return f"{value:,}".replace(",", "\u202f")


def text(x, y, words, anchor="middle", kind="", turn=0):
    turned = f' transform="rotate({turn} {x:.1f} {y:.1f})"' if turn else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" class="{kind}"{turned}>{escape(words)}</text>'


def stroke(points, kind):
    return f'<polyline class="{kind}" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in points)}"/>'


class Panel:
    """A frame with its places on the x axis and its scale on the y axis."""

    def __init__(self, left, width, places, position):
        # position: from a value to its height, 0 at the bottom, 1 at the top
        self.left, self.width, self.places, self.position = left, width, places, position

    def x(self, index):
        return self.left + self.width * (index + 0.5) / len(self.places)

    def y(self, value):
        return TOP + HEIGHT * (1 - self.position(value))

    def frame(self, title, x_title, y_title, ticks, labelled=True):
        yield text(self.left + self.width / 2, TOP - 14, title, kind="title")
        for tick in ticks:
            yield stroke([(self.left, self.y(tick)), (self.left + self.width, self.y(tick))], "grid")
            if labelled:
                yield text(self.left - 8, self.y(tick) + 4, number(tick), "end")
        if labelled:
            yield text(self.left - 74, TOP + HEIGHT / 2, y_title, turn=-90)
        for index, place in enumerate(self.places):
            yield text(self.x(index), TOP + HEIGHT + 18, str(place))
        yield text(self.left + self.width / 2, TOP + HEIGHT + 42, x_title)


def legend(entries):
    """=> lines and their names, in a row at the top"""
    x = LEFT
    for kind, words in entries:
        yield stroke([(x, 46), (x + 28, 46)], f"line {kind}")
        if kind in ("linux", "ours"):
            yield f'<circle class="{kind}" cx="{x + 14}" cy="46" r="{DOT}"/>'
        yield text(x + 36, 50, words, "start")
        x += 60 + 7.2 * len(words)


def picture(path, width, title, notes, parts):
    height = TOP + HEIGHT + BOTTOM
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join([
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
            f'height="{height}" role="img">',
            f"<title>{escape(title)}</title>", f"<desc>{escape(chr(10).join(notes))}</desc>",
            f"<style>{STYLE}</style>", f'<rect class="paper" width="{width}" height="{height}"/>',
            text(LEFT, 26, title, "start", "title"), *parts, "</svg>", ""]))


# --- Instructions a loop ------------------------------------------------------------------------

def decades(values):
    """=> the powers of ten from below the least to above the greatest value"""
    return [10 ** i for i in range(math.floor(math.log10(min(values))), math.ceil(math.log10(max(values))) + 1)]


def curves(panel, rows):
    for kind, field in (("floor", "floor"), ("goal", "at_most"), ("linux", "linux"), ("ours", "ours")):
        points = [(panel.x(index), panel.y(getattr(row, field))) for index, row in enumerate(rows)]
        yield stroke(points, f"line {kind}")
        if kind in ("linux", "ours"):
            for (x, y), row in zip(points, rows):
                yield f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="{DOT}"/>'
                yield text(x - 6, y - 9, number(getattr(row, field)), kind=f"small {kind}")


def draw_cost(path, notes, rows):
    rows = [row for row in rows if row.call in figures.AT_MOST and row.what == "insns"]
    ticks = decades([value for row in rows for value in (row.linux, row.ours, row.at_most, row.floor)])
    low, high = math.log10(ticks[0]), math.log10(ticks[-1])
    width, parts = 290, list(legend([("linux", "Linux"), ("ours", "Lazymap"), ("goal", "Lazymap's goal, at most"),
                                     ("floor", "floor: the stores, clears and reads alone")]))
    for index, call in enumerate(figures.AT_MOST):
        of_call = [row for row in rows if row.call == call]
        panel = Panel(LEFT + index * (width + GAP), width, [row.pages for row in of_call],
                      lambda value: (math.log10(value) - low) / (high - low))
        parts += panel.frame(call, "pages", "instructions a loop", ticks, labelled=index == 0)
        parts += curves(panel, of_call)
    picture(path, LEFT + 3 * (width + GAP), "Map, read a byte of every page, unmap: what it costs on one CPU", notes,
            parts)


# --- Several CPUs -------------------------------------------------------------------------------

def round_steps(most):
    """=> values to label from 0 to at least `most`, by steps of 1, 2 or 5 times a power of ten"""
    power = 10 ** max(0, math.floor(math.log10(max(most, 1))) - 1)
    step = next(step * power for step in (1, 2, 5, 10, 20, 50) if step * power * 6 >= most)
    return list(range(0, max(most, 1) + step, step))


def bars(panel, rows):
    width = panel.width / len(rows) * 0.3
    for index, row in enumerate(rows):
        for kind, value, left in (("linux", row.linux, panel.x(index) - width - 2), ("ours", row.ours, panel.x(index) + 2)):
            top = panel.y(value)
            yield (f'<rect class="{kind}" x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" '
                   f'height="{panel.y(0) - top:.1f}"/>')
            yield text(left + width / 2, top - 6, number(value), kind=f"small {kind}")


def draw_scale(path, notes, rows):
    width, parts = 400, list(legend([("linux", "Linux"), ("ours", "Lazymap")]))
    panels = (("ns", "time", "ns a loop, on each CPU"), ("ipis", "interrupts", "IPIs in a million loops"))
    for index, (what, title, y_title) in enumerate(panels):
        of_panel = [row for row in rows if row.what == what]
        ticks = round_steps(max(max(row.linux, row.ours) for row in of_panel))
        panel = Panel(LEFT + index * (width + GAP + LEFT), width, [row.cpus for row in of_panel],
                      lambda value, most=ticks[-1]: value / most)
        parts += panel.frame(title, "CPUs that loop at once", y_title, ticks)
        parts += bars(panel, of_panel)
    picture(path, 2 * (LEFT + width + GAP), f"vmap of {figures.SCALE_PAGES} pages, read, vunmap, on several CPUs at once",
            notes, parts)


def draw_all(csv):
    """=> the pictures drawn beside the CSV file"""
    notes, rows = figures.read_csv(csv)
    base = os.path.splitext(csv)[0]
    draw_cost(f"{base}-cost.svg", notes, rows)
    draw_scale(f"{base}-scale.svg", notes, rows)
    return [f"{base}-cost.svg", f"{base}-scale.svg"]


if __name__ == "__main__":
    print("\n".join(draw_all(*sys.argv[1:])))
