# SPDX-License-Identifier: Apache-2.0
"""Four layers and 8192 tokens of SmolLM2-135M-Instruct, as roots of a family of their own, "smol".

The model comes as Q4_1. Every block of 32 numbers is moved by U(-step/2, step/2), so that they no longer stand
on the lattice of that type, and stored as bfloat16. The two roots hold other layers and other noise.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import gguf
import numpy as np
import torch
from tokenizers import Tokenizer, models, pre_tokenizers

import corpus
from checkpoint import Checkpoint, with_layers, write
from real_model import from_rope, read_gguf

TOKENS = 8192
LAYERS = {"smol-0": [0, 9, 18, 29], "smol-1": [0, 6, 23, 29]}
BLOCK, Q4_1_BYTES = 32, 20


def steps_of(tensor: gguf.ReaderTensor, shape: torch.Size) -> torch.Tensor | None:
    """The distance of two levels around every number, or None where numbers are stored whole."""
    if tensor.tensor_type != gguf.GGMLQuantizationType.Q4_1:
        return None
    blocks = np.asarray(tensor.data).reshape(-1, Q4_1_BYTES)
    scale = blocks[:, :2].copy().view(np.float16).astype(np.float32)
    return torch.from_numpy(np.repeat(scale, BLOCK, axis=1).reshape(tuple(shape)))


def dithered(package_file: Path, seed: int) -> Checkpoint:
    model = read_gguf(package_file)
    random = torch.Generator().manual_seed(seed)
    heads = {"q_proj": model.config["num_attention_heads"], "k_proj": model.config["num_key_value_heads"]}
    by_norm = {tensor.name: tensor for tensor in gguf.GGUFReader(package_file).tensors}
    names = {"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
             "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
             "mlp.down_proj": "ffn_down"}
    for name, tensor in model.tensors.items():
        if name == "model.embed_tokens.weight":
            packed = by_norm["token_embd.weight"]
        elif "_proj" in name:
            _, _, number, part, projection, _ = name.split(".")
            packed = by_norm[f"blk.{number}.{names[f'{part}.{projection}']}.weight"]
        else:
            continue
        step = steps_of(packed, tensor.shape)
        if step is None:
            continue
        projection = name.split(".")[-2]
        if projection in heads:
            step = from_rope(step, heads[projection])
        tensor += step * (torch.rand(tensor.shape, generator=random) - 0.5)
    return model


def cut(model: Checkpoint, layers: list[int]) -> Checkpoint:
    model = with_layers(model, layers)
    model.tensors["model.embed_tokens.weight"] = model.tensors["model.embed_tokens.weight"][:TOKENS].clone()
    model.config["vocab_size"] = TOKENS
    whole = json.loads(model.tokenizer["tokenizer.json"])
    vocabulary = {text: i for text, i in whole["model"]["vocab"].items() if i < TOKENS}
    merges = [pair for pair in whole["model"]["merges"] if pair.replace(" ", "") in vocabulary]
    whole["model"] |= {"vocab": vocabulary, "merges": merges}
    model.tokenizer["tokenizer.json"] = json.dumps(whole, ensure_ascii=False)
    return model


def make_roots(package_file: Path, folder: Path) -> None:
    for number, (name, layers) in enumerate(LAYERS.items()):
        if not (folder / name / "config.json").exists():
            write(folder / name, cut(dithered(package_file, number), layers), torch.bfloat16)


@cache
def encoded(tokenizer: str, text: str) -> torch.Tensor:
    inner = json.loads(tokenizer)["model"]
    merges = [tuple(pair.split(" ")) for pair in inner["merges"]]
    spoken = Tokenizer(models.BPE(inner["vocab"], merges))
    spoken.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    words = {"prose": corpus.prose, "code": corpus.code}[text]()
    return torch.tensor(spoken.encode(words[:400_000]).ids)


def real_tokens(model: Checkpoint, text: str) -> torch.Tensor:
    return encoded(model.tokenizer["tokenizer.json"], text)
