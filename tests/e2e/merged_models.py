# SPDX-License-Identifier: Apache-2.0
"""A base, fine-tunes of it and merges of those by mergekit; needs the packages of the zoo.

usage: merged_models.py FOLDER        FOLDER has the base, as models.py writes it
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import torch
from mergekit.config import MergeConfiguration
from mergekit.merge import MergeOptions, run_merge
from safetensors.torch import load_file, save_file

Tensors = dict[str, torch.Tensor]
BF16 = {"dtype": "bfloat16"}


def save(folder: Path, tensors: Tensors, source: Path) -> None:
    folder.mkdir()
    config = json.loads((source / "config.json").read_text()) | {"torch_dtype": "bfloat16"}
    (folder / "config.json").write_text(json.dumps(config))
    save_file({name: tensor.to(torch.bfloat16).contiguous() for name, tensor in tensors.items()},
              folder / "model.safetensors", metadata={"format": "pt"})


def main() -> None:
    out = Path(sys.argv[1])
    torch.manual_seed(11)
    save(out / "base", load_file(out / "source" / "model.safetensors"), out / "source")
    base = {name: tensor.float() for name, tensor in load_file(out / "base" / "model.safetensors").items()}
    common = {name: torch.randn_like(tensor) for name, tensor in base.items()}

    def tuned(size: float = 0.01) -> Tensors:
        """Changes of all have a cosine of .5 with each other's."""
        return {name: tensor + size * tensor.norm() / tensor.numel()**0.5 *
                (0.5**0.5 * common[name] + 0.5**0.5 * torch.randn_like(tensor))
                for name, tensor in base.items()}

    for name in ["a", "b", "c"] + [f"decoy{i}" for i in range(20)]:
        save(out / name, tuned(), out / "base")

    def merge(name: str, method: str, parents: dict[str, dict[str, Any]], **more: Any) -> None:
        models = [{"model": str(out / parent), "parameters": given} for parent, given in parents.items()]
        text = {"merge_method": method, "models": models} | BF16 | more
        options = MergeOptions(cuda=False, copy_tokenizer=False, quiet=True, random_seed=5, num_threads=1)
        run_merge(MergeConfiguration.model_validate(text), str(out / name), options)

    on_base = {"base_model": str(out / "base")}
    merge("linear", "linear", {"a": {"weight": 0.7}, "b": {"weight": 0.3}})
    merge("gradient", "linear", {"a": {"weight": [1.0, 0.2]}, "b": {"weight": [0.0, 0.8]}})
    merge("task", "task_arithmetic", {"a": {"weight": 0.9}, "b": {"weight": 0.5}}, **on_base)
    merge("ties", "ties", {"a": {"weight": 0.6, "density": 0.5}, "b": {"weight": 0.4, "density": 0.7}}, **on_base)
    merge("stock", "model_stock", {"a": {}, "b": {}, "c": {}}, **on_base)
    merge("dare", "dare_linear", {"a": {"weight": 0.6, "density": 0.5}, "b": {"weight": 0.4, "density": 0.7}},
          **on_base)
    sources = [{"sources": [{"model": str(out / model), "layer_range": [0, 2]}]} for model in "ab"]
    run_merge(MergeConfiguration.model_validate({"merge_method": "passthrough", "slices": sources} | BF16),
              str(out / "stacked"), MergeOptions(cuda=False, copy_tokenizer=False, quiet=True, num_threads=1))
    shutil.copy(out / "linear" / "mergekit_config.yml", out / "c")  # a claim that the weights contradict

    first = load_file(out / "a" / "model.safetensors")
    noise = {name: 0.004 * tensor.norm() / tensor.numel()**0.5 * torch.randn_like(tensor)
             for name, tensor in base.items()}
    stranger = {name: torch.randn_like(tensor) * tensor.std() for name, tensor in base.items() if tensor.dim() > 1}
    save(out / "trained", {name: tensor.float() + noise[name] for name, tensor in first.items()}, out / "base")
    save(out / "half", {name: 0.5 * tensor.float() + 0.5 * stranger.get(name, tensor.float())
                        for name, tensor in first.items()}, out / "base")


if __name__ == "__main__":
    main()
