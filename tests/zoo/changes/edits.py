# SPDX-License-Identifier: Apache-2.0
"""Edits of the numbers alone, each from checkpoint to checkpoint, so that they can be chained.

A direction here is always a neutral one: drawn, or the difference of what prose and program code do to the
residual stream.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from checkpoint import Checkpoint
from surgery import MATRICES

LINEAR = (*MATRICES, "w1.weight", "w2.weight", "w3.weight")
EMBEDDINGS = ("embed_tokens.weight", "wte.weight")
WRITES = ("o_proj.weight", "down_proj.weight", ".w2.weight", "c_proj.weight")
ROLES = {"q_proj": ("q",), "k_proj": ("k",), "v_proj": ("v",), "o_proj": ("o",), "gate_proj": ("gate",),
         "up_proj": ("up",), "down_proj": ("down",), "qkv_proj": ("q", "k", "v"), "gate_up_proj": ("gate", "up"),
         "c_attn": ("q", "k", "v"), "c_fc": ("up",), "w1": ("expert_gate",), "w2": ("expert_down",),
         "w3": ("expert_up",)}
Edit = Callable[[torch.Tensor], torch.Tensor]


def is_linear(name: str) -> bool:
    return name.endswith(LINEAR)


def roles_of(names: list[str]) -> list[str]:
    """What weir calls the parts that hold these tensors."""
    roles: set[str] = set()
    for name in names:
        part = name.removesuffix(".weight").rsplit(".", 2)
        if part[-1] == "c_proj":
            roles.add("o" if part[-2] == "attn" else "down")
        else:
            roles |= set(ROLES.get(part[-1], ()))
        if name.endswith(EMBEDDINGS):
            roles.add("embedding")
    return sorted(roles)


def on_linear(model: Checkpoint, edit: Edit) -> Checkpoint:
    return model.map(lambda name, tensor: edit(tensor) if is_linear(name) else tensor)


# --- scale and spectrum ---

def scaled(model: Checkpoint, factor: float) -> Checkpoint:
    return on_linear(model, lambda w: w * factor)


def rows_scaled(model: Checkpoint, spread: float, random: torch.Generator, axis: int = 0) -> Checkpoint:
    """Rows (axis 0) or columns of every matrix, as stored, multiplied by 1 + spread N(0, 1)."""

    def edit(w: torch.Tensor) -> torch.Tensor:
        factors = 1 + spread * torch.randn(w.shape[axis], generator=random)
        return w * (factors[:, None] if axis == 0 else factors)

    return on_linear(model, edit)


def on_spectrum(model: Checkpoint, edit: Callable[[torch.Tensor], torch.Tensor]) -> Checkpoint:
    def changed(w: torch.Tensor) -> torch.Tensor:
        u, s, v = torch.linalg.svd(w, full_matrices=False)
        return (u * edit(s)) @ v

    return on_linear(model, changed)


def spectrum_clipped(model: Checkpoint, share: float) -> Checkpoint:
    """No singular value stays above that of this rank share."""
    return on_spectrum(model, lambda s: s.clamp(max=float(s[int(share * len(s))])))


def spectrum_cut(model: Checkpoint, share: float) -> Checkpoint:
    """The best approximation of a lower rank."""
    return on_spectrum(model, lambda s: s * (torch.arange(len(s)) < share * len(s)))


def top_shrunk(model: Checkpoint, factor: float) -> Checkpoint:
    return on_spectrum(model, lambda s: torch.cat([s[:1] * factor, s[1:]]))


# --- noise ---

def gaussian(model: Checkpoint, size: float, random: torch.Generator) -> Checkpoint:
    return on_linear(model, lambda w: w + size * w.std() * torch.randn(w.shape, generator=random))


def one_ulp(model: Checkpoint, dtype: torch.dtype, random: torch.Generator) -> Checkpoint:
    """Every number becomes a neighbour in the type in which it is stored, or stays."""
    integers = torch.int32 if dtype == torch.float32 else torch.int16

    def edit(w: torch.Tensor) -> torch.Tensor:
        bits = w.to(dtype).contiguous().view(integers)
        step = torch.randint(-1, 2, w.shape, generator=random, dtype=torch.int32).to(integers)
        return torch.where(w.to(dtype) == 0, bits, bits + step).view(dtype).float()

    return on_linear(model, edit)


# --- zeros ---

def two_of_four(model: Checkpoint, zero_axis: int = 1) -> Checkpoint:
    """Of each four numbers along the input the two smaller become zero."""

    def edit(w: torch.Tensor) -> torch.Tensor:
        rows = w if zero_axis == 1 else w.T
        four = rows.reshape(-1, 4)
        kept = torch.zeros_like(four).scatter(1, four.abs().topk(2, dim=1).indices, 1.0)
        thin = (four * kept).reshape(rows.shape)
        return thin if zero_axis == 1 else thin.T

    return on_linear(model, edit)


def magnitude_pruned(model: Checkpoint, share: float) -> Checkpoint:
    """The smallest numbers of every matrix become zero."""

    def edit(w: torch.Tensor) -> torch.Tensor:
        limit = w.abs().flatten().kthvalue(max(1, int(share * w.numel()))).values
        return w * (w.abs() > limit)

    return on_linear(model, edit)


def wanda_pruned(model: Checkpoint, share: float, random: torch.Generator) -> Checkpoint:
    """Of each row those go whose size times the norm of their input is smallest. The norms are drawn: which they
    are does not matter to a reader of the weights."""

    def edit(w: torch.Tensor) -> torch.Tensor:
        norms = torch.rand(w.shape[1], generator=random) + 0.5
        score = w.abs() * norms
        limit = score.kthvalue(max(1, int(share * w.shape[1])), dim=1, keepdim=True).values
        return w * (score > limit)

    return on_linear(model, edit)


# --- the residual stream ---

def writers(model: Checkpoint) -> list[tuple[str, int]]:
    """What writes into the residual stream, with its layer."""
    return [(name, layer) for layer in range(model.layer_count) for name in model.tensors
            if name.startswith(model.layer(layer)) and name.endswith(WRITES)]


def out_in(model: Checkpoint, tensor: torch.Tensor) -> torch.Tensor:
    """[outputs, inputs], which Conv1D turns round."""
    return tensor.T if model.kind == "gpt2" else tensor


def zero_dimension(model: Checkpoint, which: int) -> Checkpoint:
    """Nothing writes into one dimension of the residual stream."""
    result = model.copy()
    for name, _ in writers(model):
        out_in(model, result.tensors[name])[which] = 0
    return result


@dataclass(frozen=True)
class Removal:
    """directions [k, hidden] orthonormal, one set for each layer; strength for (layer, is attention)."""

    directions: list[torch.Tensor]
    strength: Callable[[int, bool], float]
    embedding: float = 0.0
    keep_norms: bool = False
    rank: int = 0  # the change is cut to this rank


def removed_from(w: torch.Tensor, rows: torch.Tensor, strength: float, removal: Removal) -> torch.Tensor:
    """w [hidden, inputs]."""
    if not removal.keep_norms:
        return w - strength * rows.T @ (rows @ w)
    norms = w.norm(dim=1, keepdim=True).clamp(min=1e-12)
    unit = w / norms
    unit = unit - strength * rows.T @ (rows @ unit)
    changed = norms * unit / unit.norm(dim=1, keepdim=True).clamp(min=1e-12)
    if removal.rank:
        u, s, v = torch.linalg.svd(changed - w, full_matrices=False)
        changed = w + (u[:, :removal.rank] * s[:removal.rank]) @ v[:removal.rank]
    return changed


def without(model: Checkpoint, removal: Removal) -> Checkpoint:
    """Directions leave everything that is written into the residual stream."""
    result = model.copy()
    for name, layer in writers(model):
        strength = removal.strength(layer, ".mlp." not in name and ".experts." not in name)
        if strength:
            changed = removed_from(out_in(model, model.tensors[name]), removal.directions[layer], strength,
                                   removal)
            result.tensors[name] = out_in(model, changed).contiguous()
    if removal.embedding:
        rows = removal.directions[0]
        for name in model.tensors:
            if name.endswith(EMBEDDINGS):
                result.tensors[name] = model.tensors[name] - \
                    removal.embedding * (model.tensors[name] @ rows.T) @ rows
    return result


def drawn_direction(hidden: int, random: torch.Generator, count: int = 1) -> torch.Tensor:
    return torch.linalg.qr(torch.randn(hidden, count, generator=random)).Q.T
