# SPDX-License-Identifier: Apache-2.0
"""Groups 1 to 5: copies, casts, and fewer bits a number. What can be re-derived must be proved."""

from __future__ import annotations

import ctypes
import os
import shutil
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file

import gguf
import llama_library
import packed
from changes.cases import Job, Values, change, layer, save
from changes.further import inputs_of_linears
from checkpoint import Checkpoint, Tensors, read, stored_dtype, write
from gguf_file import ARCHITECTURES, Encode, write_gguf
from rows import Unavailable

CAUSAL = ("llama", "qwen2", "gemma", "gpt2", "mixtral", "phi3", "qwen3", "llama-mid", "llama-wide", "smol")
LINEAR_FAMILIES = ("llama", "qwen2", "llama-mid", "qwen3", "smol")
SAME = layer("identical", "repackaged")
DTYPES = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}


# --- 1: the same numbers ---

@change(1, "copied", CAUSAL, each=4, in_mini=1)
def copied(job: Job) -> None:
    job.truth(layer("identical"), relation=["identical"])
    shutil.copytree(job.source, job.target)


@change(1, "resharded", CAUSAL, each=4, in_mini=1)
def resharded(job: Job) -> None:
    job.truth(SAME, relation=["identical"])
    save(job, read(job.source, None), shards=3)


@change(1, "renamed", ("llama", "qwen2", "gemma", "gpt2", "mixtral", "phi3"), each=3)
def renamed(job: Job) -> None:
    """Tensor names without their first part, and another name for the model."""
    job.truth(SAME, relation=["identical"])
    model = read(job.source, None)
    model.tensors = {name.removeprefix("model.").removeprefix("transformer."): tensor
                     for name, tensor in model.tensors.items()}
    model.config["_name_or_path"] = "somebody/else"
    save(job, model)


@change(1, "header-note", CAUSAL, each=3)
def header_note(job: Job) -> None:
    """Another word in the header's metadata, tensors in another order."""
    job.truth(SAME, relation=["identical"])
    shutil.copytree(job.source, job.target)
    file = job.target / "model.safetensors"
    tensors = load_file(file)
    save_file(dict(reversed(list(tensors.items()))), file, metadata={"format": "pt", "note": "own build"})


@change(1, "gguf-f32", ("llama", "qwen2", "gemma", "gpt2", "mixtral", "phi3"), each=4, in_mini=1, suffix=".gguf")
def gguf_f32(job: Job) -> None:
    """The container of llama.cpp with all bits; a wider type loses nothing."""
    job.truth(layer("repackaged"), beside=["cast"], relation=["identical", "derived", "related"])
    write_gguf(job.target, job.base(), "F32")


# --- 2: casts ---

@change(2, "cast", CAUSAL, each=3, in_mini=1, to=Values(("f16", "bf16", "f32")))
def cast(job: Job, to: str) -> None:
    if stored_dtype(job.source) == DTYPES[to]:
        raise Unavailable("it is stored so")
    job.truth(layer("cast", to=to))
    save(job, job.base(), DTYPES[to])


@change(2, "cast-through", CAUSAL, each=2, through=Values(("f16", "bf16")))
def cast_through(job: Job, through: str) -> Checkpoint:
    """To a narrower type and back: the numbers are on its grid, whatever holds them."""
    stored = stored_dtype(job.source)
    if stored != torch.float32:
        raise Unavailable("nothing is lost")
    job.truth(layer("cast", to=through))
    return job.base().map(lambda _, t: t.to(DTYPES[through]).float())


@change(2, "gguf-f16", ("llama", "qwen2", "gemma", "gpt2"), each=3, suffix=".gguf")
def gguf_f16(job: Job) -> None:
    job.truth(layer("cast", to="f16"), beside=["repackaged"])
    write_gguf(job.target, job.base(), "F16")


# --- 3: round to nearest ---

