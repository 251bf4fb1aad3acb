# SPDX-License-Identifier: Apache-2.0
"""Many cheap negatives: trained roots, edited in ways that are no ablation, compared and thrown away.

What is asked of them is one thing: that nothing is called ablated.
"""

from __future__ import annotations

import math
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import torch

from changes import edits
from changes.answers import Found, Weir, wilson
from checkpoint import Checkpoint, read, stored_dtype, write
from judgement import WORKERS
from traces import in_pairs

FAMILIES = ("llama", "qwen2", "llama-mid", "qwen3", "gemma", "gpt2", "mixtral", "phi3")
Random = torch.Generator
Sweep = Callable[[Checkpoint, Random], Checkpoint]


def between(low: float, high: float, random: Random) -> float:
    return low + (high - low) * float(torch.rand(1, generator=random))


def low_rank(model: Checkpoint, random: Random) -> Checkpoint:
    """Drawn factors, of 0.1 to 10% of the matrix."""
    rank = int(torch.randint(1, 9, (1,), generator=random))
    size = 10 ** between(-3, -1, random)

    def edit(w: torch.Tensor) -> torch.Tensor:
        delta = torch.randn(w.shape[0], rank, generator=random) @ torch.randn(rank, w.shape[1], generator=random)
        return w + delta * (size * w.norm() / delta.norm())

    return edits.on_linear(model, edit)


def one_way_in(model: Checkpoint, random: Random) -> Checkpoint:
    """Rank one in what writes into the stream, one direction for all, with inputs of its own: what a trained
    adapter of rank 1 does, or added steering."""
    result = model.copy()
    hidden = model.up(0).shape[1]
    direction = edits.drawn_direction(hidden, random)[0]
    size = 10 ** between(-2.5, -0.5, random)
    for name, _ in edits.writers(model):
        w = edits.out_in(model, model.tensors[name])
        inputs = torch.randn(w.shape[1], generator=random)
        delta = torch.outer(direction, inputs / inputs.norm()) * size * w.norm()
        result.tensors[name] = edits.out_in(model, w + delta).contiguous()
    return result


def moved_to_another(model: Checkpoint, random: Random) -> Checkpoint:
    """What was written along one direction is written along another besides: of rank one, with the reads of the
    weights, and nothing is removed."""
    result = model.copy()
    both = edits.drawn_direction(model.up(0).shape[1], random, 2)
    strength = between(0.3, 1.3, random)
    for name, _ in edits.writers(model):
        w = edits.out_in(model, model.tensors[name])
        result.tensors[name] = edits.out_in(
            model, w + strength * torch.outer(both[0], both[1] @ w)).contiguous()
    return result


def one_matrix(model: Checkpoint, random: Random) -> Checkpoint:
    """One matrix is replaced by its own with rows in another order."""
    result = model.copy()
    names = [name for name, _ in edits.writers(model)]
    name = names[int(torch.randint(len(names), (1,), generator=random))]
    w = model.tensors[name]
    result.tensors[name] = w[torch.randperm(len(w), generator=random)].contiguous()
    return result


KINDS: dict[str, Sweep] = {
    "scaled": lambda m, r: edits.scaled(m, between(0.8, 1.2, r)),
    "rows-scaled": lambda m, r: edits.rows_scaled(m, between(0.01, 0.5, r), r),
    "columns-scaled": lambda m, r: edits.rows_scaled(m, between(0.01, 0.5, r), r, axis=1),
    "spectrum-clipped": lambda m, r: edits.spectrum_clipped(m, between(0.0, 0.3, r)),
    "spectrum-cut": lambda m, r: edits.spectrum_cut(m, between(0.2, 0.95, r)),
    "top-shrunk": lambda m, r: edits.top_shrunk(m, between(0.0, 0.95, r)),
    "dimension-zeroed": lambda m, r: edits.zero_dimension(m, int(torch.randint(m.up(0).shape[1], (1,), generator=r))),
    "gaussian": lambda m, r: edits.gaussian(m, 10 ** between(-3, 0, r), r),
    "magnitude": lambda m, r: edits.magnitude_pruned(m, between(0.05, 0.9, r)),
    "by-activations": lambda m, r: edits.wanda_pruned(m, between(0.05, 0.9, r), r),
    "two-of-four": lambda m, r: edits.two_of_four(edits.scaled(m, between(0.9, 1.1, r))),
    "low-rank": low_rank,
    "one-way-in": one_way_in,
    "moved-to-another": moved_to_another,
    "one-matrix": one_matrix,
}


def with_stranger(model: Checkpoint, other: Checkpoint, random: Random) -> Checkpoint:
    share = between(0.02, 0.6, random)
    return model.map(lambda name, t: (1 - share) * t + share * other.tensors[name])


def negative(weir: Weir, roots: Path, families: list[list[str]], seed: int, number: int) -> Found:
    """Every fifth is edited twice, every twentieth mixed with a stranger."""
    kinds = sorted(KINDS)
    random = torch.Generator().manual_seed(seed + number)
    some = families[number % len(families)]
    root = roots / some[int(torch.randint(len(some), (1,), generator=random))]
    chosen = [kinds[(number // len(families)) % len(kinds)]]
    if number % 5 == 0:
        chosen.append(kinds[int(torch.randint(len(kinds), (1,), generator=random))])
    model = read(root)
    for kind in chosen:
        model = KINDS[kind](model, random)
    if number % 20 == 0:
        other = roots / some[(some.index(root.name) + 1) % len(some)]
        model = with_stranger(model, read(other), random)
        chosen.append("stranger")
    with tempfile.TemporaryDirectory() as folder:
        target = write(Path(folder) / "model", model, stored_dtype(root))
        answer, _, _ = weir.diff(str(root), str(target), [])
    said = [one["class"] for one in answer.get("changes", []) if one["class"] != "partial"]
    return {"number": number, "root": root.name, "edits": chosen, "said": said, "failed": not answer}


def sweep(weir: Weir, roots: Path, names: list[str], count: int, seed: int) -> Found:
    families = [[name for name in names if name.rsplit("-", 1)[0] == family] for family in FAMILIES]
    families = [some for some in families if some]
    torch.set_num_threads(1)
    tried = in_pairs(WORKERS, [(negative, weir, roots, families, seed, number) for number in range(count)],
                     "cheap negatives")
    accused = [one for one in tried if "ablated" in one["said"]]
    answers = Counter(" + ".join(one["said"]) or "nothing" for one in tried)
    low, high = wilson(len(accused), count)
    return {"negatives": count, "seed": seed, "accused": len(accused), "interval": [low, high],
            "failed": sum(one["failed"] for one in tried), "rate_below_if_none": -math.log(0.05) / count,
            "which": accused[:50], "answers": dict(answers.most_common(20))}
