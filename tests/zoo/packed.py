# SPDX-License-Identifier: Apache-2.0
"""Packed integer and float layouts, written as the libraries that load them expect.

gptq  qweight int32 [in/8, out]: eight codes of an output's inputs in one word, lowest bits first;
      qzeros int32 [groups, out/8], each zero point less one; scales float16 [groups, out]; g_idx [in]
awq   qweight int32 [in, out/8]: eight outputs in one word, in the order 0 2 4 6 1 3 5 7;
      qzeros int32 [groups, out/8] in the same order; scales float16 [groups, out]
nf4   weight uint8 [n/2, 1], the first of two codes in the high bits; absmax float32 [n/64]; the 16
      levels; a JSON of the shape as bytes
fp8   weight float8_e4m3fn and weight_scale_inv float32, one a block of 128 x 128
Rounding is to nearest; w is about scale (code - zero).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from checkpoint import Checkpoint, Tensors
from checkpoint import write as write_folder

GROUP = 32
AWQ_ORDER = (0, 2, 4, 6, 1, 3, 5, 7)
NF4_BLOCK, FP8_BLOCK, FP8_MAX = 64, 128, 448.0
# Quantiles of a normal distribution, as published with QLoRA.
NF4_LEVELS = (-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453,
              -0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0.0,
              0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
              0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0)
LINEAR = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


def affine(weight: torch.Tensor) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Codes [in, out], scales and zero points [groups, out] of a 4-bit grid with a zero point."""
    groups = weight.T.reshape(-1, GROUP, weight.shape[0])
    low, high = groups.amin(1).clamp(max=0), groups.amax(1).clamp(min=0)
    scale = ((high - low) / 15).clamp(min=1e-8).half().float()
    zero = (-low / scale).round().clamp(1, 15)  # 0 less one would wrap
    codes = ((groups / scale[:, None]).round() + zero[:, None]).clamp(0, 15)
    shape = (weight.shape[1], weight.shape[0])
    return codes.reshape(shape).numpy().astype(np.uint32), scale.numpy(), zero.numpy().astype(np.uint32)


def eight(codes: np.ndarray, order: tuple[int, ...] = tuple(range(8))) -> np.ndarray:
    """Eight codes of the last axis in one word; `order` says which of them comes at which place."""
    words = np.zeros((*codes.shape[:-1], codes.shape[-1] // 8), np.uint32)
    for place, which in enumerate(order):
        words |= codes[..., which::8] << np.uint32(4 * place)
    return words.view(np.int32)


def gptq_layout(name: str, codes: np.ndarray, scale: np.ndarray, zero: np.ndarray) -> Tensors:
    return {f"{name}.qweight": torch.from_numpy(np.ascontiguousarray(eight(codes.T).T)),
            f"{name}.qzeros": torch.from_numpy(eight((zero - 1) & 15)),
            f"{name}.scales": torch.from_numpy(scale).half(),
            f"{name}.g_idx": torch.arange(len(codes), dtype=torch.int32) // GROUP}


def gptq(name: str, weight: torch.Tensor) -> Tensors:
    return gptq_layout(name, *affine(weight))


def awq(name: str, weight: torch.Tensor) -> Tensors:
    codes, scale, zero = affine(weight)
    return {f"{name}.qweight": torch.from_numpy(eight(codes, AWQ_ORDER)),
            f"{name}.qzeros": torch.from_numpy(eight(zero, AWQ_ORDER)),
            f"{name}.scales": torch.from_numpy(scale).half()}


def nf4(name: str, weight: torch.Tensor) -> Tensors:
    levels = torch.tensor(NF4_LEVELS)
    blocks = weight.reshape(-1, NF4_BLOCK)
    largest = blocks.abs().amax(1)
    scaled = (blocks / largest.clamp(min=1e-12)[:, None]).flatten()
    codes = (scaled[:, None] - levels).abs().argmin(1).to(torch.uint8)
    state = {"quant_type": "nf4", "blocksize": NF4_BLOCK, "dtype": "bfloat16",
             "shape": list(weight.shape)}
    text = torch.tensor(list(json.dumps(state).encode()), dtype=torch.uint8)
    return {f"{name}.weight": (codes[0::2] << 4 | codes[1::2])[:, None],
            f"{name}.weight.absmax": largest, f"{name}.weight.quant_map": levels,
            f"{name}.weight.quant_state.bitsandbytes__nf4": text}


def fp8(name: str, weight: torch.Tensor) -> Tensors:
    rows, cols = (-(-size // FP8_BLOCK) for size in weight.shape)
    scale = torch.ones(rows, cols)
    codes = torch.empty(weight.shape, dtype=torch.float8_e4m3fn)
    for i in range(rows):
        for j in range(cols):
            block = (slice(i * FP8_BLOCK, (i + 1) * FP8_BLOCK), slice(j * FP8_BLOCK, (j + 1) * FP8_BLOCK))
            scale[i, j] = weight[block].abs().max().clamp(min=1e-12) / FP8_MAX
            codes[block] = (weight[block] / scale[i, j]).to(torch.float8_e4m3fn)
    return {f"{name}.weight": codes, f"{name}.weight_scale_inv": scale}


PACKERS: dict[str, Callable[[str, torch.Tensor], Tensors]] = {
    "gptq": gptq, "awq": awq, "nf4": nf4, "fp8": fp8}
CONFIGS = {
    "gptq": {"quant_method": "gptq", "bits": 4, "group_size": GROUP, "desc_act": False, "sym": False,
             "checkpoint_format": "gptq"},
    "awq": {"quant_method": "awq", "bits": 4, "group_size": GROUP, "zero_point": True, "version": "gemm"},
    "nf4": {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4",
            "bnb_4bit_compute_dtype": "bfloat16", "bnb_4bit_use_double_quant": False},
    "fp8": {"quant_method": "fp8", "activation_scheme": "dynamic",
            "weight_block_size": [FP8_BLOCK, FP8_BLOCK]},
}


def write(folder: Path, model: Checkpoint, kind: str,
          pack: Callable[[str, torch.Tensor], Tensors] | None = None) -> Path:
    """The linear layers packed, everything else as float16."""
    pack = pack or PACKERS[kind]
    tensors: Tensors = {}
    for name, tensor in model.tensors.items():
        module = name.removesuffix(".weight")
        if name.endswith(".weight") and module.rsplit(".", 1)[-1] in LINEAR:
            tensors |= pack(module, tensor)
        else:
            tensors[name] = tensor.half()
    config = model.config | {"quantization_config": CONFIGS[kind], "dtype": "float16"}
    return write_folder(folder, Checkpoint(config, tensors, model.tokenizer))
