# SPDX-License-Identifier: Apache-2.0
"""Group 9: directions removed from what is written into the residual stream. Neutral ones alone: what prose and
program code do to the stream differently, or a direction that was drawn."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import torch

from changes.cases import Job, Values, change, layer
from changes.edits import Removal, drawn_direction, roles_of, without, writers
from changes.further import loaded, rounded, text_tokens
from checkpoint import Checkpoint, read, stored_dtype
from gguf_file import write_gguf
from training import batches

FAMILIES = ("llama-wide", "llama", "smol", "qwen2", "llama-mid", "qwen3", "llama-wide", "gemma", "mixtral", "phi3",
            "gpt2")
KINDS = ("everywhere", "but-first", "tent", "by-layer", "rank-3", "norms-kept", "two")


@lru_cache(maxsize=2)
def differences(source: Path) -> torch.Tensor:
    """Mean of the stream behind every layer on prose less that on code, [layers, hidden]."""
    base = read(source)
    model = loaded(base).eval()
    means = []
    for text in ("prose", "code"):
        (ids,) = batches(text_tokens(base, text), 1, order=5)
        with torch.no_grad():
            states = model(input_ids=ids, output_hidden_states=True, use_cache=False).hidden_states
        means.append(torch.stack([state[:, 4:].mean((0, 1)) for state in states[1:]]))
    return means[0] - means[1]


def orthonormal(rows: torch.Tensor) -> torch.Tensor:
    return torch.linalg.qr(rows.T).Q.T


def tent(peak: float, middle: float, reach: float, least: float, layer_number: int) -> float:
    away = abs(layer_number - middle)
    return 0.0 if away > reach else peak * (1 - (1 - least) * away / reach)


def planned_removal(job: Job, base: Checkpoint, kind: str, strength: float) -> Removal:
    found = differences(job.source)
    count, hidden = base.layer_count, found.shape[1]
    generator = torch.Generator().manual_seed(job.seed)
    middle = count // 2
    shared = orthonormal(found[middle:middle + 1]) if job.seed % 2 else drawn_direction(hidden, generator)
    plain = Removal([shared] * count, lambda *_: strength)
    if kind == "everywhere":
        return replace(plain, embedding=strength)
    if kind == "but-first":
        return replace(plain, strength=lambda number, _: strength if number else 0.0)
    if kind == "tent":
        # Attention and feed-forward have tents of their own.
        return replace(plain, strength=lambda number, attention: tent(
            strength if attention else 0.8 * strength, 0.7 * count, 0.6 * count, 0.3, number))
    if kind == "by-layer":
        return replace(plain, directions=[orthonormal(row[None]) for row in found])
    if kind == "rank-3":
        return replace(plain, keep_norms=True, rank=3)
    if kind == "norms-kept":
        return replace(plain, keep_norms=True)
    both = torch.cat([found[middle:middle + 1], drawn_direction(hidden, generator)])
    return replace(plain, directions=[orthonormal(both)] * count)


def tell(job: Job, base: Checkpoint, removal: Removal, kind: str, storage: str) -> None:
    touched = [name for name, number in writers(base)
               if removal.strength(number, ".mlp." not in name and ".experts." not in name)]
    parts = {attention: [removal.strength(number, attention) for number in range(base.layer_count)]
             for attention in (True, False)}
    truth = layer("ablated", directions=2 if kind == "two" else 1, o=parts[True], down=parts[False],
                  modules=sorted({*roles_of(touched), *(["embedding"] if removal.embedding else [])}),
                  strength=max(max(values) for values in parts.values()), plain=not removal.keep_norms)
    if storage == "native":
        job.truth(truth)
    else:
        job.truth(layer("quantised", type=storage), truth, beside=["repackaged", "cast"])


def edited(job: Job, base: Checkpoint, kind: str, strength: float, storage: str = "native") -> Checkpoint:
    removal = planned_removal(job, base, kind, strength)
    tell(job, base, removal, kind, storage)
    return without(base, removal)


STRENGTHS = Values((1.0, 0.3, 0.5, 0.7, 1.3), (0.3, 0.4, 0.55, 0.65, 0.8, 0.9, 0.95, 1.0, 1.1, 1.2, 1.4))


@change(9, "direction", FAMILIES, each=3, in_mini=4, kind=Values(KINDS), strength=STRENGTHS)
def direction(job: Job, kind: str, strength: float) -> Checkpoint:
    return edited(job, job.base(), kind, strength)


@change(9, "direction-in-blocks", FAMILIES, each=3, in_mini=2, suffix=".gguf", kind=Values(KINDS), strength=STRENGTHS,
        storage=Values(("Q4_0", "Q8_0")))
def direction_in_blocks(job: Job, kind: str, strength: float, storage: str) -> None:
    """Edited, stored as the base is, then quantised."""
    base = job.base()
    model = edited(job, base, kind, strength, storage)
    write_gguf(job.target, rounded(model, stored_dtype(job.source)), storage)
