# SPDX-License-Identifier: Apache-2.0
"""Draw coloured terminal output as an SVG picture.

usage: weir diff BASE MODEL (on a terminal, or through `script`) | make_picture.py > picture.svg
Understands what weir prints: bold, dim, the eight colours and the 256-colour palette.
"""

from __future__ import annotations

import html
import re
import sys

CELL_WIDTH, CELL_HEIGHT, MARGIN = 8.4, 18, 14
PAPER, INK, DIM = "#ffffff", "#24292f", "#8c959f"
NAMED = {31: "#cf222e", 32: "#1a7f37", 33: "#9a6700"}
CUBE = (0, 95, 135, 175, 215, 255)
ESCAPE = re.compile(r"\033\[([0-9;]*)m")


def palette(index: int) -> str:
    """A colour of the 256-colour palette; weir uses only its cube."""
    red, green, blue = (index - 16) // 36, (index - 16) // 6 % 6, (index - 16) % 6
    return f"#{CUBE[red]:02x}{CUBE[green]:02x}{CUBE[blue]:02x}"


def style(codes: str) -> str:
    numbers = [int(code) for code in codes.split(";") if code]
    if numbers[:2] == [38, 5]:
        return f'fill="{palette(numbers[2])}"'
    weight = ' font-weight="bold"' if 1 in numbers else ""
    colour = next((NAMED[n] for n in numbers if n in NAMED), DIM if 2 in numbers else INK)
    return f'fill="{colour}"{weight}'


def draw_line(line: str, y: float) -> list[str]:
    parts = ESCAPE.split(line)
    out, column, look = [], 0, style("")
    for position, part in enumerate(parts):
        if position % 2:
            look = style(part)
        elif part:
            x = MARGIN + column * CELL_WIDTH
            width = len(part) * CELL_WIDTH
            text = html.escape(part)
            out.append(f'<text x="{x:.1f}" y="{y:.1f}" textLength="{width:.1f}" xml:space="preserve" {look}>{text}</text>')
            column += len(part)
    return out


def main() -> None:
    lines = [line.rstrip("\r\n") for line in sys.stdin]
    columns = max((len(ESCAPE.sub("", line)) for line in lines), default=1)
    width, height = 2 * MARGIN + columns * CELL_WIDTH, 2 * MARGIN + len(lines) * CELL_HEIGHT
    print(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" '
          f'font-family="ui-monospace, DejaVu Sans Mono, monospace" font-size="14">')
    print(f'<rect width="100%" height="100%" fill="{PAPER}"/>')
    for number, line in enumerate(lines):
        print("\n".join(draw_line(line, MARGIN + (number + 0.75) * CELL_HEIGHT)))
    print("</svg>")


if __name__ == "__main__":
    main()
