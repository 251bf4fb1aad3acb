# SPDX-License-Identifier: Apache-2.0
"""Conversions compared, bit for bit, with the tools that define them.

Peers: numpy, ml_dtypes and gguf (PyPI); and, when WEIR_GGML_BASE names a libggml-base.so (one comes in the
npm package @node-llama-cpp/linux-x64), ggml's own C functions. Inputs are drawn at random, so scales are
also NaN, infinite and subnormal. NaN equals NaN whatever its payload; every other value must have equal
bits, -0 included.

    WEIR_BUILD=build python -m unittest discover --start-directory tests/peer
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import unittest
from pathlib import Path

import gguf
import ml_dtypes
import numpy as np

BUILD = Path(os.environ.get("WEIR_BUILD", Path(__file__).parents[2] / "build"))
CONVERT = BUILD / "tests" / "peer" / "convert_peer"
GGML_BASE = os.environ.get("WEIR_GGML_BASE")
BLOCKS = 4000

GGUF_READ = (
    "Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 Q2_K Q3_K Q4_K Q5_K Q6_K IQ1_S IQ1_M IQ2_XXS IQ2_XS IQ2_S IQ3_XXS IQ3_S "
    "IQ4_NL IQ4_XS TQ1_0 TQ2_0 MXFP4 NVFP4 BF16"
).split()
GGUF_WRITE = "Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 TQ1_0 TQ2_0 MXFP4 BF16".split()
GGML_READ = GGUF_READ[:-1] + ["Q1_0", "Q8_K"]
GGML_WRITE = GGUF_WRITE[:-1]
LEVELS = ("base", "avx2", "avx512")
SIZES = {
    name: gguf.GGML_QUANT_SIZES[getattr(gguf.GGMLQuantizationType, name)]
    for name in GGUF_READ + ["Q8_K"]
} | {"Q1_0": (128, 18)}


def convert(verb: str, dtype: str, data: np.ndarray, level: str | None = None) -> bytes:
    arguments = [CONVERT, verb, dtype] + ([level] if level else [])
    done = subprocess.run(arguments, input=data.tobytes(), capture_output=True, check=False)
    if done.returncode:
        raise AssertionError(done.stderr.decode())
    return done.stdout


def read(dtype: str, stored: np.ndarray, level: str | None = None) -> np.ndarray:
    return np.frombuffer(convert("read", dtype, stored, level), dtype=np.float32)


def write(dtype: str, values: np.ndarray, level: str | None = None) -> np.ndarray:
    return np.frombuffer(convert("write", dtype, values, level), dtype=np.uint8)


def levels() -> list[str]:
    """The SIMD levels of this machine; the first is always there."""
    one = np.zeros(2, dtype=np.uint8)
    found = []
    for level in LEVELS:
        try:
            convert("read", "BF16", one, level)
            found.append(level)
        except AssertionError:
            pass
    return found


def assert_same(mine: np.ndarray, theirs: np.ndarray, label: str) -> None:
    theirs = np.ascontiguousarray(theirs, dtype=np.float32).ravel()
    assert mine.size == theirs.size, label
    equal = (mine.view(np.uint32) == theirs.view(np.uint32)) | (np.isnan(mine) & np.isnan(theirs))
    if not equal.all():
        at = int(np.argmin(equal))
        raise AssertionError(f"{label}: {int((~equal).sum())} of {mine.size} differ, first {at}: "
                             f"{mine[at]!r} here, {theirs[at]!r} there")


def random_blocks(dtype: str, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (BLOCKS, SIZES[dtype][1]), dtype=np.uint8)


def values_for(dtype: str) -> np.ndarray:
    """Blocks of many sizes, exact halves between codes, constants, maxima just below a power of two,
    zeros of both signs."""
    rng = np.random.default_rng(7)
    size = SIZES[dtype][0] if dtype in SIZES else 1
    normal = rng.standard_normal((BLOCKS, size)) * np.exp2(rng.integers(-20, 12, (BLOCKS, 1)))
    halves = rng.integers(-64, 65, (BLOCKS, size)) / 2.0 * np.exp2(rng.integers(-9, 3, (BLOCKS, 1)))
    halves[:, 0] = rng.choice([-8.0, 15.0, 127.0, -127.0], BLOCKS)
    constant = np.repeat(rng.standard_normal((64, 1)), size, axis=1)
    bf16 = normal[:500].astype(ml_dtypes.bfloat16)
    below = (1 - np.arange(1, 9) * 2.0**-24) * np.exp2(np.arange(-100, 101)).reshape(-1, 1)
    powers = rng.uniform(-1, 1, (below.size, size)) * below.reshape(-1, 1)
    powers[:, -1] = below.ravel()
    zero = np.zeros((2, size))
    zero[1] = -0.0
    return np.concatenate([normal, halves, constant, bf16, powers, zero]).astype(np.float32)


class Plain(unittest.TestCase):
    def test_every_code_of_the_small_floats(self) -> None:
        codes = np.arange(256, dtype=np.uint8)
        for name, peer in {
            "F8_E5M2": ml_dtypes.float8_e5m2,
            "F8_E4M3": ml_dtypes.float8_e4m3fn,
            "F8_E8M0": ml_dtypes.float8_e8m0fnu,
            "F8_E4M3FNUZ": ml_dtypes.float8_e4m3fnuz,
            "F8_E5M2FNUZ": ml_dtypes.float8_e5m2fnuz,
        }.items():
            with self.subTest(name):
                assert_same(read(name, codes), codes.view(peer).astype(np.float32), name)

    def test_every_half_and_bfloat16(self) -> None:
        codes = np.arange(65536, dtype=np.uint16)
        for level in levels():
            assert_same(read("F16", codes, level), codes.view(np.float16).astype(np.float32), "F16")
            peer = codes.view(ml_dtypes.bfloat16).astype(np.float32)
            assert_same(read("BF16", codes, level), peer, "BF16")

    def test_integers_and_doubles(self) -> None:
        raw = np.random.default_rng(3).integers(0, 256, 1 << 16, dtype=np.uint8)
        for name, peer in {
            "F64": np.float64, "I64": np.int64, "I32": np.int32, "I16": np.int16, "I8": np.int8,
            "U64": np.uint64, "U32": np.uint32, "U16": np.uint16, "U8": np.uint8, "F32": np.float32,
        }.items():
            with self.subTest(name), np.errstate(over="ignore", invalid="ignore"):
                assert_same(read(name, raw), raw.view(peer).astype(np.float32), name)
        assert_same(read("BOOL", raw), (raw != 0).astype(np.float32), "BOOL")

    def test_writing_halves_and_bfloat16(self) -> None:
        rng = np.random.default_rng(5)
        bits = rng.integers(0, 1 << 32, 1 << 20, dtype=np.uint32)
        edges = np.arange(1 << 16, dtype=np.uint32) << 12 | 0x33000000
        values = np.concatenate([bits, edges, edges + 1, edges | 1 << 31]).view(np.float32)
        number = ~np.isnan(values)
        for name, peer in {"F16": np.float16, "BF16": ml_dtypes.bfloat16}.items():
            with self.subTest(name), np.errstate(all="ignore"):
                mine = write(name, values).view(np.uint16)
                theirs = values.astype(peer).view(np.uint16)
                self.assertTrue(np.array_equal(mine[number], theirs[number]))
                self.assertTrue(np.isnan(read(name, mine[~number])).all())


class Gguf(unittest.TestCase):
    def test_dequantisation(self) -> None:
        for name in GGUF_READ:
            kind = getattr(gguf.GGMLQuantizationType, name)
            stored = random_blocks(name, 11)
            with np.errstate(all="ignore"):
                theirs = gguf.quants.dequantize(stored, kind)
            for level in levels():
                with self.subTest(name, level=level):
                    assert_same(read(name, stored, level), theirs, name)

    def test_quantisation(self) -> None:
        for name in GGUF_WRITE:
            with self.subTest(name), np.errstate(all="ignore"):
                values = values_for(name)[:-1]  # a block of -0: the sign of d follows ggml
                theirs = gguf.quants.quantize(values, getattr(gguf.GGMLQuantizationType, name))
                for level in levels():
                    mine = write(name, values, level)
                    self.assertTrue(np.array_equal(mine, theirs.view(np.uint8).ravel()), level)


@unittest.skipUnless(GGML_BASE, "WEIR_GGML_BASE names no libggml-base.so")
class Ggml(unittest.TestCase):
    def setUp(self) -> None:
        self.ggml = ctypes.CDLL(GGML_BASE)

    def test_dequantisation(self) -> None:
        for name in GGML_READ:
            spelling = name.lower().replace("_k", "_K") if name.startswith("Q") else name.lower()
            theirs = np.empty(BLOCKS * SIZES[name][0], dtype=np.float32)
            stored = random_blocks(name, 13)
            getattr(self.ggml, f"dequantize_row_{spelling}")(
                stored.ctypes.data_as(ctypes.c_void_p),
                theirs.ctypes.data_as(ctypes.c_void_p), ctypes.c_int64(theirs.size))
            for level in levels():
                with self.subTest(name, level=level):
                    assert_same(read(name, stored, level), theirs, name)

    def test_quantisation(self) -> None:
        for name in GGML_WRITE:
            with self.subTest(name):
                values = values_for(name)
                theirs = np.empty(values.size // SIZES[name][0] * SIZES[name][1], dtype=np.uint8)
                getattr(self.ggml, f"quantize_row_{name.lower()}_ref")(
                    values.ctypes.data_as(ctypes.c_void_p),
                    theirs.ctypes.data_as(ctypes.c_void_p), ctypes.c_int64(values.size))
                for level in levels():
                    self.assertTrue(np.array_equal(write(name, values, level), theirs), level)


if __name__ == "__main__":
    unittest.main()
