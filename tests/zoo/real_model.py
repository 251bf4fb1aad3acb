# SPDX-License-Identifier: Apache-2.0
"""A real model, SmolLM2-135M-Instruct, and a handful of what people make of it.

Its GGUF comes in a package; here it is read back into the folder that transformers would save, with
bfloat16 numbers. Nothing is trained: changes of the size of a fine-tune are drawn.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import gguf
import numpy as np
import torch

from checkpoint import Checkpoint, Tensors, with_layers, write
from gguf_file import write_gguf
from rows import Row

NAME = "SmolLM2-135M-Instruct"
TEMPLATE = {"token_embd": "model.embed_tokens", "output_norm": "model.norm",
            "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm",
            "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
            "attn_output": "self_attn.o_proj", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
            "ffn_down": "mlp.down_proj"}


def from_rope(rows: torch.Tensor, heads: int) -> torch.Tensor:
    shape = rows.shape
    return rows.reshape(heads, shape[0] // heads // 2, 2, *shape[1:]).swapaxes(1, 2).reshape(shape)


def read_gguf(path: Path) -> Checkpoint:
    reader = gguf.GGUFReader(path)

    def value(key: str) -> object:
        return reader.fields[key].contents()

    heads, groups = (int(value(f"llama.attention.head_count{end}")) for end in ("", "_kv"))  # type: ignore[call-overload]
    tensors: Tensors = {}
    for tensor in reader.tensors:
        parts = tensor.name.removesuffix(".weight").split(".")
        values = torch.from_numpy(gguf.dequantize(tensor.data, tensor.tensor_type).astype(np.float32))
        if parts[-1] in ("attn_q", "attn_k"):
            values = from_rope(values, heads if parts[-1] == "attn_q" else groups)
        prefix = f"model.layers.{parts[1]}." if parts[0] == "blk" else ""
        tensors[prefix + TEMPLATE[parts[-1]] + ".weight"] = values
    strings = value("tokenizer.ggml.tokens")
    config = {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "dtype": "bfloat16",
              "hidden_size": tensors["model.norm.weight"].numel(),
              "intermediate_size": len(tensors["model.layers.0.mlp.up_proj.weight"]),
              "num_hidden_layers": int(value("llama.block_count")),  # type: ignore[call-overload]
              "num_attention_heads": heads, "num_key_value_heads": groups,
              "vocab_size": len(strings), "rms_norm_eps": 1e-5,  # type: ignore[arg-type]
              "max_position_embeddings": 2048, "tie_word_embeddings": True}
    vocabulary = {text: i for i, text in enumerate(strings)}  # type: ignore[arg-type]
    merges = value("tokenizer.ggml.merges")
    tokenizer = {"version": "1.0", "added_tokens": [], "model": {"type": "BPE", "vocab": vocabulary,
                                                                "merges": merges}}
    return Checkpoint(config, tensors, {"tokenizer.json": json.dumps(tokenizer)})


def noisy(model: Checkpoint, size: float, rank: int = 0) -> Checkpoint:
    """Every matrix moved by `size` of its own norm, in all directions or in `rank` of them."""
    random = torch.Generator().manual_seed(5)

    def moved(name: str, tensor: torch.Tensor) -> torch.Tensor:
        if tensor.ndim < 2 or "embed" in name:
            return tensor
        rows, cols = tensor.shape
        step = torch.randn(rows, rank, generator=random) @ torch.randn(rank, cols, generator=random) \
            if rank else torch.randn(rows, cols, generator=random)
        return tensor + step * (size * tensor.norm() / step.norm())

    return model.map(moved)


def permuted(model: Checkpoint) -> Checkpoint:
    random = np.random.default_rng(5)
    changed = model.copy()
    for layer in range(model.layer_count):
        for parts in model.feed_forwards(layer):
            order = torch.from_numpy(random.permutation(model.config["intermediate_size"]))
            for part, axis in parts:
                changed.tensors[part] = changed.tensors[part].index_select(axis, order)
    return changed


def row(kind: str, file: Path, **truth: object) -> dict[str, object]:
    base = {"id": f"{kind}.{NAME}", "case": "real", "kind": kind, "path": str(file), "parents": [NAME],
            "ancestors": [NAME, f"start:{NAME}"], "verdicts": ["derived", "related", "identical"]}
    return asdict(Row(**(base | truth)))  # type: ignore[arg-type]


def make(package_file: Path, folder: Path) -> Iterator[dict[str, object]]:
    """The rows; files that are there already are not made again."""
    model = read_gguf(package_file)
    upstream = folder / NAME
    layers = [i for i in range(model.layer_count) if not 12 <= i < 16]
    folders = {
        "tuned-by-0.3-percent": lambda: noisy(model, 3e-3),
        "low-rank": lambda: noisy(model, 3e-2, rank=16),
        "depth-pruned": lambda: with_layers(model, layers),
        "units-permuted": lambda: permuted(model),
    }
    if not (upstream / "config.json").exists():
        write(upstream, model, torch.bfloat16)
    for kind, change in folders.items():
        target = folder / f"{kind}.{NAME}"
        if not (target / "config.json").exists():
            write(target, change(), torch.bfloat16)
        more: dict[str, object] = {"pass_two": True} if kind == "units-permuted" else {}
        if kind == "depth-pruned":
            more["layers"] = [[mine, theirs] for mine, theirs in enumerate(layers)]
        yield row(kind, target, **more)
    rounded = model.map(lambda _, tensor: tensor.bfloat16().float())
    for kind in ("Q8_0", "Q4_0"):
        target = folder / f"{kind}.{NAME}.gguf"
        if not target.exists():
            write_gguf(target, rounded, kind)
        yield row(f"gguf-{kind.lower()}", target, direction="from")


def add(truth: dict[str, list[dict[str, object]]], packaged: Path, folder: Path) -> None:
    """The model as a root, and its rows."""
    folder.mkdir(exist_ok=True)
    truth["rows"] += make(packaged, folder)
    truth["roots"].append({"id": NAME, "family": NAME, "kind": "real", "path": str(folder / NAME),
                           "ancestors": [NAME, f"start:{NAME}"], "first_loss": None})
