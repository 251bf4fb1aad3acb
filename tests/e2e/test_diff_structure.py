# SPDX-License-Identifier: Apache-2.0
"""Models whose parts stand elsewhere, or are fewer or more, are compared part by part."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import models
import numpy as np
import pytest
from conftest import Weir, check_schema
from models import HEADS, HIDDEN, KV_HEADS, Tensors, llama_tensors, write_folder, write_gguf

LAYERS = 6
WRITES = ("o_proj.weight", "down_proj.weight")


@pytest.fixture(autouse=True)
def deeper(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "LAYERS", LAYERS)


def run(weir: Weir, base: Path, model: Path) -> dict[str, Any]:
    result = weir("diff", base, model, "--json")
    assert result.code == 0, result.err
    value = result.json()
    check_schema(value)
    return value


def tuned(tensors: Tensors, size: float = 0.05) -> Tensors:
    random = np.random.default_rng(1)
    return {name: values + (size * values.std() * random.standard_normal(values.shape)).astype(np.float32)
            for name, values in tensors.items()}


def with_layers(tensors: Tensors, order: list[int]) -> Tensors:
    out = {name: values for name, values in tensors.items() if ".layers." not in name}
    for new, old in enumerate(order):
        prefix = f"model.layers.{old}."
        out |= {f"model.layers.{new}." + name.removeprefix(prefix): values
                for name, values in tensors.items() if name.startswith(prefix)}
    return out


def with_units(tensors: Tensors, kept: int | None = None) -> Tensors:
    """Hidden units in another order, or only some of them."""
    random = np.random.default_rng(3)
    out = dict(tensors)
    for layer in range(LAYERS):
        prefix = f"model.layers.{layer}.mlp."
        order = random.permutation(tensors[prefix + "up_proj.weight"].shape[0])
        order = np.sort(order[:kept]) if kept else order
        for part, axis in (("gate", 0), ("up", 0), ("down", 1)):
            name = f"{prefix}{part}_proj.weight"
            out[name] = np.ascontiguousarray(np.take(tensors[name], order, axis))
    return out


def with_heads(tensors: Tensors) -> Tensors:
    def moved(rows: np.ndarray, order: list[int]) -> np.ndarray:
        return rows.reshape(len(order), -1, *rows.shape[1:])[order].reshape(rows.shape)

    out = dict(tensors)
    heads, groups = [*range(HEADS)][::-1], [*range(KV_HEADS)][::-1]
    for layer in range(LAYERS):
        prefix = f"model.layers.{layer}.self_attn."
        for part, order in (("q", heads), ("k", groups), ("v", groups)):
            name = f"{prefix}{part}_proj.weight"
            out[name] = moved(tensors[name], order)
        name = prefix + "o_proj.weight"
        out[name] = np.ascontiguousarray(moved(np.ascontiguousarray(tensors[name].T), heads).T)
    return out


def in_basis(tensors: Tensors, turn: np.ndarray) -> Tensors:
    """The residual stream x becomes x T; gains are one or move along."""
    out = {}
    for name, values in tensors.items():
        if values.ndim == 1:
            out[name] = values @ np.abs(turn) if np.ptp(values) > 0 else values
        else:
            out[name] = turn.T @ values if name.endswith(WRITES) else values @ turn
    return {name: np.ascontiguousarray(values, np.float32) for name, values in out.items()}


def with_channels(tensors: Tensors) -> Tensors:
    random = np.random.default_rng(6)
    turn = np.eye(HIDDEN)[random.permutation(HIDDEN)] * random.choice([-1.0, 1.0], HIDDEN)
    return in_basis(tensors, turn)


def rotated(tensors: Tensors) -> Tensors:
    return in_basis(tensors, np.linalg.qr(np.random.default_rng(7).standard_normal((HIDDEN, HIDDEN)))[0])


MOVED: dict[str, Callable[[Tensors], Tensors]] = {
    "units": with_units,
    "heads": with_heads,
    "channels": with_channels,
    "all": lambda tensors: with_channels(with_heads(with_units(tensors))),
    "fewer units": lambda tensors: with_units(tensors, 64),
    "fewer layers": lambda tensors: with_layers(tensors, [0, 1, 3, 5]),
    "other layers": lambda tensors: with_layers(tensors, [3, 1, 5, 0, 2, 4]),
    "fewer layers, units, heads": lambda tensors: with_heads_of(with_layers(with_units(tensors), [0, 2, 3, 5])),
}


def with_heads_of(tensors: Tensors) -> Tensors:
    """with_heads on a model of fewer layers."""
    count = 1 + max(int(match[1]) for name in tensors if (match := re.search(r"layers\.(\d+)", name)))
    padded = with_layers(tensors, [i % count for i in range(LAYERS)])
    return with_layers(with_heads(padded), list(range(count)))


def write(folder: Path, tensors: Tensors) -> Path:
    prefix = [name for name in tensors if name.endswith("input_layernorm.weight")]
    units = tensors["model.layers.0.mlp.up_proj.weight"].shape[0]
    return write_folder(folder, tensors, num_hidden_layers=len(prefix), intermediate_size=units,
                        vocab_size=len(tensors["model.embed_tokens.weight"]))


@pytest.mark.parametrize("kind", MOVED)
def test_moved_parts_hold_the_bases_numbers(weir: Weir, tmp_path: Path, kind: str) -> None:
    base = llama_tensors()

    value = run(weir, write(tmp_path / "a", base), write(tmp_path / "b", MOVED[kind](base)))

    assert (value["relation"], value["grade"]) == ("related", "proved")
    compared = [row for row in value["tensors"] if row["state"] == "compared"]
    assert {row["class"] for row in compared} == {"identical"}
    assert {row["state"] for row in value["tensors"]} <= {"compared", "removed"}


@pytest.mark.parametrize("kind", MOVED)
def test_moved_and_tuned_parts_show_their_true_change(weir: Weir, tmp_path: Path, kind: str) -> None:
    base = llama_tensors()

    value = run(weir, write(tmp_path / "a", base), write(tmp_path / "b", tuned(MOVED[kind](base))))

    assert (value["relation"], value["grade"]) == ("related", "strong")
    matrices = [row for row in value["tensors"] if row["state"] == "compared" and "norm" not in row["name"]]
    assert matrices
    for row in matrices:
        assert row["rel_norm"] == pytest.approx(0.05, rel=0.1), row["name"]


def test_a_turned_basis_is_no_stranger(weir: Weir, tmp_path: Path) -> None:
    base = llama_tensors()

    value = run(weir, write(tmp_path / "a", base), write(tmp_path / "b", rotated(base)))

    assert (value["relation"], value["grade"]) == ("related", "strong")
    assert {row["class"] for row in value["tensors"]} <= {"rotated", "identical"}
    assert value["unexplained"] == 0


def test_a_stranger_in_a_turned_basis_stays_one(weir: Weir, tmp_path: Path) -> None:
    value = run(weir, write(tmp_path / "a", llama_tensors(0)), write(tmp_path / "b", rotated(llama_tensors(9))))

    assert value["relation"] == "no_link"


@pytest.mark.parametrize("kind", ["units", "fewer layers"])
def test_moved_parts_are_rederived_through_quantisation(weir: Weir, tmp_path: Path, kind: str,
                                                        monkeypatch: pytest.MonkeyPatch) -> None:
    base = llama_tensors()
    model = MOVED[kind](base)
    folder = write(tmp_path / "a", base)
    monkeypatch.setattr(models, "LAYERS", 4 if kind == "fewer layers" else LAYERS)

    value = run(weir, folder, write_gguf(tmp_path / "b.gguf", model, "Q8_0"))

    # Only the base's own numbers give these codes, and they do not give the numbers back.
    assert (value["relation"], value["grade"]) == ("derived", "proved")
    assert value["unexplained"] == 0


def test_layers_that_stand_twice_were_copied(weir: Weir, tmp_path: Path) -> None:
    base = llama_tensors()
    doubled = with_layers(base, [0, 1, 2, 1, 2, 3, 4, 5])

    forth = run(weir, write(tmp_path / "a", base), write(tmp_path / "b", doubled))
    back = run(weir, tmp_path / "b", tmp_path / "a")

    assert (forth["relation"], forth["grade"]) == ("derived", "proved")
    assert (back["relation"], back["grade"]) == ("related", "proved")


def test_new_rows_of_the_embedding_leave_the_old_ones_compared(weir: Weir, tmp_path: Path) -> None:
    base = llama_tensors()
    mean = base["model.embed_tokens.weight"].mean(0, keepdims=True)
    model = base | {"model.embed_tokens.weight": np.vstack([base["model.embed_tokens.weight"], *[mean] * 64]),
                    "lm_head.weight": np.vstack([base["lm_head.weight"], np.zeros((64, HIDDEN), np.float32)])}

    value = run(weir, write(tmp_path / "a", base), write(tmp_path / "b", model))

    assert (value["relation"], value["grade"]) == ("related", "proved")
    assert {row["state"] for row in value["tensors"]} == {"compared"}
    assert {row["class"] for row in value["tensors"]} == {"identical"}
