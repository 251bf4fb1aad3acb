# SPDX-License-Identifier: Apache-2.0
"""A model as transformers stores it, opened for surgery: configuration, tensors by name, tokenizer.

Where the hidden units of a feed-forward stand is said once, in UNITS: (name in the layer, axis).
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

Tensors = dict[str, torch.Tensor]

LAYER = {"gpt2": "transformer.h.{}.", "gpt_neox": "gpt_neox.layers.{}.", "bert": "bert.encoder.layer.{}."}
DENSE = (("mlp.up_proj.weight", 0), ("mlp.gate_proj.weight", 0), ("mlp.down_proj.weight", 1))
UNITS = {
    "gpt2": (("mlp.c_fc.weight", 1), ("mlp.c_fc.bias", 0), ("mlp.c_proj.weight", 0)),
    "gpt_neox": (("mlp.dense_h_to_4h.weight", 0), ("mlp.dense_h_to_4h.bias", 0),
                 ("mlp.dense_4h_to_h.weight", 1)),
    "bert": (("intermediate.dense.weight", 0), ("intermediate.dense.bias", 0),
             ("output.dense.weight", 1)),
}
EXPERT = (("w3.weight", 0), ("w1.weight", 0), ("w2.weight", 1))
LAYER_COUNT = {"gpt2": "n_layer"}
NOT_WEIGHTS = ("config.json", "generation_config.json")


@dataclass
class Checkpoint:
    config: dict[str, Any]
    tensors: Tensors
    tokenizer: dict[str, str] = field(default_factory=dict)  # file name to text

    @property
    def kind(self) -> str:
        return str(self.config["model_type"])

    @property
    def layer_count(self) -> int:
        return int(self.config[LAYER_COUNT.get(self.kind, "num_hidden_layers")])

    def layer(self, index: int) -> str:
        """What the names of a layer's tensors begin with."""
        return LAYER.get(self.kind, "model.layers.{}.").format(index)

    def feed_forwards(self, layer: int) -> list[list[tuple[str, int]]]:
        """(tensor, axis of its units) for each feed-forward of a layer: one, or one an expert."""
        prefix = self.layer(layer)
        if self.kind == "mixtral":
            return [[(f"{prefix}block_sparse_moe.experts.{e}.{name}", axis) for name, axis in EXPERT]
                    for e in range(self.config["num_local_experts"])]
        return [[(prefix + name, axis) for name, axis in UNITS.get(self.kind, DENSE)]]

    def up(self, layer: int) -> torch.Tensor:
        """Rows of the first feed-forward's units, [units, hidden]."""
        if self.kind == "phi3":
            return self.tensors[self.layer(layer) + "mlp.gate_up_proj.weight"].chunk(2)[1]
        name, axis = self.feed_forwards(layer)[0][0]
        return self.tensors[name] if axis == 0 else self.tensors[name].T

    def map(self, change: Callable[[str, torch.Tensor], torch.Tensor]) -> Checkpoint:
        changed = {name: change(name, tensor) for name, tensor in self.tensors.items()}
        return Checkpoint(dict(self.config), changed, dict(self.tokenizer))

    def copy(self) -> Checkpoint:
        return self.map(lambda _, tensor: tensor.clone())


def read(folder: Path, dtype: torch.dtype | None = torch.float32) -> Checkpoint:
    """All tensors as `dtype`, or as they are stored when it is None."""
    tensors: Tensors = {}
    for file in sorted(folder.glob("*.safetensors")):
        tensors |= load_file(file)
    if dtype is not None:
        tensors = {name: tensor.to(dtype) if tensor.is_floating_point() else tensor
                   for name, tensor in tensors.items()}
    texts = {file.name: file.read_text() for file in folder.iterdir()
             if file.suffix in (".json", ".jinja", ".md") and file.name not in NOT_WEIGHTS
             and not file.name.endswith(".index.json")}
    return Checkpoint(json.loads((folder / "config.json").read_text()), tensors, texts)


def stored_dtype(folder: Path) -> torch.dtype:
    name = json.loads((folder / "config.json").read_text())["dtype"]
    return getattr(torch, name)  # type: ignore[no-any-return]


def write(folder: Path, model: Checkpoint, dtype: torch.dtype | None = None, shards: int = 1) -> Path:
    """One safetensors file, or several with their index; floating numbers as `dtype` if one is given."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    tensors = {name: (tensor.to(dtype) if dtype and tensor.is_floating_point() else tensor).contiguous()
               for name, tensor in model.tensors.items()}
    config = dict(model.config) | ({"dtype": str(dtype).removeprefix("torch.")} if dtype else {})
    (folder / "config.json").write_text(json.dumps(config, indent=2))
    for name, text in model.tokenizer.items():
        (folder / name).write_text(text)
    if shards == 1:
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
        return folder
    names = sorted(tensors)
    where = {}
    for shard in range(shards):
        file = f"model-{shard + 1:05}-of-{shards:05}.safetensors"
        part = {name: tensors[name] for name in names[shard::shards]}
        save_file(part, folder / file, metadata={"format": "pt"})
        where |= dict.fromkeys(part, file)
    total = sum(tensor.nbytes for tensor in tensors.values())
    index = {"metadata": {"total_size": total}, "weight_map": where}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return folder


def with_layers(model: Checkpoint, order: list[int]) -> Checkpoint:
    """Layer i of the result is layer order[i] of the model."""
    pattern = re.compile(re.escape(model.layer(0)).replace("0", r"(\d+)") + "(.*)")
    tensors: Tensors = {}
    for name, tensor in model.tensors.items():
        match = pattern.fullmatch(name)
        if not match:
            tensors[name] = tensor.clone()
            continue
        for mine, theirs in enumerate(order):
            if theirs == int(match[1]):
                tensors[model.layer(mine) + match[2]] = tensor.clone()
    config = dict(model.config) | {LAYER_COUNT.get(model.kind, "num_hidden_layers"): len(order)}
    if "layer_types" in config and config["layer_types"]:
        config["layer_types"] = [config["layer_types"][0]] * len(order)
    return Checkpoint(config, tensors, dict(model.tokenizer))


def unit_cosine(a: Checkpoint, b: Checkpoint, units: int = 16) -> float:
    """Median cosine of the first units' rows of up, over all layers."""
    rows = [torch.cosine_similarity(a.up(i)[:units], b.up(i)[:units]) for i in range(a.layer_count)]
    return float(torch.cat(rows).median())
