# SPDX-License-Identifier: Apache-2.0
"""Edits of what a model writes to its residual stream: directions projected out, and what looks alike.

Directions are drawn, or are differences between the model's own token embeddings: neutral ones. Every
recipe takes the write matrices [outputs, inputs] by name, in float32, and gives them back; `cases` walks
models and recipes, writes each pair under a folder, and has ablation_dump judge it.

    ZOO_PYTHON tests/zoo/ablating.py --build build --roots ROOTS [--real GGUF] --out FILE.jsonl
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from checkpoint import Checkpoint, read, stored_dtype, write
from gguf_file import write_gguf

Array = np.ndarray
Writes = dict[str, Array]
WRITE_NAMES = {"llama": ("o_proj", "down_proj"), "qwen2": ("o_proj", "down_proj"),
               "qwen3": ("o_proj", "down_proj"), "gemma": ("o_proj", "down_proj"),
               "phi3": ("o_proj", "down_proj"), "mixtral": ("o_proj", ".w2."),
               "gpt2": ("c_proj",), "gpt_neox": ("attention.dense.", "dense_4h_to_h")}
EMBEDDINGS = ("embed_tokens.weight", "wte.weight", "embed_in.weight")


@dataclass
class Model:
    """Only what writes to the residual stream: turned so that outputs are rows."""

    name: str
    config: dict[str, Any]
    writes: Writes
    dtype: torch.dtype

    @property
    def hidden(self) -> int:
        return next(iter(self.writes.values())).shape[0]

    @property
    def layers(self) -> int:
        return 1 + max(layer_of(name) for name in self.writes)


def layer_of(name: str) -> int:
    return next((int(part) for part in name.split(".") if part.isdigit()), -1)


def is_attention(name: str) -> bool:
    return "attn" in name or "attention" in name


def is_embedding(name: str) -> bool:
    return name.endswith(EMBEDDINGS)


def is_turned(name: str) -> bool:
    return is_embedding(name) or "c_proj" in name


def writes_of(name: str, checkpoint: Checkpoint, dtype: torch.dtype) -> Model:
    wanted = WRITE_NAMES[checkpoint.kind]
    writes = {key: (tensor.float().numpy().T if is_turned(key) else tensor.float().numpy())
              for key, tensor in checkpoint.tensors.items()
              if key.endswith(".weight") and (is_embedding(key) or any(part in key for part in wanted))}
    return Model(name, checkpoint.config, writes, dtype)


def unit(vector: Array) -> Array:
    return np.asarray(vector / np.linalg.norm(vector))


# --- directions ---

def drawn(model: Model, rng: np.random.Generator) -> Array:
    return unit(rng.standard_normal(model.hidden))


def heavy(model: Model, rng: np.random.Generator) -> Array:
    """Half of it on one coordinate, as massive activations have it."""
    vector = drawn(model, rng)
    at = int(rng.integers(model.hidden))
    vector[at] = 0
    vector = unit(vector) * np.sqrt(0.5)
    vector[at] = np.sqrt(0.5)
    return vector


def of_words(model: Model, rng: np.random.Generator) -> Array:
    """Mean embedding of some words less that of others."""
    embedding = next(matrix for name, matrix in model.writes.items() if is_embedding(name))
    words = rng.permutation(embedding.shape[1])[:64]
    return unit(embedding[:, words[:32]].mean(1) - embedding[:, words[32:]].mean(1))


DIRECTIONS = (drawn, drawn, heavy, of_words)

# --- ablations: each gives the writes and the strength of each ---

Edit = tuple[Writes, dict[str, float]]
Strength = Callable[[str], float]


def project(matrix: Array, direction: Array, strength: float) -> Array:
    return matrix - strength * np.outer(direction, direction @ matrix)


def normalised(matrix: Array) -> tuple[Array, Array]:
    norms = np.linalg.norm(matrix, axis=1, keepdims=True)
    return matrix / norms, norms


def row_normalised(matrix: Array, direction: Array, strength: float) -> Array:
    rows, norms = normalised(matrix)
    return project(rows, direction, strength) * norms


def norm_preserving(matrix: Array, direction: Array, strength: float) -> Array:
    rows, norms = normalised(matrix)
    return normalised(project(rows, direction, strength))[0] * norms


def cut_to_rank_3(matrix: Array, direction: Array, strength: float) -> Array:
    u, s, v = np.linalg.svd(norm_preserving(matrix, direction, strength) - matrix, full_matrices=False)
    return np.asarray(matrix + (u[:, :3] * s[:3]) @ v[:3])


def uniform(strength: float) -> Strength:
    return lambda name: strength


def from_layer_1(strength: float) -> Strength:
    return lambda name: strength if layer_of(name) >= 1 else 0.0


def tents(model: Model, rng: np.random.Generator, most: float) -> Strength:
    """A linear kernel over the layers, another one for each kind of matrix, as heretic searches."""
    kernels = {}
    for kind in (True, False):
        peak = rng.uniform(0.6, 1.0) * (model.layers - 1)
        low = most * rng.uniform(0.0, 1.0)
        reach = rng.uniform(1.0, max(1.5, 0.6 * model.layers))
        kernels[kind] = (most if kind else most * rng.uniform(0.6, 1.0), peak, low, reach)

    def strength(name: str) -> float:
        if is_embedding(name):
            return 0.0
        top, peak, low, reach = kernels[is_attention(name)]
        distance = abs(layer_of(name) - peak)
        return 0.0 if distance > reach else float(top + (low - top) * distance / reach)

    return strength


def ablate(model: Model, direction: Callable[[str], Array], strength: Strength,
           how: Callable[[Array, Array, float], Array] = project) -> Edit:
    strengths = {name: strength(name) for name in model.writes}
    return {name: how(matrix, direction(name), strengths[name]) if strengths[name] else matrix
            for name, matrix in model.writes.items()}, strengths


def wandering(model: Model, rng: np.random.Generator) -> Callable[[str], Array]:
    """A direction for each layer, alike in neighbours."""
    now, by_layer = drawn(model, rng), {}
    for layer in range(-1, model.layers):
        by_layer[layer] = now
        now = unit(0.7 * now + 0.7 * drawn(model, rng))
    return lambda name: by_layer[layer_of(name)]


def positive(kind: str, model: Model, rng: np.random.Generator, strength: float) -> Edit:
    u = DIRECTIONS[int(rng.integers(len(DIRECTIONS)))](model, rng)

    def one(name: str) -> Array:
        return u

    inner = {name: 0.0 if is_embedding(name) else strength for name in model.writes}.__getitem__
    match kind:
        case "everywhere":
            return ablate(model, one, uniform(strength))
        case "from-layer-1":
            return ablate(model, one, from_layer_1(strength))
        case "kernel":
            return ablate(model, one, tents(model, rng, strength))
        case "per-layer":
            return ablate(model, wandering(model, rng), inner)
        case "rows-normalised":
            return ablate(model, one, inner, row_normalised)
        case "norm-preserving":
            return ablate(model, one, inner, norm_preserving)
        case "rank-3":
            return ablate(model, one, inner, cut_to_rank_3)
        case "two-directions" | "three-directions":
            count = 2 if kind == "two-directions" else 3
            basis = np.linalg.qr(rng.standard_normal((model.hidden, count)))[0]
            return {name: matrix if is_embedding(name) else matrix - strength * basis @ (basis.T @ matrix)
                    for name, matrix in model.writes.items()}, {name: inner(name) for name in model.writes}
    raise ValueError(kind)


POSITIVES = ("everywhere", "from-layer-1", "kernel", "kernel", "per-layer", "rows-normalised",
             "norm-preserving", "rank-3", "two-directions", "three-directions")

# --- what looks like it ---

NEGATIVES: dict[str, Callable[[Model, np.random.Generator], Writes]] = {}


def negative(each: Callable[[Array, np.random.Generator], Array]) -> Callable[[Array, np.random.Generator], Array]:
    """A recipe for one matrix, applied to all of them."""
    def whole(model: Model, rng: np.random.Generator) -> Writes:
        return {name: each(matrix, rng) for name, matrix in model.writes.items()}

    NEGATIVES[each.__name__.replace("_", "-")] = whole
    return each


def negative_model(make: Callable[[Model, np.random.Generator], Writes]) -> Callable[..., Writes]:
    NEGATIVES[make.__name__.replace("_", "-")] = make
    return make


@negative
def scaled(matrix: Array, rng: np.random.Generator) -> Array:
    return matrix * np.float32(0.97)


@negative
def scaled_each(matrix: Array, rng: np.random.Generator) -> Array:
    return matrix * np.float32(rng.uniform(0.8, 1.1))


def decomposed(matrix: Array) -> tuple[Array, Array, Array]:
    if matrix.shape[1] > 8 * matrix.shape[0]:  # the embedding, by its short side
        square, u = np.linalg.eigh(matrix.astype(np.float64) @ matrix.T)
        s = np.sqrt(np.maximum(square[::-1], 1e-12))
        u = u[:, ::-1]
        return u, s, (u.T @ matrix) / s[:, None]
    u, s, v = np.linalg.svd(matrix, full_matrices=False)
    return u, s, v


@negative
def rank_reduced(matrix: Array, rng: np.random.Generator) -> Array:
    u, s, v = decomposed(matrix)
    keep = int(len(s) * rng.uniform(0.5, 0.95))
    return np.asarray((u[:, :keep] * s[:keep]) @ v[:keep])


@negative
def last_value_dropped(matrix: Array, rng: np.random.Generator) -> Array:
    u, s, v = decomposed(matrix)
    return np.asarray(matrix - s[-1] * np.outer(u[:, -1], v[-1]))


@negative
def top_value_shrunk(matrix: Array, rng: np.random.Generator) -> Array:
    u, s, v = decomposed(matrix)
    return np.asarray(matrix - rng.uniform(0.1, 0.9) * s[0] * np.outer(u[:, 0], v[0]))


@negative
def top_values_shrunk(matrix: Array, rng: np.random.Generator) -> Array:
    u, s, v = decomposed(matrix)
    return np.asarray(matrix - 0.5 * (u[:, :3] * s[:3]) @ v[:3])


@negative
def top_values_clipped(matrix: Array, rng: np.random.Generator) -> Array:
    u, s, v = decomposed(matrix)
    return np.asarray((u * np.minimum(s, s[int(rng.integers(1, 6))])) @ v)


@negative
def any_value_shrunk(matrix: Array, rng: np.random.Generator) -> Array:
    u, s, v = decomposed(matrix)
    k = int(rng.integers(len(s)))
    return np.asarray(matrix - rng.uniform(0.3, 1) * s[k] * np.outer(u[:, k], v[k]))


@negative_model
def dimension_zeroed(model: Model, rng: np.random.Generator) -> Writes:
    at = int(rng.integers(model.hidden))
    return {name: np.where(np.arange(model.hidden)[:, None] == at, 0, matrix)
            for name, matrix in model.writes.items()}


@negative_model
def dimensions_zeroed(model: Model, rng: np.random.Generator) -> Writes:
    gone = rng.permutation(model.hidden)[: int(rng.integers(2, 6))]
    return {name: np.where(np.isin(np.arange(model.hidden), gone)[:, None], 0, matrix)
            for name, matrix in model.writes.items()}


@negative_model
def dimension_weakened(model: Model, rng: np.random.Generator) -> Writes:
    at, by = int(rng.integers(model.hidden)), rng.uniform(0, 0.9)
    return {name: np.where(np.arange(model.hidden)[:, None] == at, by * matrix, matrix)
            for name, matrix in model.writes.items()}


@negative_model
def two_dimensions_averaged(model: Model, rng: np.random.Generator) -> Writes:
    """Their difference is projected out: an axis of another kind."""
    a, b = rng.permutation(model.hidden)[:2]
    found = {}
    for name, matrix in model.writes.items():
        found[name] = matrix.copy()
        found[name][[a, b]] = matrix[[a, b]].mean(0)
    return found


@negative_model
def centred(model: Model, rng: np.random.Generator) -> Writes:
    """The mean over the stream taken out of every write: no change to a model with layer norms."""
    return {name: matrix - matrix.mean(0) for name, matrix in model.writes.items()}


@negative
def inputs_zeroed(matrix: Array, rng: np.random.Generator) -> Array:
    return matrix * (rng.random(matrix.shape[1]) > 0.2)


@negative
def rows_scaled(matrix: Array, rng: np.random.Generator) -> Array:
    return matrix * np.exp(0.1 * rng.standard_normal((matrix.shape[0], 1)))


@negative
def columns_scaled(matrix: Array, rng: np.random.Generator) -> Array:
    return matrix * np.exp(0.1 * rng.standard_normal(matrix.shape[1]))


@negative
def both_scaled(matrix: Array, rng: np.random.Generator) -> Array:
    return rows_scaled(columns_scaled(matrix, rng), rng)


@negative_model
def stream_scaled(model: Model, rng: np.random.Generator) -> Writes:
    by = np.exp(0.3 * rng.standard_normal((model.hidden, 1)))
    return {name: matrix * by for name, matrix in model.writes.items()}


@negative
def half_of_a_stranger(matrix: Array, rng: np.random.Generator) -> Array:
    """Another matrix of the same spectrum, half and half."""
    other = matrix[rng.permutation(matrix.shape[0])][:, rng.permutation(matrix.shape[1])]
    return (matrix + other) / 2


@negative
def two_of_four(matrix: Array, rng: np.random.Generator) -> Array:
    width = matrix.shape[1] // 4 * 4
    blocks = np.abs(matrix[:, :width]).reshape(matrix.shape[0], -1, 4)
    keep = np.ones(matrix.shape, bool)
    keep[:, :width] = (blocks.argsort(-1).argsort(-1) >= 2).reshape(matrix.shape[0], width)
    return matrix * keep


@negative
def small_ones_zeroed(matrix: Array, rng: np.random.Generator) -> Array:
    return np.where(np.abs(matrix) < np.quantile(np.abs(matrix), 0.3), 0, matrix)


@negative
def noise(matrix: Array, rng: np.random.Generator) -> Array:
    return matrix + rng.choice([0.003, 0.03]) * matrix.std() * rng.standard_normal(matrix.shape)


@negative_model
def shared_rank_1(model: Model, rng: np.random.Generator) -> Writes:
    """One left direction everywhere, but rows of its own: what an adapter with a shared B would be."""
    u = drawn(model, rng)
    return {name: matrix + 0.05 * np.linalg.norm(matrix) * np.outer(u, unit(rng.standard_normal(matrix.shape[1])))
            for name, matrix in model.writes.items()}


@negative_model
def rank_1_along_top(model: Model, rng: np.random.Generator) -> Writes:
    """A rank-1 adapter that begins at the top singular pair, and has drifted."""
    found = {}
    for name, matrix in model.writes.items():
        u, s, v = decomposed(matrix)
        left = unit(u[:, 0] + 0.3 * drawn(model, rng))
        right = unit(v[0] + 0.3 * unit(rng.standard_normal(matrix.shape[1])))
        found[name] = matrix - 0.3 * s[0] * np.outer(left, right)
    return found


@negative_model
def turned_basis(model: Model, rng: np.random.Generator) -> Writes:
    turn = np.linalg.qr(rng.standard_normal((model.hidden, model.hidden)))[0]
    return {name: turn @ matrix for name, matrix in model.writes.items()}


@negative_model
def turned_little(model: Model, rng: np.random.Generator) -> Writes:
    """A Cayley rotation near the identity, as orthogonal fine-tuning makes."""
    skew = rng.standard_normal((model.hidden, model.hidden)) * 0.02
    skew -= skew.T
    turn = np.linalg.solve(np.eye(model.hidden) + skew, np.eye(model.hidden) - skew)
    return {name: turn @ matrix for name, matrix in model.writes.items()}


@negative_model
def reflected(model: Model, rng: np.random.Generator) -> Writes:
    """A Householder reflection: the projection with strength 2."""
    u = drawn(model, rng)
    return {name: project(matrix, u, 2.0) for name, matrix in model.writes.items()}


@negative_model
def strengthened(model: Model, rng: np.random.Generator) -> Writes:
    """A direction written more of, not less."""
    u = drawn(model, rng)
    return {name: project(matrix, u, -rng.uniform(0.3, 1.0)) for name, matrix in model.writes.items()}


@negative_model
def one_matrix_edited(model: Model, rng: np.random.Generator) -> Writes:
    names = [name for name in model.writes if not is_embedding(name)]
    at, u = names[int(rng.integers(len(names)))], drawn(model, rng)
    return {name: project(matrix, u, 1.0) if name == at else matrix for name, matrix in model.writes.items()}


@negative_model
def own_direction_each(model: Model, rng: np.random.Generator) -> Writes:
    """Every matrix loses a direction of its own: the identity without sharing."""
    return {name: project(matrix, drawn(model, rng), 1.0) for name, matrix in model.writes.items()}


# --- files ---

def checkpoint_of(model: Model, writes: Writes) -> Checkpoint:
    return Checkpoint(model.config, {name: torch.from_numpy(np.ascontiguousarray(
        matrix.T if is_turned(name) else matrix, np.float32)) for name, matrix in writes.items()})


def store(folder: Path, model: Model, writes: Writes, kind: str) -> Path:
    checkpoint = checkpoint_of(model, writes)
    if kind in ("bfloat16", "float16", "float32"):
        return write(folder, checkpoint, getattr(torch, kind))
    return write_gguf(folder.with_suffix(".gguf"), checkpoint, kind)


@dataclass
class Case:
    model: str
    kind: str
    stored: str
    is_positive: bool
    strength: float
    strengths: dict[str, float]


def trained_roots(folder: Path) -> Iterator[Model]:
    for path in sorted(folder.iterdir()):
        if path.is_dir() and "random" not in path.name and "twin" not in path.name \
                and json.loads((path / "config.json").read_text())["model_type"] in WRITE_NAMES:
            yield writes_of(path.name, read(path), stored_dtype(path))


def real_model(path: Path) -> Model:
    """SmolLM2 out of its GGUF, dithered inside each block's step, so that it leaves the lattice."""
    import real_model as source

    checkpoint = source.read_gguf(path)
    rng = np.random.default_rng(20)

    def off_the_lattice(name: str, tensor: torch.Tensor) -> torch.Tensor:
        if tensor.ndim != 2:
            return tensor
        blocks = tensor.numpy().reshape(-1, 32)
        step = (blocks.max(1) - blocks.min(1)) / 15
        moved = blocks + step[:, None] * (rng.random(blocks.shape) - 0.5)
        return torch.from_numpy(moved.reshape(tensor.shape).astype(np.float32)).bfloat16().float()

    return writes_of("smollm2", checkpoint.map(off_the_lattice), torch.bfloat16)


