# SPDX-License-Identifier: Apache-2.0
"""Write tests/data/packed/CASE.txt: packed weights as their libraries store them, and what they mean.

    family NAME          model_type
    shape KEY NUMBER ...
    claim NAME VALUE     of the configuration
    stored NAME DTYPE DIMS HEX     the bytes as in the file; DIMS "-" is a scalar
    canonical NAME ROWS,COLS FIRST HEX   rows from FIRST on: float32, little-endian, row-major

The libraries quantise and dequantise wherever one runs without a GPU: bitsandbytes (nf4, fp4, int8),
compressed-tensors (packed and naive), AutoAWQ (unpacking), transformers (MXFP4). GPTQ's and AWQ's packing, and the
dequantisation of GPTQ and of FP8 blocks, are written here from the definition of each format, a code at a time.

Needs torch, transformers, bitsandbytes, compressed-tensors and autoawq (--no-deps):
    python tools/make_packed_values.py
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import bitsandbytes.functional as bnb
import numpy as np
import torch
from bitsandbytes.backends.default.ops import _dequantize_4bit_compute
from compressed_tensors.compressors.pack_quantized.helpers import pack_to_int32, unpack_from_int32
from compressed_tensors.quantization import QuantizationArgs
from compressed_tensors.quantization.lifecycle.forward import dequantize
from transformers.integrations.mxfp4 import convert_moe_packed_tensors

OUT = Path(__file__).resolve().parent.parent / "tests" / "data" / "packed"
Tensors = dict[str, torch.Tensor]
Arrays = dict[str, np.ndarray]
RNG = np.random.default_rng(11)
UP = "model.layers.0.mlp.up_proj"
DTYPES = {
    torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.int32: "I32", torch.int64: "I64",
    torch.int8: "I8", torch.uint8: "U8", torch.float8_e4m3fn: "F8_E4M3",
}  # fmt: skip


def write(case: str, stored: Tensors, canonical: Arrays, claims: dict[str, str] | None = None,
          family: str = "llama", shape: str = "") -> None:
    lines = ["# Made by tools/make_packed_values.py; do not edit.", f"family {family}"]
    lines += [f"shape {shape}"] if shape else []
    lines += [f"claim {name} {value}" for name, value in (claims or {}).items()]
    for name, tensor in stored.items():
        dims = ",".join(map(str, tensor.shape)) or "-"
        data = tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes().hex()
        lines.append(f"stored {name} {DTYPES[tensor.dtype]} {dims} {data}")
    for name, array in canonical.items():
        rows, cols = array.shape
        some = [slice(0, rows)] if array.size < 3000 else [slice(0, 2), slice(rows // 2, rows // 2 + 2), slice(rows - 3, rows)]
        for part in some:
            data = np.ascontiguousarray(array[part], dtype="<f4").tobytes().hex()
            lines.append(f"canonical {name} {rows},{cols} {part.start} {data}")
    (OUT / f"{case}.txt").write_text("\n".join(lines) + "\n")


def half(*dims: int) -> torch.Tensor:
    return torch.from_numpy(RNG.uniform(0.001, 0.02, dims)).half()


def normal(*dims: int) -> torch.Tensor:
    return torch.from_numpy((RNG.standard_normal(dims) * 0.02).astype(np.float32))


def stream(codes: np.ndarray, bits: int) -> np.ndarray:
    """Codes along axis 0 as 32-bit words: bit j of code k is bit k bits + j of the words."""
    count = codes.shape[0]
    words = np.zeros((count * bits // 32, *codes.shape[1:]), np.uint32)
    for k in range(count):
        for j in range(bits):
            at = k * bits + j
            words[at // 32] |= ((codes[k] >> j & 1) << at % 32).astype(np.uint32)
    return words


def words(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(array).view(np.int32))


def gptq(case: str, bits: int, rows: int, cols: int, groups: int, *, v2: bool = False, order: str = "straight",
         claims: dict[str, str] | None = None) -> None:
    codes = RNG.integers(0, 1 << bits, (cols, rows)).astype(np.uint32)
    zeros = RNG.integers(0 if v2 else 1, 1 << bits, (groups, rows)).astype(np.uint32)
    if case == "gptq_borrow":  # a zero point of 0 less one borrows from its neighbour
        zeros[0, :3] = [0, 5, 0]
    scales = half(groups, rows)
    group_of = np.arange(cols) // (cols // groups)
    if order == "act":
        group_of = RNG.permutation(group_of)
    packed_zeros = stream(np.ascontiguousarray(zeros.T), bits).T
    if not v2 and bits == 3:
        packed_zeros = stream(np.ascontiguousarray(zeros.T) - 1 & 7, 3).T
    elif not v2:
        ones = sum(1 << bits * i for i in range(32 // bits))
        packed_zeros = ((packed_zeros.astype(np.int64) - ones) & 0xFFFFFFFF).astype(np.uint32)
    values = np.empty((rows, cols), np.float32)
    for c in range(cols):
        g = group_of[c]
        values[:, c] = scales[g].float().numpy() * (codes[c].astype(np.float32) - zeros[g].astype(np.float32))
    stored = {
        f"{UP}.qweight": words(stream(codes, bits)),
        f"{UP}.qzeros": words(packed_zeros),
        f"{UP}.scales": scales,
    }
    if order != "none":
        stored[f"{UP}.g_idx"] = torch.from_numpy(group_of.astype(np.int32))
    said = {"config.quantization_config.quant_method": "gptq"} | (claims or {})
    if v2:
        said["config.quantization_config.checkpoint_format"] = "gptq_v2"
    write(case, stored, {"layers.0.up": values}, said)


def gptq_phi3() -> None:
    """A fused weight is packed as one, and split as its unpacked twin is."""
    rows, cols = 32, 32
    codes = RNG.integers(0, 16, (cols, rows)).astype(np.uint32)
    scales = half(1, rows)
    values = (scales.float() * torch.from_numpy(codes.astype(np.float32) - 8)).T.numpy()
    prefix = "model.layers.0.mlp.gate_up_proj."
    stored = {
        prefix + "qweight": words(stream(codes, 4)),
        prefix + "qzeros": words(np.full((1, rows // 8), 0x77777777, np.uint32)),
        prefix + "scales": scales,
    }
    write("gptq_phi3", stored, {"layers.0.gate": values[:16], "layers.0.up": values[16:]}, family="phi3")


def awq_module() -> ModuleType:
    """The one file of AutoAWQ that unpacks; the package around it wants a GPU."""
    package = importlib.util.find_spec("awq")
    assert package and package.origin
    path = Path(package.origin).parent / "utils" / "packing_utils.py"
    spec = importlib.util.spec_from_file_location("packing_utils", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def awq_words(codes: np.ndarray) -> torch.Tensor:
    """Nibble i of a word holds the output (0, 2, 4, 6, 1, 3, 5, 7)[i] of its eight."""
    packed = np.zeros((codes.shape[0], codes.shape[1] // 8), np.uint32)
    for i, j in enumerate((0, 2, 4, 6, 1, 3, 5, 7)):
        packed |= codes[:, j::8].astype(np.uint32) << 4 * i
    return words(packed)


def awq() -> None:
    rows, cols, groups = 40, 48, 3
    codes = RNG.integers(0, 16, (cols, rows))
    zeros = RNG.integers(0, 16, (groups, rows))
    scales = half(groups, rows)
    qweight, qzeros = awq_words(codes), awq_words(zeros)
    values = awq_module().dequantize_gemm(qweight, qzeros, scales.float(), 4, cols // groups)
    stored = {f"{UP}.qweight": qweight, f"{UP}.qzeros": qzeros, f"{UP}.scales": scales}
    said = {"config.quantization_config.quant_method": "awq", "config.quantization_config.version": "gemm",
            "config.quantization_config.bits": "4", "config.quantization_config.group_size": "16"}
    write("awq", stored, {"layers.0.up": values.T.numpy()}, said)


def bitsandbytes_4bit(case: str, rows: int, cols: int, kind: str, block: int, *, nested: bool,
                      storage: torch.dtype = torch.uint8) -> None:
    weight = normal(rows, cols)
    codes, state = bnb.quantize_4bit(weight, blocksize=block, quant_type=kind, compress_statistics=nested,
                                     quant_storage=storage)
    scales = state.absmax
    if state.nested:
        scales = bnb.dequantize_blockwise(state.absmax, state.state2) + state.offset
    # The library's form for every device. Its kernels for this CPU read other scales than were stored when a row is no
    # whole number of blocks.
    values = _dequantize_4bit_compute(codes.reshape(-1).view(torch.uint8), scales, state.code, block, (rows, cols),
                                      torch.float32)
    error = float((values - weight).norm() / weight.norm())
    assert error < 0.2, error
    stored = {f"{UP}.weight": codes}
    stored |= {f"{UP}.weight.{name}": tensor for name, tensor in state.as_dict(packed=True).items()}
    write(case, stored, {"layers.0.up": values.numpy()})


def bitsandbytes_int8() -> None:
    weight = normal(12, 40)
    codes, scales, _ = bnb.int8_vectorwise_quant(weight.half())
    values = bnb.int8_vectorwise_dequant(codes, scales)
    stored = {f"{UP}.weight": codes, f"{UP}.SCB": scales, f"{UP}.weight_format": torch.tensor(0, dtype=torch.uint8)}
    write("bnb_int8", stored, {"layers.0.up": values.float().numpy()})


def fp8_block(case: str, rows: int, cols: int, blocks: tuple[int, int], claims: dict[str, str]) -> None:
    down, across = -(-rows // blocks[0]), -(-cols // blocks[1])
    codes = torch.from_numpy(RNG.standard_normal((rows, cols)) * 60).to(torch.float8_e4m3fn)
    scales = torch.from_numpy(RNG.uniform(1e-4, 1e-3, (down, across)).astype(np.float32))
    numbers = codes.float().numpy()
    values = np.empty((rows, cols), np.float32)
    for r in range(rows):
        for c in range(cols):
            values[r, c] = numbers[r, c] * scales[r // blocks[0], c // blocks[1]].numpy()
    write(case, {f"{UP}.weight": codes, f"{UP}.weight_scale_inv": scales}, {"layers.0.up": values}, claims)


def naive(case: str, kind: str, scale_dims: tuple[int, ...], args: QuantizationArgs) -> None:
    """compressed-tensors, one byte a number."""
    rows, cols = 16, 24
    scales = torch.from_numpy(RNG.uniform(1e-3, 1e-2, scale_dims)).to(torch.bfloat16)
    stored: Tensors = {f"{UP}.weight_scale": scales}
    zeros = None
    if kind == "float":
        codes = torch.from_numpy(RNG.standard_normal((rows, cols)) * 60).to(torch.float8_e4m3fn)
    else:
        codes = torch.from_numpy(RNG.integers(-128, 128, (rows, cols)).astype(np.int8))
        if not args.symmetric:
            zeros = torch.from_numpy(RNG.integers(-20, 20, scale_dims).astype(np.int8))
            stored[f"{UP}.weight_zero_point"] = zeros
    values = dequantize(codes, scales.float(), zeros, args)
    stored[f"{UP}.weight"] = codes
    write(case, stored, {"layers.0.up": values.float().numpy()}, {"config.quantization_config.quant_method": "compressed-tensors"})


def pack_quantized(case: str, bits: int, cols: int, groups: int, *, symmetric: bool, order: bool = False) -> None:
    rows = 20
    low, high = -(1 << bits - 1), 1 << bits - 1
    codes = torch.from_numpy(RNG.integers(low, high, (rows, cols)).astype(np.int8))
    scales = half(rows, groups)
    stored: Tensors = {
        f"{UP}.weight_packed": pack_to_int32(codes, bits),
        f"{UP}.weight_scale": scales,
        f"{UP}.weight_shape": torch.tensor([rows, cols]),
    }
    assert torch.equal(unpack_from_int32(stored[f"{UP}.weight_packed"], bits, codes.shape), codes)
    zeros = None
    if not symmetric:
        zeros = torch.from_numpy(RNG.integers(low, high, (rows, groups)).astype(np.int8))
        stored[f"{UP}.weight_zero_point"] = pack_to_int32(zeros, bits, packed_dim=0)
    group_of = None
    if order:
        group_of = torch.from_numpy(RNG.permutation(np.arange(cols) // (cols // groups)).astype(np.int32))
        stored[f"{UP}.weight_g_idx"] = group_of
    strategy = {"strategy": "group", "group_size": cols // groups} if groups > 1 else {"strategy": "channel"}
    args = QuantizationArgs(num_bits=bits, symmetric=symmetric, **strategy)
    if group_of is None:
        values = dequantize(codes, scales.float(), zeros, args).float().numpy()
    else:  # releases of the library differ in whether they still take an order
        values = codes.float().numpy() * scales.float().numpy()[:, group_of.numpy()]
    write(case, stored, {"layers.0.up": values})


def mxfp4() -> None:
    experts, rows, groups = 2, 12, 2
    cols = groups * 32
    stored: Tensors = {}
    canonical: Arrays = {}
    prefix = "model.layers.1.mlp.experts."
    for name, outputs in (("gate_up_proj", rows), ("down_proj", 4)):
        blocks = torch.from_numpy(RNG.integers(0, 256, (experts, outputs, groups, 16)).astype(np.uint8))
        scales = torch.from_numpy(RNG.integers(110, 128, (experts, outputs, groups)).astype(np.uint8))
        stored |= {f"{prefix}{name}_blocks": blocks, f"{prefix}{name}_scales": scales}
        values = convert_moe_packed_tensors(blocks, scales, dtype=torch.float32)  # [experts, inputs, outputs]
        assert values.shape == (experts, cols, outputs)
        for e in range(experts):
            turned = values[e].T.contiguous().numpy()
            if name == "down_proj":
                canonical[f"layers.1.experts.{e}.down"] = turned
            else:  # GptOssExperts: gate is output 0, 2, ..., up is 1, 3, ...
                canonical[f"layers.1.experts.{e}.gate"] = turned[::2]
                canonical[f"layers.1.experts.{e}.up"] = turned[1::2]
    write("mxfp4", stored, canonical, family="gpt_oss", shape="layers 2 experts 2")


def main() -> None:
    OUT.mkdir(parents=True, exist_ok=True)
    gptq("gptq_2bit", 2, 16, 32, 2)
    gptq("gptq_3bit", 3, 64, 64, 2)
    gptq("gptq_4bit", 4, 24, 64, 4)
    gptq("gptq_8bit", 8, 24, 32, 1)
    gptq("gptq_v2", 4, 24, 64, 4, v2=True)
    gptq("gptq_3bit_v2", 3, 32, 64, 1, v2=True)
    gptq("gptq_borrow", 4, 24, 32, 2)
    gptq("gptq_act_order", 4, 24, 64, 4, order="act")
    gptq("gptq_no_order", 4, 24, 64, 4, order="none")
    gptq_phi3()
    awq()
    bitsandbytes_4bit("bnb_nf4", 10, 48, "nf4", 64, nested=False)
    bitsandbytes_4bit("bnb_nf4_nested", 24, 840, "nf4", 64, nested=True)
    bitsandbytes_4bit("bnb_fp4", 10, 48, "fp4", 64, nested=False)
    bitsandbytes_4bit("bnb_nf4_odd", 9, 29, "nf4", 64, nested=False)
    bitsandbytes_4bit("bnb_nf4_bf16_storage", 8, 32, "nf4", 64, nested=False, storage=torch.bfloat16)
    bitsandbytes_int8()
    fp8_block("fp8_block", 130, 132, (128, 128), {})
    fp8_block("fp8_block_said", 20, 24, (16, 8), {"config.quantization_config.weight_block_size": "16, 8"})
    naive("ct_fp8_tensor", "float", (1,), QuantizationArgs(num_bits=8, type="float", strategy="tensor"))
    naive("ct_fp8_channel", "float", (16, 1), QuantizationArgs(num_bits=8, type="float", strategy="channel"))
    naive("ct_int8_channel", "int", (16, 1), QuantizationArgs(num_bits=8, strategy="channel"))
    naive("ct_int8_zeros", "int", (16, 3), QuantizationArgs(num_bits=8, strategy="group", group_size=8, symmetric=False))
    pack_quantized("ct_int4_group", 4, 64, 4, symmetric=True)
    pack_quantized("ct_int4_channel", 4, 36, 1, symmetric=True)
    pack_quantized("ct_int4_zeros", 4, 64, 2, symmetric=False)
    pack_quantized("ct_int8_zeros_packed", 8, 32, 2, symmetric=False)
    pack_quantized("ct_int4_act_order", 4, 64, 4, symmetric=True, order=True)
    mxfp4()


if __name__ == "__main__":
    main()
