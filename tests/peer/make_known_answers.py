# SPDX-License-Identifier: Apache-2.0
"""Print the tables of tests/unit/kernel: what numpy, ml_dtypes and gguf (PyPI) answer.

    python tests/peer/make_known_answers.py      gguf 0.19.0, numpy 2.4.6 and ml_dtypes 0.6.0 were used

Each row hashes (FNV-1a, 64 bits) the answer for a few blocks drawn from splitmix64 with the row's seed: the
first seed whose answer is finite throughout, since the payload of a NaN is nobody's contract.
"""

from __future__ import annotations

import gguf
import numpy as np
from test_convert_peer import GGUF_READ, GGUF_WRITE, SIZES

BLOCKS = 6
MASK = (1 << 64) - 1


class Draw:
    def __init__(self, seed: int) -> None:
        self.state = seed

    def __call__(self) -> int:
        self.state = (self.state + 0x9E3779B97F4A7C15) & MASK
        z = self.state
        z = ((z ^ z >> 30) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ z >> 27) * 0x94D049BB133111EB) & MASK
        return (z ^ z >> 31) >> 32


def fnv1a(data: bytes) -> int:
    value = 0xCBF29CE484222325
    for byte in data:
        value = ((value ^ byte) * 0x100000001B3) & MASK
    return value


def row_of_reading(name: str) -> str:
    kind = getattr(gguf.GGMLQuantizationType, name)
    for seed in range(1, 1000):
        draw = Draw(seed)
        stored = np.array([draw() >> 24 for _ in range(BLOCKS * SIZES[name][1])], dtype=np.uint8)
        with np.errstate(all="ignore"):
            values = gguf.quants.dequantize(stored.reshape(BLOCKS, -1), kind).ravel()
        if np.isfinite(values).all():
            return f"    {{WEIR_DTYPE_{name}, {seed}, 0x{fnv1a(values.tobytes()):016X}}},"
    raise ValueError(name)


def row_of_writing(name: str) -> str:
    draw = Draw(1)
    raw = [draw() for _ in range(BLOCKS * SIZES[name][0])]
    values = np.array([((r >> 8) % 2001 - 1000.0) / (1 << r % 16) for r in raw], dtype=np.float32)
    stored = gguf.quants.quantize(values.reshape(BLOCKS, -1), getattr(gguf.GGMLQuantizationType, name))
    return f"    {{WEIR_DTYPE_{name}, 1, 0x{fnv1a(stored.view(np.uint8).tobytes()):016X}}},"


def row_of_statistics(label: str, scale: float) -> str:
    draw = Draw(9)
    raw = np.array([[draw() % 2001 - 1000.0, draw() % 2001 - 1000.0] for _ in range(1000)])
    a, b = (np.float32(scale) * raw.astype(np.float32)).T.astype(np.float64)
    d = b - a
    step = np.exp2(2 * np.floor(np.log2(np.abs(a[a != 0]))))
    numbers = [a @ a, b @ b, a @ b, d @ d, step.sum(), np.abs(d).max()]
    return f"    /* {label} */ {{{scale!r}, " + ", ".join(float(n).hex() for n in numbers) + "},"


if __name__ == "__main__":
    print("reading", *[row_of_reading(name) for name in GGUF_READ], sep="\n")
    print("writing", *[row_of_writing(name) for name in GGUF_WRITE], sep="\n")
    print("statistics", row_of_statistics("common", 2.0**-10), row_of_statistics("squares overflow", 2.0**100),
          row_of_statistics("squares underflow", 2.0**-120), row_of_statistics("subnormal", 2.0**-145), sep="\n")
