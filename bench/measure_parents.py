# SPDX-License-Identifier: Apache-2.0
"""How well the parents of merges made by mergekit are found, from 16 rows of `up` of every layer.

Families of small llama checkpoints: a random base, fine-tunes as base and a structured change (low rank, dense
with uneven rows and columns, rank one, sparse; a part of each is common to all), stored in the family's dtype.
mergekit merges them; tests/peer/parents_solve.c solves. The candidates are the whole family, a mirror of one
fine-tune in another dtype, and a stranger. A case named `missing` lacks one parent of a linear merge (its share
between .3 and .6); `plain` is a further fine-tune of the base or of a fine-tune and no merge. Printed for each
size, dtype and change: how often each kind was answered, F1 of the parent set, the largest error of a share, and
how many intervals hold the true share.

usage: measure_parents.py BUILD-FOLDER [--cases 12] [--sums] > table   (torch 2.13.0, mergekit 0.1.5, numpy)
"""

from __future__ import annotations

import argparse
import json
import struct
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from mergekit.config import MergeConfiguration
from mergekit.merge import run_merge
from mergekit.options import MergeOptions
from safetensors.torch import load_file, save_file

SIZES = {"tiny": (2, 64), "small": (6, 256)}
DELTAS = (0.001, 0.003, 0.01, 0.03)
TUNED, ROWS, SUMS = 6, 16, 32
METHODS = ("linear", "slerp", "task_arithmetic", "gradient", "passthrough", "ties", "dare_ties", "dare_linear",
           "missing", "plain")
DECODED = ("ties", "dare_ties", "dare_linear")
Tensors = dict[str, torch.Tensor]


def structured(rng: np.random.Generator, rows: int, cols: int) -> np.ndarray:
    """A change of rms 1."""
    kind = rng.integers(4)
    if kind < 2:
        rank = 1 if kind else 8
        change = rng.normal(size=(rows, rank)) @ rng.normal(size=(rank, cols))
    else:
        uneven = np.exp(0.5 * rng.normal(size=(rows, 1))) * np.exp(0.5 * rng.normal(size=(1, cols)))
        change = rng.normal(size=(rows, cols)) * uneven
        if kind == 3:
            change *= rng.random((rows, cols)) < 0.3
    return change / np.sqrt((change**2).mean())


def tensor_shapes(layers: int, width: int) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (32, width), "model.norm.weight": (width,),
                                          "lm_head.weight": (32, width)}
    for layer in range(layers):
        prefix = f"model.layers.{layer}."
        for name in "qkvo":
            shapes[f"{prefix}self_attn.{name}_proj.weight"] = (width, width)
        for name, shape in (("gate", (2 * width, width)), ("up", (2 * width, width)), ("down", (width, 2 * width))):
            shapes[f"{prefix}mlp.{name}_proj.weight"] = shape
        for name in ("input_layernorm", "post_attention_layernorm"):
            shapes[f"{prefix}{name}.weight"] = (width,)
    return shapes


@dataclass
class Family:
    """Checkpoints of one seed in one folder; 0 is the base."""

    folder: Path
    layers: int
    width: int
    delta: float
    dtype: torch.dtype
    rng: np.random.Generator
    models: list[Tensors] = field(default_factory=list)

    def store(self, name: str, tensors: Tensors) -> Path:
        path = self.folder / name
        path.mkdir()
        save_file(tensors, path / "model.safetensors", metadata={"format": "pt"})
        config = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": self.width,
                  "intermediate_size": 2 * self.width, "num_hidden_layers": self.layers, "num_attention_heads": 4,
                  "num_key_value_heads": 4, "vocab_size": 32, "rms_norm_eps": 1e-5, "tie_word_embeddings": False,
                  "torch_dtype": str(self.dtype).removeprefix("torch.")}
        (path / "config.json").write_text(json.dumps(config))
        return path

    def tune(self, start: Tensors, common: dict[str, np.ndarray] | None) -> Tensors:
        size = self.delta * 0.02 * (0.6 + 0.8 * self.rng.random())
        part = 0.3 * self.rng.random() if common else 0.0
        out = {}
        for name, tensor in start.items():
            change = torch.zeros(tensor.shape)
            if tensor.ndim == 2 and "mlp.up" in name:
                own = structured(self.rng, *tensor.shape) * (0.5 + self.rng.random())
                if common:
                    own = np.sqrt(1 - part**2) * own + part * common[name]
                change = torch.from_numpy(size * own).float()
            out[name] = (tensor.float() + change).to(self.dtype)
        return out

    def make(self) -> None:
        base = {name: torch.ones(shape) if len(shape) == 1
                else torch.from_numpy(0.02 * self.rng.normal(size=shape)).float()
                for name, shape in tensor_shapes(self.layers, self.width).items()}
        base = {name: tensor.to(self.dtype) for name, tensor in base.items()}
        common = {name: structured(self.rng, *tensor.shape) for name, tensor in base.items() if "mlp.up" in name}
        self.models = [base] + [self.tune(base, common) for _ in range(TUNED)]
        for index, tensors in enumerate(self.models):
            self.store(f"m{index}", tensors)

    def up_rows(self, tensors: Tensors) -> np.ndarray:
        return np.stack([tensors[f"model.layers.{layer}.mlp.up_proj.weight"][:ROWS].float().numpy().ravel()
                         for layer in range(self.layers)])


