# SPDX-License-Identifier: Apache-2.0
"""Small models with packed weights, quantised by rounding to nearest and packed by numpy alone.

Every packer takes the module's name and its weight [outputs, inputs], and gives the tensors to store and the numbers
that they stand for.
"""

from __future__ import annotations

import json
from collections.abc import Callable

import ml_dtypes
import numpy as np
from models import Tensors

Packer = Callable[[str, np.ndarray], tuple[Tensors, np.ndarray]]
GROUP = 32
NF4 = np.array([-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635,
                -0.18477343022823334, -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725,
                0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941,
                0.7229568362236023, 1.0], np.float32)


def grouped(weight: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """4-bit codes, scales and zero points of groups of inputs, and the numbers they stand for."""
    rows, cols = weight.shape
    parts = weight.reshape(rows, -1, GROUP)
    low, high = np.minimum(parts.min(2), 0), np.maximum(parts.max(2), 0)
    scales = ((high - low) / 14).astype(np.float16)
    zeros = np.clip(np.rint(-low / scales.astype(np.float32)), 1, 15)
    codes = np.clip(np.rint(parts / scales.astype(np.float32)[..., None]) + zeros[..., None], 0, 15)
    values = (codes - zeros[..., None]).astype(np.float32) * scales.astype(np.float32)[..., None]
    return codes.reshape(rows, cols).astype(np.uint32), scales, zeros.astype(np.uint32), values.reshape(rows, cols)


def nibbles(codes: np.ndarray, order: tuple[int, ...] = tuple(range(8))) -> np.ndarray:
    """Words of eight codes of the last axis: nibble i holds code order[i]."""
    words = np.zeros((*codes.shape[:-1], codes.shape[-1] // 8), np.uint32)
    for i, j in enumerate(order):
        words |= codes[..., j::8].astype(np.uint32) << np.uint32(4 * i)
    return words.view(np.int32)


def gptq(name: str, weight: np.ndarray) -> tuple[Tensors, np.ndarray]:
    codes, scales, zeros, values = grouped(weight)
    return {
        f"{name}.qweight": np.ascontiguousarray(nibbles(codes).T),
        f"{name}.qzeros": nibbles(np.ascontiguousarray(zeros.T) - 1),
        f"{name}.scales": np.ascontiguousarray(scales.T),
        f"{name}.g_idx": (np.arange(weight.shape[1]) // GROUP).astype(np.int32),
    }, values


def gptq_act_order(name: str, weight: np.ndarray) -> tuple[Tensors, np.ndarray]:
    """Groups gather inputs in an order of their own."""
    order = np.random.default_rng(weight.shape[0]).permutation(weight.shape[1])
    codes, scales, zeros, values = grouped(weight[:, order])
    place = np.argsort(order)
    return {
        f"{name}.qweight": np.ascontiguousarray(nibbles(np.ascontiguousarray(codes[:, place])).T),
        f"{name}.qzeros": nibbles(np.ascontiguousarray(zeros.T) - 1),
        f"{name}.scales": np.ascontiguousarray(scales.T),
        f"{name}.g_idx": (place // GROUP).astype(np.int32),
    }, values[:, place]


def awq(name: str, weight: np.ndarray) -> tuple[Tensors, np.ndarray]:
    codes, scales, zeros, values = grouped(weight)
    order = (0, 2, 4, 6, 1, 3, 5, 7)
    return {
        f"{name}.qweight": nibbles(np.ascontiguousarray(codes.T), order),
        f"{name}.qzeros": nibbles(np.ascontiguousarray(zeros.T), order),
        f"{name}.scales": np.ascontiguousarray(scales.T),
    }, values


def compressed(name: str, weight: np.ndarray) -> tuple[Tensors, np.ndarray]:
    codes, scales, zeros, values = grouped(weight)
    return {
        f"{name}.weight_packed": nibbles(codes),
        f"{name}.weight_scale": scales,
        f"{name}.weight_zero_point": np.ascontiguousarray(nibbles(np.ascontiguousarray(zeros.T)).T),
        f"{name}.weight_shape": np.array(weight.shape, np.int64),
    }, values


def nf4(name: str, weight: np.ndarray) -> tuple[Tensors, np.ndarray]:
    parts = weight.reshape(-1, 64)
    absmax = np.abs(parts).max(1)
    codes = np.abs(parts[..., None] / absmax[:, None, None] - NF4).argmin(2).astype(np.uint8).reshape(-1)
    state = {"quant_type": "nf4", "blocksize": 64, "dtype": "bfloat16", "shape": list(weight.shape)}
    values = NF4[codes].reshape(parts.shape) * absmax[:, None]
    return {
        f"{name}.weight": (codes[::2] << 4 | codes[1::2]).reshape(-1, 1),
        f"{name}.weight.absmax": absmax,
        f"{name}.weight.quant_map": NF4,
        f"{name}.weight.quant_state.bitsandbytes__nf4": np.frombuffer(json.dumps(state).encode(), np.uint8),
    }, values.reshape(weight.shape).astype(np.float32)


def int8(name: str, weight: np.ndarray) -> tuple[Tensors, np.ndarray]:
    largest = np.abs(weight).max(1)
    codes = np.rint(weight / largest[:, None] * 127).astype(np.int8)
    values = codes.astype(np.float32) * largest[:, None] * np.float32(1 / 127)
    return {f"{name}.weight": codes, f"{name}.SCB": largest}, values


def fp8(name: str, weight: np.ndarray) -> tuple[Tensors, np.ndarray]:
    """One scale for the whole matrix: these are smaller than a block."""
    scale = np.float32(np.abs(weight).max() / 448)
    codes = (weight / scale).astype(ml_dtypes.float8_e4m3fn)
    return {f"{name}.weight": codes, f"{name}.weight_scale_inv": np.array([[scale]])}, codes.astype(np.float32) * scale


PACKERS: dict[str, Packer] = {
    "gptq": gptq, "gptq_act_order": gptq_act_order, "awq": awq, "compressed": compressed, "nf4": nf4, "int8": int8,
    "fp8": fp8,
}  # fmt: skip


def packed_model(tensors: Tensors, packer: Packer) -> tuple[Tensors, Tensors]:
    """Every linear layer packed; and the whole model as the numbers that it stands for."""
    stored: Tensors = {}
    meant: Tensors = {}
    for name, values in tensors.items():
        if name.endswith("_proj.weight"):
            parts, meant[name] = packer(name.removesuffix(".weight"), values)
            stored |= parts
        else:
            stored[name] = meant[name] = values
    return stored, meant
