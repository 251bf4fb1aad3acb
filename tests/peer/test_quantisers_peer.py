# SPDX-License-Identifier: Apache-2.0
"""Quantisations by other tools, held against the base that they were made of and against changed ones.

Packed layouts are written by the e2e tests' packers; where WEIR_GGML_BASE names a libggml-base.so, ggml's own
encoders quantise, with and without an importance matrix.

    WEIR_BUILD=build python -m unittest discover --start-directory tests/peer
"""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import gguf
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "e2e"))
import models
import packed

BUILD = Path(os.environ.get("WEIR_BUILD", Path(__file__).parents[2] / "build"))
PEERS = BUILD / "tests" / "peer"
GGML_BASE = os.environ.get("WEIR_GGML_BASE")
ROWS, COLS = 256, 512
NEAREST = "Q2_K Q3_K Q4_K Q5_K Q6_K IQ4_NL IQ4_XS NVFP4 MXFP4".split()
WEIGHTED = "Q4_0 Q5_0 Q2_K Q3_K Q4_K Q5_K Q6_K IQ4_NL IQ4_XS".split()


def matrix(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    values = (rng.standard_normal((ROWS, COLS)) * 0.02 * rng.lognormal(0, 0.3, COLS)).astype(np.float32)
    return (values.view(np.uint32) & 0xFFFF0000).view(np.float32)  # bfloat16


def changed(values: np.ndarray, size: float, seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed + 1000).standard_normal(values.shape).astype(np.float32)
    return values + noise * np.float32(size * np.sqrt((values**2).mean()))


def quantise(name: str, values: np.ndarray, weights: np.ndarray | None) -> bytes:
    library = ctypes.CDLL(str(GGML_BASE))
    kind = gguf.GGMLQuantizationType[name]
    elements, size = gguf.GGML_QUANT_SIZES[kind]
    out = np.zeros(values.size // elements * size, np.uint8)
    library.ggml_quantize_init(int(kind))
    library.ggml_quantize_chunk.restype = ctypes.c_size_t
    library.ggml_quantize_chunk(
        int(kind), values.ctypes.data_as(ctypes.c_void_p), out.ctypes.data_as(ctypes.c_void_p), ctypes.c_int64(0),
        ctypes.c_int64(len(values)), ctypes.c_int64(values.shape[1]),
        None if weights is None else weights.ctypes.data_as(ctypes.c_void_p))
    return out.tobytes()


def explained(name: str, stored: bytes, base: np.ndarray) -> float:
    done = subprocess.run([PEERS / "cells_dump", name, str(base.size), "1"], input=stored + base.tobytes(),
                          capture_output=True, check=True)
    cells = json.loads(done.stdout)
    return float(max(cells["equal"], cells["one_step"]) / cells["count"])


@unittest.skipUnless(GGML_BASE, "WEIR_GGML_BASE names no libggml-base.so")
class Ggml(unittest.TestCase):
    def test_codes_tell_the_base_from_one_changed_by_one_percent(self) -> None:
        """The two never overlap: the area under the curve is 1."""
        for name, weights in [(name, None) for name in NEAREST] + [(name, "importance") for name in WEIGHTED]:
            for seed in range(3):
                with self.subTest(name, weights=weights, seed=seed):
                    base = matrix(seed)
                    by = np.random.default_rng(seed).lognormal(0, 1, COLS).astype(np.float32) if weights else None
                    self.assertEqual(explained(name, quantise(name, base, by), base), 1.0)
                    for size in (0.003, 0.01):
                        other = quantise(name, changed(base, size, seed), by)
                        self.assertLess(explained(name, other, base), 0.9995)


def proofs(base: Path, model: Path, *kinds: str) -> list[dict]:
    done = subprocess.run([PEERS / "proofs_dump", base, model, *kinds], capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


class Packed(unittest.TestCase):
    def test_every_packer_of_the_base_is_proved_and_of_a_changed_one_is_not(self) -> None:
        tensors = models.llama_tensors(5)
        rng = np.random.default_rng(6)
        other = {name: values + 0.02 * values.std() * rng.standard_normal(values.shape).astype(np.float32)
                 for name, values in tensors.items()}
        with tempfile.TemporaryDirectory() as folder:
            base = models.write_folder(Path(folder) / "base", tensors)
            for kind, packer in packed.PACKERS.items():
                for what, source in (("same", tensors), ("changed", other)):
                    with self.subTest(kind, of=what):
                        stored, _ = packed.packed_model(source, packer)
                        model = models.write_folder(Path(folder) / f"{kind}-{what}", stored)
                        found = [row["containment"] for row in proofs(base, model, "containment")
                                 if "containment" in row]
                        self.assertEqual(len(found), 7 * models.LAYERS)
                        for row in found:
                            if what == "same":
                                self.assertGreaterEqual(row["explained"], 0.9999)
                            else:
                                self.assertLess(row["explained"], 0.9999)
                                self.assertNotEqual(row["verdict"], "proved")


if __name__ == "__main__":
    unittest.main()
