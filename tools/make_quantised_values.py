# SPDX-License-Identifier: Apache-2.0
"""Write tests/data/quantised/: numbers, and what llama.cpp's own encoders make of them.

    base.txt    matrix ROWS,COLS and base HEX: bfloat16, little-endian, row-major
    CASE.txt    dtype NAME and stored HEX: those rows quantised

One file a type and kind: plain, and _weighted with an importance matrix of log-normal weights.

Needs numpy, gguf and llama.cpp's libraries (tools/llama-libraries):
    python tools/make_quantised_values.py FOLDER_OF_LIBRARIES
"""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path

import gguf
import numpy as np

OUT = Path(__file__).resolve().parent.parent / "tests" / "data" / "quantised"
ROWS, COLS = 32, 256
TYPES = "Q4_0 Q5_0 Q2_K Q3_K Q4_K Q5_K Q6_K IQ4_NL IQ4_XS IQ3_S IQ2_S NVFP4".split()
WEIGHTED = "Q4_0 Q4_1 Q5_0 Q5_1 Q2_K Q3_K Q4_K Q5_K Q6_K IQ4_NL IQ4_XS IQ3_XXS IQ2_XS IQ1_M".split()


def quantise(library: ctypes.CDLL, name: str, values: np.ndarray, weights: np.ndarray | None) -> bytes:
    kind = gguf.GGMLQuantizationType[name]
    elements, size = gguf.GGML_QUANT_SIZES[kind]
    out = np.zeros(values.size // elements * size, np.uint8)
    library.ggml_quantize_init(int(kind))
    library.ggml_quantize_chunk.restype = ctypes.c_size_t
    written = library.ggml_quantize_chunk(
        int(kind), values.ctypes.data_as(ctypes.c_void_p), out.ctypes.data_as(ctypes.c_void_p), ctypes.c_int64(0),
        ctypes.c_int64(len(values)), ctypes.c_int64(values.shape[1]),
        None if weights is None else weights.ctypes.data_as(ctypes.c_void_p))
    assert written == out.size, name
    return out.tobytes()


def write(case: str, lines: list[str]) -> None:
    text = ["# Made by tools/make_quantised_values.py; do not edit.", *lines]
    (OUT / f"{case}.txt").write_text("\n".join(text) + "\n")


def main() -> int:
    library = ctypes.CDLL(str(next(Path(sys.argv[1]).glob("libggml-base.*so*"))))
    rng = np.random.default_rng(23)
    values = (rng.standard_normal((ROWS, COLS)) * 0.02 * rng.lognormal(0, 0.3, COLS)).astype(np.float32)
    stored = (values.view(np.uint32) >> 16).astype(np.uint16)  # cut to bfloat16
    base = (stored.astype(np.uint32) << 16).view(np.float32)
    weights = rng.lognormal(0, 1, COLS).astype(np.float32)
    OUT.mkdir(exist_ok=True)
    write("base", [f"matrix {ROWS},{COLS}", f"base {stored.tobytes().hex()}"])
    for name, by in [(name, None) for name in TYPES] + [(name, weights) for name in WEIGHTED]:
        case = name.lower() + ("" if by is None else "_weighted")
        write(case, [f"dtype {name}", f"stored {quantise(library, name, base, by).hex()}"])
    return 0


if __name__ == "__main__":
    sys.exit(main())
