# SPDX-License-Identifier: Apache-2.0
"""Models that hold just what a fingerprint looks at, for benches that need hundreds of them.

A llama of `layers` feed-forwards of 16 units each. Rows are Gaussian and independent. A relative's every row is
cosine r + sqrt(1 - cosine^2) noise of its ancestor's row r: the noise model in which weir states its power.

usage: small_models.py FOLDER COUNT [--hidden 576] [--layers 30]      writes COUNT strangers to each other
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

UNITS, HEADS, VOCABULARY = 16, 8, 512
Tensors = dict[str, np.ndarray]


def rows(random: np.random.Generator, count: int, hidden: int) -> np.ndarray:
    return random.standard_normal((count, hidden), dtype=np.float32) / np.float32(np.sqrt(hidden))


def stranger(random: np.random.Generator, hidden: int, layers: int) -> Tensors:
    tensors = {"model.embed_tokens.weight": rows(random, VOCABULARY, hidden)}
    for layer in range(layers):
        prefix = f"model.layers.{layer}."
        tensors[prefix + "post_attention_layernorm.weight"] = np.ones(hidden, np.float32)
        for name in ("mlp.gate_proj", "mlp.up_proj"):
            tensors[f"{prefix}{name}.weight"] = rows(random, UNITS, hidden)
        tensors[prefix + "mlp.down_proj.weight"] = rows(random, hidden, UNITS)
    return tensors


def relative(random: np.random.Generator, ancestor: Tensors, cosine: float) -> Tensors:
    noise = np.float32(np.sqrt(1 - cosine * cosine))
    return {
        name: values if values.ndim == 1
        else np.float32(cosine) * values + noise * rows(random, *values.shape)
        for name, values in ancestor.items()
    }  # fmt: skip


def write_model(folder: Path, tensors: Tensors) -> Path:
    hidden = tensors["model.embed_tokens.weight"].shape[1]
    layers = sum(name.endswith("up_proj.weight") for name in tensors)
    folder.mkdir(parents=True, exist_ok=True)
    config = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": hidden,
              "intermediate_size": UNITS, "num_attention_heads": HEADS, "num_key_value_heads": HEADS,
              "num_hidden_layers": layers, "vocab_size": VOCABULARY, "tie_word_embeddings": True}  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))
    save_file(tensors, folder / "model.safetensors")
    return folder


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("count", type=int)
    parser.add_argument("--hidden", type=int, default=576)
    parser.add_argument("--layers", type=int, default=30)
    options = parser.parse_args()
    for number in range(options.count):
        random = np.random.default_rng([30, number])
        write_model(options.folder / f"stranger-{number}", stranger(random, options.hidden, options.layers))


if __name__ == "__main__":
    main()
