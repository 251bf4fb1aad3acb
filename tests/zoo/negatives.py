# SPDX-License-Identifier: Apache-2.0
"""N2 and N6 to N8: models that look related and are not, or of which nothing can be said.

Planted rows come in pairs: the same trap is set in a root that the registry knows and in a stranger.
"""

from __future__ import annotations

import json
import shutil
from typing import Any

import torch

import corpus
from checkpoint import Checkpoint, read, stored_dtype, write
from families import BY_NAME, make_model
from roots import save
from rows import LIKE_LLAMA, SPLIT, Job, Row, recipe

TRAPPED = ("llama", "qwen2", "gemma", "gpt2")
STRANGER: dict[str, Any] = {"link": "no", "verdicts": ["no_link", "cannot_decide"]}
NOTHING: dict[str, Any] = {"link": "undecidable", "verdicts": ["cannot_decide", "refused"]}


def own_origin(row: Row, root: str) -> None:
    row.parents, row.ancestors = [], [root, f"start:{root}"]


# --- N6: equal numbers that say nothing ---

def equal_norms(model: Checkpoint) -> None:
    for name, tensor in model.tensors.items():
        if tensor.ndim == 1:
            tensor.fill_(1.0 if name.endswith("weight") else 0.0)


def rotary_tables(model: Checkpoint) -> None:
    table = 10000.0 ** (-torch.arange(0, 16, 2) / 16)
    for layer in range(model.layer_count):
        model.tensors[f"{model.layer(layer)}self_attn.rotary_emb.inv_freq"] = table.clone()


def zero_rows(model: Checkpoint) -> None:
    """The first 8 units of each layer, and 16 tokens that were never seen, are zero."""
    for layer in range(model.layer_count):
        for parts in model.feed_forwards(layer):
            for name, axis in parts:
                model.tensors[name].narrow(axis, 0, 8).zero_()
    embedding = next(name for name in model.tensors if name.endswith(("embed_tokens.weight", "wte.weight")))
    model.tensors[embedding][100:116] = 0


def equal_rows(model: Checkpoint) -> None:
    """The first 16 units of each layer are one unit, again and again."""
    for layer in range(model.layer_count):
        for parts in model.feed_forwards(layer):
            for name, axis in parts:
                first = model.tensors[name].narrow(axis, 0, 1).clone()
                model.tensors[name].narrow(axis, 0, 16).copy_(first.expand_as(
                    model.tensors[name].narrow(axis, 0, 16)))


def one_hot_rows(model: Checkpoint) -> None:
    """The first 16 units read one dimension each, in order, as some hand-made layers do."""
    for layer in range(model.layer_count):
        for parts in model.feed_forwards(layer):
            for name, axis in parts[:-1]:
                tensor = model.tensors[name]
                if tensor.ndim == 2:
                    rows = tensor if axis == 0 else tensor.T
                    rows[:16] = torch.eye(rows.shape[1])[:16]


def constant_rows(model: Checkpoint) -> None:
    """The first 16 units are the same constant vectors in every model: 1, 2, 3 ... times a pattern."""
    for layer in range(model.layer_count):
        for parts in model.feed_forwards(layer):
            for name, axis in parts[:-1]:
                tensor = model.tensors[name]
                if tensor.ndim == 2:
                    rows = tensor if axis == 0 else tensor.T
                    rows[:16] = torch.arange(1, 17)[:, None] * 0.01


def equal_layers(model: Checkpoint) -> None:
    """Every layer is the first one, as in models that share layers."""
    first = model.layer(0)
    for name in [name for name in model.tensors if name.startswith(first)]:
        for layer in range(1, model.layer_count):
            model.tensors[model.layer(layer) + name.removeprefix(first)] = model.tensors[name].clone()


def sorted_units(model: Checkpoint) -> None:
    """Units stand by the size of their rows, as some pruning tools leave them."""
    for layer in range(model.layer_count):
        for parts in model.feed_forwards(layer):
            name, axis = parts[0]
            rows = model.tensors[name] if axis == 0 else model.tensors[name].T
            order = rows.norm(dim=1).argsort(descending=True)
            for part, along in parts:
                model.tensors[part] = model.tensors[part].index_select(along, order).contiguous()


TRAPS = {"equal-norms": equal_norms, "zero-rows": zero_rows, "equal-rows": equal_rows,
         "one-hot-rows": one_hot_rows, "constant-rows": constant_rows, "equal-layers": equal_layers,
         "sorted-units": sorted_units}


def trap(kind: str) -> None:
    """One model of each pair is registered. What the trapped model shares with its own root is real,
    so the root is no stranger to it; whether it is still found is not asked."""

    def make(job: Job) -> None:
        model = read(job.source)
        TRAPS[kind](model)
        # Even seeds go into the registry, odd ones are traced.
        job.row.registered = int(job.root.rsplit("-", 1)[1]) % 2 == 0
        write(job.target, model, stored_dtype(job.source))

    recipe("N6", f"trap-{kind}", TRAPPED, count=16, in_mini=4, link="either", registry="relatives",
           verdicts=["no_link", "cannot_decide", "related", "derived"])(make)