@dataclass
class Case:
    child: np.ndarray
    truth: dict[int, float | None]  # share by model; None where it follows from masks
    hidden: int | None = None


def shares_of(rng: np.random.Generator, count: int) -> np.ndarray:
    shares = np.maximum(rng.dirichlet(np.full(count, 3.0)), 0.1)
    return (shares / shares.sum()).round(3)


def merge(family: Family, config: dict, seed: int) -> np.ndarray:
    config["dtype"] = str(family.dtype).removeprefix("torch.")
    with tempfile.TemporaryDirectory(dir=family.folder) as out:
        run_merge(MergeConfiguration.model_validate(config), out,
                  MergeOptions(random_seed=seed, copy_tokenizer=False, write_model_card=False, quiet=True))
        return family.up_rows(load_file(Path(out) / "model.safetensors"))


def path_of(family: Family, model: int) -> str:
    return str(family.folder / f"m{model}")


def merged_config(family: Family, method: str, picks: list[int], shares: list) -> dict:
    models = [{"model": path_of(family, p), "parameters": {"weight": s}}
              for p, s in zip(picks, shares, strict=True)]
    return {"merge_method": method, "models": models}


def passthrough_case(family: Family, picks: list[int], seed: int) -> Case:
    cut = int(family.rng.integers(1, family.layers))
    ranges = ([0, cut], [cut, family.layers])
    slices = [{"sources": [{"model": path_of(family, p), "layer_range": r}]}
              for p, r in zip(picks, ranges, strict=True)]
    child = merge(family, {"merge_method": "passthrough", "slices": slices}, seed)
    return Case(child, {picks[0]: cut / family.layers, picks[1]: 1 - cut / family.layers})


def gradient_case(family: Family, picks: list[int], seed: int) -> Case:
    ends = family.rng.uniform((0.1, 0.6), (0.4, 0.9))
    # The other's weights are the mirror, so that they sum to 1 in every layer.
    config = merged_config(family, "linear", picks, [[float(e) for e in ends], [float(1 - e) for e in ends]])
    mean = float(np.mean(ends))  # mergekit interpolates linearly over the layers
    return Case(merge(family, config, seed), {picks[0]: mean, picks[1]: 1 - mean})


def decoded_case(family: Family, method: str, picks: list[int], seed: int) -> Case:
    shares = [float(s) for s in shares_of(family.rng, len(picks))]
    config = merged_config(family, method, picks, shares)
    for model in config["models"]:
        model["parameters"]["density"] = float(family.rng.choice([0.5, 0.6, 0.8]))
    config["base_model"] = path_of(family, 0)
    child = merge(family, config, seed)
    return Case(child, {0: None} | dict.fromkeys(picks))


def slerp_case(family: Family, picks: list[int], seed: int) -> Case:
    t = float(family.rng.uniform(0.2, 0.8))
    config = {"merge_method": "slerp", "base_model": path_of(family, picks[0]),
              "models": [{"model": path_of(family, p)} for p in picks], "parameters": {"t": t}}
    return Case(merge(family, config, seed), {picks[0]: 1 - t, picks[1]: t})


def make_case(family: Family, method: str, seed: int) -> Case:
    rng = family.rng
    if method == "plain":
        start = int(rng.integers(TUNED + 1))
        return Case(family.up_rows(family.tune(family.models[start], None)), {start: 1.0})
    count = 2 if method in ("slerp", "gradient", "passthrough") else int(rng.integers(2, 5))
    picks = [int(p) for p in 1 + rng.permutation(TUNED)[:count]]
    if method in DECODED:
        return decoded_case(family, method, picks[:3], seed)
    if method in ("slerp", "gradient", "passthrough"):
        make = {"slerp": slerp_case, "gradient": gradient_case, "passthrough": passthrough_case}[method]
        return make(family, picks, seed)
    shares = shares_of(rng, count)
    if method == "missing":
        lost = rng.uniform(0.3, 0.6)
        shares = np.concatenate([[lost], (1 - lost) * shares_of(rng, count - 1)])
        config = merged_config(family, "linear", picks, [float(s) for s in shares])
        return Case(merge(family, config, seed), {}, hidden=picks[0])
    if method == "task_arithmetic":
        shares = shares * rng.uniform(0.6, 1.4)
        config = merged_config(family, method, picks, [float(s) for s in shares])
        config["base_model"] = path_of(family, 0)
        truth = {p: float(s) for p, s in zip(picks, shares, strict=True)}
        rest = 1 - float(shares.sum())
        return Case(merge(family, config, seed), truth | ({0: rest} if abs(rest) >= 0.015 else {}))
    config = merged_config(family, method, picks, [float(s) for s in shares])
    return Case(merge(family, config, seed), {p: float(s / shares.sum()) for p, s in zip(picks, shares, strict=True)})