def make_case(model: Model, kind: str, stored: str, rng: np.random.Generator,
              strength: float) -> tuple[Writes, Case]:
    if kind in POSITIVES:
        writes, strengths = positive(kind, model, rng, strength)
        return writes, Case(model.name, kind, stored, True, strength, strengths)
    return NEGATIVES[kind](model, rng), Case(model.name, kind, stored, False, 0, {})


class Judge:
    def __init__(self, build: Path) -> None:
        self.process = subprocess.Popen([build / "tests/peer/ablation_dump"], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, base: Path, model: Path) -> dict[str, Any]:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(f"{base}\t{model}\n")
        self.process.stdin.flush()
        return dict(json.loads(self.process.stdout.readline()))


def judge_model(model: Model, wanted: list[tuple[str, str, float]], judge: Judge, seed: int,
                folder: Path) -> Iterator[dict[str, Any]]:
    own = str(model.dtype).removeprefix("torch.")
    base = store(folder / "base", model, model.writes, own)
    for index, (kind, stored, strength) in enumerate(wanted):
        rng = np.random.default_rng([seed, index, *model.name.encode()])
        stored = own if stored == "own" else stored
        if stored not in ("bfloat16", "float16", "float32") and model.config["model_type"] == "gpt_neox":
            continue
        writes, case = make_case(model, kind, stored, rng, strength)
        yield case.__dict__ | judge.ask(base, store(folder / "model", model, writes, stored))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", type=Path, required=True)
    parser.add_argument("--roots", type=Path)
    parser.add_argument("--real", type=Path)
    parser.add_argument("--positives", type=int, default=10)
    parser.add_argument("--negatives", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    torch.set_num_threads(1)
    models = [*trained_roots(args.roots)][:: args.every] if args.roots else []
    np.random.default_rng(args.seed).shuffle(models)  # type: ignore[arg-type]
    if args.real:
        models.append(real_model(args.real))
    judge = Judge(args.build)
    with args.out.open("w") as out, tempfile.TemporaryDirectory() as folder:
        for number, model in enumerate(models):
            rng = np.random.default_rng([args.seed, number])
            kinds = [*rng.permutation(POSITIVES)] * 10
            wanted = [(str(kind), str(rng.choice(["bfloat16", "bfloat16", "Q8_0", "Q4_0", "Q4_0"])),
                       float(rng.choice([0.3, 0.5, 0.7, 1.0, 1.3]))) for kind in kinds[: args.positives]]
            wanted += [(str(kind), str(rng.choice(["own", "bfloat16", "Q4_0"])), 0.0)
                       for kind in ([*rng.permutation(list(NEGATIVES))] * 3)[: args.negatives]]
            for line in judge_model(model, wanted, judge, args.seed, Path(folder)):
                out.write(json.dumps(line) + "\n")
                out.flush()


if __name__ == "__main__":
    main()