for trap_kind in TRAPS:
    trap(trap_kind)


@recipe("N6", "rotary-tables", LIKE_LLAMA, link="yes", verdicts=["identical", "derived", "related"])
def with_rotary_tables(job: Job) -> None:
    """Old files store the tables of the rotary embedding, equal in all models."""
    model = read(job.source, None)
    rotary_tables(model)
    write(job.target, model)


# --- N2 and N7: papers and embeddings ---

@recipe("N2", "never-trained", (*SPLIT, "gpt2", "phi3", "neox", "mixtral", "bert"), **STRANGER)
def never_trained(job: Job) -> None:
    """A random start with the configuration and tokenizer of a root, and a card that names it as base."""
    own_origin(job.row, job.row.id)
    folder = read(job.source, None)
    layers = "n_layer" if job.family == "gpt2" else "num_hidden_layers"
    model = make_model(BY_NAME[job.family], job.seed, **{layers: folder.layer_count})
    save(model, job.target, stored_dtype(job.source), corpus.VOCABULARY)
    (job.target / "README.md").write_text(f"---\nbase_model: zoo/{job.root}\n---\n")


@recipe("N7", "embedding-transplanted", ("llama", "qwen2", "gemma"), link="only_embedding",
        verdicts=["no_link", "cannot_decide", "related", "derived"])
def embedding_transplanted(job: Job) -> None:
    """A root with the embedding of another: only that part is shared."""
    model, donor = read(job.source), read(job.roots / job.peers[0])
    for name in model.tensors:
        if name.endswith(("embed_tokens.weight", "lm_head.weight")):
            model.tensors[name] = donor.tensors[name].clone()
    job.row.note = f"embedding of {job.peers[0]}"
    job.row.ancestors.append(f"embedding:{job.peers[0]}")
    write(job.target, model, stored_dtype(job.source))


# --- N8 ---

def blank(kind: str, value: float) -> None:
    def make(job: Job) -> None:
        own_origin(job.row, job.row.id)
        write(job.target, read(job.source).map(lambda _, tensor: torch.full_like(tensor, value)),
              stored_dtype(job.source))

    recipe("N8", kind, ("llama", "qwen2", "gpt2", "gemma"), **NOTHING)(make)


blank("all-zero", 0.0)
blank("all-nan", float("nan"))
blank("all-one", 1.0)


@recipe("N8", "tiny", LIKE_LLAMA, link="undecidable", verdicts=["cannot_decide", "no_link"])
def tiny(job: Job) -> None:
    """Eight units a layer, drawn at random: fewer than a block."""
    own_origin(job.row, job.row.id)
    model = read(job.source)
    random = torch.Generator().manual_seed(job.seed)
    for name, tensor in model.tensors.items():
        if ".mlp." in name:
            rows, cols = (8, tensor.shape[1]) if "down" not in name else (tensor.shape[0], 8)
            model.tensors[name] = 0.02 * torch.randn(rows, cols, generator=random)
        elif tensor.ndim == 2:
            model.tensors[name] = 0.02 * torch.randn(tensor.shape, generator=random)
    model.config["intermediate_size"] = 8
    write(job.target, model, stored_dtype(job.source))


@recipe("N8", "truncated", ("llama", "qwen2", "gpt2", "gemma"), **NOTHING)
def truncated(job: Job) -> None:
    shutil.copytree(job.source, job.target, dirs_exist_ok=True)
    file = job.target / "model.safetensors"
    with file.open("r+b") as opened:
        opened.truncate(file.stat().st_size * 2 // 3)


@recipe("N8", "wrong-shapes", ("llama", "qwen2", "gpt2", "gemma"), **NOTHING)
def wrong_shapes(job: Job) -> None:
    """The header promises more numbers than the file has room for."""
    shutil.copytree(job.source, job.target, dirs_exist_ok=True)
    file = job.target / "model.safetensors"
    content = file.read_bytes()
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8:8 + size])
    for entry in header.values():
        if isinstance(entry.get("shape"), list):
            entry["shape"] = [2 * length for length in entry["shape"]]
    text = json.dumps(header).encode()
    file.write_bytes(len(text).to_bytes(8, "little") + text + content[8 + size:])


@recipe("N8", "header-hostile", ("llama", "gpt2"), **NOTHING)
def header_hostile(job: Job) -> None:
    shutil.copytree(job.source, job.target, dirs_exist_ok=True)
    file = job.target / "model.safetensors"
    file.write_bytes((2**62).to_bytes(8, "little") + file.read_bytes()[8:])
