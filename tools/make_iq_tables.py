# SPDX-License-Identifier: Apache-2.0
"""Write src/kernel/iq_tables.c from the grids of the installed gguf package (PyPI; 0.19.0 was used).

    python tools/make_iq_tables.py > src/kernel/iq_tables.c

A grid is a fact of the IQ formats: code c of a block stands for row c of the grid. gguf keeps a row packed,
2 bits (8 elements) or 4 bits (4 elements) each, lowest bits first; so do we.
"""

from __future__ import annotations

import gguf.quants as quants

HEAD = """/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Made by tools/make_iq_tables.py; do not edit. The grids of ggml's IQ types: one row a code, the
 * elements packed from the lowest bits up, 2 bits each (IQ1, IQ2: 8 a row) or 4 bits each (IQ3: 4
 * a row). read_iq.h says what the small numbers stand for.
 *
 * Source: gguf-py quants.py (grid_hex) of ggml-org/llama.cpp.
 */
#include "kernel/iq_tables.h"
"""
GRIDS = ("IQ1_S", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS", "IQ3_S")
WORDS_PER_LINE = 12


def table(name: str) -> str:
    packed = bytes.fromhex(getattr(quants, name).grid_hex.decode())
    words = [f"0x{packed[i + 1]:02X}{packed[i]:02X}" for i in range(0, len(packed), 2)]
    lines = [
        "    " + ", ".join(words[i : i + WORDS_PER_LINE]) + ","
        for i in range(0, len(words), WORDS_PER_LINE)
    ]
    head = f"\n/* clang-format off */\nconst uint16_t {name.lower()}_grid[{len(words)}] = {{\n"
    return head + "\n".join(lines) + "\n};\n/* clang-format on */"


if __name__ == "__main__":
    print(HEAD + "\n".join(table(name) for name in GRIDS))