class Solver:
    def __init__(self, build: Path, sums: bool) -> None:
        self.process = subprocess.Popen([build / "tests" / "peer" / "parents_solve"], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE)
        self.sums = sums

    def view(self, rows: np.ndarray) -> np.ndarray:
        if not self.sums:
            return rows.astype(np.float32)
        signs = np.random.default_rng(9).choice([-1.0, 1.0], size=(len(rows), SUMS, rows.shape[1]))
        return np.einsum("lkn,ln->lk", signs, rows).astype(np.float32)

    def __call__(self, child: np.ndarray, candidates: list[np.ndarray], rounding: float) -> dict:
        assert self.process.stdin and self.process.stdout
        arrays = [self.view(rows) for rows in [child, *candidates]]
        layers, numbers = arrays[0].shape
        self.process.stdin.write(struct.pack("=IIIIdd", len(candidates), layers, numbers, self.sums, rounding, 0.0))
        for array in arrays:
            self.process.stdin.write(array.tobytes())
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


@dataclass
class Score:
    kinds: Counter = field(default_factory=Counter)
    f1: list[float] = field(default_factory=list)
    errors: list[float] = field(default_factory=list)
    held: list[bool] = field(default_factory=list)

    def add(self, case: Case, answer: dict) -> None:
        self.kinds[answer["kind"]] += 1
        found = {share[0] for share in answer["shares"]}
        if case.truth:
            self.f1.append(2 * len(found & set(case.truth)) / (len(found) + len(case.truth)))
        for index, share, low, high in answer["shares"]:
            truth = case.truth.get(index)
            if answer["kind"] in ("merge", "layered", "passthrough") and share is not None and truth is not None:
                self.errors.append(abs(share - truth))
                self.held.append(low - 1e-9 <= truth <= high + 1e-9)

    def line(self) -> str:
        kinds = " ".join(f"{kind}:{count}" for kind, count in self.kinds.most_common())
        text = f"{kinds:44s}"
        if self.f1:
            text += f" F1 {np.mean(self.f1):.3f}"
        if self.errors:
            text += f" largest error {max(self.errors):.4f} held {sum(self.held)}/{len(self.held)}"
        return text


def other_dtype(rows: np.ndarray, dtype: torch.dtype) -> np.ndarray:
    """A mirror: F32 as bf16, bf16 as F16 (small enough numbers lose bits)."""
    mirror = torch.bfloat16 if dtype == torch.float32 else torch.float16
    return torch.from_numpy(rows).to(mirror).float().numpy()


def measure(solver: Solver, family: Family, methods: list[str], scores: dict[str, Score], seed: int) -> None:
    rows = [family.up_rows(tensors) for tensors in family.models]
    stranger = 0.02 * np.random.default_rng(seed + 1).normal(size=rows[0].shape)
    rounding = 2.0**-8 if family.dtype == torch.bfloat16 else 0.0
    for method in (*METHODS, "missing", "plain", "plain"):
        if method not in methods:
            continue
        case = make_case(family, method, seed)
        candidates = [*rows, other_dtype(rows[1], family.dtype), stranger]
        if case.hidden is not None:
            candidates[case.hidden] = stranger
            candidates[TUNED + 1] = stranger
        answer = solver(case.child, candidates, rounding)
        # The mirror may stand for the fine-tune that it mirrors.
        for share in answer["shares"]:
            share[0] = 1 if share[0] == TUNED + 1 else share[0]
        scores[method].add(case, answer)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=Path)
    parser.add_argument("--cases", type=int, default=12, help="families for each size, dtype and change")
    parser.add_argument("--sizes", nargs="*", choices=SIZES, default=list(SIZES))
    parser.add_argument("--methods", nargs="*", choices=METHODS, default=list(METHODS))
    parser.add_argument("--sums", action="store_true", help=f"{SUMS} signed sums a layer instead of the numbers")
    options = parser.parse_args()
    torch.set_num_threads(1)
    solver = Solver(options.build, options.sums)
    for size in options.sizes:
        layers, width = SIZES[size]
        for dtype in (torch.float32, torch.bfloat16):
            for delta in DELTAS:
                scores: dict[str, Score] = defaultdict(Score)
                for seed in range(options.cases):
                    rng = np.random.default_rng([seed, layers, int(delta * 1000)])
                    with tempfile.TemporaryDirectory() as folder:
                        family = Family(Path(folder), layers, width, delta, dtype, rng)
                        family.make()
                        measure(solver, family, options.methods, scores, seed)
                print(f"{size} {str(dtype).removeprefix('torch.')} change {delta:.1%}, {options.cases} families")
                for method in options.methods:
                    print(f"  {method:16s} {scores[method].line()}")
                sys.stdout.flush()


if __name__ == "__main__":
    main()
