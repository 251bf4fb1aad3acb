# SPDX-License-Identifier: Apache-2.0
"""Models that hold just what a fingerprint looks at, for benches that need hundreds of them.

A llama of `layers` feed-forwards, of which the first 16 units are there and the rest, if more are asked for, is a
hole in the file. Rows are Gaussian and independent. A relative's every row is
cosine r + sqrt(1 - cosine^2) noise of its ancestor's row r: the noise model in which weir states its power.

usage: small_models.py FOLDER COUNT [--hidden 576] [--layers 30] [--feed-forward 1536]      writes COUNT strangers
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

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


def stored_shape(name: str, values: np.ndarray, feed_forward: int) -> list[int]:
    if name.endswith("down_proj.weight"):
        return [values.shape[0], feed_forward]
    if name.endswith(("up_proj.weight", "gate_proj.weight")):
        return [feed_forward, values.shape[1]]
    return list(values.shape)


def write_tensors(path: Path, tensors: Tensors, feed_forward: int) -> None:
    """As safetensors; the first rows of every tensor, and holes. Of a wider down_proj nothing is written."""
    header, offset = {}, 0
    for name, values in tensors.items():
        shape = stored_shape(name, values, feed_forward)
        end = offset + 4 * int(np.prod(shape))
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name, values in tensors.items():
            if header[name]["shape"][1:] == list(values.shape[1:]):
                file.seek(8 + len(text) + header[name]["data_offsets"][0])
                file.write(values.tobytes())
        file.truncate(8 + len(text) + offset)


def write_model(folder: Path, tensors: Tensors, feed_forward: int = UNITS) -> Path:
    hidden = tensors["model.embed_tokens.weight"].shape[1]
    layers = sum(name.endswith("up_proj.weight") for name in tensors)
    folder.mkdir(parents=True, exist_ok=True)
    config = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": hidden,
              "intermediate_size": feed_forward, "num_attention_heads": HEADS, "num_key_value_heads": HEADS,
              "num_hidden_layers": layers, "vocab_size": VOCABULARY, "tie_word_embeddings": True}  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))
    write_tensors(folder / "model.safetensors", tensors, feed_forward)
    return folder


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("count", type=int)
    parser.add_argument("--hidden", type=int, default=576)
    parser.add_argument("--layers", type=int, default=30)
    parser.add_argument("--feed-forward", type=int, default=1536)
    options = parser.parse_args()
    for number in range(options.count):
        random = np.random.default_rng([30, number])
        write_model(options.folder / f"stranger-{number}", stranger(random, options.hidden, options.layers),
                    options.feed_forward)


if __name__ == "__main__":
    main()