@change(3, "blocks", ("llama-wide", "llama", "qwen2", "gemma", "gpt2", "mixtral", "phi3", "smol"), each=3,
        in_mini=3, suffix=".gguf", type=Values(("Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "MXFP4")))
def blocks(job: Job, type: str) -> None:
    job.truth(layer("quantised", type=type), beside=["repackaged", "cast"])
    write_gguf(job.target, job.base(), type)


@change(3, "ternary", ("llama-wide",), each=2, suffix=".gguf", type=Values(("TQ2_0", "TQ1_0")))
def ternary(job: Job, type: str) -> None:
    job.truth(layer("quantised", type=type), beside=["repackaged", "cast"])
    write_gguf(job.target, job.base(), type)


@change(3, "blocks-read-back", ("llama", "qwen2", "llama-wide", "smol"), each=2, in_mini=1,
        type=Values(("Q8_0", "Q4_0", "Q5_1")))
def blocks_read_back(job: Job, type: str) -> Checkpoint:
    """Quantised, then stored as the base is: no file says so any more."""
    job.truth(layer("quantised", type=type), honest=True)
    kind = gguf.GGMLQuantizationType[type]

    def there_and_back(name: str, tensor: torch.Tensor) -> torch.Tensor:
        if tensor.ndim < 2 or tensor.shape[-1] % gguf.GGML_QUANT_SIZES[kind][0]:
            return tensor
        codes = gguf.quantize(np.ascontiguousarray(tensor.numpy()), kind)
        return torch.from_numpy(gguf.dequantize(codes, kind).astype(np.float32))

    return job.base().map(there_and_back)


# --- 4: llama.cpp's own types ---

FILE_TYPES = {"Q2_K": 10, "Q3_K_M": 12, "Q4_K_M": 15, "Q5_K_M": 17, "Q6_K": 18, "IQ4_NL": 25, "IQ4_XS": 30,
              "IQ3_S": 26, "Q4_K_S": 14, "Q5_K_S": 16, "Q3_K_L": 13}


def as_llama_cpp(job: Job, model: Checkpoint, type: str) -> None:
    whole = job.target.with_suffix(".f32")
    llama_library.FILE_TYPES.setdefault(type, FILE_TYPES[type])
    try:
        llama_library.quantise(write_gguf(whole, model), job.target, type)
    finally:
        whole.unlink(missing_ok=True)


@change(4, "super-blocks", ("llama-wide",), each=2, suffix=".gguf",
        type=Values(("Q2_K", "Q4_K_M", "Q5_K_M", "Q6_K", "IQ4_NL", "IQ3_S"),
                    ("Q3_K_M", "IQ4_XS", "Q4_K_S", "Q5_K_S", "Q3_K_L", "Q6_K", "Q4_K_M")))
def super_blocks(job: Job, type: str) -> None:
    job.truth(layer("quantised", type=type), beside=["repackaged", "cast"])
    as_llama_cpp(job, job.base(), type)


@change(4, "super-blocks-real", ("smol",), suffix=".gguf", type=Values(("Q4_K_M", "Q6_K"), ("Q5_K_M", "Q3_K_M")))
def super_blocks_real(job: Job, type: str) -> None:
    job.truth(layer("quantised", type=type), beside=["repackaged", "cast"])
    as_llama_cpp(job, job.base(), type)


def weighted_encoder(base: Checkpoint) -> Encode:
    """ggml's own encoders, told which inputs matter: the mean squares of what each matrix is fed, as an importance
    matrix holds them."""
    folder = os.environ.get("WEIR_LLAMA_LIBRARIES")
    if not folder:
        raise Unavailable("no llama.cpp libraries (tools/llama-libraries)")
    library = ctypes.CDLL(str(next(Path(folder).glob("libggml-base*.so*"))))
    library.ggml_quantize_chunk.restype = ctypes.c_size_t
    library.ggml_quantize_chunk.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64,
                                            ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p]
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH[ARCHITECTURES[base.kind]], base.layer_count)
    importance = {f"{names.get_name(name)}.weight": inputs.square().mean(0).contiguous().numpy()
                  for name, inputs in inputs_of_linears(base).items()}

    def encode(name: str, values: np.ndarray, kind: gguf.GGMLQuantizationType) -> np.ndarray:
        rows, cols = values.shape
        block, size = gguf.GGML_QUANT_SIZES[kind]
        codes = np.zeros((rows, cols // block * size), np.uint8)
        weights = importance.get(name, np.ones(cols, np.float32))
        library.ggml_quantize_chunk(int(kind), values.ctypes.data, codes.ctypes.data, 0, rows, cols,
                                    weights.ctypes.data)
        return codes

    return encode


@change(4, "weighted", ("llama-wide",), each=2, suffix=".gguf",
        type=Values(("Q4_K", "Q3_K", "IQ4_XS", "Q4_0"), ("Q2_K", "Q5_K", "IQ4_NL", "IQ3_S", "Q6_K", "Q5_1")))
def weighted(job: Job, type: str) -> None:
    """With an importance matrix: no longer to the nearest, and not to be derived again without it."""
    base = job.base()
    job.truth(layer("quantised", type=type), beside=["repackaged", "cast"])
    write_gguf(job.target, base, type, weighted_encoder(base))


# --- 5: packed integers ---

def compressed(name: str, weight: torch.Tensor) -> Tensors:
    """pack-quantized of compressed-tensors: eight inputs of an output in one word, zero points down the rows."""
    codes, scale, zero = packed.affine(weight)
    return {f"{name}.weight_packed": torch.from_numpy(packed.eight(np.ascontiguousarray(codes.T))),
            f"{name}.weight_scale": torch.from_numpy(np.ascontiguousarray(scale.T)).half(),
            f"{name}.weight_zero_point": torch.from_numpy(np.ascontiguousarray(packed.eight(zero).T)),
            f"{name}.weight_shape": torch.tensor(weight.shape)}


COMPRESSED = {"quant_method": "compressed-tensors", "format": "pack-quantized", "ignore": ["lm_head"],
              "config_groups": {"group_0": {"targets": ["Linear"], "weights": {
                  "num_bits": 4, "type": "int", "symmetric": False, "strategy": "group",
                  "group_size": packed.GROUP}}}}


def write_packed(job: Job, model: Checkpoint, layout: str) -> None:
    if layout != "compressed":
        packed.write(job.target, model, layout)
        return
    tensors: Tensors = {}
    for name, tensor in model.tensors.items():
        module = name.removesuffix(".weight")
        tensors |= compressed(module, tensor) if module.rsplit(".", 1)[-1] in packed.LINEAR else {
            name: tensor.half()}
    config = model.config | {"quantization_config": COMPRESSED, "dtype": "float16"}
    write(job.target, Checkpoint(config, tensors, model.tokenizer))


def with_feedback(weight: torch.Tensor, inputs: torch.Tensor) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """GPTQ: the error of every column is made up for by those that follow, by the inverse of the inputs' second
    moments. Returns codes [in, out], scales and zero points [groups, out]. Source: Frantar et al. 2023, algorithm 1."""
    second = inputs.double().T @ inputs.double() / len(inputs)
    second += 0.01 * second.diagonal().mean() * torch.eye(len(second))
    inverse = torch.linalg.cholesky(torch.linalg.inv(second), upper=True).float()
    left, codes = weight.clone(), torch.empty(weight.shape[1], weight.shape[0])
    scales, zeros = [], []
    for begin in range(0, weight.shape[1], packed.GROUP):
        _, scale, zero = packed.affine(left[:, begin:begin + packed.GROUP])
        steps, zero_point = torch.from_numpy(scale[0]), torch.from_numpy(zero[0].astype(np.float32))
        scales.append(scale[0])
        zeros.append(zero[0])
        for column in range(begin, begin + packed.GROUP):
            codes[column] = ((left[:, column] / steps).round() + zero_point).clamp(0, 15)
            error = (left[:, column] - steps * (codes[column] - zero_point)) / inverse[column, column]
            left[:, column + 1:] -= torch.outer(error, inverse[column, column + 1:])
    return codes.numpy().astype(np.uint32), np.stack(scales), np.stack(zeros)


@change(5, "packed-with-feedback", ("llama-wide", "llama", "qwen2", "llama-mid", "smol"), each=4)
def packed_with_feedback(job: Job) -> None:
    base = job.base()
    inputs = inputs_of_linears(base)
    job.truth(layer("quantised", type="gptq"), beside=["repackaged", "cast"])
    packed.write(job.target, base, "gptq",
                 lambda name, weight: packed.gptq_layout(name, *with_feedback(weight, inputs[name])))


@change(5, "packed", LINEAR_FAMILIES, each=3, in_mini=5,
        layout=Values(("gptq", "awq", "nf4", "fp8", "compressed")))
def packed_layout(job: Job, layout: str) -> None:
    # The rest of the model is stored as float16.
    job.truth(layer("quantised", type=layout), beside=["repackaged", "cast"])
    write_packed(job, job.base(), layout)
