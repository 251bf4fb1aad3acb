# SPDX-License-Identifier: Apache-2.0
"""Which units agree, and how well an adapter fits, compared with numpy.

The formulas of src/align/unit_map.c and src/align/adapter_fit.h, written again with whole matrices.

    WEIR_BUILD=build python -m unittest discover --start-directory tests/peer
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import unittest
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

BUILD = Path(os.environ.get("WEIR_BUILD", Path(__file__).parents[2] / "build"))
PROGRAMS = BUILD / "tests" / "peer"
HIDDEN, UNITS, LAYERS, WORDS, RANK = 64, 160, 2, 900, 8
MASK = (1 << 64) - 1
Tensors = dict[str, np.ndarray]
READERS = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "mlp.gate_proj", "mlp.up_proj")
CONFIG = {
    "model_type": "llama",
    "hidden_size": HIDDEN,
    "intermediate_size": UNITS,
    "num_attention_heads": 4,
    "num_hidden_layers": LAYERS,
    "vocab_size": WORDS,
}


def hash_word(word: str) -> int:
    value = 0xCBF29CE484222325
    for byte in word.encode():
        value = (value ^ byte) * 0x100000001B3 & MASK
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 & MASK
    value = (value ^ value >> 27) * 0x94D049BB133111EB & MASK
    return value ^ value >> 31


def picked_words() -> list[int]:
    best: dict[int, tuple[int, int]] = {}
    for word in range(WORDS):
        value = hash_word(f"w{word}")
        best[value >> 56] = min(best.get(value >> 56, (value, word)), (value, word))
    return [word for _, word in best.values()]


def llama(seed: int) -> Tensors:
    """Rows that share a few directions, as training leaves them."""
    rng = np.random.default_rng(seed)
    shared = rng.standard_normal((4, HIDDEN))

    def rows(count: int) -> np.ndarray:
        mixed = rng.standard_normal((count, HIDDEN)) + 0.7 * rng.standard_normal((count, 4)) @ shared
        return mixed.astype(np.float32)

    tensors = {"model.embed_tokens.weight": rows(WORDS), "shared": shared}
    for layer in range(LAYERS):
        prefix = f"model.layers.{layer}."
        tensors[prefix + "post_attention_layernorm.weight"] = rng.uniform(0.5, 2, HIDDEN).astype(np.float32)
        for name in READERS:
            tensors[prefix + name + ".weight"] = rows(UNITS if "mlp" in name else HIDDEN)
    return tensors


def write(folder: Path, tensors: Tensors) -> Path:
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(CONFIG))
    vocabulary = {f"w{word}": word for word in range(WORDS)}
    (folder / "tokenizer.json").write_text(
        json.dumps({"added_tokens": [], "model": {"type": "BPE", "vocab": vocabulary, "merges": []}})
    )
    save_file({name: values for name, values in tensors.items() if name != "shared"}, folder / "model.safetensors")
    return folder


def call(program: str, *paths: Path) -> list[list[str]]:
    done = subprocess.run([PROGRAMS / program, *paths], check=True, capture_output=True, text=True)
    return [line.split("\t") for line in done.stdout.splitlines()]


def signs(tensors: Tensors, layer: int, name: str) -> np.ndarray:
    words = tensors["model.embed_tokens.weight"][picked_words()].astype(np.float64)
    words -= words.mean(axis=0)
    prefix = f"model.layers.{layer}."
    gain = tensors[prefix + "post_attention_layernorm.weight"].astype(np.float64)
    return np.where((tensors[f"{prefix}mlp.{name}_proj.weight"] * gain) @ words.T > 0, 1, -1)


def nearest(products: np.ndarray) -> np.ndarray:
    """Index of the largest in each row; -1 when it is not the only one."""
    largest = products.max(axis=1, keepdims=True)
    alone = (products == largest).sum(axis=1) == 1
    return np.where(alone, products.argmax(axis=1), -1)


def agreeing_units(mine: Tensors, theirs: Tensors, layer: int) -> int:
    gate = signs(mine, layer, "gate") @ signs(theirs, layer, "gate").T
    up = np.abs(signs(mine, layer, "up") @ signs(theirs, layer, "up").T)
    there, back = nearest(gate), nearest(gate.T)
    agree = (there >= 0) & (there == nearest(up))
    units = np.arange(len(there))
    return int((agree & (back[there] == units) & (nearest(up.T)[there] == units)).sum())


def cosines(rows: np.ndarray) -> np.ndarray:
    """Standardised cosines of columns, below the diagonal, as a matrix with both halves."""
    gram = rows.T @ rows
    scale = np.sqrt(np.diag(gram))
    gram = gram / np.outer(scale, scale)
    below = gram[np.tril_indices(HIDDEN, -1)]
    return (gram - below.mean()) / below.std()


def unit_rows(rows: np.ndarray) -> np.ndarray:
    rows = rows.astype(np.float64)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def p_of_fit(adapter: Tensors, base: Tensors, orders: int) -> float:
    below = np.tril_indices(HIDDEN, -1)
    matrices = [base[f"model.layers.{layer}.{name}.weight"] for layer in range(LAYERS) for name in READERS]
    model = cosines(unit_rows(base["model.embed_tokens.weight"])) + cosines(unit_rows(np.concatenate(matrices)))
    model = np.clip(model / model[below].std(), -8, 8)
    own = cosines(unit_rows(np.concatenate([rows for name, rows in adapter.items() if "lora_A" in name])))
    own = np.clip(own, -8, 8)
    rng = np.random.default_rng(0)
    as_large = 0
    for _ in range(orders):
        order = rng.permutation(HIDDEN)
        as_large += (own[np.ix_(order, order)] * model)[below].sum() >= (own * model)[below].sum()
    return (1 + as_large) / (1 + orders)


def adapter_of(shared: np.ndarray, seed: int) -> Tensors:
    rng = np.random.default_rng(seed)
    tensors = {}
    for layer in range(LAYERS):
        for name in READERS:
            module = f"base_model.model.model.layers.{layer}.{name}"
            rows = rng.standard_normal((RANK, HIDDEN)) + 0.2 * rng.standard_normal((RANK, 4)) @ shared
            tensors[module + ".lora_A.weight"] = rows.astype(np.float32)
            tensors[module + ".lora_B.weight"] = np.zeros(
                (UNITS if "mlp" in name else HIDDEN, RANK), np.float32
            )
    return tensors


def write_adapter(folder: Path, tensors: Tensors) -> Path:
    folder.mkdir()
    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": RANK, "lora_alpha": 16}))
    save_file(tensors, folder / "adapter_model.safetensors")
    return folder


class Alignment(unittest.TestCase):
    def setUp(self) -> None:
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.folder = Path(holder.name)

    def test_agreeing_units_are_those_of_numpy(self) -> None:
        base = llama(1)
        write(self.folder / "base", base)
        rng = np.random.default_rng(5)
        seen = set()
        for step, noise in enumerate((0.2, 1.0, 1.6)):
            model = {
                name: values + noise * rng.standard_normal(values.shape).astype(np.float32)
                if "mlp" in name
                else values
                for name, values in base.items()
            }
            order = rng.permutation(UNITS)
            for layer in range(LAYERS):
                for name in ("gate", "up"):
                    full = f"model.layers.{layer}.mlp.{name}_proj.weight"
                    model[full] = model[full][order]
            rows = call("unit_map_dump", write(self.folder / f"model{step}", model), self.folder / "base")
            for row in rows[:-1]:
                self.assertEqual(row[1], row[2])
                expected = agreeing_units(model, base, int(row[1]))
                # a product next to zero may have the other sign in float32
                self.assertLessEqual(abs(int(row[3]) - expected), 2)
                seen.add(expected)
            self.assertEqual(rows[-1][2], "1")
        self.assertLess(min(seen), UNITS * 0.9)
        self.assertGreater(min(seen), UNITS * 0.1)

    def test_p_of_adapters_is_that_of_numpy(self) -> None:
        bases = [llama(seed) for seed in range(3)]
        paths = [write(self.folder / f"base{number}", base) for number, base in enumerate(bases)]
        adapter = adapter_of(bases[0]["shared"], 9)
        rows = call("adapter_fit_dump", write_adapter(self.folder / "adapter", adapter), *paths)
        for base, row in zip(bases, rows, strict=True):
            expected = p_of_fit(adapter, base, 2000)
            self.assertLess(abs(float(row[3]) - expected), 0.001 + 5 * np.sqrt(expected * (1 - expected) / 2000))
        self.assertEqual([row[0] for row in rows], ["fits", "claimed", "claimed"])


if __name__ == "__main__":
    unittest.main()
